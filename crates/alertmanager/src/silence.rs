//! Silences: what they mute, and the rules by which they are created, changed and ended.

use std::collections::{BTreeMap, HashMap};

use model::{LabelSet, MatchOp, Matcher, TimestampMs};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::matchers;

/// A silence's state at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SilenceState {
    /// It mutes.
    Active,
    /// It will.
    Pending,
    /// It did.
    Expired,
}

impl SilenceState {
    /// The API's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Expired => "expired",
        }
    }
}

/// A silence. As the argument of [`Silences::set`] its `id` may be empty and `updated_at_ms` is ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// A UUID.
    pub id: String,
    /// All must hold.
    #[serde(with = "matcher_list")]
    pub matchers: Vec<Matcher>,
    /// From when it mutes.
    pub starts_at_ms: TimestampMs,
    /// Until when.
    pub ends_at_ms: TimestampMs,
    /// Its last change.
    pub updated_at_ms: TimestampMs,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// Further notes.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl Silence {
    /// Its state at `now_ms`.
    #[must_use]
    pub fn state(&self, now_ms: TimestampMs) -> SilenceState {
        if now_ms < self.starts_at_ms {
            SilenceState::Pending
        } else if now_ms >= self.ends_at_ms {
            SilenceState::Expired
        } else {
            SilenceState::Active
        }
    }

    fn check(&self) -> Result<(), Error> {
        if self.matchers.is_empty() {
            return Err(Error::invalid("invalid silence: at least one matcher required"));
        }
        for (i, m) in self.matchers.iter().enumerate() {
            if m.name.is_empty() {
                return Err(Error::invalid(format!(
                    "invalid silence: invalid label matcher {i}: invalid label name \"\""
                )));
            }
        }
        if self.matchers.iter().all(Matcher::matches_empty) {
            return Err(Error::invalid(
                "invalid silence: at least one matcher must not match the empty string",
            ));
        }
        if self.ends_at_ms < self.starts_at_ms {
            return Err(Error::invalid("invalid silence: end time must not be before start time"));
        }
        Ok(())
    }
}

/// Bounds on silences; 0 is no bound.
#[derive(Debug, Clone, Copy, Default)]
pub struct SilenceLimits {
    /// How many there may be, expired ones included.
    pub max_silences: usize,
    /// How large one may be, in bytes of its stored form.
    pub max_silence_size_bytes: usize,
}

/// All silences.
#[derive(Debug, Default)]
pub(crate) struct Silences {
    by_id: HashMap<String, Silence>,
}

/// What a change comes to: the silences to store, and the id to answer with.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) id: String,
    pub(crate) changed: Vec<Silence>,
}

