//! Answers to searches, kept for a few seconds: in process by default, in Redis with `REDIS_URL`.
//!
//! A cache that fails is a cache that misses: errors are logged here and never reach the caller.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use parking_lot::Mutex;
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use tracing::warn;

/// How long Redis may take before the search goes on without it.
const REDIS_PATIENCE: Duration = Duration::from_millis(250);

/// Where answers are kept.
#[derive(Debug)]
pub(crate) enum Cache {
    Local(LocalCache),
    Redis(RedisCache),
}

impl Cache {
    pub(crate) async fn get(&self, key: &str, now: Instant) -> Option<String> {
        match self {
            Self::Local(cache) => cache.get(key, now),
            Self::Redis(cache) => cache.get(key).await,
        }
    }

    pub(crate) async fn put(&self, key: &str, value: &str, now: Instant) {
        match self {
            Self::Local(cache) => cache.put(key, value, now),
            Self::Redis(cache) => cache.put(key, value).await,
        }
    }
}

/// A bounded map with an age limit.
#[derive(Debug)]
pub(crate) struct LocalCache {
    ttl: Duration,
    capacity: usize,
    entries: Mutex<HashMap<String, (Instant, String)>>,
}

impl LocalCache {
    pub(crate) fn new(ttl: Duration, capacity: usize) -> Self {
        Self { ttl, capacity, entries: Mutex::default() }
    }

    fn get(&self, key: &str, now: Instant) -> Option<String> {
        let entries = self.entries.lock();
        let (stored, value) = entries.get(key)?;
        (now.saturating_duration_since(*stored) < self.ttl).then(|| value.clone())
    }

    /// Past its capacity the cache first drops what is too old, then the oldest.
    fn put(&self, key: &str, value: &str, now: Instant) {
        let mut entries = self.entries.lock();
        if entries.len() >= self.capacity && !entries.contains_key(key) {
            entries.retain(|_, (stored, _)| now.saturating_duration_since(*stored) < self.ttl);
            if entries.len() >= self.capacity {
                let oldest =
                    entries.iter().min_by_key(|(_, (stored, _))| *stored).map(|(key, _)| key.clone());
                oldest.and_then(|key| entries.remove(&key));
            }
        }
        entries.insert(key.to_owned(), (now, value.to_owned()));
    }
}

/// One multiplexed connection, opened when first wanted and again after it broke.
#[derive(Debug)]
pub(crate) struct RedisCache {
    client: redis::Client,
    ttl: Duration,
    connection: tokio::sync::Mutex<Option<MultiplexedConnection>>,
}

impl RedisCache {
    /// Errors on a malformed URL; the server itself may be down.
    pub(crate) fn new(url: &str, ttl: Duration) -> anyhow::Result<Self> {
        let client = redis::Client::open(url).context("REDIS_URL")?;
        Ok(Self { client, ttl, connection: tokio::sync::Mutex::default() })
    }

    async fn connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        let mut slot = self.connection.lock().await;
        match &*slot {
            Some(connection) => Ok(connection.clone()),
            None => Ok(slot.insert(self.client.get_multiplexed_async_connection().await?).clone()),
        }
    }

    async fn get(&self, key: &str) -> Option<String> {
        let answer = self.within(async {
            self.connection().await?.get::<_, Option<String>>(format!("real-estate:{key}")).await
        });
        answer.await.flatten()
    }

    async fn put(&self, key: &str, value: &str) {
        let seconds = self.ttl.as_secs().max(1);
        let stored = self.within(async {
            self.connection().await?.set_ex::<_, _, ()>(format!("real-estate:{key}"), value, seconds).await
        });
        stored.await;
    }

    async fn within<T>(&self, call: impl Future<Output = redis::RedisResult<T>>) -> Option<T> {
        match tokio::time::timeout(REDIS_PATIENCE, call).await {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => warn!(%error, "redis failed, going on without the cache"),
            Err(_) => warn!("redis is too slow, going on without the cache"),
        }
        self.connection.lock().await.take();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_age() {
        let cache = LocalCache::new(Duration::from_secs(10), 4);
        let start = Instant::now();
        cache.put("a", "1", start);
        assert_eq!(cache.get("a", start + Duration::from_millis(9_999)).as_deref(), Some("1"));
        assert_eq!(cache.get("a", start + Duration::from_secs(10)), None);
        assert_eq!(cache.get("b", start), None);
    }

    #[test]
    fn the_oldest_goes_first_and_the_size_is_bounded() {
        let cache = LocalCache::new(Duration::from_secs(100), 3);
        let start = Instant::now();
        for i in 0..10_u64 {
            cache.put(&i.to_string(), "x", start + Duration::from_secs(i));
        }
        let now = start + Duration::from_secs(10);
        let kept: Vec<_> = (0..10).filter(|i| cache.get(&i.to_string(), now).is_some()).collect();
        assert_eq!(kept, [7, 8, 9]);
        cache.put("8", "y", now);
        assert_eq!(cache.get("7", now).as_deref(), Some("x"), "replacing an entry evicts none");
        assert_eq!(cache.get("8", now).as_deref(), Some("y"));
    }

    #[tokio::test]
    async fn an_unreachable_redis_is_a_miss() {
        // The reserved port 1 answers nobody.
        let cache = Cache::Redis(RedisCache::new("redis://127.0.0.1:1/", Duration::from_secs(1)).unwrap());
        let now = Instant::now();
        cache.put("a", "1", now).await;
        assert_eq!(cache.get("a", now).await, None);
    }
}
