//! What a scrape asks for.

use std::time::Duration;

/// A scrape's query string and the time it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
    /// What the scraper says it waits (`X-Prometheus-Scrape-Timeout-Seconds`).
    pub timeout: Option<Duration>,
}

impl Query {
    /// Of a query string, without its `?`.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        Self { pairs: pairs.map(|(k, v)| (k.into_owned(), v.into_owned())).collect(), timeout: None }
    }

    /// The same with the time it has.
    #[must_use]
    pub fn with_timeout(self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self }
    }

    /// The first value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a parameter, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(k, _)| k == name).map(|(_, v)| v.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_repeated_and_encoded_parameters() {
        let query = Query::parse("collect[]=cpu&collect%5B%5D=load+avg&target=redis://a%3A1");
        assert_eq!(query.all("collect[]").collect::<Vec<_>>(), ["cpu", "load avg"]);
        assert_eq!(query.get("target"), Some("redis://a:1"));
        assert_eq!(query.get("none"), None);
    }
}
