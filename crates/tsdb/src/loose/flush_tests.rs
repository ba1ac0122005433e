//! What a flush drops, and what it must not.

use std::sync::Arc;

use model::Histogram;

use crate::loose::{Loose, LooseReader, LooseSamples};

fn times(loose: &Loose, series: u32) -> Vec<i64> {
    let mut samples = LooseSamples::default();
    if let Some(taken) = loose.take(series, i64::MIN, i64::MAX) {
        assert_eq!(LooseReader::default().read(&taken, &mut samples), 0);
    }
    samples.ts
}

fn run(from: i64, to: i64) -> Vec<(i64, f64)> {
    (from..to).map(|t| (t * 10, t as f64)).collect()
}

#[test]
fn what_arrives_below_the_line_during_a_flush_stays() {
    let mut loose = Loose::new(100);
    let (a, b, c) = (loose.insert(1, Some(1)), loose.insert(2, None), loose.insert(3, None));
    loose.push_run(a, &run(0, 30));
    loose.push_run(b, &run(0, 5));
    loose.push_histogram(c, 40, Arc::new(Histogram::default()));
    for t in 0..40 {
        loose.push_late(a, t * 3, 1.0);
    }
    assert_eq!(loose.bounds_before(200).iter().map(|b| b.0).min(), Some(0));
    let mark = loose.mark(200);
    // A late sample, a series that lags behind, a histogram, and a new series.
    loose.push_late(a, 55, 9.0);
    loose.push_run(b, &run(5, 7));
    loose.push_run(b, &run(30, 31));
    loose.push_histogram(c, 50, Arc::new(Histogram::default()));
    let d = loose.insert(4, None);
    loose.push_run(d, &run(1, 2));
    // Appending goes on above the line.
    loose.push_run(a, &run(30, 32));
    loose.drop_before(200, mark);
    let above: Vec<i64> = (20..32).map(|t| t * 10).collect();
    assert_eq!(times(&loose, 1), [&[55][..], &above].concat());
    assert_eq!(times(&loose, 2), [50, 60, 300]);
    assert_eq!(times(&loose, 3), [50]);
    assert_eq!(times(&loose, 4), [10]);
    assert_eq!((loose.newest(1), loose.newest(3)), (Some(310), Some(50)));

    // The next flush takes them; an older mark is void.
    let next = loose.mark(300);
    loose.drop_before(200, mark);
    assert_eq!(times(&loose, 4), [10]);
    loose.drop_before(300, next);
    assert_eq!((times(&loose, 1), times(&loose, 2), times(&loose, 4)), (vec![300, 310], vec![300], vec![]));
    // Empty series are still known, until they are forgotten, and their keys with them.
    assert_eq!((loose.len(), loose.newest(4)), (4, Some(10)));
    loose.retain_nonempty();
    assert_eq!((loose.len(), loose.newest(4)), (2, None));
    assert_eq!(loose.find(Some(1), None), Some(a));
    loose.forget(&[1].into_iter().collect());
    assert_eq!(loose.find(Some(1), None), None);
    // The slot of a series that is gone is used again.
    assert!([a, c, d].contains(&loose.insert(5, Some(1))));
    assert_eq!(times(&loose, 5), Vec::<i64>::new());
}
