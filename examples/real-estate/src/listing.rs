//! What the application is about: one property for sale, and a search over them.

use serde::{Deserialize, Serialize};

/// A property as read from a listing site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing {
    /// `SOURCE-REFERENCE`, stable between scrapes.
    pub id: String,
    /// The site it was read from.
    pub source: String,
    pub title: String,
    pub city: String,
    /// Whole euros.
    pub price: i64,
    /// Square metres.
    pub surface: i64,
    pub rooms: i64,
}

/// The query string of `GET /api/listings`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    pub city: Option<String>,
    pub max_price: Option<i64>,
    pub min_rooms: Option<i64>,
    pub limit: Option<i64>,
}

impl Search {
    /// Rows at most in one answer.
    pub(crate) const MAX_LIMIT: i64 = 200;

    /// Rows wanted, within `1..=MAX_LIMIT`.
    pub(crate) fn rows(&self) -> i64 {
        self.limit.unwrap_or(50).clamp(1, Self::MAX_LIMIT)
    }

    /// Equal for searches with equal answers; the cache key.
    pub(crate) fn cache_key(&self) -> String {
        let number = |n: Option<i64>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
        format!(
            "search:{}:{}:{}:{}",
            number(self.max_price),
            number(self.min_rooms),
            self.rows(),
            self.city.as_deref().map_or_else(|| "*".to_owned(), |city| format!("={}", city.to_lowercase())),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_keys_tell_searches_apart() {
        let city = |city: &str| Search { city: Some(city.to_owned()), ..Search::default() };
        assert_eq!(city("Lyon").cache_key(), city("lyon").cache_key());
        assert_ne!(city("*").cache_key(), Search::default().cache_key());
        let limited = Search { limit: Some(10_000), ..Search::default() };
        assert_eq!(limited.rows(), Search::MAX_LIMIT);
    }
}
