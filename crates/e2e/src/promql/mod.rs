//! PromQL from the outside: random queries, what two servers answer, and why they may differ.

pub mod answer;
pub mod explain;
pub mod generate;
mod generate_joins;
pub mod query;
mod recomputed;

pub use answer::{Answer, Sameness, ask, compare};
pub use generate::Generator;
pub use query::{Expr, Times};
