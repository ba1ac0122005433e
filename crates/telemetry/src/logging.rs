//! Logs on standard error as the originals write them: `time=… level=INFO source=… msg="…" key=value`, or JSON.

use std::fmt::{self, Write as _};

use model::float::go_quote;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// `--log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object per line.
    Json,
}

/// Sets the process's logger. A second call has no effect.
pub fn init(level: Level, format: Format) {
    // Libraries are heard from warnings on: their own info lines mean nothing to an operator.
    let filter = tracing_subscriber::EnvFilter::new(format!(
        "{level},hyper=warn,hyper_util=warn,rustls=warn,lettre=warn,h2=warn,mio=warn"
    ));
    let layer = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .event_format(Lines(format));
    let _ = layer.try_init();
}

struct Lines(Format);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let meta = event.metadata();
        let mut pairs = Pairs {
            message: String::new(),
            rest: vec![
                ("time".to_owned(), jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()),
                ("level".to_owned(), level_name(*meta.level()).to_owned()),
                ("source".to_owned(), source(meta.file(), meta.line())),
            ],
        };
        event.record(&mut pairs);
        pairs.rest.insert(3, ("msg".to_owned(), std::mem::take(&mut pairs.message)));
        out.write_str(&match self.0 {
            Format::Logfmt => logfmt(&pairs.rest),
            Format::Json => json(&pairs.rest),
        })
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

fn source(file: Option<&str>, line: Option<u32>) -> String {
    let file = file.unwrap_or("unknown");
    let short = file.rsplit_once("crates/").map_or(file, |(_, rest)| rest);
    format!("{short}:{}", line.unwrap_or(0))
}

fn logfmt(pairs: &[(String, String)]) -> String {
    let mut line = String::with_capacity(128);
    for (i, (key, value)) in pairs.iter().enumerate() {
        let plain = !value.is_empty()
            && value.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '=' && c != '\\');
        let value = if plain { value.clone() } else { go_quote(value) };
        write!(line, "{}{key}={value}", if i == 0 { "" } else { " " }).expect("a String takes all");
    }
    line.push('\n');
    line
}

fn json(pairs: &[(String, String)]) -> String {
    let mut line = String::from("{");
    for (i, (key, value)) in pairs.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        write!(line, "{comma}{}:{}", json_string(key), json_string(value)).expect("a String takes all");
    }
    line.push_str("}\n");
    line
}

fn json_string(s: &str) -> String {
    let mut out = String::from("\"");
    for c in s.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if (c as u32) < 0x20 => write!(out, "\\u{:04x}", c as u32).expect("a String takes all"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

struct Pairs {
    message: String,
    rest: Vec<(String, String)>,
}

impl Pairs {
    fn add(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.message = value;
        } else {
            self.rest.push((field.name().to_owned(), value));
        }
    }
}

impl Visit for Pairs {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, value.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_both_formats() {
        let pairs = [("level", "INFO"), ("msg", "two words"), ("err", "a\"b"), ("n", "1")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(logfmt(&pairs), "level=INFO msg=\"two words\" err=\"a\\\"b\" n=1\n");
        assert_eq!(
            json(&pairs),
            "{\"level\":\"INFO\",\"msg\":\"two words\",\"err\":\"a\\\"b\",\"n\":\"1\"}\n"
        );
    }
}
