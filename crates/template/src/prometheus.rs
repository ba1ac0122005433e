//! Templates in rule files: labels and annotations of alerts, with Prometheus' variables and functions.

use std::net::IpAddr;
use std::sync::Arc;

use model::LabelSet;
use model::float::format_g_precision;

use crate::funcs::{self, Funcs, TitleRest, float_arg, query_escape, scale_down, string_arg};
use crate::value::{CallResult, Object, Value};
use crate::{Error, Mode, Templates};

/// What stands before every rule's text; it counts in the columns of error positions, as it does upstream.
const DEFINITIONS: &str = concat!(
    "{{$labels := .Labels}}",
    "{{$externalLabels := .ExternalLabels}}",
    "{{$externalURL := .ExternalURL}}",
    "{{$value := .Value}}"
);

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
    pub value: SampleValue,
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
    pub value: SampleValue,
}

/// A sample's value.
#[derive(Debug, Clone, PartialEq)]
pub enum SampleValue {
    /// A number.
    Float(f64),
    /// A native histogram: a template can do nothing with it but print this text.
    Histogram(Arc<str>),
}

impl Default for SampleValue {
    fn default() -> Self {
        Self::Float(0.0)
    }
}

impl From<f64> for SampleValue {
    fn from(v: f64) -> Self {
        Self::Float(v)
    }
}

impl SampleValue {
    fn value(&self) -> Value {
        match self {
            Self::Float(v) => Value::Float(*v),
            Self::Histogram(text) => Value::object(HistogramValue(Arc::clone(text))),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Float(v) => model::float::format_g(*v),
            Self::Histogram(text) => text.to_string(),
        }
    }
}

/// A native histogram in a template.
#[derive(Debug)]
struct HistogramValue(Arc<str>);

impl Object for HistogramValue {
    fn type_name(&self) -> &'static str {
        "*histogram.FloatHistogram"
    }

    fn get(&self, _: &str, _: &[Value]) -> Option<CallResult> {
        None
    }

    fn print(&self) -> Option<String> {
        Some(self.0.to_string())
    }
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
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    let funcs = functions(data, query);
    let mut set = Templates::default();
    set.parse(&data.name, &format!("{DEFINITIONS}{text}"), &funcs)
        .map_err(|e| e.prefixed(&format!("error parsing template {}: ", data.name)))?;
    set.execute(&data.name, &root(data), &funcs, Mode::Text)
        .map_err(|e| e.prefixed(&format!("error executing template {}: ", data.name)))
}

/// Checks that `text` is a template that uses known functions and variables only.
///
/// # Errors
/// When it is not.
pub fn check(text: &str) -> Result<(), Error> {
    let data = AlertData::default();
    let funcs = functions(&data, &|_| Err("not run".to_owned()));
    Templates::default().parse("", &format!("{DEFINITIONS}{text}"), &funcs)
}

/// `.Labels`, `.ExternalLabels`, `.ExternalURL`, `.Value`.
#[derive(Debug)]
struct Root {
    labels: Value,
    external_labels: Value,
    external_url: Value,
    value: SampleValue,
}

fn root(data: &AlertData) -> Value {
    Value::object(Root {
        labels: Value::labels(&data.labels),
        external_labels: Value::labels(&data.external_labels),
        external_url: Value::str(&data.external_url),
        value: data.value.clone(),
    })
}

impl Object for Root {
    fn type_name(&self) -> &'static str {
        "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }"
    }

    fn get(&self, name: &str, _: &[Value]) -> Option<CallResult> {
        Some(Ok(match name {
            "Labels" => self.labels.clone(),
            "ExternalLabels" => self.external_labels.clone(),
            "ExternalURL" => self.external_url.clone(),
            "Value" => self.value.value(),
            _ => return None,
        }))
    }

    fn print(&self) -> Option<String> {
        let fields = [&self.labels, &self.external_labels, &self.external_url].map(crate::gofmt::value_text);
        Some(format!("{{{} {}}}", fields.join(" "), self.value.text()))
    }
}

/// One sample of a query's result.
#[derive(Debug)]
struct Sample {
    labels: Value,
    value: SampleValue,
}

impl Object for Sample {
    fn type_name(&self) -> &'static str {
        "*template.sample"
    }

    fn get(&self, name: &str, _: &[Value]) -> Option<CallResult> {
        match name {
            "Labels" => Some(Ok(self.labels.clone())),
            "Value" => Some(Ok(self.value.value())),
            _ => None,
        }
    }

    fn print(&self) -> Option<String> {
        let labels = crate::gofmt::value_text(&self.labels);
        Some(format!("{{{labels} {}}}", self.value.text()))
    }
}

