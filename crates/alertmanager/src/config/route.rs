//! Routes, inhibition rules and time intervals as written.

use std::collections::{BTreeMap, BTreeSet};

use ::config::yaml::{Context, Node, Place, SectionMap};
use jiff::tz::TimeZone;
use model::{MatchOp, Matcher, is_valid_label_name};

use super::read;
use crate::intervals::{RangeKind, TimeInterval, parse_clock, parse_range};
use crate::matchers;

/// One node of the routing tree, as written; what is absent is inherited.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RouteConfig {
    /// Empty: the parent's.
    pub receiver: String,
    /// `None`: the parent's.
    pub group_by: Option<Vec<String>>,
    /// `group_by: ['...']`.
    pub group_by_all: bool,
    /// All must hold; sorted.
    pub matchers: Vec<Matcher>,
    /// Names of intervals.
    pub mute_time_intervals: Vec<String>,
    /// Names of intervals.
    pub active_time_intervals: Vec<String>,
    /// Whether later siblings are tried as well.
    pub continues: bool,
    /// Children.
    pub routes: Vec<Self>,
    /// In milliseconds.
    pub group_wait_ms: Option<i64>,
    /// In milliseconds.
    pub group_interval_ms: Option<i64>,
    /// In milliseconds.
    pub repeat_interval_ms: Option<i64>,
    /// Labels for templates, which may be templates themselves.
    pub labels: BTreeMap<String, String>,
}

/// An inhibition rule.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InhibitRule {
    /// Optional.
    pub name: String,
    /// What a firing alert must match to silence others.
    pub source: Vec<Matcher>,
    /// What an alert must match to be silenced.
    pub target: Vec<Matcher>,
    /// Labels that must be equal in both.
    pub equal: Vec<String>,
}

const ROUTE_KEYS: [&str; 13] = [
    "receiver",
    "group_by",
    "match",
    "match_re",
    "matchers",
    "mute_time_intervals",
    "active_time_intervals",
    "continue",
    "routes",
    "group_wait",
    "group_interval",
    "repeat_interval",
    "labels",
];

/// How deep routes may nest.
const MAX_DEPTH: usize = 100;

impl RouteConfig {
    pub(super) fn decode(node: &Node, cx: &mut Context<'_>, depth: usize) -> Option<Self> {
        if depth > MAX_DEPTH {
            cx.error(node.place, format!("routes are nested deeper than {MAX_DEPTH} levels"));
            return None;
        }
        let mut map = SectionMap::open(node, "config.plain", cx)?;
        let m = &mut map;
        let mut route = Self { receiver: read::text(m, "receiver", cx), ..Self::default() };
        route.read_group_by(m, cx);
        route.matchers = conditions(m, ["match", "match_re", "matchers"], cx);
        route.mute_time_intervals = read::strings(m, "mute_time_intervals", cx);
        route.active_time_intervals = read::strings(m, "active_time_intervals", cx);
        route.continues = read::flag(m, "continue", cx).unwrap_or(false);
        route.routes = read::list(m, "routes", cx, |n, cx| Self::decode(n, cx, depth + 1));
        route.group_wait_ms = read::duration_ms(m, "group_wait", cx);
        route.group_interval_ms = read::duration_ms(m, "group_interval", cx);
        route.repeat_interval_ms = read::duration_ms(m, "repeat_interval", cx);
        for (key, value) in
            [("group_interval", route.group_interval_ms), ("repeat_interval", route.repeat_interval_ms)]
        {
            if value == Some(0) {
                cx.error(m.place_of(key), format!("{key} cannot be zero"));
            }
        }
        for (name, value, place) in read::string_map(m, "labels", cx) {
            if name.is_empty() {
                cx.error(place, "invalid label name \"\" in route labels");
            }
            route.labels.insert(name, value);
        }
        map.finish(&ROUTE_KEYS, cx);
        Some(route)
    }

    fn read_group_by(&mut self, m: &mut SectionMap<'_>, cx: &mut Context<'_>) {
        let place = m.place_of("group_by");
        let Some(node) = m.peek("group_by").filter(|n| !n.is_null()) else {
            m.take("group_by");
            return;
        };
        let empty = node.as_seq().is_some_and(<[Node]>::is_empty);
        let mut names = Vec::new();
        for name in read::strings(m, "group_by", cx) {
            if name == "..." {
                self.group_by_all = true;
            } else if name.is_empty() {
                cx.error(place, "invalid label name \"\" in group_by list");
            } else if names.contains(&name) {
                cx.error(place, format!("duplicated label {} in group_by", model::float::go_quote(&name)));
            } else {
                names.push(name);
            }
        }
        if !names.is_empty() && self.group_by_all {
            cx.error(place, "cannot have wildcard group_by (`...`) and other labels at the same time");
        }
        if empty || !names.is_empty() {
            self.group_by = Some(names);
        }
    }

    /// Checks what needs the receivers and intervals, for this route and those below.
    pub(super) fn check(
        &self,
        node: &Node,
        receivers: &BTreeSet<&str>,
        intervals: &BTreeMap<String, Vec<TimeInterval>>,
        cx: &mut Context<'_>,
    ) {
        let place = |key: &str| node.get(key).map_or(node.place, |n| n.place);
        if !self.receiver.is_empty() && !receivers.contains(self.receiver.as_str()) {
            let name = model::float::go_quote(&self.receiver);
            cx.error(place("receiver"), format!("undefined receiver {name} used in route"));
        }
        for (key, names) in [
            ("active_time_intervals", &self.active_time_intervals),
            ("mute_time_intervals", &self.mute_time_intervals),
        ] {
            for name in names.iter().filter(|n| !intervals.contains_key(*n)) {
                let name = model::float::go_quote(name);
                cx.error(place(key), format!("undefined time interval {name} used in route"));
            }
        }
        let children = node.get("routes").and_then(Node::as_seq).unwrap_or(&[]);
        for (child, child_node) in self.routes.iter().zip(children) {
            child.check(child_node, receivers, intervals, cx);
        }
    }
}

