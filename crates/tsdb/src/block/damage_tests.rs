//! Damaged, cut and foreign files, full disks and crashes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use model::{LabelSet, MatchOp, Matcher};
use proptest::prelude::*;
use storage::{ErrorKind, TimeRange};

use super::model_tests::{ALL, Data, Model, put, read, read_series, to_model, write};
use super::pages::{HEADER, PageWriter, Pages};
use super::{About, Block, BlockWriter, Blocks, file, merge, ulid};
use crate::codec::Effort;
use crate::disk::Faults;

const PAGED: [(&str, &[u8; 8]); 3] =
    [(file::INDEX, b"VIGIEIDX"), (file::CHUNKS, b"VIGIECHU"), (file::TIMESTAMPS, b"VIGIETIM")];

fn small() -> BTreeMap<LabelSet, Data> {
    (0..40_u32)
        .map(|i| {
            let labels = LabelSet::from_pairs([
                ("__name__", if i < 30 { "requests_total" } else { "up" }),
                ("instance", ["a:9100", "b:9100", "été"][i as usize % 3]),
                ("id", &(i / 3).to_string()),
            ]);
            let rows = if i == 7 { 1_100 } else { 40 };
            let data = (0..rows).map(|r: u32| {
                let t = i64::from(r) * 15_000 + i64::from(i % 3) + i64::from(r % 5);
                (t, if i == 5 { Err(r) } else { Ok(f64::from(r * i) / 10.0) })
            });
            (labels, data.collect())
        })
        .collect()
}

fn queries() -> Vec<Vec<Matcher>> {
    let m = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
    vec![
        vec![],
        vec![m("__name__", MatchOp::Equal, "up")],
        vec![m("instance", MatchOp::Regex, "[ab]:.*"), m("id", MatchOp::NotEqual, "3")],
        vec![m("id", MatchOp::Regex, "1|")],
        vec![m("id", MatchOp::NotRegex, ".*1")],
    ]
}

/// Everything that can be asked of a block gives what `expect` has, or an error; how many errors there were.
fn errors(block: &Block, expect: &Model) -> usize {
    let sets: Vec<&LabelSet> = expect.keys().collect();
    let mut errors = 0;
    for query in queries() {
        match block.select(&query) {
            Ok(found) => {
                let right = (0_u32..)
                    .zip(&sets)
                    .filter(|(_, l)| query.iter().all(|m| m.matches_labels(l)))
                    .map(|(i, _)| i);
                assert!(found.iter().eq(right), "{query:?}");
                match block.label_values("id", Some(&found)) {
                    Ok(values) => assert!(values.iter().all(|v| sets.iter().any(|l| l.value("id") == v))),
                    Err(_) => errors += 1,
                }
                errors += usize::from(block.label_names(Some(&found)).is_err());
            }
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::Corrupt);
                errors += 1;
            }
        }
    }
    let mut reader = block.label_reader();
    for (i, (labels, samples)) in (0_u32..).zip(expect) {
        match reader.get(i) {
            Ok(read) => {
                assert_eq!(read, *labels);
                assert_eq!(block.key(i), super::series_key(labels));
            }
            Err(_) => {
                errors += 1;
                assert!(block.labels(i).is_err());
            }
        }
        match read_series(block, i) {
            Ok(read) => assert_eq!(read, *samples),
            Err(_) => errors += 1,
        }
    }
    errors
}

#[test]
fn a_flipped_byte_is_seen_wherever_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (series, mut parts) = (small(), 0);
    let expect = to_model(&series);
    let block = write(dir.path(), 1, &series).unwrap();
    let place = block.dir().to_owned();
    block.delete(&[3].into_iter().collect(), TimeRange { mint: -9, maxt: -1 }).unwrap();
    assert!(!block.has_tombstones(), "nothing was there");
    drop(block);
    for (name, _) in PAGED {
        let sound = std::fs::read(place.join(name)).unwrap();
        for at in 0..sound.len() {
            // Each byte of what is small, some of what is long; all of the ends.
            if sound.len() > 6_000 && at % 7 != 0 && at > 200 && at + 200 < sound.len() {
                continue;
            }
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(place.join(name), &bytes).unwrap();
            match Block::open(&place) {
                Ok(block) => {
                    assert!(errors(&block, &expect) > 0, "{name}: byte {at} goes unseen");
                    parts += 1;
                }
                Err(e) => assert_eq!(e.kind(), ErrorKind::Corrupt, "{name}: byte {at}"),
            }
        }
        std::fs::write(place.join(name), &sound).unwrap();
    }
    assert!(parts > 300, "a flipped byte mostly costs a part only: {parts}");
    assert_eq!(errors(&Block::open(&place).unwrap(), &expect), 0);
}

