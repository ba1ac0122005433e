//! `kill -9` in the middle of writing: every acknowledged row is there afterwards.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use model::LabelSet;
use storage::{RowAppender, SampleAppender, SeriesSample, StoreStatus};
use support::{NOW, dump, open, series};

const CHILD: &str = "VIGIE_TSDB_KILL_TEST_DIR";

/// The child's part: appends, and prints each row's number once the store has it.
#[test]
fn child_appends_until_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let store = open(dir.as_ref());
    let id = store.open_group(&LabelSet::from_pairs([("job", "a")])).unwrap();
    store.define(id, &(0..5).map(series).collect::<Vec<_>>()).unwrap();
    let first = store.head_stats().max_time.max(NOW) - NOW + 1;
    let mut out = std::io::stdout().lock();
    for k in first.. {
        store.append_row(id, NOW + k, &[k as f64; 5]).unwrap();
        store.append(&[SeriesSample { labels: series(7), ts: NOW + k, value: k as f64 }]).unwrap();
        writeln!(out, "ack {k}").unwrap();
        if k % 37 == 0 {
            store.maintain(NOW).unwrap();
        }
    }
}

#[test]
fn every_acknowledged_row_survives() {
    let dir = tempfile::tempdir().unwrap();
    // A row that was cut off between its two writes was never acknowledged, and the next child goes on after it.
    let mut acknowledged = std::collections::BTreeSet::<i64>::new();
    for rows in [1, 40, 333] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_appends_until_killed", "--nocapture", "--test-threads=1"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        while seen < rows {
            let line = lines.next().expect("the child goes on").unwrap();
            if let Some((_, k)) = line.rsplit_once("ack ") {
                acknowledged.insert(k.parse().unwrap());
                seen += 1;
            }
        }
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            if let Some(k) = line.rsplit_once("ack ").and_then(|(_, k)| k.parse().ok()) {
                acknowledged.insert(k);
            }
        }
        let store = open(dir.path());
        assert_eq!(store.head_stats().corruptions, 0);
        let model = dump(&store);
        for s in [0, 1, 2, 3, 4, 7] {
            let samples = &model[&series(s)];
            for &k in &acknowledged {
                assert_eq!(samples.get(&(NOW + k)), Some(&(k as f64).to_bits()), "series {s}, row {k}");
            }
        }
    }
    assert!(acknowledged.len() >= 374);
}