/// The three ways to write conditions, joined and sorted.
fn conditions(m: &mut SectionMap<'_>, keys: [&str; 3], cx: &mut Context<'_>) -> Vec<Matcher> {
    let [plain, regex, modern] = keys;
    let mut out = Vec::new();
    let check_name = |name: &str, place: Place, cx: &mut Context<'_>| {
        if !is_valid_label_name(name) {
            cx.error(place, format!("invalid label name {}", model::float::go_quote(name)));
        }
    };
    for (name, value, place) in read::string_map(m, plain, cx) {
        check_name(&name, place, cx);
        out.push(Matcher::equal(name, value));
    }
    if let Some(entries) = m.peek(regex).and_then(Node::as_map) {
        for (key, value) in entries.iter().filter(|(_, v)| v.is_null()) {
            let name = model::float::go_quote(key.as_str().unwrap_or_default());
            cx.error(value.place, format!("invalid regexp value for {name}"));
        }
    }
    for (name, value, place) in read::string_map(m, regex, cx) {
        check_name(&name, place, cx);
        match Matcher::new(name, MatchOp::Regex, value) {
            Ok(matcher) => out.push(matcher),
            Err(e) => cx.error(place, e.to_string()),
        }
    }
    let place = m.place_of(modern);
    for line in read::strings(m, modern, cx) {
        match matchers::parse_list(&line) {
            Ok(list) => out.extend(list),
            Err(e) => cx.error(place, e),
        }
    }
    matchers::sort(&mut out);
    out
}

impl InhibitRule {
    pub(super) fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let mut map = SectionMap::open(node, "common.plain", cx)?;
        let m = &mut map;
        let rule = Self {
            name: read::text(m, "name", cx),
            source: conditions(m, ["source_match", "source_match_re", "source_matchers"], cx),
            target: conditions(m, ["target_match", "target_match_re", "target_matchers"], cx),
            equal: read::strings(m, "equal", cx),
        };
        if rule.equal.iter().any(String::is_empty) {
            cx.error(map.place_of("equal"), "invalid label name \"\" in equal list");
        }
        let keys = [
            "name",
            "source_match",
            "source_match_re",
            "source_matchers",
            "target_match",
            "target_match_re",
            "target_matchers",
            "equal",
        ];
        map.finish(&keys, cx);
        Some(rule)
    }
}

/// A named set of intervals; `kind` is what the error texts call it.
pub(super) fn decode_named_intervals(
    node: &Node,
    kind: &str,
    cx: &mut Context<'_>,
) -> Option<(String, Vec<TimeInterval>)> {
    let mut map = SectionMap::open(node, "config.plain", cx)?;
    let name = read::text(&mut map, "name", cx);
    if name.is_empty() {
        cx.error(node.place, format!("missing name in {kind} interval"));
    }
    let intervals = read::list(&mut map, "time_intervals", cx, decode_interval);
    map.finish(&["name", "time_intervals"], cx);
    Some((name, intervals))
}

fn decode_interval(node: &Node, cx: &mut Context<'_>) -> Option<TimeInterval> {
    let mut map = SectionMap::open(node, "timeinterval.TimeInterval", cx)?;
    let m = &mut map;
    let times = read::list(m, "times", cx, |n, cx| {
        let mut map = SectionMap::open(n, "timeinterval.yamlTimeRange", cx)?;
        let (start, end) = (read::text(&mut map, "start_time", cx), read::text(&mut map, "end_time", cx));
        map.finish(&["start_time", "end_time"], cx);
        if start.is_empty() || end.is_empty() {
            cx.error(n.place, "both start and end times must be provided");
            return None;
        }
        match (parse_clock(&start), parse_clock(&end)) {
            (Ok(a), Ok(b)) if a < b => Some((a, b)),
            (Ok(_), Ok(_)) => {
                cx.error(n.place, "start time cannot be equal or greater than end time");
                None
            }
            (Err(e), _) | (_, Err(e)) => {
                cx.error(n.place, e);
                None
            }
        }
    });
    let mut ranges = |key: &str, kind: RangeKind| {
        read::list(m, key, cx, |n, cx| {
            let text = ::config::yaml::Decode::decode(n, cx).map(|t: String| parse_range(&t, kind))?;
            text.map_err(|e| cx.error(n.place, e)).ok()
        })
    };
    let mut interval = TimeInterval { times, ..TimeInterval::default() };
    interval.weekdays = ranges("weekdays", RangeKind::Weekday);
    interval.days_of_month = ranges("days_of_month", RangeKind::DayOfMonth);
    interval.months = ranges("months", RangeKind::Month);
    interval.years = ranges("years", RangeKind::Year);
    let place = m.place_of("location");
    interval.location_name = read::text(m, "location", cx);
    interval.location = match interval.location_name.as_str() {
        "" | "UTC" => None,
        "Local" => Some(TimeZone::system()),
        name => match TimeZone::get(name) {
            Ok(zone) => Some(zone),
            Err(_) => {
                cx.error(place, format!("unknown time zone {name}"));
                None
            }
        },
    };
    map.finish(&["times", "weekdays", "days_of_month", "months", "years", "location"], cx);
    Some(interval)
}