fn label_of(sample: Option<&Value>, name: &str) -> CallResult {
    match sample {
        Some(Value::Object(o)) => match o.get("Labels", &[]) {
            Some(Ok(Value::Map(labels))) => {
                Ok(labels.entries.get(name).cloned().unwrap_or_else(|| Value::str("")))
            }
            _ => Err(format!("wrong type for value; expected *template.sample; got {}", o.type_name())),
        },
        Some(Value::Nil) | None => Err("invalid value; expected *template.sample".to_owned()),
        Some(v) => Err(format!("wrong type for value; expected *template.sample; got {}", v.type_name())),
    }
}

fn vector(value: Option<&Value>) -> Result<Vec<Value>, String> {
    match value {
        Some(Value::List(items)) => Ok(items.to_vec()),
        Some(Value::Nil) | None => Err("invalid value; expected template.queryResult".to_owned()),
        Some(v) => Err(format!("wrong type for value; expected template.queryResult; got {}", v.type_name())),
    }
}

fn functions<'f>(
    data: &'f AlertData,
    query: &'f dyn Fn(&str) -> Result<Vec<QuerySample>, String>,
) -> Funcs<'f> {
    let mut f = Funcs::default();
    vectors(&mut f, query);
    strings(&mut f);
    numbers(&mut f);
    f.add("now", 0, |_| Ok(Value::Float(data.now_ms as f64 / 1000.0)));
    f.add("externalURL", 0, |_| Ok(Value::str(&data.external_url)));
    f.add("pathPrefix", 0, |_| Ok(Value::str(path_of(&data.external_url))));
    f
}

fn vectors<'f>(f: &mut Funcs<'f>, query: &'f dyn Fn(&str) -> Result<Vec<QuerySample>, String>) {
    f.add("query", 1, move |a| {
        let samples = query(string_arg(a, 0)?)?;
        let sample =
            |s: QuerySample| Value::object(Sample { labels: Value::labels(&s.labels), value: s.value });
        Ok(Value::list(samples.into_iter().map(sample).collect()))
    });
    f.add("first", 1, |a| {
        vector(a.first())?
            .into_iter()
            .next()
            .ok_or_else(|| "first() called on vector with no elements".to_owned())
    });
    f.add("label", 2, |a| label_of(a.get(1), string_arg(a, 0)?));
    f.add("strvalue", 1, |a| label_of(a.first(), "__value__"));
    f.add("value", 1, |a| match a.first() {
        Some(Value::Object(o)) => o.get("Value", &[]).unwrap_or_else(|| Err("no value".to_owned())),
        other => label_of(other, ""),
    });
    f.add("sortByLabel", 2, |a| {
        let name = string_arg(a, 0)?;
        let mut keyed = Vec::new();
        for sample in vector(a.get(1))? {
            let label = label_of(Some(&sample), name)?;
            keyed.push((label.as_str().unwrap_or_default().to_owned(), sample));
        }
        keyed.sort_by(|x, y| x.0.cmp(&y.0));
        Ok(Value::list(keyed.into_iter().map(|(_, s)| s).collect()))
    });
    f.add_variadic("args", 0, |a| {
        Ok(Value::any_map(a.iter().enumerate().map(|(i, v)| (format!("arg{i}"), v.clone())).collect()))
    });
    // Console templates escape HTML; in a rule's text there is nothing to escape.
    f.add("safeHtml", 1, |a| Ok(Value::Safe(crate::value::Safe::Html, string_arg(a, 0)?.into())));
}

