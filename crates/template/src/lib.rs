//! Go's `text/template` language, written anew, with what Prometheus and Alertmanager add to it.
//!
//! A text is split into tokens (`lex`), parsed into trees (`parse`, `ast`) that live in a set of named
//! [`Templates`], and run (`exec`) over a [`Value`]. [`Mode::Html`] escapes what values print for the place in the
//! page where they stand (`html`). Functions come in a [`Funcs`]; Go's built-ins are always there. Missing keys give
//! the map's zero value, as `missingkey=zero` does. Errors have Go's texts and positions, as far as users see them.
//!
//! Templates and their data come from outside: depth, steps and output are bounded ([`limits`]).
//!
//! [`prometheus`] expands labels and annotations of rules. Alertmanager's own functions are with its notifications.

mod ast;
mod builtins;
mod error;
mod exec;
pub mod funcs;
mod gofmt;
mod gotime;
mod html;
mod lex;
pub mod limits;
mod parse;
pub mod prometheus;
mod set;
pub mod time;
mod unquote;
mod value;

pub use error::{Error, ErrorKind};
pub use funcs::Funcs;
pub use set::{Mode, Templates};
pub use value::{CallResult, Map, Object, Safe, Value};
