//! Lines of start timestamps: `metric{a="b"}@st _ -1m 1ms-1mx4`, each relative to the time of its sample.

use model::LabelSet;

/// A series with an offset in milliseconds per step.
type Offsets = (LabelSet, Vec<Option<i64>>);

/// The series and an offset in milliseconds per step; `None` where the line is no such line.
pub(crate) fn line(line: &str) -> Result<Option<Offsets>, String> {
    let Some((metric, rest)) = line.split_once("@st").filter(|(m, _)| !m.contains(char::is_whitespace))
    else {
        return Ok(None);
    };
    let labels = promql::parser::parse_metric(metric).map_err(|e| format!("{line}: {e}"))?;
    let mut offsets = Vec::new();
    for word in rest.split_whitespace() {
        item(word, &mut offsets).ok_or_else(|| format!("{line}: {word:?}"))?;
    }
    Ok(Some((labels, offsets)))
}

/// `_`, `_x3`, `-1m`, `-1mx4`, `-1m+10sx4`; with a count behind an offset there is one more.
fn item(word: &str, out: &mut Vec<Option<i64>>) -> Option<()> {
    let (body, count) = match word.split_once('x') {
        Some((body, count)) => (body, Some(count.parse::<i64>().ok()?)),
        None => (word, None),
    };
    if body == "_" {
        out.extend((0..count.unwrap_or(1)).map(|_| None));
        return Some(());
    }
    let second =
        body.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map_or(body.len(), |c| c.0);
    let (base, step) = body.split_at(second);
    let (base, step) = (millis(base)?, if step.is_empty() { 0 } else { millis(step)? });
    out.extend((0..=count.unwrap_or(0)).map(|i| Some(base + step * i)));
    Some(())
}

fn millis(text: &str) -> Option<i64> {
    let (sign, body) = match text.strip_prefix('-') {
        Some(body) => (-1, body),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let duration = model::duration::parse(body).ok()?;
    Some(sign * i64::try_from(duration.as_millis()).ok()?)
}
