//! The exporter's flags with their values.

use std::collections::BTreeMap;

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
}
