//! Requests built by an encoder of the test's own, against a store in memory: what arrives, what is refused, in which words.

#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

mod encoder;
mod memory;

use std::sync::Arc;

use encoder::{Message, bytes, double, label, literal_snappy, packed_doubles, packed_zigzag, sample, varint};
use memory::MemoryStore;
use model::{LabelSet, ResetHint, STALE_NAN_BITS, Span};
use remote::write::{Limits, Receiver, Rejection};
use telemetry::Registry;

const NAME: (&str, &str) = ("__name__", "up");

fn receiver(store: &Arc<MemoryStore>) -> (Receiver, Registry) {
    let registry = Registry::new();
    (Receiver::new(store.clone(), [3; 192], Limits::default(), &registry), registry)
}

fn series(labels: &[(&str, &str)], fields: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in labels {
        out.extend(label(name, value));
    }
    out.extend(fields.concat());
    bytes(1, &out)
}

fn send(store: &Arc<MemoryStore>, request: &[Vec<u8>]) -> Result<(), Rejection> {
    receiver(store).0.receive(&literal_snappy(&request.concat())).map(drop)
}

fn metric(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather();
    let found = families.iter().find(|f| f.name == name.trim_end_matches("_total")).unwrap();
    found.samples.iter().map(|s| s.value).sum()
}

