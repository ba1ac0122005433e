//! What is wrong with a file, where, and how to mend it.

use std::fmt;
use std::path::{Path, PathBuf};

/// One finding in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file as the user named it.
    pub file: PathBuf,
    /// Line, counted from 1; 0 where the finding is about the file as a whole.
    pub line: usize,
    /// Column in characters, counted from 1; 0 as for the line.
    pub column: usize,
    /// What is wrong: lower case, no full stop, upstream's words where it has some.
    pub message: String,
    /// The source line with a marker under the place; empty where there is no place.
    pub snippet: String,
    /// How to mend it; empty where there is nothing to add.
    pub hint: String,
}

impl Diagnostic {
    /// A finding about a file as a whole, such as that it cannot be read.
    #[must_use]
    pub fn whole_file(file: &Path, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
            message: message.into(),
            snippet: String::new(),
            hint: String::new(),
        }
    }

    /// A finding at a place of `text`, with its snippet drawn.
    #[must_use]
    pub fn at(file: &Path, text: &str, line: usize, column: usize, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            column,
            message: message.into(),
            snippet: snippet(text, line, column),
            hint: String::new(),
        }
    }

    /// The same finding with a hint how to mend it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// `prometheus.yml:12:5: message`, without snippet and hint.
    #[must_use]
    pub fn headline(&self) -> String {
        if self.line == 0 {
            format!("{}: {}", self.file.display(), self.message)
        } else {
            format!("{}:{}:{}: {}", self.file.display(), self.line, self.column, self.message)
        }
    }
}

/// The longest part of a source line that a snippet shows, in characters.
const SNIPPET_WIDTH: usize = 120;

fn snippet(text: &str, line: usize, column: usize) -> String {
    let Some(source) = line.checked_sub(1).and_then(|n| text.lines().nth(n)) else {
        return String::new();
    };
    let skip = column.saturating_sub(SNIPPET_WIDTH / 2);
    let skip = if source.chars().count() <= SNIPPET_WIDTH { 0 } else { skip };
    let shown: String =
        source.chars().skip(skip).take(SNIPPET_WIDTH).map(|c| if c == '\t' { ' ' } else { c }).collect();
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    let indent = " ".repeat(column.saturating_sub(1).saturating_sub(skip));
    format!("{gutter} |\n{number} | {}\n{gutter} | {indent}^", shown.trim_end())
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        if !self.snippet.is_empty() {
            write!(f, "\n{}", self.snippet)?;
        }
        if !self.hint.is_empty() {
            write!(f, "\n  hint: {}", self.hint)?;
        }
        Ok(())
    }
}

/// All findings that refuse a file; never empty when given as an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// The findings, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Self {
        Self(vec![one])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{d}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// A file that was accepted.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// What it says.
    pub value: T,
    /// What the user should know all the same, such as keys that are read and not acted on.
    pub warnings: Vec<Diagnostic>,
    /// The text as read.
    pub text: String,
}