fn strings(f: &mut Funcs<'_>) {
    f.add("title", 1, |a| Ok(funcs::title(string_arg(a, 0)?, TitleRest::Keep).into()));
    f.add("toUpper", 1, |a| Ok(string_arg(a, 0)?.to_uppercase().into()));
    f.add("toLower", 1, |a| Ok(string_arg(a, 0)?.to_lowercase().into()));
    f.add("match", 2, |a| Ok(funcs::regex(string_arg(a, 0)?)?.is_match(string_arg(a, 1)?).into()));
    f.add("reReplaceAll", 3, |a| {
        let re = funcs::regex(string_arg(a, 0)?)?;
        Ok(re.replace_all(string_arg(a, 2)?, string_arg(a, 1)?).into_owned().into())
    });
    f.add("graphLink", 1, |a| {
        Ok(format!("/graph?g0.expr={}&g0.tab=0", query_escape(string_arg(a, 0)?)).into())
    });
    f.add("tableLink", 1, |a| {
        Ok(format!("/graph?g0.expr={}&g0.tab=1", query_escape(string_arg(a, 0)?)).into())
    });
    f.add("urlQueryEscape", 1, |a| Ok(query_escape(string_arg(a, 0)?).into()));
    f.add("stripPort", 1, |a| {
        let text = string_arg(a, 0)?;
        Ok(split_host_port(text).map_or(text, |(host, _)| host).into())
    });
    f.add("stripDomain", 1, |a| {
        let text = string_arg(a, 0)?;
        let (host, port) = split_host_port(text).unwrap_or((text, ""));
        if host.parse::<IpAddr>().is_ok() {
            return Ok(text.into());
        }
        let short = host.split('.').next().unwrap_or_default();
        let bracket = short.contains(':');
        Ok(match (port, bracket) {
            ("", _) => short.to_owned(),
            (port, true) => format!("[{short}]:{port}"),
            (port, false) => format!("{short}:{port}"),
        }
        .into())
    });
}

fn numbers(f: &mut Funcs<'_>) {
    f.add("humanize", 1, |a| {
        let mut v = float_arg(&a[0])?;
        if v == 0.0 || !v.is_finite() {
            return Ok(format_g_precision(v, 4).into());
        }
        if v.abs() < 1.0 {
            let (v, prefix) = scale_down(v);
            return Ok(format!("{}{prefix}", format_g_precision(v, 4)).into());
        }
        let mut prefix = "";
        for p in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if v.abs() < 1000.0 {
                break;
            }
            prefix = p;
            v /= 1000.0;
        }
        Ok(format!("{}{prefix}", format_g_precision(v, 4)).into())
    });
    f.add("humanize1024", 1, |a| {
        let mut v = float_arg(&a[0])?;
        if v.abs() <= 1.0 || !v.is_finite() {
            return Ok(format_g_precision(v, 4).into());
        }
        let mut prefix = "";
        for p in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
            if v.abs() < 1024.0 {
                break;
            }
            prefix = p;
            v /= 1024.0;
        }
        Ok(format!("{}{prefix}", format_g_precision(v, 4)).into())
    });
    f.add("humanizeDuration", 1, |a| funcs::humanize_duration(&a[0]).map(Value::from));
    f.add("humanizePercentage", 1, |a| {
        Ok(format!("{}%", format_g_precision(float_arg(&a[0])? * 100.0, 4)).into())
    });
    f.add("humanizeTimestamp", 1, |a| {
        let v = float_arg(&a[0])?;
        if !v.is_finite() {
            return Ok(format_g_precision(v, 4).into());
        }
        Ok(crate::gofmt::value_text(&time_of(v)?).into())
    });
    f.add("toTime", 1, |a| {
        let v = float_arg(&a[0])?;
        if !v.is_finite() {
            return Err("value is NaN or Inf".to_owned());
        }
        time_of(v)
    });
    f.add("toDuration", 1, |a| Ok(Value::Duration((float_arg(&a[0])? * 1e9) as i64)));
    f.add("parseDuration", 1, |a| {
        let text = string_arg(a, 0)?;
        let (sign, body) = text.strip_prefix('-').map_or((1.0, text), |b| (-1.0, b));
        let parsed = model::duration::parse(body).map_err(|e| e.to_string())?;
        Ok(Value::Float(sign * parsed.as_secs_f64()))
    });
}

/// A time from seconds, cut to milliseconds as upstream does.
fn time_of(seconds: f64) -> CallResult {
    let nanos = seconds * 1e9;
    if nanos > i64::MAX as f64 || nanos < i64::MIN as f64 {
        let v = model::float::format_g(seconds);
        return Err(format!("{v} cannot be represented as a nanoseconds timestamp since it overflows int64"));
    }
    Ok(crate::time::from_ms(nanos as i64 / 1_000_000))
}

/// Go's `net.SplitHostPort`.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']')?;
        return (!inner.contains(['[', ']'])).then_some((inner, port));
    }
    (!host.contains([':', '[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}

/// The path of a URL.
fn path_of(url: &str) -> &str {
    let after = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = after.find('/').map_or("", |at| &after[at..]);
    path.split(['?', '#']).next().unwrap_or_default()
}
