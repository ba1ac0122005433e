//! Functions that work on label sets: replacing, joining, and sorting.

use std::cmp::Ordering;

use model::METRIC_NAME;

use super::block::Block;
use super::functions::Args;
use crate::error::QueryError;

/// `label_replace(v, dst, replacement, src, regex)`
pub(super) fn replace(args: &mut Args<'_>) -> Result<Block, QueryError> {
    let mut block = args.vector()?;
    let (dst, replacement, src, pattern) = (args.text()?, args.text()?, args.text()?, args.text()?);
    let regex = model::anchored(&pattern).map_err(|_| {
        QueryError::execution(format!("invalid regular expression in label_replace(): {pattern}"))
    })?;
    if !is_label_name(&dst) {
        return Err(QueryError::execution(format!(
            "invalid destination label name in label_replace(): {dst}"
        )));
    }
    let mut value = String::new();
    for (labels, drop_name) in block.labels.iter_mut().zip(&mut block.drop_name) {
        let Some(captures) = regex.captures(labels.value(&src)) else { continue };
        value.clear();
        captures.expand(&replacement, &mut value);
        let mut builder = labels.to_builder();
        builder.set(&dst, &value);
        *labels = builder.build();
        if dst == METRIC_NAME {
            *drop_name = false;
        }
    }
    block.merge_duplicates()?;
    Ok(block)
}

/// `label_join(v, dst, separator, src…)`
pub(super) fn join(args: &mut Args<'_>) -> Result<Block, QueryError> {
    let mut block = args.vector()?;
    let (dst, separator) = (args.text()?, args.text()?);
    let mut sources = Vec::new();
    while !args.is_empty() {
        let src = args.text()?;
        if !is_label_name(&src) {
            return Err(QueryError::execution(format!("invalid source label name in label_join(): {src}")));
        }
        sources.push(src);
    }
    if !is_label_name(&dst) {
        return Err(QueryError::execution(format!("invalid destination label name in label_join(): {dst}")));
    }
    for (labels, drop_name) in block.labels.iter_mut().zip(&mut block.drop_name) {
        let values: Vec<&str> = sources.iter().map(|s| labels.value(s)).collect();
        let mut builder = labels.to_builder();
        builder.set(&dst, &values.join(&separator));
        *labels = builder.build();
        if dst == METRIC_NAME {
            *drop_name = false;
        }
    }
    block.merge_duplicates()?;
    Ok(block)
}

/// The sorting functions, on a block of one step.
pub(super) fn sort(name: &str, block: &mut Block, args: &mut Args<'_>) -> Result<(), QueryError> {
    let mut rows: Vec<usize> = (0..block.rows()).collect();
    match name {
        "sort" | "sort_desc" => {
            let descending = name == "sort_desc";
            rows.sort_by(|&a, &b| by_value(block.cells.row(a).0[0], block.cells.row(b).0[0], descending));
        }
        _ => {
            let mut names = Vec::new();
            while !args.is_empty() {
                names.push(args.text()?);
            }
            let descending = name == "sort_by_label_desc";
            rows.sort_by(|&a, &b| {
                let (a, b) = (&block.labels[a], &block.labels[b]);
                let by_names = names
                    .iter()
                    .map(|n| natural(a.value(n), b.value(n)))
                    .find(|o| o.is_ne())
                    .unwrap_or_else(|| a.cmp(b));
                if descending { by_names.reverse() } else { by_names }
            });
        }
    }
    block.select(&rows);
    Ok(())
}

/// NaN comes last in either direction.
fn by_value(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            let ascending = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if descending { ascending.reverse() } else { ascending }
        }
    }
}

/// Runs of digits compare as numbers, others as text.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    while !a_rest.is_empty() && !b_rest.is_empty() {
        let (x, y) = (chunk(&mut a_rest), chunk(&mut b_rest));
        let order = match (x.parse::<i64>(), y.parse::<i64>()) {
            (Ok(x), Ok(y)) => x.cmp(&y),
            _ => x.cmp(y),
        };
        if order.is_ne() {
            return order;
        }
    }
    // Numbers that are equal but written differently (`01`, `1`) still need an order.
    (!a_rest.is_empty()).cmp(&!b_rest.is_empty()).then_with(|| a.cmp(b))
}

/// Takes the leading run of digits, or of anything else.
fn chunk<'a>(rest: &mut &'a str) -> &'a str {
    let digits = rest.starts_with(|c: char| c.is_ascii_digit());
    let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
    let (head, tail) = rest.split_at(end);
    *rest = tail;
    head
}

/// Any UTF-8. Escaped bytes that are none have become the replacement character, which cannot be written in a query.
fn is_label_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_naturally() {
        let mut names = ["cpu10", "cpu2", "cpu", "1.2.10", "1.2.9", "a", "cpu01", "cpu1"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["1.2.9", "1.2.10", "a", "cpu", "cpu01", "cpu1", "cpu2", "cpu10"]);
    }
}
