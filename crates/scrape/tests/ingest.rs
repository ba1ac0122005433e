//! The row path against a store in memory: same bodies, changed bodies, bad bodies.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by the one and says by the other what it skips"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use exposition::{Entry, Format, Parser};
use model::LabelSet;
use proptest::prelude::*;
use scrape::ingest::{Fetched, Ingest, Summary};
use storage::ErrorKind;
use support::{Memory, conformance, ingest, settings, sinks};

fn feed(ingest: &mut Ingest, ts: i64, body: &str) -> Summary {
    let fetched = Fetched::Body { format: Format::Text, bytes: body.as_bytes() };
    ingest.scrape(ts, fetched, || Duration::from_millis(5))
}

fn fail(ingest: &mut Ingest, ts: i64) -> Summary {
    let fetched = Fetched::Failed { error: "connection refused", body_size: 0 };
    ingest.scrape(ts, fetched, || Duration::from_millis(5))
}

fn row(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let labels = |l: &str| {
        let (name, rest) = l.split_once('{').unwrap_or((l, "}"));
        let mut set =
            LabelSet::from_pairs([("__name__", name), ("job", "j"), ("instance", "i")]).to_builder();
        for pair in rest.trim_end_matches('}').split(',').filter(|p| !p.is_empty()) {
            let (n, v) = pair.split_once('=').unwrap();
            set.set(n, v);
        }
        set.build().to_string()
    };
    pairs.iter().map(|(l, v)| (labels(l), (*v).to_owned())).collect()
}

#[test]
fn equal_bodies_take_the_quick_way() {
    let memory = Arc::new(Memory::default());
    let mut t = ingest(&memory, settings());
    let body = |v: i32| {
        format!(
            "# HELP a b c\n# TYPE a counter\na{{x=\"1\"}} {v}\na{{x=\"2\"}} {v}e3\n# odd\nb NaN\nc +Inf\n"
        )
    };
    let s = feed(&mut t, 1000, &body(1));
    assert_eq!((s.error, s.scraped, s.kept, s.added), (None, 4, 4, 4));
    let defined = memory.defined();
    let s = feed(&mut t, 2000, &body(2));
    assert_eq!((s.scraped, s.kept, s.added), (4, 4, 0));
    assert_eq!(memory.defined(), defined, "nothing is defined again");
    assert_eq!(memory.last(), row(&[("a{x=1}", "2"), ("a{x=2}", "2000"), ("b", "NaN"), ("c", "+Inf")]));
    assert_eq!(memory.report("up"), "1");
    assert_eq!(memory.report("scrape_duration_seconds"), "0.005");
    assert_eq!(memory.report("scrape_samples_scraped"), "4");
}

#[test]
fn changed_bodies_get_markers_and_keep_slots() {
    let memory = Arc::new(Memory::default());
    let mut t = ingest(&memory, settings());
    feed(&mut t, 1, "a 1\nb 1\nc 1\nd 1\n");
    // Missing, moved and new lines.
    let s = feed(&mut t, 2, "a 2\nd 2\nx 2\nc 2\n");
    assert_eq!(memory.last(), row(&[("a", "2"), ("b", "stale"), ("c", "2"), ("d", "2"), ("x", "2")]));
    assert_eq!(s.added, 1);
    let s = feed(&mut t, 3, "a 3\nd 3\nx 3\nc 3");
    assert_eq!(memory.last(), row(&[("a", "3"), ("c", "3"), ("d", "3"), ("x", "3")]));
    assert_eq!(s.added, 0);
    // A longer name that begins like a known one; a duplicate; a series that comes back.
    let s = feed(&mut t, 4, "ab 4\na 4\na 5\nb 4\n");
    let expect = [("ab", "4"), ("a", "4"), ("b", "4"), ("c", "stale"), ("d", "stale"), ("x", "stale")];
    assert_eq!(memory.last(), row(&expect));
    assert_eq!((s.scraped, s.kept, s.added), (4, 4, 2));
}