#[test]
fn files_that_are_cut_or_missing_or_of_another_block_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    let place = write(dir.path(), 1, &small()).unwrap().dir().to_owned();
    let other = write(dir.path(), 2, &small()).unwrap().dir().to_owned();
    for (name, _) in PAGED {
        let sound = std::fs::read(place.join(name)).unwrap();
        for len in (0..sound.len()).step_by(61).chain([sound.len() - 1]) {
            std::fs::write(place.join(name), &sound[..len]).unwrap();
            assert_eq!(Block::open(&place).unwrap_err().kind(), ErrorKind::Corrupt);
        }
        std::fs::remove_file(place.join(name)).unwrap();
        assert_eq!(Block::open(&place).unwrap_err().kind(), ErrorKind::Io);
        std::fs::write(place.join(name), &sound).unwrap();
    }
    for name in [file::INDEX, file::META] {
        let sound = std::fs::read(place.join(name)).unwrap();
        std::fs::copy(other.join(name), place.join(name)).unwrap();
        assert_eq!(Block::open(&place).unwrap_err().kind(), ErrorKind::Corrupt, "{name}");
        std::fs::write(place.join(name), &sound).unwrap();
    }
    // What cannot be read is left out and left alone; the rest is there.
    std::fs::write(place.join(file::INDEX), b"nothing").unwrap();
    let (blocks, damaged) = Blocks::open(dir.path(), &Faults::default()).unwrap();
    assert_eq!((blocks.all().len(), damaged), (1, 1));
    assert!(place.join(file::INDEX).exists());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn foreign_bytes_with_good_checksums_do_no_harm(
        which in 0..3_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let series = small().into_iter().take(20).collect();
        let block = write(dir.path(), 1, &series).unwrap();
        let (name, magic) = PAGED[which];
        let path = block.dir().join(name);
        let place = block.dir().to_owned();
        let pages = Pages::open(&path, magic).unwrap();
        let len = usize::try_from(pages.len()).unwrap() - HEADER;
        let mut bytes = pages.get(HEADER as u64, len).unwrap().to_vec();
        drop((block, pages));
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::remove_file(&path).unwrap();
        let mut writer = PageWriter::create(&path, magic, &Faults::default()).unwrap();
        writer.append(&bytes).unwrap();
        writer.finish().unwrap();
        let Ok(block) = Block::open(&place) else { return Ok(()) };
        for query in queries() {
            if let Ok(found) = block.select(&query) {
                let _ = (block.label_names(Some(&found)), block.label_values("id", Some(&found)));
            }
        }
        let mut reader = block.label_reader();
        for i in 0..25 {
            let _ = (reader.get(i), block.labels(i), block.key(i));
            let mut chunks = vec![];
            let _ = block.chunks(i, ALL, &mut chunks);
            for chunk in &chunks {
                let mut out = vec![0.0; chunk.rows as usize];
                let _ = block.values(chunk, &mut crate::codec::Decoder::default(), &mut out);
                let _ = block.histograms(chunk, &mut Default::default(), &mut vec![]);
                let _ = block.timestamps(chunk, &mut Default::default(), &mut vec![]);
            }
        }
        let _ = merge(dir.path(), &[Arc::new(block)], 5, 5, Effort::Fresh, &Faults::default());
    }

    #[test]
    fn foreign_files_are_refused(which in 0..3_usize, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, bytes).unwrap();
        prop_assert!(Pages::open(&path, PAGED[which].1).is_err());
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_full_disk_leaves_the_old_state() {
    let dir = tempfile::tempdir().unwrap();
    let series = small();
    let first = Arc::new(write(dir.path(), 1, &series).unwrap());
    let before = names(dir.path());
    let total = i64::try_from(first.bytes()).unwrap();
    let mut failed = 0;
    for space in (0..total).step_by(211).chain([total - 1]) {
        let faults = Faults::default();
        faults.set_space(space);
        let attempt = || {
            let mut writer = BlockWriter::create(dir.path(), 2, 2, Effort::Fresh, &faults)?;
            for (labels, data) in &series {
                let ts: Vec<i64> = data.keys().copied().collect();
                let values = vec![1.5; ts.len()];
                writer.series(labels, &super::SeriesData { ts: &ts, values: &values, histograms: &[] })?;
            }
            writer.finish(About::default())
        };
        if let Err(e) = attempt() {
            assert_eq!(e.kind(), ErrorKind::NoSpace);
            failed += 1;
            assert_eq!(names(dir.path()), before);
        } else {
            std::fs::remove_dir_all(dir.path().join(ulid::ulid(2, 2))).unwrap();
        }
        if merge(dir.path(), &[Arc::clone(&first)], 3, 3, Effort::Fresh, &faults).is_ok() {
            std::fs::remove_dir_all(dir.path().join(ulid::ulid(3, 3))).unwrap();
        }
        assert_eq!(names(dir.path()), before);
    }
    assert!(failed > 10);
    let faults = Faults::default();
    faults.set_fail_sync(true);
    assert!(merge(dir.path(), &[first], 3, 3, Effort::Fresh, &faults).is_err());
    assert_eq!(names(dir.path()), before);
}

