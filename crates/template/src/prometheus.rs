//! Templates in rule files: labels and annotations of alerts, with Prometheus' variables and functions.

use model::LabelSet;

use crate::Error;

/// What a rule's template can see.
#[derive(Debug, Clone, Default)]
pub struct AlertData {
    /// `$labels`, `.Labels`.
    pub labels: LabelSet,
    /// `$externalLabels`, `.ExternalLabels`.
    pub external_labels: LabelSet,
    /// `$externalURL`, `.ExternalURL`, and what `externalURL` and `pathPrefix` give.
    pub external_url: String,
    /// `$value`, `.Value`.
    pub value: f64,
    /// The template's name in error texts; upstream uses `__alert_` and the rule's name.
    pub name: String,
    /// The evaluation's time in milliseconds since the Unix epoch: what `now` gives.
    pub now_ms: i64,
}

/// One sample of a `query` result.
#[derive(Debug, Clone, Default)]
pub struct QuerySample {
    /// The sample's labels.
    pub labels: LabelSet,
    /// Its value.
    pub value: f64,
}

/// Expands `text`; `query` answers the `query` function at the evaluation's time.
///
/// # Errors
/// When the text is no template or fails while it runs; the error's text is upstream's (`error parsing template …`,
/// `error executing template …`), which callers put into `<error expanding template: …>`.
pub fn expand(
    text: &str,
    data: &AlertData,
    query: &dyn Fn(&str) -> Result<Vec<QuerySample>, String>,
) -> Result<String, Error> {
    let _ = (text, data, query);
    Err(Error::new(crate::ErrorKind::Exec, "not wired yet"))
}

/// Checks that `text` is a template that uses known functions and variables only.
///
/// # Errors
/// When it is not.
pub fn check(text: &str) -> Result<(), Error> {
    let _ = text;
    Err(Error::new(crate::ErrorKind::Parse, "not wired yet"))
}
