//! Bounds that keep a template from a user or a label value from taking the process down.

/// How deep blocks, parentheses and `template` calls may nest, together.
pub const MAX_DEPTH: usize = 150;
/// The bytes one expansion may produce.
pub const MAX_OUTPUT_BYTES: usize = 16 << 20;
/// The nodes one expansion may visit, loops included.
pub const MAX_STEPS: usize = 5_000_000;
/// Width and precision that `printf` honours; Go stops at the same figure.
pub const MAX_PRINTF_WIDTH: usize = 1_000_000;
