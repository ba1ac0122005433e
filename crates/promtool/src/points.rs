//! A store's path for single samples, as the path of writers with many points.

use storage::{
    Error, ErrorKind, PointAppender, PointsReport, RefusalKind, Refusals, SampleAppender as _, SeriesPoints,
    SeriesSample,
};

/// Takes floats; a batch with histograms is refused as a whole.
pub(crate) struct Points<'a>(pub(crate) &'a tsdb::Store);

impl PointAppender for Points<'_> {
    fn append_points(&self, batch: &[SeriesPoints<'_>], refusals: Refusals) -> Result<PointsReport, Error> {
        if refusals != Refusals::Skip {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "a batch can only be written as far as it is good",
            ));
        }
        let mut samples = Vec::new();
        for series in batch {
            let labels = series.labels.label_set()?;
            if !series.histograms.is_empty() {
                let text = format!("series {labels}: this store does not take native histograms");
                return Err(Error::new(ErrorKind::Unsupported, text));
            }
            samples.extend(series.floats.iter().map(|&(ts, value)| SeriesSample {
                labels: labels.clone(),
                ts,
                value,
            }));
        }
        let report = self.0.append(&samples)?;
        let mut out = PointsReport { floats: report.accepted, ..PointsReport::default() };
        out.refused[RefusalKind::OutOfOrder as usize] = report.out_of_order;
        out.refused[RefusalKind::Duplicate as usize] = report.duplicate;
        out.refused[RefusalKind::OutOfBounds as usize] = report.out_of_bounds;
        Ok(out)
    }
}
