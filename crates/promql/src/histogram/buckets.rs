//! Buckets in the order of their bounds.

use model::{Histogram, Span};

use super::bounds::{bound, is_custom};

/// A bucket with its bounds and its observations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Where it begins.
    pub lower: f64,
    /// Where it ends.
    pub upper: f64,
    /// Whether `lower` itself belongs to it.
    pub lower_inclusive: bool,
    /// Whether `upper` itself belongs to it.
    pub upper_inclusive: bool,
    /// The observations in it, not cumulative.
    pub count: f64,
}

/// All buckets, ascending: negative ones, the zero bucket where it has a count, positive ones; explicit empty ones included.
///
/// A bucket that overlaps the zero bucket begins (or ends) at the zero threshold. Where spans and counts do not fit
/// together, what has both is listed.
pub fn all_buckets(h: &Histogram) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
    let zero = (h.zero_count > 0.0 && !is_custom(h.schema)).then(|| zero_bucket(h));
    let threshold = h.zero_threshold;
    let clip = move |mut b: Bucket| {
        if b.upper < 0.0 && b.upper > -threshold {
            b.upper = -threshold;
        } else if b.lower > 0.0 && b.lower < threshold {
            b.lower = threshold;
        }
        b
    };
    negative(h).rev().map(clip).chain(zero).chain(positive(h).map(clip))
}

/// The zero bucket, both bounds included.
pub(super) fn zero_bucket(h: &Histogram) -> Bucket {
    Bucket {
        lower: -h.zero_threshold,
        upper: h.zero_threshold,
        lower_inclusive: true,
        upper_inclusive: true,
        count: h.zero_count,
    }
}

/// The buckets of the positive spans, from zero up.
pub(super) fn positive(h: &Histogram) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
    Indexed::new(&h.positive_spans, &h.positive_buckets).map(move |(index, count)| {
        let upper = bound(index, h.schema, &h.custom_values);
        let lower = bound(index.wrapping_sub(1), h.schema, &h.custom_values);
        let custom = is_custom(h.schema);
        Bucket {
            lower,
            upper,
            lower_inclusive: if custom { index == 0 } else { lower < 0.0 },
            upper_inclusive: custom || upper > 0.0,
            count,
        }
    })
}

/// The buckets of the negative spans, from zero down.
pub(super) fn negative(h: &Histogram) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
    Indexed::new(&h.negative_spans, &h.negative_buckets).map(move |(index, count)| {
        let lower = -bound(index, h.schema, &[]);
        let upper = -bound(index.wrapping_sub(1), h.schema, &[]);
        Bucket { lower, upper, lower_inclusive: lower < 0.0, upper_inclusive: upper > 0.0, count }
    })
}

/// The cells of spans with their indexes: as many as both spans and cells have.
#[derive(Debug, Clone)]
pub(super) struct Indexed<'a, C> {
    spans: &'a [Span],
    cells: &'a [C],
    front: Cursor,
    back: Cursor,
}

/// A place between two buckets.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    span: usize,
    /// Buckets of the span before the place.
    in_span: u32,
    /// The index of the bucket behind the place, were the span to go on.
    index: i32,
    /// Cells before the place.
    cell: usize,
}

impl<'a, C: Copy> Indexed<'a, C> {
    pub(super) fn new(spans: &'a [Span], cells: &'a [C]) -> Self {
        let index = spans.first().map_or(0, |s| s.offset);
        let front = Cursor { span: 0, in_span: 0, index, cell: 0 };
        let mut back = front;
        for (i, span) in spans.iter().enumerate() {
            if back.cell == cells.len() {
                break;
            }
            let taken = span.length.min(u32::try_from(cells.len() - back.cell).unwrap_or(u32::MAX));
            let start = if i == 0 { index } else { back.index.wrapping_add(span.offset) };
            back = Cursor {
                span: i,
                in_span: taken,
                index: start.wrapping_add_unsigned(taken),
                cell: back.cell + taken as usize,
            };
        }
        Self { spans, cells, front, back }
    }
}

impl<C: Copy> Iterator for Indexed<'_, C> {
    type Item = (i32, C);

    fn next(&mut self) -> Option<(i32, C)> {
        let at = &mut self.front;
        if at.cell >= self.back.cell {
            return None;
        }
        while at.in_span >= self.spans[at.span].length {
            at.span += 1;
            at.in_span = 0;
            at.index = at.index.wrapping_add(self.spans[at.span].offset);
        }
        let item = (at.index, self.cells[at.cell]);
        at.in_span += 1;
        at.cell += 1;
        at.index = at.index.wrapping_add(1);
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.back.cell - self.front.cell.min(self.back.cell);
        (left, Some(left))
    }
}

impl<C: Copy> DoubleEndedIterator for Indexed<'_, C> {
    fn next_back(&mut self) -> Option<(i32, C)> {
        let at = &mut self.back;
        if at.cell <= self.front.cell {
            return None;
        }
        while at.in_span == 0 {
            at.index = at.index.wrapping_sub(self.spans[at.span].offset);
            at.span -= 1;
            at.in_span = self.spans[at.span].length;
        }
        at.in_span -= 1;
        at.cell -= 1;
        at.index = at.index.wrapping_sub(1);
        Some((at.index, self.cells[at.cell]))
    }
}