#[test]
fn a_crash_at_any_step_leaves_the_old_or_the_new_state() {
    let series = small();
    let expect = to_model(&series);
    let whole = |dir: &Path| {
        let (blocks, damaged) = Blocks::open(dir, &Faults::default()).unwrap();
        assert_eq!(damaged, 0);
        let mut all = Model::new();
        for block in blocks.all() {
            for (labels, samples) in read(&block) {
                all.entry(labels).or_default().extend(samples);
            }
        }
        assert!(names(dir).iter().all(|n| ulid::parse(n).is_some()), "no leftovers");
        (all, blocks.all().len())
    };
    // Killed while writing.
    let dir = tempfile::tempdir().unwrap();
    let mut writer = BlockWriter::create(dir.path(), 1, 1, Effort::Fresh, &Faults::default()).unwrap();
    for (labels, data) in &series {
        put(&mut writer, labels, data);
    }
    std::mem::forget(writer);
    assert_eq!(names(dir.path()).len(), 1);
    assert_eq!(whole(dir.path()), (Model::new(), 0));

    // Killed between the birth of the merged block and the end of its parents, one of them half gone.
    let halves: [BTreeMap<_, _>; 2] = [0, 1].map(|odd| {
        series
            .iter()
            .enumerate()
            .filter(|(i, _)| i % 2 == odd)
            .map(|(_, (l, d))| (l.clone(), d.clone()))
            .collect()
    });
    let inputs: Vec<_> =
        (1..).zip(&halves).map(|(i, half)| Arc::new(write(dir.path(), i, half).unwrap())).collect();
    assert_eq!(whole(dir.path()), (expect.clone(), 2));
    let merged = merge(dir.path(), &inputs, 9, 9, Effort::Fresh, &Faults::default()).unwrap().unwrap();
    let gone = dir.path().join(format!("{}{}", inputs[0].meta().ulid, file::DELETED));
    std::fs::rename(inputs[0].dir(), &gone).unwrap();
    std::fs::remove_file(gone.join(file::META)).unwrap();
    assert_eq!(merged.meta().sources.len(), 2);
    assert_eq!(whole(dir.path()), (expect.clone(), 1));

    // Killed between writing deletions and renaming them.
    std::fs::write(merged.dir().join("tombstones.tmp"), b"half").unwrap();
    assert_eq!(whole(dir.path()), (expect, 1));
}

#[test]
fn a_set_of_blocks_changes_while_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let (blocks, _) = Blocks::open(&dir.path().join("blocks"), &faults).unwrap();
    let place = dir.path().join("blocks");
    let later: BTreeMap<LabelSet, Data> = small()
        .into_iter()
        .map(|(l, d)| (l, d.into_iter().map(|(t, v)| (t + 100_000_000, v)).collect()))
        .collect();
    blocks.add(write(&place, 2, &later).unwrap());
    blocks.add(write(&place, 1, &small()).unwrap());
    let all = blocks.all();
    assert!(all[0].meta().mint < all[1].meta().mint);
    let range = TimeRange { mint: 90_000_000, maxt: 100_000_500 };
    assert_eq!(blocks.all().iter().filter(|b| b.range().overlaps(&range)).count(), 1);
    assert_eq!(blocks.bytes(), all[0].bytes() + all[1].bytes());
    let on_disk: u64 =
        names(all[0].dir()).iter().map(|n| std::fs::metadata(all[0].dir().join(n)).unwrap().len()).sum();
    assert_eq!(all[0].bytes(), on_disk);

    // Rewritten without what was deleted, while a reader has the old one.
    let up = all[0].select(&[Matcher::equal("__name__", "up")]).unwrap();
    let other = all[0].select(&[Matcher::new("__name__", MatchOp::NotEqual, "up").unwrap()]).unwrap();
    all[0].delete(&up, ALL).unwrap();
    assert_eq!(all[0].info().tombstones, up.len());
    let before = read(&all[0]);
    let clean = merge(&place, &all[..1], 5, 5, Effort::Fresh, &faults).unwrap();
    blocks.replace(&all[..1], clean).unwrap();
    assert_eq!(read(&all[0]), before);
    let now = blocks.all();
    assert_eq!((now.len(), now[0].meta().series, now[0].meta().level), (2, other.len(), 1));
    assert!(!now[0].has_tombstones());
    assert_eq!(read(&now[0]), before);

    // All of it deleted: nothing takes its place.
    now[0].delete(&now[0].select(&[]).unwrap(), ALL).unwrap();
    assert!(merge(&place, &now[..1], 6, 6, Effort::Fresh, &faults).unwrap().is_none());
    blocks.replace(&now[..1], None).unwrap();
    blocks.remove(&now[1]).unwrap();
    assert_eq!((blocks.bytes(), names(&place).len()), (0, 0));
}
