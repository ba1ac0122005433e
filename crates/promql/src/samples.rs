//! The floats of a series in a result: a list, or a row of the grid that the query was evaluated on.

use std::fmt;
use std::sync::Arc;

use kernels::{Grid, GridBlock, bit};

/// Times in milliseconds and values, ascending in time.
///
/// Rows are shared by the series of a result, so that shaping it copies nothing: a dashboard's panel of thousands of series is
/// written from where it was computed.
#[derive(Clone)]
pub struct Samples(Repr);

#[derive(Clone)]
enum Repr {
    List(Vec<(i64, f64)>),
    Row(Arc<Cells>, usize),
}

/// All rows of a result.
pub(crate) struct Cells {
    pub(crate) grid: Grid,
    pub(crate) cells: GridBlock,
}

impl Samples {
    /// Row `row` of these.
    pub(crate) fn row(cells: &Arc<Cells>, row: usize) -> Self {
        Self(Repr::Row(Arc::clone(cells), row))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::List(list) => list.len(),
            Repr::Row(cells, row) => {
                cells.cells.row(*row).1.iter().map(|word| word.count_ones() as usize).sum()
            }
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Repr::List(list) => list.is_empty(),
            Repr::Row(cells, row) => cells.cells.is_row_empty(*row),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (i64, f64)> + '_ {
        let mut cursor = Cursor::default();
        std::iter::from_fn(move || self.next_at(&mut cursor))
    }

    /// The sample that the cursor is at, which goes on to the one after it; `None` at the end. For whoever cannot keep an iterator, since
    /// that borrows.
    pub fn next_at(&self, cursor: &mut Cursor) -> Option<(i64, f64)> {
        match &self.0 {
            Repr::List(list) => {
                let sample = list.get(cursor.0)?;
                cursor.0 += 1;
                Some(*sample)
            }
            Repr::Row(cells, row) => {
                let (values, present) = cells.cells.row(*row);
                while cursor.0 < values.len() {
                    let step = cursor.0;
                    cursor.0 += 1;
                    if bit(present, step) {
                        return Some((cells.grid.at(step), values[step]));
                    }
                }
                None
            }
        }
    }
}

/// A place in [`Samples`], at first before all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor(usize);

impl From<Vec<(i64, f64)>> for Samples {
    fn from(list: Vec<(i64, f64)>) -> Self {
        Self(Repr::List(list))
    }
}

impl FromIterator<(i64, f64)> for Samples {
    fn from_iter<I: IntoIterator<Item = (i64, f64)>>(samples: I) -> Self {
        Vec::from_iter(samples).into()
    }
}

impl PartialEq for Samples {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_lists_of_their_present_cells() {
        let mut cells = GridBlock::new(3, 70);
        for (row, step, value) in [(0, 0, 1.0), (0, 63, 2.0), (0, 64, 3.0), (0, 69, 4.0), (2, 5, 5.0)] {
            cells.set(row, step, value);
        }
        let cells = Arc::new(Cells { grid: Grid::range(100, 100 + 69 * 10, 10), cells });
        for (row, expect) in [vec![(100, 1.0), (730, 2.0), (740, 3.0), (790, 4.0)], vec![], vec![(150, 5.0)]]
            .iter()
            .enumerate()
        {
            let (samples, list) = (Samples::row(&cells, row), Samples::from(expect.clone()));
            assert_eq!(samples, list);
            assert_eq!(format!("{samples:?}"), format!("{expect:?}"));
            assert_eq!((samples.len(), samples.is_empty()), (expect.len(), expect.is_empty()));
            assert_eq!((list.len(), list.is_empty()), (expect.len(), expect.is_empty()));
            let mut cursor = Cursor::default();
            let mut first = [samples.next_at(&mut cursor), samples.next_at(&mut cursor)];
            assert_eq!(first.as_slice(), [expect.first().copied(), expect.get(1).copied()]);
            first = [list.next_at(&mut cursor), samples.next_at(&mut cursor)];
            assert!(expect.len() > 2 || first == [None, None]);
        }
    }
}
