//! The body of `POST /api/v2/alerts`.

use std::fmt::Write as _;

use model::LabelSet;
use rules::Alert;

/// Alerts as a JSON array, fields in upstream's order, times in milliseconds and UTC.
#[must_use]
pub fn encode_alerts(alerts: &[Alert]) -> Vec<u8> {
    let mut out = String::with_capacity(alerts.len() * 256);
    out.push('[');
    for (i, alert) in alerts.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str("{\"annotations\":");
        labels(&mut out, &alert.annotations);
        let _ =
            write!(out, ",\"endsAt\":\"{}\",\"startsAt\":\"{}\"", time(alert.ends_at), time(alert.starts_at));
        if !alert.generator_url.is_empty() {
            out.push_str(",\"generatorURL\":");
            text(&mut out, &alert.generator_url);
        }
        out.push_str(",\"labels\":");
        labels(&mut out, &alert.labels);
        out.push('}');
    }
    out.push(']');
    out.into_bytes()
}

fn labels(out: &mut String, set: &LabelSet) {
    out.push('{');
    for (i, (name, value)) in set.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        text(out, name);
        out.push(':');
        text(out, value);
    }
    out.push('}');
}

fn text(out: &mut String, s: &str) {
    out.push_str(&serde_json::Value::from(s).to_string());
}

/// `2006-01-02T15:04:05.000Z`; times beyond the calendar are its ends.
fn time(ms: i64) -> String {
    let ts = jiff::Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    });
    format!("{ts:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_as_upstream() {
        let alert = Alert {
            labels: LabelSet::from_pairs([("alertname", "A"), ("b", "\"x\"\n")]),
            annotations: LabelSet::from_pairs([("summary", "é")]),
            starts_at: 1_700_000_000_123,
            ends_at: 1_700_000_240_000,
            generator_url: "http://h/graph?g0.expr=up&g0.tab=1".to_owned(),
        };
        assert_eq!(
            String::from_utf8(encode_alerts(&[alert])).unwrap(),
            r#"[{"annotations":{"summary":"é"},"endsAt":"2023-11-14T22:17:20.000Z","startsAt":"2023-11-14T22:13:20.123Z","generatorURL":"http://h/graph?g0.expr=up&g0.tab=1","labels":{"alertname":"A","b":"\"x\"\n"}}]"#
        );
        assert_eq!(encode_alerts(&[]), b"[]");
    }
}