impl Silences {
    pub(crate) fn restore(&mut self, silence: Silence) {
        self.by_id.insert(silence.id.clone(), silence);
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.by_id.remove(id);
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Silence> {
        self.by_id.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.by_id.values()
    }

    /// The ids of the active silences that mute a label set, sorted.
    pub(crate) fn muting(&self, labels: &LabelSet, now_ms: TimestampMs) -> Vec<String> {
        let mut ids: Vec<_> = self
            .by_id
            .values()
            .filter(|s| s.state(now_ms) == SilenceState::Active && matchers::all_match(&s.matchers, labels))
            .map(|s| s.id.clone())
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Decides what creating or updating a silence changes; nothing is changed yet.
    pub(crate) fn set(
        &self,
        mut silence: Silence,
        now_ms: TimestampMs,
        limits: SilenceLimits,
        new_id: &dyn Fn() -> String,
    ) -> Result<Change, Error> {
        let previous = match silence.id.as_str() {
            "" => None,
            id => {
                Some(self.by_id.get(id).ok_or_else(|| Error::new(ErrorKind::NotFound, "silence not found"))?)
            }
        };
        silence.check()?;
        let mut changed = Vec::new();
        match previous {
            Some(previous) if can_update(previous, &silence, now_ms) => {
                if previous.state(now_ms) == SilenceState::Active {
                    // The API speaks in coarser units than the state: the start stays what it was.
                    silence.starts_at_ms = previous.starts_at_ms;
                }
            }
            previous => {
                let room = limits.max_silences == 0 || self.by_id.len() < limits.max_silences;
                if !room {
                    return Err(Error::invalid(format!(
                        "exceeded maximum number of silences: {} (limit: {})",
                        self.by_id.len(),
                        limits.max_silences
                    )));
                }
                if let Some(previous) = previous
                    && previous.state(now_ms) != SilenceState::Expired
                {
                    changed.push(expired(previous, now_ms));
                }
                silence.id = new_id();
                silence.starts_at_ms = silence.starts_at_ms.max(now_ms);
            }
        }
        silence.updated_at_ms = now_ms;
        let size = serde_json::to_vec(&silence).map_or(0, |b| b.len());
        if limits.max_silence_size_bytes > 0 && size > limits.max_silence_size_bytes {
            return Err(Error::invalid(format!(
                "silence exceeded maximum size: {size} bytes (limit: {} bytes)",
                limits.max_silence_size_bytes
            )));
        }
        let id = silence.id.clone();
        changed.push(silence);
        Ok(Change { id, changed })
    }

    /// Decides what expiring a silence changes; `None` when it has expired already.
    pub(crate) fn expire(&self, id: &str, now_ms: TimestampMs) -> Result<Option<Silence>, Error> {
        let silence =
            self.by_id.get(id).ok_or_else(|| Error::new(ErrorKind::NotFound, "silence not found"))?;
        Ok((silence.state(now_ms) != SilenceState::Expired).then(|| expired(silence, now_ms)))
    }

    /// The ids of silences that expired longer ago than `retention_ms`.
    pub(crate) fn outdated(&self, now_ms: TimestampMs, retention_ms: i64) -> Vec<String> {
        let old = |s: &&Silence| s.ends_at_ms.saturating_add(retention_ms) < now_ms;
        self.by_id.values().filter(old).map(|s| s.id.clone()).collect()
    }
}

fn expired(silence: &Silence, now_ms: TimestampMs) -> Silence {
    let mut silence = silence.clone();
    if silence.state(now_ms) == SilenceState::Pending {
        silence.starts_at_ms = now_ms;
    }
    silence.ends_at_ms = now_ms;
    silence.updated_at_ms = now_ms;
    silence
}

/// Whether `new` may replace `old` under the same id.
fn can_update(old: &Silence, new: &Silence, now_ms: TimestampMs) -> bool {
    if old.matchers != new.matchers {
        return false;
    }
    match old.state(now_ms) {
        SilenceState::Active => {
            old.starts_at_ms.div_euclid(1000) == new.starts_at_ms.div_euclid(1000) && new.ends_at_ms >= now_ms
        }
        SilenceState::Pending => new.starts_at_ms >= now_ms,
        SilenceState::Expired => false,
    }
}

/// The order the API lists silences in: active (ending soonest first), pending (starting soonest first), expired
/// (ended most recently first).
pub(crate) fn sort_for_api(list: &mut [Silence], now_ms: TimestampMs) {
    list.sort_by_key(|s| {
        let state = s.state(now_ms);
        let key = match state {
            SilenceState::Active => s.ends_at_ms,
            SilenceState::Pending => s.starts_at_ms,
            SilenceState::Expired => s.ends_at_ms.saturating_neg(),
        };
        (state, key, s.id.clone())
    });
}

mod matcher_list {
    use model::{MatchOp, Matcher};
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(list: &[Matcher], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(list.iter().map(|m| (&m.name, m.op.as_str(), &m.value)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Matcher>, D::Error> {
        Vec::<(String, String, String)>::deserialize(d)?
            .into_iter()
            .map(|(name, op, value)| {
                let op = match op.as_str() {
                    "=" => MatchOp::Equal,
                    "!=" => MatchOp::NotEqual,
                    "=~" => MatchOp::Regex,
                    "!~" => MatchOp::NotRegex,
                    _ => return Err(D::Error::custom("unknown operator")),
                };
                Matcher::new(name, op, value).map_err(D::Error::custom)
            })
            .collect()
    }
}

/// A matcher from the API's two flags.
pub(crate) fn op_from_flags(is_regex: bool, is_equal: bool) -> MatchOp {
    match (is_regex, is_equal) {
        (false, true) => MatchOp::Equal,
        (false, false) => MatchOp::NotEqual,
        (true, true) => MatchOp::Regex,
        (true, false) => MatchOp::NotRegex,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence(id: &str, from: i64, to: i64, value: &str) -> Silence {
        Silence {
            id: id.to_owned(),
            matchers: vec![Matcher::equal("a", value)],
            starts_at_ms: from,
            ends_at_ms: to,
            updated_at_ms: 0,
            created_by: "me".to_owned(),
            comment: "c".to_owned(),
            annotations: BTreeMap::new(),
        }
    }

    #[test]
    fn creates_updates_and_expires_by_the_rules() {
        let limits = SilenceLimits::default();
        let mut all = Silences::default();
        let put = |all: &mut Silences, s: Silence, now: i64, id: &'static str| {
            let change = all.set(s, now, limits, &|| id.to_owned())?;
            change.changed.iter().cloned().for_each(|s| all.restore(s));
            Ok::<_, Error>(change.id)
        };
        assert_eq!(put(&mut all, silence("", 0, 50_000, "1"), 10_000, "x").unwrap(), "x");
        assert_eq!(all.get("x").unwrap().starts_at_ms, 10_000, "a start in the past is moved to now");
        let l1 = LabelSet::from_pairs([("a", "1")]);
        assert_eq!(all.muting(&l1, 20_000), ["x"]);
        assert!(all.muting(&l1, 50_000).is_empty());
        // Same matchers and start: in place.
        assert_eq!(put(&mut all, silence("x", 10_400, 90_000, "1"), 20_000, "y").unwrap(), "x");
        assert_eq!(all.get("x").unwrap().ends_at_ms, 90_000);
        // Other matchers: the old one ends, a new one begins.
        assert_eq!(put(&mut all, silence("x", 10_000, 90_000, "2"), 30_000, "z").unwrap(), "z");
        assert_eq!(all.get("x").unwrap().state(30_000), SilenceState::Expired);
        assert_eq!(all.get("x").unwrap().ends_at_ms, 30_000);
        // An expired one comes back as a new one.
        assert_eq!(put(&mut all, silence("x", 10_000, 90_000, "1"), 40_000, "w").unwrap(), "w");
        assert_eq!(
            put(&mut all, silence("nope", 0, 1, "1"), 0, "v").unwrap_err().kind(),
            ErrorKind::NotFound
        );
        let none = Silence { matchers: vec![Matcher::equal("a", "")], ..silence("", 0, 9, "1") };
        assert!(
            put(&mut all, none, 0, "v").unwrap_err().to_string().contains("must not match the empty string")
        );
        let gone = all.expire("w", 60_000).unwrap().unwrap();
        assert_eq!((gone.starts_at_ms, gone.ends_at_ms), (40_000, 60_000));
        all.restore(gone);
        assert!(all.expire("w", 61_000).unwrap().is_none());
        put(&mut all, silence("", 70_000, 80_000, "1"), 60_000, "p").unwrap();
        let gone = all.expire("p", 65_000).unwrap().unwrap();
        assert_eq!((gone.starts_at_ms, gone.ends_at_ms), (65_000, 65_000));
        assert_eq!(all.outdated(40_000 + 30_000, 30_000), ["x"]);
        let bound = SilenceLimits { max_silences: 1, ..limits };
        let error = all.set(silence("", 0, 9, "1"), 0, bound, &String::new).unwrap_err();
        assert_eq!(error.to_string(), "exceeded maximum number of silences: 4 (limit: 1)");
    }
}
