//! What a disk can do to a store: change a byte, cut a file, be full, be read-only.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by it, and says when it is skipped"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use model::LabelSet;
use storage::{ErrorKind, RowAppender as _, SampleAppender as _, SeriesSample, StoreStatus as _};
use support::{Model, NOW, dump_all, options, series};
use tsdb::{Store, StoreOptions};

fn open(path: &Path) -> Result<Arc<Store>, storage::Error> {
    Store::open(path, StoreOptions { block_span_ms: 400, ..options() })
}

fn key() -> LabelSet {
    LabelSet::from_pairs([("job", "j")])
}

fn write(store: &Store, from: i64, rows: i64) -> Result<i64, storage::Error> {
    let id = store.open_group(&key())?;
    store.define(id, &(0..70).map(series).collect::<Vec<_>>())?;
    for k in from..from + rows {
        let ts = NOW + k * 10;
        let row: Vec<f64> = (0..70).map(|i| (i * k) as f64 / 8.0).collect();
        store.append_row(id, ts, &row)?;
        store.append(&[SeriesSample { labels: series(90), ts, value: k as f64 }])?;
        if k % 25 == 0 {
            store.maintain(ts)?;
        }
    }
    Ok(from + rows)
}

fn model(rows: i64) -> Model {
    let mut model = Model::new();
    for k in 0..rows {
        let ts = NOW + k * 10;
        for i in 0..70 {
            let value = (i64::try_from(i).unwrap() * k) as f64 / 8.0;
            model.entry(series(i)).or_default().insert(ts, value.to_bits());
        }
        model.entry(series(90)).or_default().insert(ts, (k as f64).to_bits());
    }
    model
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = vec![];
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
}

/// Nothing that is not in the model, and all of it unless damage was counted (where it can be seen: a log or a growing file that ends
/// between two records looks like one that was never longer).
fn check(store: &Store, model: &Model, seen: bool, what: &str) {
    let found = dump_all(store);
    for (labels, samples) in &found {
        let known = model.get(labels).unwrap_or_else(|| panic!("{what}: {labels} was never written"));
        for (ts, bits) in samples {
            assert_eq!(known.get(ts), Some(bits), "{what}: {labels} at {ts}");
        }
    }
    if &found != model && seen {
        assert!(
            store.head_stats().corruptions + store.stats().torn_bytes > 0,
            "{what}: a loss that is not told"
        );
    }
}

fn each_damage(what: &str, seen: impl Fn(&Path) -> bool, damage: impl Fn(&mut Vec<u8>, usize)) {
    let dir = tempfile::tempdir().unwrap();
    let rows = {
        let store = open(dir.path()).unwrap();
        write(&store, 0, 120).unwrap()
    };
    let model = model(rows);
    let mut seed = 7_usize;
    for file in files(dir.path()) {
        let len = usize::try_from(fs::metadata(&file).unwrap().len()).unwrap();
        for round in 0..12.min(len) {
            let broken = tempfile::tempdir().unwrap();
            copy(dir.path(), broken.path());
            let target = broken.path().join(file.strip_prefix(dir.path()).unwrap());
            let mut bytes = fs::read(&target).unwrap();
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            // The first bytes, where headers are, then anywhere.
            let at = if round < 2 { round * 9 % len } else { (seed >> 20) % len };
            damage(&mut bytes, at);
            fs::write(&target, bytes).unwrap();
            let what = format!("{what} {} at {at} of {len}", target.display());
            let store = open(broken.path()).unwrap_or_else(|e| panic!("{what}: {e}"));
            check(&store, &model, seen(&target), &what);
            store.maintain(NOW).unwrap_or_else(|e| panic!("{what}: {e}"));
            let _ = store.compact(NOW);
            check(&store, &model, seen(&target), &what);
        }
    }
}

#[test]
fn a_changed_byte_costs_only_what_it_is_part_of() {
    each_damage("changed", |_| true, |bytes, at| bytes[at] ^= 0x21);
}

#[test]
fn a_cut_file_costs_only_what_was_cut() {
    each_damage("cut", |file| file.components().any(|c| c.as_os_str() == "blocks"), Vec::truncate);
}

#[test]
fn a_half_written_block_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let rows = write(&open(dir.path()).unwrap(), 0, 120).unwrap();
    let blocks = dir.path().join("blocks");
    let one = fs::read_dir(&blocks).unwrap().next().unwrap().unwrap().path();
    copy(&one, &blocks.join("01HFB0000000000000000000C0.tmp"));
    let store = open(dir.path()).unwrap();
    assert_eq!(dump_all(&store), model(rows));
    let left: Vec<_> = fs::read_dir(&blocks).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.len() == 26), "{left:?}");
}

/// A file system of some MiB, gone with its owner.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(mib: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={mib}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(dir.path()).output();
        let mounted = mounted.is_ok_and(|o| o.status.success());
        if !mounted {
            println!("SKIPPED: a tmpfs cannot be mounted here");
        }
        mounted.then(|| Self(dir))
    }

    fn remount(&self, how: &str) {
        let done = Command::new("mount").args(["-o", how]).arg(self.0.path()).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_space() {
    let Some(disk) = Small::mount(6) else { return };
    let dir = disk.0.path().join("store");
    let ballast = disk.0.path().join("ballast");
    let store = open(&dir).unwrap();
    let id = store.open_group(&key()).unwrap();
    store.define(id, &(0..70).map(series).collect::<Vec<_>>()).unwrap();
    let mut accepted = 0;
    let mut refused = 0;
    let mut freed = false;
    for k in 0..6_000_i64 {
        if k == 1_000 {
            let free = fs::File::create(&ballast).unwrap();
            // As much as fits.
            let mut free = std::io::BufWriter::new(free);
            while std::io::Write::write_all(&mut free, &[1; 4096]).is_ok() {}
            drop(free.into_parts());
        }
        if refused == 40 && !freed {
            freed = true;
            assert_eq!(dump_all(&store)[&series(3)].len(), accepted, "reading goes on");
            fs::remove_file(&ballast).unwrap();
        }
        let row: Vec<f64> = (0..70).map(|i| (i * k) as f64 / 8.0).collect();
        match store.append_row(id, NOW + k * 10, &row) {
            Ok(()) => accepted += 1,
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::NoSpace, "{e}");
                refused += 1;
            }
        }
        if k % 25 == 0 {
            // Fails while there is no space; memory keeps what cannot be written.
            let _ = store.maintain(NOW + k * 10);
        }
        if freed && refused > 0 && accepted > 1_500 {
            break;
        }
    }
    assert!(refused >= 40 && accepted > 1_500, "{accepted} accepted, {refused} refused");
    assert_eq!(dump_all(&store)[&series(3)].len(), accepted);
    drop(store);
    assert_eq!(dump_all(&open(&dir).unwrap())[&series(3)].len(), accepted);
}

#[test]
fn a_read_only_disk_refuses_and_is_still_read() {
    let Some(disk) = Small::mount(6) else { return };
    let dir = disk.0.path().join("store");
    let store = open(&dir).unwrap();
    let rows = write(&store, 0, 60).unwrap();
    drop(store);
    disk.remount("remount,ro");
    let e = open(&dir).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Io, "{e}");
    disk.remount("remount,rw");
    assert_eq!(dump_all(&open(&dir).unwrap()), model(rows));
}
