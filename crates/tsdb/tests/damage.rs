//! Torn and flipped bytes in every file: never a panic, never a wrong value, always counted.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::path::{Path, PathBuf};

use model::LabelSet;
use storage::{RowAppender, SampleAppender, SeriesSample, StoreStatus};
use support::{Model, NOW, dump, open, options, series};
use tsdb::Store;

fn key() -> LabelSet {
    LabelSet::from_pairs([("job", "a")])
}

/// A store with rows and loose samples in chunk files, in the checkpoint and in the log.
fn fill(path: &Path) -> Model {
    let store = open(path);
    let id = store.open_group(&key()).unwrap();
    store.define(id, &(0..5).map(series).collect::<Vec<_>>()).unwrap();
    let round = |from: i64, to: i64| {
        for k in from..to {
            store
                .append_row(id, NOW + k * 10, &[k as f64, 7.0, k as f64 / 8.0, -1.0, (k as f64).sin()])
                .unwrap();
            store.append(&[SeriesSample { labels: series(8), ts: NOW + k, value: k as f64 }]).unwrap();
        }
    };
    round(0, 40);
    store.maintain(NOW).unwrap();
    round(40, 46);
    store.close().unwrap();
    round(46, 52);
    let model = dump(&store);
    assert_eq!(model.len(), 6);
    model
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = vec![];
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.metadata().unwrap().len() > 0 {
            all.push(path);
        }
    }
    all.sort();
    all
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn assert_part_of(part: &Model, whole: &Model) {
    for (labels, samples) in part {
        for (ts, bits) in samples {
            assert_eq!(whole.get(labels).and_then(|s| s.get(ts)), Some(bits), "{labels} at {ts}");
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_costs_only_itself_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("a");
    let whole = fill(&original);
    let all = files(&original);
    assert!(all.len() >= 3, "{all:?}");
    let mut tried = 0;
    for file in &all {
        let bytes = std::fs::read(file).unwrap();
        let step = (bytes.len() / 60).max(1);
        for at in (0..bytes.len()).step_by(step) {
            let copied = dir.path().join("b");
            copy(&original, &copied);
            let mut broken = bytes.clone();
            broken[at] ^= 1 << (at % 8);
            std::fs::write(copied.join(file.strip_prefix(&original).unwrap()), &broken).unwrap();
            let store = open(&copied);
            let got = dump(&store);
            assert_part_of(&got, &whole);
            let (stats, own) = (store.head_stats(), store.stats());
            if got != whole {
                assert!(stats.corruptions > 0 || own.torn_bytes > 0, "{} byte {at}", file.display());
            }
            // It goes on, and what it writes then is found again.
            store.maintain(NOW).unwrap();
            let id = store.open_group(&key()).unwrap();
            let slot = store.define(id, &[series(0)]).unwrap()[0].0 as usize;
            let mut row = vec![storage::ABSENT; slot + 1];
            row[slot] = 5.0;
            store.append_row(id, NOW + 1_000_000, &row).unwrap();
            drop(store);
            let again = dump(&open(&copied));
            assert_eq!(again[&series(0)][&(NOW + 1_000_000)], 5.0_f64.to_bits());
            assert_part_of(&got, &again);
            std::fs::remove_dir_all(&copied).unwrap();
            tried += 1;
        }
    }
    assert!(tried > 100);
}

#[test]
fn a_tail_torn_at_any_byte_costs_only_the_last_record() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("a");
    let store = Store::open(&original, options()).unwrap();
    let id = store.open_group(&key()).unwrap();
    store.define(id, &(0..5).map(series).collect::<Vec<_>>()).unwrap();
    for k in 0..3 {
        store.append_row(id, NOW + k, &[k as f64; 5]).unwrap();
    }
    let before = dump(&store);
    let log = files(&original).into_iter().find(|f| f.extension().is_some_and(|e| e == "log")).unwrap();
    let sound = std::fs::metadata(&log).unwrap().len();
    store.append_row(id, NOW + 3, &[3.5, 1e300, 0.1, -0.0, 9.0]).unwrap();
    drop(store);
    let bytes = std::fs::read(&log).unwrap();
    for cut in usize::try_from(sound).unwrap()..bytes.len() {
        std::fs::write(&log, &bytes[..cut]).unwrap();
        for number in 2..4 {
            let _ = std::fs::remove_file(log.with_file_name(format!("{number:08}.log")));
        }
        let store = open(&original);
        assert_eq!(dump(&store), before, "cut at {cut}");
        assert_eq!(store.stats().torn_bytes, (cut as u64) - sound);
        assert_eq!(store.head_stats().corruptions, 0);
    }
}