#[test]
fn all_kinds_of_points_arrive() {
    let store = Arc::new(MemoryStore::default());
    let histogram = Message::default()
        .varint(1, 7)
        .double(3, 12.5)
        .zigzag(4, 1)
        .double(5, 0.001)
        .varint(6, 1)
        .bytes(8, &[varint(1, 1), varint(2, 1)].concat())
        .raw(packed_zigzag(9, &[2]))
        .bytes(11, &[varint(1, 4), varint(2, 2)].concat())
        .raw(packed_zigzag(12, &[1, 2]))
        .varint(14, 3)
        .varint(15, 1_700)
        .done();
    let float_histogram = Message::default()
        .double(2, 3.5)
        .double(3, 1.0)
        .bytes(11, &varint(2, 2))
        .raw(packed_doubles(13, &[1.5, 2.0]))
        .double(7, 0.0)
        .varint(15, 1_800)
        .done();
    let custom = Message::default()
        .varint(1, 3)
        .double(3, 4.0)
        .zigzag(4, -53)
        .bytes(11, &varint(2, 2))
        .zigzag(12, 1) // not packed
        .zigzag(12, 1)
        .double(16, 0.5)
        .varint(15, 1_900)
        .done();
    let exemplar = Message::default().raw(label("trace_id", "abc")).double(2, 0.25).varint(3, 1_650).done();
    let request = [
        series(
            &[NAME, ("job", "x")],
            &[sample(1_000, 1.5), sample(2_000, f64::from_bits(STALE_NAN_BITS)), sample(0, 0.0)],
        ),
        series(
            &[("__name__", "h")],
            &[bytes(4, &histogram), bytes(4, &float_histogram), bytes(4, &custom), bytes(3, &exemplar)],
        ),
        bytes(3, b"\x08\x01\x12\x02up"),
    ];
    send(&store, &request).unwrap();
    let floats = store.floats(&LabelSet::from_pairs([NAME, ("job", "x")]));
    assert_eq!(
        floats.iter().map(|(t, v)| (*t, v.to_bits())).collect::<Vec<_>>(),
        [(0, 0), (1_000, 1.5_f64.to_bits()), (2_000, STALE_NAN_BITS)]
    );
    let name = LabelSet::from_pairs([("__name__", "h")]);
    let [(t1, h), (t2, f), (t3, c)] = <[_; 3]>::try_from(store.histograms(&name)).unwrap();
    assert_eq!((t1, t2, t3), (1_700, 1_800, 1_900));
    assert_eq!((h.schema, h.count, h.zero_count, h.sum, h.integer), (1, 7.0, 1.0, 12.5, true));
    assert_eq!(h.positive_spans, [Span { offset: 2, length: 2 }]);
    assert_eq!(h.negative_spans, [Span { offset: -1, length: 1 }]);
    assert_eq!((h.positive_buckets, h.negative_buckets), (vec![1.0, 3.0], vec![2.0]));
    assert_eq!((h.zero_threshold, h.reset_hint), (0.001, ResetHint::Gauge));
    assert_eq!((f.integer, f.count, f.positive_buckets), (false, 3.5, vec![1.5, 2.0]));
    assert_eq!((c.schema, c.custom_values, c.positive_buckets), (-53, vec![0.5], vec![1.0, 2.0]));
    let exemplars = store.exemplars(&name);
    assert_eq!((exemplars[0].value, exemplars[0].ts), (0.25, Some(1_650)));
    assert_eq!(exemplars[0].labels.to_string(), r#"{trace_id="abc"}"#);
}

#[test]
fn one_series_has_one_key_however_it_is_split() {
    let store = Arc::new(MemoryStore::default());
    let (receiver, _) = receiver(&store);
    let labels = [NAME, ("job", "x")];
    for ts in 1..=3 {
        let request =
            [series(&labels, &[sample(ts * 10, 1.0)]), series(&labels, &[sample(ts * 10 + 1, 2.0)])];
        receiver.receive(&literal_snappy(&request.concat())).unwrap();
    }
    // Labels behind the samples, an unknown field between, an unsorted set: the same series by its labels.
    let late =
        bytes(1, &[sample(50, 1.0), label("job", "x"), varint(99, 5), label("__name__", "up")].concat());
    receiver.receive(&literal_snappy(&late)).unwrap();
    let set = LabelSet::from_pairs(labels);
    assert_eq!(store.floats(&set).len(), 7);
    assert_eq!((store.series(), store.keys(), store.label_sets_asked()), (1, 2, 2));
}

#[test]
fn series_that_upstream_skips_are_skipped() {
    let store = Arc::new(MemoryStore::default());
    let (receiver, registry) = receiver(&store);
    let point = [sample(1, 1.0)];
    let request = [
        series(&[("job", "x")], &point),
        series(&[NAME, ("a", "1"), ("a", "2")], &point),
        series(&[NAME, ("", "x")], &point),
        series(&[], &point),
        series(&[NAME, ("größe", "1")], &point),
        series(&[NAME, ("none", "")], &[]),
    ];
    receiver.receive(&literal_snappy(&request.concat())).unwrap();
    assert_eq!(store.series(), 1);
    assert_eq!(metric(&registry, "prometheus_api_remote_write_invalid_labels_samples_total"), 4.0);
    assert_eq!(metric(&registry, "vigie_remote_write_received_samples_total"), 1.0);
}

#[test]
fn refusals_are_upstreams_and_write_nothing() {
    let labels = [NAME];
    for (second, text) in [
        (sample(500, 1.0), "out of order sample: series {__name__=\"up\"}, timestamp 500"),
        (sample(1_000, 2.0), "duplicate sample for timestamp 1000; overrides not allowed: series"),
        (sample(-9_000_000, 2.0), "too old sample: series"),
        (sample(i64::MAX, 1.0), "out of bounds: series"),
    ] {
        let store = Arc::new(MemoryStore::default());
        send(&store, &[series(&labels, &[sample(1_000, 1.0)])]).unwrap();
        let good = series(&[("__name__", "good")], &[sample(5_000, 1.0)]);
        let refused = send(&store, &[good, series(&labels, &[second])]).unwrap_err();
        assert_eq!(refused.status, 400);
        assert!(refused.message.starts_with(text), "{}", refused.message);
        assert_eq!(store.series(), 1, "{text}");
    }
    let store = Arc::new(MemoryStore::failing(storage::ErrorKind::NoSpace));
    let failed = send(&store, &[series(&labels, &[sample(1, 1.0)])]).unwrap_err();
    assert_eq!((failed.status, failed.message.as_str()), (500, "the disk is full"));
}

#[test]
fn histograms_that_contradict_themselves() {
    let spans = |field, length| bytes(field, &varint(2, length));
    for (fields, text) in [
        (
            vec![varint(1, 5), spans(11, 1), packed_zigzag(12, &[1])],
            "1 observations found in buckets, but the Count field is 5: histogram's observation count should equal",
        ),
        (
            vec![varint(1, 1), double(3, f64::NAN), spans(11, 1), packed_zigzag(12, &[2])],
            "2 observations found in buckets, but the Count field is 1: histogram's observation count should be at least",
        ),
        (
            vec![varint(1, 1), spans(11, 2), packed_zigzag(12, &[1])],
            "positive side: spans need 2 buckets, have 1 buckets: histogram spans specify different number",
        ),
        (
            vec![varint(1, 1), spans(8, 1), packed_zigzag(9, &[-1])],
            "negative side: bucket number 1 has observation count of -1: histogram has a bucket",
        ),
        (
            vec![double(2, 1.0), spans(11, 1), packed_doubles(13, &[-0.5])],
            "positive side: bucket number 1 has observation count of -0.5",
        ),
        (vec![varint(4, 60 << 1)], "histogram has an invalid schema, which must be between -4 and 8"),
        (vec![varint(4, 105), varint(6, 1), varint(1, 1)], "custom buckets: must have zero count of 0"),
        (
            vec![varint(4, 105), packed_doubles(16, &[2.0, 1.0])],
            "custom buckets: previous bound is 2.000000 and current is 1.000000: histogram custom bounds must be in strictly",
        ),
        (
            vec![varint(1, 2), varint(4, 105), spans(11, 2), packed_zigzag(12, &[1, 0])],
            "custom buckets: only 0 custom bounds defined which is insufficient to cover total span length of 2",
        ),
    ] {
        let store = Arc::new(MemoryStore::default());
        let refused = send(&store, &[series(&[NAME], &[bytes(4, &fields.concat())])]).unwrap_err();
        assert_eq!(refused.status, 400);
        assert!(refused.message.starts_with(text), "{}", refused.message);
        assert_eq!(store.series(), 0);
    }
    // Schema 9 becomes 8.
    let store = Arc::new(MemoryStore::default());
    let fine =
        [varint(1, 3), varint(4, 18), spans(11, 2), packed_zigzag(12, &[1, 1]), varint(15, 5)].concat();
    send(&store, &[series(&[NAME], &[bytes(4, &fine)])]).unwrap();
    let (_, h) = store.histograms(&LabelSet::from_pairs([NAME])).remove(0);
    assert_eq!(
        (h.schema, h.positive_buckets, h.positive_spans),
        (8, vec![1.0, 2.0], vec![Span { offset: 0, length: 2 }])
    );
}

#[test]
fn corrupt_and_oversized_bodies() {
    let store = Arc::new(MemoryStore::default());
    let registry = Registry::new();
    let limits =
        Limits { body_bytes: 4_000, decompressed_bytes: 1_000, decoded_bytes: 2_000, ..Limits::default() };
    let receiver = Receiver::new(store.clone(), [3; 192], limits, &registry);
    let many: Vec<u8> = (0..90).flat_map(|t| sample(t, 0.0)).collect();
    let long = vec![0; 1_001];
    let cases = [
        (vec![0; 4_001], 413, "the body is larger than 4000 bytes"),
        (literal_snappy(&long), 400, "the body is 1001 bytes long once decompressed, more than 1000"),
        (vec![], 400, "snappy: corrupt input"),
        (vec![0xff, 0xff], 400, "snappy: corrupt input"),
        (vec![0xe0, 0x07, 0], 400, "snappy: corrupt input: the length it claims cannot be reached"),
        (literal_snappy(&[0x0a, 5, 1]), 400, "proto: series 0: unexpected end"),
        (literal_snappy(&[0x08, 5]), 400, "proto: series 0: field 1 has wire type 0"),
        (literal_snappy(&bytes(1, &[&label("__name__", "a")[..], &many].concat())), 204, ""),
        (
            literal_snappy(&bytes(1, &[&label("__name__", "a")[..], &many, &many].concat())),
            413,
            "the request takes more than 2000",
        ),
    ];
    for (body, status, text) in cases {
        match receiver.receive(&body) {
            Ok(_) => assert_eq!(status, 204),
            Err(got) => {
                assert_eq!(got.status, status, "{}", got.message);
                assert!(got.message.starts_with(text), "{}", got.message);
            }
        }
    }
    assert_eq!(metric(&registry, "vigie_limit_hits_total"), 3.0);
    assert!(receiver.check_headers("", "").is_ok());
    assert_eq!(receiver.check_headers("", "gzip").unwrap_err().status, 415);
    // What real senders use: copies too.
    let body = bytes(1, &[&label("__name__", "compressed")[..], &sample(1, 1.0)].concat());
    let mut encoder = snap::raw::Encoder::new();
    receiver.receive(&encoder.compress_vec(&body).unwrap()).unwrap();
}
