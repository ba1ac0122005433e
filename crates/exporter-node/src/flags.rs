//! The exporter's flags with their values.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// Values by the flag's name without dashes; a flag's default counts where it was not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    values: BTreeMap<String, Vec<String>>,
    given: Vec<String>,
}

impl Flags {
    /// Of all values in force, and the names of those that were given.
    pub fn new(values: impl IntoIterator<Item = (String, Vec<String>)>, given: Vec<String>) -> Self {
        Self { values: values.into_iter().collect(), given }
    }

    /// The last value; empty where there is no such flag.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.all(name).last().map_or("", String::as_str)
    }

    /// All values of a repeatable flag.
    #[must_use]
    pub fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a switch is on.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name) == "true"
    }

    /// Whether somebody gave the flag.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.given.iter().any(|g| g == name)
    }

    /// The same, where a flag's former name may be given in its stead.
    ///
    /// # Errors
    /// Where both are given.
    pub(crate) fn with_former(&self, former: &str, name: &str) -> Result<Self, String> {
        let value = self.get(former);
        if value.is_empty() {
            return Ok(self.clone());
        }
        if self.is_given(name) {
            return Err(format!("--{former} and --{name} are mutually exclusive"));
        }
        tracing::warn!("--{former} is DEPRECATED and will be removed in 2.0.0, use --{name}");
        let mut flags = self.clone();
        flags.values.insert(name.to_owned(), vec![value.to_owned()]);
        Ok(flags)
    }

    /// A number.
    ///
    /// # Errors
    /// Where it is none.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<T, String> {
        let text = self.get(name);
        text.parse().map_err(|_| format!("--{name}: expected a number, found {text:?}"))
    }

    /// A duration such as `5s`.
    ///
    /// # Errors
    /// Where it is none.
    pub(crate) fn duration(&self, name: &str) -> Result<Duration, String> {
        let text = self.get(name);
        model::duration::parse(text).map_err(|e| format!("--{name}: {e}; write it as 500ms, 5s or 1m30s"))
    }
}
