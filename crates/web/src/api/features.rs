//! `/features`: what is on and what is off, by category, as upstream's registry of features.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use promql::EngineOptions;
use promql::parser::FUNCTIONS;

use super::Api;
use super::envelope::{ApiResult, Reply};

/// By category and name.
type Categories = BTreeMap<&'static str, BTreeMap<String, bool>>;

/// What is on and what is off.
#[derive(Debug, Clone, Default)]
pub struct Features(Categories);

/// Operators that are always there.
const OPERATORS: &[&str] = &[
    "!=",
    "!~",
    "%",
    "*",
    "+",
    "-",
    "/",
    "<",
    "</",
    "<=",
    "==",
    "=~",
    ">",
    ">/",
    ">=",
    "@",
    "^",
    "and",
    "atan2",
    "avg",
    "bottomk",
    "count",
    "count_values",
    "group",
    "max",
    "min",
    "or",
    "quantile",
    "stddev",
    "stdvar",
    "sum",
    "topk",
    "unless",
];

/// Functions of templates.
const TEMPLATES: &[&str] = &[
    "args",
    "externalURL",
    "first",
    "graphLink",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "label",
    "match",
    "now",
    "parseDuration",
    "pathPrefix",
    "query",
    "reReplaceAll",
    "safeHtml",
    "sortByLabel",
    "stripDomain",
    "stripPort",
    "strvalue",
    "tableLink",
    "title",
    "toDuration",
    "toLower",
    "toTime",
    "toUpper",
    "urlQueryEscape",
    "value",
];

impl Features {
    /// What follows from the engine's options and is always so here. The rest is [`Features::set`] by who knows.
    #[must_use]
    pub fn new(engine: &EngineOptions) -> Self {
        let mut all = Self::default();
        let parser = engine.parser;
        for (name, on) in [
            ("anchored", parser.extended_range_selectors),
            ("at_modifier", true),
            ("bool", true),
            ("by", true),
            ("delayed_name_removal", engine.delayed_name_removal),
            ("duration_expr", parser.duration_expr),
            ("fill", parser.binop_fill_modifiers),
            ("fill_left", parser.binop_fill_modifiers),
            ("fill_right", parser.binop_fill_modifiers),
            ("group_left", true),
            ("group_right", true),
            ("ignoring", true),
            ("negative_offset", true),
            ("offset", true),
            ("on", true),
            ("per_query_lookback_delta", true),
            ("per_step_stats", engine.per_step_stats),
            ("smoothed", parser.extended_range_selectors),
            ("subqueries", true),
            ("type_and_unit_labels", engine.type_and_unit_labels),
            ("without", true),
        ] {
            all.set("promql", name, on);
        }
        for f in FUNCTIONS {
            all.set("promql_functions", f.name, !f.experimental || parser.experimental_functions);
        }
        OPERATORS.iter().for_each(|name| all.set("promql_operators", name, true));
        for name in ["limit_ratio", "limitk"] {
            all.set("promql_operators", name, parser.experimental_functions);
        }
        TEMPLATES.iter().for_each(|name| all.set("templating_functions", name, true));
        for name in ["exclude_alerts", "label_values_match", "query_stats", "query_warnings"] {
            all.set("api", name, true);
        }
        for name in ["time_range_labels", "time_range_series"] {
            all.set("api", name, true);
        }
        all
    }

    /// The names of a category.
    pub fn names(&self, category: &str) -> impl Iterator<Item = &str> {
        self.0.get(category).into_iter().flat_map(|names| names.keys().map(String::as_str))
    }

    /// Says whether a feature is on.
    pub fn set(&mut self, category: &'static str, name: &str, on: bool) {
        self.0.entry(category).or_default().insert(name.to_owned(), on);
    }
}

pub(super) async fn features(State(api): State<Arc<Api>>) -> ApiResult {
    // Unlike all else this is not escaped for HTML's sake.
    let json = serde_json::to_vec(&api.features.0).expect("plain data with string keys");
    Ok(Reply::written(|out| out.extend_from_slice(&json)))
}
