//! A directory that was a Prometheus': its blocks and log are read, and stay as they are.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use interchange::{BlockWriter, Samples};
use model::{LabelSet, Matcher};
use storage::{LeafExecutor as _, MetaRequest, QueryContext, RowAppender as _, TimeRange};
use support::{Model, NOW, dump_all, open, series};

const HOUR: i64 = 3_600_000;

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    all
}

#[test]
fn blocks_of_prometheus_are_read_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = Model::new();
    let start = NOW.div_euclid(2 * HOUR) * 2 * HOUR - 4 * HOUR;
    for (n, ulid) in ["01HFB0000000000000000000A0", "01HFB0000000000000000000B0"].iter().enumerate() {
        let mut writer = BlockWriter::create(dir.path(), ulid).unwrap();
        let mut sets: Vec<LabelSet> = (0..20).map(series).collect();
        sets.sort();
        for (i, labels) in sets.iter().enumerate() {
            let ts = (0..200).map(|k| start + i64::try_from(n).unwrap() * 2 * HOUR + k * 15_000);
            let floats: Vec<(i64, f64)> = ts.map(|t| (t, (t / 1000 % 977) as f64 * i as f64)).collect();
            let known = model.entry(labels.clone()).or_default();
            known.extend(floats.iter().map(|(t, v)| (*t, v.to_bits())));
            writer.series(labels, &Samples { floats, histograms: vec![] }).unwrap();
        }
        writer.finish().unwrap();
    }
    let theirs: Vec<PathBuf> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    let before: Vec<_> = theirs.iter().map(|p| files(p)).collect();
    let store = open(dir.path());
    assert_eq!(dump_all(&store), model);

    // The same series goes on in the head: it is one.
    let id = store.open_group(&LabelSet::from_pairs([("job", "j")])).unwrap();
    store.define(id, &[series(3), series(77)]).unwrap();
    store.append_row(id, NOW, &[5.0, 6.0]).unwrap();
    model.get_mut(&series(3)).unwrap().insert(NOW, 5_f64.to_bits());
    model.entry(series(77)).or_default().insert(NOW, 6_f64.to_bits());
    assert_eq!(dump_all(&store), model);

    let ctx = QueryContext::unbounded();
    let all = TimeRange { mint: 0, maxt: i64::MAX };
    let one = vec![Matcher::equal("i", "3")];
    let request = MetaRequest { matcher_sets: vec![one], range: all };
    assert_eq!(store.series(&request, &ctx).unwrap(), [series(3)]);
    assert_eq!(store.label_values("__name__", &request, &ctx).unwrap(), ["m0"]);
    assert_eq!(store.label_names(&request, &ctx).unwrap(), ["__name__", "i"]);

    store.compact_all().unwrap();
    store.close().unwrap();
    drop(store);
    assert_eq!(dump_all(&open(dir.path())), model);
    assert_eq!(theirs.iter().map(|p| files(p)).collect::<Vec<_>>(), before, "nothing of theirs is changed");
}
