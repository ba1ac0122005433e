use super::*;
use crate::bytes::{put_str, put_uvarint, put_varint};

fn piece(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
    out.extend_from_slice(&crc32c::crc32c(data).to_be_bytes());
    out.extend_from_slice(data);
    out
}

fn series(reference: u64, name: &str) -> Vec<u8> {
    let mut out = vec![1];
    out.extend_from_slice(&reference.to_be_bytes());
    put_uvarint(&mut out, 1);
    put_str(&mut out, "__name__");
    put_str(&mut out, name);
    out
}

fn samples(all: &[(u64, i64, f64)]) -> Vec<u8> {
    let mut out = vec![2];
    let (reference, ts, _) = all[0];
    out.extend_from_slice(&reference.to_be_bytes());
    out.extend_from_slice(&ts.to_be_bytes());
    for (r, t, v) in all {
        put_varint(&mut out, r.wrapping_sub(reference).cast_signed());
        put_varint(&mut out, t - ts);
        out.extend_from_slice(&v.to_bits().to_be_bytes());
    }
    out
}

fn events(bytes: &[u8]) -> (Vec<Event>, Result<(), String>) {
    let mut all = Vec::new();
    let end = read_bytes(bytes, &mut |e| all.push(e));
    (all, end)
}

#[test]
fn records_come_whole_packed_and_in_pieces() {
    let expected = |ts| Event::Sample { reference: 5, ts, value: 1.5 };
    let record = samples(&[(7, 1000, 0.5), (5, 900, 1.5)]);
    let packed = snap::raw::Encoder::new().compress_vec(&record).unwrap();
    let mut bytes = piece(1, &series(5, "up"));
    bytes.extend(piece(1 | 1 << 3, &packed));
    bytes.resize(32 << 10, 0);
    bytes.extend(piece(2, &record[..10]));
    bytes.extend(piece(3, &record[10..12]));
    bytes.extend(piece(4, &record[12..]));
    let (all, end) = events(&bytes);
    end.unwrap();
    assert_eq!(all.len(), 5);
    assert_eq!(all[0], Event::Series { reference: 5, labels: LabelSet::from_pairs([("__name__", "up")]) });
    assert_eq!((&all[2], &all[4]), (&expected(900), &expected(900)));

    let last = 7 + record.len() - 12;
    for (cut, left, why) in [(bytes.len() - 1, 3, "cut off"), (bytes.len() - last, 3, "torn")] {
        let (all, end) = events(&bytes[..cut]);
        assert_eq!(all.len(), left, "{cut}");
        assert!(end.unwrap_err().contains(why));
    }
}

#[test]
fn a_page_has_no_pieces_beyond_it_nor_bytes_in_its_padding() {
    let mut bytes = piece(1, &series(5, "up"));
    bytes.resize(32 << 10, 0);
    bytes[200] = 1;
    assert_eq!(events(&bytes).1.unwrap_err(), "unexpected non-zero byte in padded page");
    let record = vec![9; 40_000];
    assert!(events(&piece(1, &record)).1.unwrap_err().contains("beyond its page"));
}

#[test]
fn newer_samples_with_start_times_are_read() {
    let mut record = vec![11];
    for v in [5_i64, 1000, 700] {
        put_varint(&mut record, v);
    }
    record.extend_from_slice(&1.5_f64.to_bits().to_be_bytes());
    for (marker, start) in [(0_u8, None), (1, None), (2, Some(12))] {
        put_varint(&mut record, 1);
        put_varint(&mut record, 15);
        record.push(marker);
        start.iter().for_each(|s| put_varint(&mut record, *s));
        record.extend_from_slice(&2.5_f64.to_bits().to_be_bytes());
    }
    let (all, end) = events(&piece(1, &record));
    end.unwrap();
    let places: Vec<_> = all
        .iter()
        .map(|e| match e {
            Event::Sample { reference, ts, .. } => (*reference, *ts),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(places, [(5, 1000), (6, 1015), (7, 1015), (8, 1015)]);
}

#[test]
fn a_directory_is_checkpoint_then_segments() {
    let dir = tempfile::tempdir().unwrap();
    let wal = dir.path().join("wal");
    for sub in ["checkpoint.00000002", "checkpoint.00000001", "checkpoint.00000003.tmp"] {
        std::fs::create_dir_all(wal.join(sub)).unwrap();
    }
    let put = |name: &str, bytes: Vec<u8>| std::fs::write(wal.join(name), bytes).unwrap();
    put("checkpoint.00000001/00000000", piece(1, &series(1, "old")));
    put("checkpoint.00000002/00000000", piece(1, &series(1, "a")));
    put("00000002", piece(1, &series(2, "covered")));
    let mut damaged = piece(1, &samples(&[(1, 10, 1.0)]));
    damaged.extend(piece(1, &samples(&[(1, 11, 1.0)])));
    let at = damaged.len() - 3;
    damaged[at] ^= 1;
    put("00000003", damaged);
    let mut torn = piece(1, &samples(&[(1, 12, 1.0)]));
    torn.extend(&piece(1, &samples(&[(1, 13, 1.0)]))[..9]);
    put("00000004", torn);
    let mut all = Vec::new();
    let report = read(dir.path(), &mut |e| all.push(e)).unwrap();
    let times: Vec<i64> =
        all.iter().filter_map(|e| if let Event::Sample { ts, .. } = e { Some(*ts) } else { None }).collect();
    assert_eq!(times, [10, 12]);
    assert_eq!((report.segments, report.records, report.damage.len()), (3, 3, 1));
    assert!(report.torn_tail.unwrap().contains("record is cut off"));
    assert_eq!(read(&dir.path().join("none"), &mut |_| {}).unwrap(), Report::default());
}

#[test]
fn mutated_logs_do_no_harm() {
    let record = samples(&[(7, 1000, 0.5), (5, 900, 1.5)]);
    let mut bytes = piece(1, &series(5, "up"));
    bytes.extend(piece(1, &record));
    let mut seed = 7_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 17
    };
    for _ in 0..5000 {
        // The record is changed before it is checksummed, so that its decoder sees it.
        let mut bad = record.clone();
        let at = next() as usize % bad.len();
        bad[at] = next().to_le_bytes()[0];
        bad[0] = (next() % 16).to_le_bytes()[0];
        let mut one = bytes.clone();
        one.extend(piece(1 | (next().to_le_bytes()[0] & 0x18), &bad));
        crate::fuzz::wal(&one);
        let len = next() as usize % 64;
        let noise: Vec<u8> = (0..len).map(|_| next().to_le_bytes()[0]).collect();
        crate::fuzz::wal(&noise);
        crate::fuzz::index(&noise);
    }
}