#[test]
fn failures_mark_everything_once_and_lose_nothing() {
    let memory = Arc::new(Memory::default());
    let mut t = ingest(&memory, settings());
    feed(&mut t, 1, "a 1\nb 1\n");
    for (ts, body, error) in [
        (2, "a 2\n<html>", "expected a valid start token"),
        (3, "a 2\nb{x=\"\u{0}", "expected label value"),
        (4, "new 1\nnew{a=\"1\",a=\"2\"} 1\n", "label name \"a\" is not unique: invalid sample"),
    ] {
        let s = feed(&mut t, ts, body);
        let got = s.error.unwrap_or_default();
        assert!(got.contains(error), "{got}");
        assert_eq!(memory.report("up"), "0");
        let markers = if ts == 2 { row(&[("a", "stale"), ("b", "stale")]) } else { BTreeMap::new() };
        assert_eq!(memory.last(), markers, "{ts}");
    }
    assert_eq!(fail(&mut t, 5).error.as_deref(), Some("connection refused"));
    let s = feed(&mut t, 6, "a 6\nnew 6\n");
    assert_eq!(memory.last(), row(&[("a", "6"), ("new", "6")]));
    assert_eq!((s.error, s.added), (None, 1));
    fail(&mut t, 7);
    assert_eq!(memory.last(), row(&[("a", "stale"), ("new", "stale")]));
    t.end(8).unwrap();
    assert_eq!(memory.last(), BTreeMap::new());
    assert_eq!(memory.report("up"), "stale");
    drop(t);
    assert_eq!(memory.open_groups(), 0);
}

#[test]
fn the_store_may_refuse() {
    let memory = Arc::new(Memory::default());
    let mut t = ingest(&memory, settings());
    feed(&mut t, 10, "a 1\n");
    let s = feed(&mut t, 10, "a 2\n");
    assert_eq!(s.error, None, "out of order is counted, not fatal");
    memory.fail_with(Some(ErrorKind::NoSpace));
    assert_eq!(feed(&mut t, 11, "a 3\nb 3\n").error.as_deref(), Some("no space left on device"));
    memory.fail_with(None);
    assert_eq!(feed(&mut t, 12, "a 4\n").error, None);
    assert_eq!(memory.last(), row(&[("a", "4")]));
}

