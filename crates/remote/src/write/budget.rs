//! What a request may grow to in memory once it is decoded.

/// Memory that is left, in bytes. Two bytes of a request can stand for two hundred in memory, so what is decoded is counted
/// where it is made.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
}

/// It is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent;

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self { left: bytes }
    }

    /// Counts what is about to be kept.
    #[inline]
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Spent> {
        self.left = self.left.checked_sub(bytes).ok_or(Spent)?;
        Ok(())
    }
}
