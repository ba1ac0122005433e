//! The series that Vigie adds to each scrape: `up` and its kin.

use model::{LabelSet, METRIC_NAME};
use storage::{ABSENT, Slot};

use super::{Ingest, Summary};

const REPORT: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

const EXTRA_REPORT: [&str; 3] = ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"];

impl Ingest {
    pub(super) fn report_series(&self) -> Vec<LabelSet> {
        let extra: &[&str] = if self.settings.extra_metrics { &EXTRA_REPORT } else { &[] };
        let of = |name: &&str| {
            let mut builder = self.target.to_builder();
            builder.set(METRIC_NAME, name);
            builder.build()
        };
        REPORT.iter().chain(extra).map(of).collect()
    }

    pub(super) fn fill_report(&self, row: &mut Vec<f64>, summary: &Summary, body_size: i64) {
        let values = [
            f64::from(u8::from(summary.error.is_none())),
            summary.duration.as_secs_f64(),
            summary.scraped as f64,
            summary.kept as f64,
            summary.added as f64,
            self.timeout.as_secs_f64(),
            self.settings.sample_limit as f64,
            body_size as f64,
        ];
        for (slot, value) in self.report.iter().zip(values) {
            put(row, *slot, value);
        }
    }
}

pub(super) fn put(row: &mut Vec<f64>, slot: Slot, value: f64) {
    let i = slot.0 as usize;
    if row.len() <= i {
        row.resize(i + 1, ABSENT);
    }
    row[i] = value;
}