#[test]
fn labels_clash_or_are_honoured() {
    for (honor_labels, expect) in [
        (
            false,
            r#"{__name__="a", exported_exported_job="x", exported_instance="k", exported_job="y", instance="i", job="j"}"#,
        ),
        (true, r#"{__name__="a", exported_job="y", instance="k", job="x"}"#),
    ] {
        let memory = Arc::new(Memory::default());
        let mut t = ingest(&memory, scrape::ingest::SampleSettings { honor_labels, ..settings() });
        feed(&mut t, 1, "a{job=\"x\",exported_job=\"y\",instance=\"k\"} 1\n");
        assert_eq!(memory.last().into_keys().next().unwrap(), expect);
    }
    let memory = Arc::new(Memory::default());
    let mut t = ingest(&memory, scrape::ingest::SampleSettings { honor_labels: true, ..settings() });
    feed(&mut t, 1, "a{job=\"\"} 1\n");
    assert_eq!(memory.last().into_keys().next().unwrap(), r#"{__name__="a", instance="i"}"#);
}

#[test]
fn limits_fail_the_whole_scrape() {
    let base = settings();
    for (limits, body, error, scraped) in [
        (
            scrape::ingest::SampleSettings { sample_limit: 2, ..base.clone() },
            "a 1\nb 1\nb 2\nc 1\nd 1\n",
            "sample limit exceeded",
            5,
        ),
        (
            scrape::ingest::SampleSettings { label_limit: 3, ..base.clone() },
            "a{x=\"1\"} 1\n",
            "label_limit exceeded (metric: a, number of labels: 4, limit: 3)",
            1,
        ),
        (
            scrape::ingest::SampleSettings { label_name_length_limit: 8, ..base.clone() },
            "a{long_label=\"1\"} 1\n",
            "label_name_length_limit exceeded (metric: a, label name: long_label, length: 10, limit: 8)",
            1,
        ),
        (
            scrape::ingest::SampleSettings { label_value_length_limit: 3, ..base.clone() },
            "a{x=\"12345\"} 1\n",
            "label_value_length_limit exceeded (metric: a, label name: x, value: \"12345\", length: 5, limit: 3)",
            1,
        ),
    ] {
        let memory = Arc::new(Memory::default());
        let mut t = ingest(&memory, limits);
        let s = feed(&mut t, 1, body);
        assert_eq!((s.error.as_deref(), s.scraped), (Some(error), scraped));
        assert_eq!(memory.last(), BTreeMap::new());
        assert_eq!(memory.report("up"), "0");
    }
    let memory = Arc::new(Memory::default());
    let mut t = ingest(&memory, scrape::ingest::SampleSettings { sample_limit: 2, ..base });
    assert_eq!(feed(&mut t, 1, "a 1\nb 1\n").error, None);
}

#[test]
fn timestamps_that_are_not_taken_cost_no_parsing() {
    let settings = scrape::ingest::SampleSettings { honor_timestamps: false, ..settings() };
    for (format, bodies) in [
        (Format::Text, ["a 1 900\nb NaN 900\nc 1\n", "a 2 123456789012345678\nb 3 1\nc 2 4\n"]),
        (Format::OpenMetrics, ["a 1 0.9\nb NaN 9\nc 1\n# EOF\n", "a 2 1.\nb 3 1\nc 2 4.25\n# EOF\n"]),
    ] {
        let memory = Arc::new(Memory::default());
        let sinks = sinks(&memory);
        let target = LabelSet::from_pairs([("job", "j"), ("instance", "i")]);
        let mut t = Ingest::new(
            sinks.clone(),
            Arc::new(settings.clone()),
            target.clone(),
            target,
            Duration::from_secs(10),
        );
        for (ts, body) in (1..).zip(bodies) {
            let fetched = Fetched::Body { format, bytes: body.as_bytes() };
            assert_eq!(t.scrape(ts, fetched, || Duration::ZERO).error, None, "{body:?}");
        }
        assert_eq!(memory.last(), row(&[("a", "2"), ("b", "3"), ("c", "2")]));
        let stats = sinks.stats.snapshot();
        assert_eq!((stats.samples_slow, stats.samples_fast), (3, 3), "{format:?}");
        // What the format has not is an error on lines that are known, too.
        for bad in ["a 1 900 1\n", "a 1 9-\n", "a 1 \n", "a 1 99999999999999999999\n", "a 1 0.9\n"] {
            let body = if format == Format::Text { bad.to_owned() } else { format!("{bad}# EOF\n") };
            let mut fresh = ingest(&Arc::new(Memory::default()), settings.clone());
            let fetched = Fetched::Body { format, bytes: body.as_bytes() };
            let expect = fresh.scrape(1, fetched, || Duration::ZERO).error;
            assert_eq!(t.scrape(10, fetched, || Duration::ZERO).error, expect, "{format:?} {bad:?}");
            let good = Fetched::Body { format, bytes: bodies[0].as_bytes() };
            assert_eq!(t.scrape(11, good, || Duration::ZERO).error, None);
        }
    }
}

#[test]
fn timestamps_of_their_own() {
    for (track, honor) in [(false, true), (true, true), (false, false)] {
        let memory = Arc::new(Memory::default());
        let mut t = ingest(
            &memory,
            scrape::ingest::SampleSettings {
                track_timestamps_staleness: track,
                honor_timestamps: honor,
                ..settings()
            },
        );
        feed(&mut t, 1000, "a 1 900\nb 1\nfar 1 9999999999\n");
        feed(&mut t, 2000, "a 2 1900\nb 2\n");
        feed(&mut t, 3000, "b 3\n");
        let singles = memory.singles();
        if !honor {
            assert!(singles.is_empty());
            assert_eq!(memory.last(), row(&[("a", "stale"), ("b", "3")]));
            continue;
        }
        assert_eq!(memory.last(), row(&[("b", "3")]));
        let times: Vec<_> = singles.iter().map(|s| s.1).collect();
        assert_eq!(times, if track { vec![900, 1900, 3000] } else { vec![900, 1900] });
        if track {
            assert!(model::is_stale(singles[2].2));
        }
    }
}

#[test]
fn churn_reopens_the_group_without_a_gap() {
    let memory = Arc::new(Memory::default());
    let mut t = ingest(&memory, settings());
    let body = |generation: i32| {
        (0..800).map(|i| format!("m{{g=\"{generation}\",i=\"{i}\"}} {i}\n")).collect::<String>() + "stays 1\n"
    };
    for g in 0..6 {
        let s = feed(&mut t, i64::from(g) + 1, &body(g));
        assert_eq!((s.error, s.added), (None, if g == 0 { 801 } else { 800 }));
        let last = memory.last();
        assert_eq!(last.len(), if g == 0 { 801 } else { 1601 }, "{g}");
        assert_eq!(last.values().filter(|v| *v == "stale").count(), if g == 0 { 0 } else { 800 });
        let s = feed(&mut t, i64::from(g) + 1, &body(g));
        assert_eq!(s.added, 0, "{g}");
    }
    assert_eq!(memory.open_groups(), 1);
    assert!(t.heap_bytes() < 1600 * 120, "{}", t.heap_bytes());
}

/// A third of the series is replaced little by little, then all stays as it is.
#[test]
fn dead_slots_are_left_behind_without_a_marker_or_a_sample_too_many() {
    for keep_slots in [false, true] {
        let memory = Arc::new(Memory::default());
        if keep_slots {
            memory.keep_slots();
        }
        let sinks = sinks(&memory);
        let stats = sinks.stats.clone();
        let target = LabelSet::from_pairs([("job", "j"), ("instance", "i")]);
        let mut t = Ingest::new(sinks, Arc::new(settings()), target.clone(), target, Duration::from_secs(10));
        let mut first = 0;
        let mut names: Vec<u32> = (0..1000).collect();
        for ts in 1..=80_u32 {
            let before = names.clone();
            if (10..50).contains(&ts) {
                first += 25;
                names = (first..first + 1000).collect();
            }
            let body: String = names.iter().map(|n| format!("m{{n=\"{n}\"}} {ts}\n")).collect();
            let s = feed(&mut t, i64::from(ts), &body);
            let new = names.iter().filter(|n| ts == 1 || !before.contains(n)).count();
            assert_eq!((s.error, s.scraped, s.added), (None, 1000, new as u64), "{ts}");
            let mut expect = BTreeMap::new();
            for n in before.iter().filter(|n| !names.contains(n)) {
                expect.extend(row(&[(&format!("m{{n={n}}}"), "stale")]));
            }
            for n in &names {
                expect.extend(row(&[(&format!("m{{n={n}}}"), &ts.to_string())]));
            }
            assert_eq!(memory.last(), expect, "{ts}");
        }
        let reopened = stats.snapshot().groups_reopened;
        assert!((2..=4).contains(&reopened), "{reopened}: at each third, and no more once it is calm");
        assert_eq!(memory.open_groups(), 1);
        let slots = memory.slots();
        assert_eq!(slots.len() as u64, reopened + 1);
        if !keep_slots {
            assert!(slots.iter().all(|n| *n < 1000 + 700), "{slots:?}");
        }
        assert!(t.heap_bytes() < 1000 * 150, "{}", t.heap_bytes());
    }
}

/// A body of other series, refused by the store, or after which settings change, is not taken for the one before.
#[test]
fn equal_bodies_are_not_as_before_when_what_was_before_is_not_known() {
    let memory = Arc::new(Memory::default());
    let mut t = ingest(&memory, settings());
    feed(&mut t, 1, "a 1\nb 1\n");
    memory.fail_with(Some(ErrorKind::NoSpace));
    feed(&mut t, 2, "a 2\nc 2\n");
    memory.fail_with(None);
    let s = feed(&mut t, 3, "a 3\nc 3\n");
    assert_eq!((s.added, memory.last()), (1, row(&[("a", "3"), ("b", "stale"), ("c", "3")])));
    assert_eq!(feed(&mut t, 4, "a 4\nc 4\n").added, 0);
    let other = LabelSet::from_pairs([("job", "j"), ("instance", "i"), ("x", "y")]);
    t.reconfigure(Arc::new(settings()), other, Duration::from_secs(1));
    feed(&mut t, 5, "");
    assert_eq!(memory.last(), row(&[("a", "stale"), ("c", "stale")]));
}

#[test]
fn real_bodies_scrape_whole() {
    for part in ["exporters", "exporters-upstream"] {
        let Some(dir) = conformance(part) else { return };
        for file in std::fs::read_dir(dir).unwrap() {
            let path = file.unwrap().path();
            let name = path.to_string_lossy().into_owned();
            let format = if name.ends_with(".om") { Format::OpenMetrics } else { Format::Text };
            if name.ends_with(".md") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let mut series = 0;
            let mut parser = Parser::new(format, &bytes);
            while let Some(entry) = parser.next().unwrap() {
                series += u64::from(matches!(entry, Entry::Series(_)));
            }
            let memory = Arc::new(Memory::default());
            let stats = sinks(&memory);
            let shared = stats.stats.clone();
            let target = LabelSet::from_pairs([("job", "j")]);
            let mut t =
                Ingest::new(stats, Arc::new(settings()), target.clone(), target, Duration::from_secs(1));
            let mut rows = Vec::new();
            for ts in 1..=2 {
                let s = t.scrape(ts, Fetched::Body { format, bytes: &bytes }, || Duration::ZERO);
                assert_eq!((s.error, s.scraped, s.kept), (None, series, series), "{name}");
                assert_eq!(s.added, if ts == 1 { series } else { 0 }, "{name}");
                rows.push(memory.last());
            }
            assert_eq!(rows[0], rows[1], "{name}");
            assert_eq!(rows[0].len() as u64 + memory.singles().len() as u64 / 2, series, "{name}");
            let fast = shared.snapshot().samples_fast;
            println!(
                "{name}: {series} series, {fast} placed quickly, {} bytes kept per series",
                t.heap_bytes() as u64 / series
            );
        }
    }
}

/// A body of lines drawn from few names, so that bodies overlap, move and repeat.
fn body() -> impl Strategy<Value = Vec<(u8, i32)>> {
    proptest::collection::vec((0..12_u8, -5..5_i32), 0..14)
}

proptest! {
    /// Whatever came before, a row holds what the body says (the first of equal series) and markers for what vanished.
    #[test]
    fn any_sequence_of_bodies(bodies in proptest::collection::vec(proptest::option::of(body()), 1..12)) {
        let memory = Arc::new(Memory::default());
        let mut t = ingest(&memory, settings());
        let mut live: Vec<String> = Vec::new();
        for (i, body) in bodies.iter().enumerate() {
            let ts = i as i64 + 1;
            let mut expect = BTreeMap::new();
            match body {
                Some(lines) => {
                    let text: String = lines.iter().map(|(n, v)| {
                        if n % 5 == 0 { format!("# TYPE m{n} gauge\nm{n} {v}\n") } else { format!("m{{n=\"{n}\"}} {v}\n") }
                    }).collect();
                    prop_assert_eq!(feed(&mut t, ts, &text).error, None);
                    for (n, v) in lines {
                        let name = if n % 5 == 0 { format!("m{n}") } else { format!("m{{n={n}}}") };
                        let (key, _) = row(&[(&name, "")]).pop_first().unwrap();
                        expect.entry(key).or_insert(v.to_string());
                    }
                }
                None => { fail(&mut t, ts); }
            }
            let now: Vec<String> = expect.keys().cloned().collect();
            for gone in live.iter().filter(|l| !now.contains(l)) {
                expect.insert(gone.clone(), "stale".to_owned());
            }
            prop_assert_eq!(memory.last(), expect);
            live = now;
        }
    }

    #[test]
    fn arbitrary_bodies_never_panic(bodies in proptest::collection::vec("([ab]{1,2}(\\{x=\"[^\"]?\"\\})? ?[0-9]{0,2}\n?|\\PC){0,10}", 1..5)) {
        let memory = Arc::new(Memory::default());
        let mut t = ingest(&memory, settings());
        for (i, body) in bodies.iter().enumerate() {
            feed(&mut t, i as i64, body);
        }
    }
}
