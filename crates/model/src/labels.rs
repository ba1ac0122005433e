//! Label sets, packed into one allocation.
//!
//! Layout: for each label, sorted by name, `len(name) name len(value) value`; a length is one byte below 255, else
//! the byte 255 and four little-endian bytes. Equal sets have equal bytes, so equality and hashing are those of a
//! byte slice; ordering is upstream's (name, value, then the next label).

use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";

/// An immutable label set: names unique and sorted, values never empty (an empty value is an absent label).
///
/// Cloning is a reference count.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LabelSet(Arc<[u8]>);

impl LabelSet {
    /// The set without labels.
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::from([]))
    }

    /// Builds a set from pairs in any order. The last of several equal names wins; empty values are left out.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelSetBuilder::default();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// Builds a set from pairs, which are left sorted by name; empty values are left out. `None` where a name occurs twice, be it
    /// with an empty value.
    #[must_use]
    pub fn from_unique(pairs: &mut [(&str, &str)]) -> Option<Self> {
        pairs.sort_unstable_by_key(|(n, _)| *n);
        if pairs.windows(2).any(|w| w[0].0 == w[1].0) {
            return None;
        }
        Some(Self::pack(pairs.iter().copied().filter(|(_, v)| !v.is_empty())))
    }

    /// The value of `name`, or `None` where the set has no such label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        for (n, v) in self {
            match n.cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return Some(v),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The value of `name`, or the empty string.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// The metric name, or the empty string.
    #[must_use]
    pub fn metric_name(&self) -> &str {
        self.value(METRIC_NAME)
    }

    /// Name and value of each label, sorted by name.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.0 }
    }

    /// The number of labels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The packed form (see the module's head). Equal sets have equal bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Names and values as bytes, in order of name: cheaper than as text, and enough to compare or hash.
    pub fn byte_pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.as_bytes();
        std::iter::from_fn(move || Some((take(&mut rest)?, take(&mut rest)?)))
    }

    /// Reads a packed form that came from outside, such as a file.
    ///
    /// Returns `None` unless the bytes are exactly what [`LabelSet::as_bytes`] of some set gives.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut last: Option<&str> = None;
        while !rest.is_empty() {
            let name = std::str::from_utf8(take(&mut rest)?).ok()?;
            let value = std::str::from_utf8(take(&mut rest)?).ok()?;
            if value.is_empty() || last.is_some_and(|l| l >= name) {
                return None;
            }
            last = Some(name);
        }
        Some(Self(Arc::from(bytes)))
    }

    /// A builder that starts from this set.
    #[must_use]
    pub fn to_builder(&self) -> LabelSetBuilder {
        LabelSetBuilder { pairs: self.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }

    /// This set without its metric name.
    #[must_use]
    pub fn without_name(&self) -> Self {
        if self.get(METRIC_NAME).is_none() { self.clone() } else { self.without(&[METRIC_NAME]) }
    }

    /// This set without the labels named.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        Self::pack(self.iter().filter(|(n, _)| !names.contains(n)))
    }

    /// This set with the labels named only.
    #[must_use]
    pub fn only(&self, names: &[&str]) -> Self {
        Self::pack(self.iter().filter(|(n, _)| names.contains(n)))
    }

    /// xxHash64 as Prometheus' `Labels.Hash` computes it (name 0xFF value 0xFF ...), for offsets and `hashmod`.
    #[must_use]
    pub fn upstream_hash(&self) -> u64 {
        let mut bytes = Vec::with_capacity(self.0.len());
        for (n, v) in self {
            bytes.extend_from_slice(n.as_bytes());
            bytes.push(0xff);
            bytes.extend_from_slice(v.as_bytes());
            bytes.push(0xff);
        }
        xxhash_rust::xxh64::xxh64(&bytes, 0)
    }

    /// The 64-bit FNV-1a fingerprint of `prometheus/common`, which Alertmanager's API shows for an alert.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut sum = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |b: u8| sum = (sum ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        for (n, v) in self {
            n.bytes().for_each(&mut add);
            add(0xff);
            v.bytes().for_each(&mut add);
            add(0xff);
        }
        sum
    }

    /// Packs pairs that the caller has sorted by unique name, without empty values. One exact allocation.
    #[must_use]
    pub fn from_sorted_pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        Self::pack(pairs)
    }

    /// As [`LabelSet::from_sorted_pairs`].
    fn pack<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        with_packed(pairs, |bytes| Self(Arc::from(bytes)))
    }
}

thread_local! {
    static PACKED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with the packed form of pairs that are sorted by unique name and without empty values: what
/// [`LabelSet::as_bytes`] of that set would be, without making it.
pub fn with_packed<'a, T>(pairs: impl Iterator<Item = (&'a str, &'a str)>, f: impl FnOnce(&[u8]) -> T) -> T {
    // Taken out, not borrowed: `pairs` may pack sets of its own.
    let mut bytes = PACKED.take();
    bytes.clear();
    for (n, v) in pairs {
        put(&mut bytes, n);
        put(&mut bytes, v);
    }
    let result = f(&bytes);
    PACKED.set(bytes);
    result
}

fn put(out: &mut Vec<u8>, s: &str) {
    match u8::try_from(s.len()) {
        Ok(len) if len < 255 => out.push(len),
        _ => {
            out.push(255);
            out.extend_from_slice(&u32::try_from(s.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
    }
    out.extend_from_slice(s.as_bytes());
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (&first, tail) = rest.split_first()?;
    let (len, tail) = if first < 255 {
        (usize::from(first), tail)
    } else {
        let (len, tail) = tail.split_first_chunk::<4>()?;
        let len = u32::from_le_bytes(*len);
        if len < 255 {
            return None;
        }
        (usize::try_from(len).ok()?, tail)
    };
    let (s, tail) = tail.split_at_checked(len)?;
    *rest = tail;
    Some(s)
}

/// Labels of a set, sorted by name.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let name = take(&mut self.rest)?;
        let value = take(&mut self.rest)?;
        Some((
            std::str::from_utf8(name).expect("packed from str, checked in from_bytes"),
            std::str::from_utf8(value).expect("packed from str, checked in from_bytes"),
        ))
    }
}

impl<'a> IntoIterator for &'a LabelSet {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for LabelSet {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(iter: T) -> Self {
        Self::from_pairs(iter)
    }
}

impl PartialOrd for LabelSet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LabelSet {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl Default for LabelSet {
    fn default() -> Self {
        Self::empty()
    }
}

/// Upstream's text form, `{__name__="up", job="x"}`, names that are no plain identifiers quoted.
impl fmt::Display for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (n, v)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            if is_valid_label_name(n) {
                f.write_str(n)?;
            } else {
                f.write_str(&crate::float::go_quote(n))?;
            }
            f.write_str("=")?;
            f.write_str(&crate::float::go_quote(v))?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Collects labels for a set; setting a name again replaces its value, the empty value removes it.
#[derive(Debug, Clone, Default)]
pub struct LabelSetBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelSetBuilder {
    /// Sets `name`; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.pairs.iter_mut().find(|(n, _)| n == name) {
            Some(pair) => value.clone_into(&mut pair.1),
            None => self.pairs.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes `name`.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.retain(|(n, _)| n != name);
        self
    }

    /// The value of `name` so far, or the empty string.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.pairs.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// Names and values so far, unsorted, those with empty values left out.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// The set.
    #[must_use]
    pub fn build(&self) -> LabelSet {
        let mut sorted: Vec<_> = self.iter().collect();
        sorted.sort_unstable_by_key(|(n, _)| *n);
        LabelSet::pack(sorted.into_iter())
    }
}

/// Whether `name` is a label name in the legacy character set, `[a-zA-Z_][a-zA-Z0-9_]*`.
#[must_use]
pub fn is_valid_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether `name` is a metric name in the legacy character set, `[a-zA-Z_:][a-zA-Z0-9_:]*`.
#[must_use]
pub fn is_valid_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn builds_sorted_unique_and_without_empty_values() {
        let set = LabelSet::from_pairs([("job", "x"), ("__name__", "up"), ("a", ""), ("job", "y")]);
        assert_eq!(set.to_string(), r#"{__name__="up", job="y"}"#);
        assert_eq!(set.get("a"), None);
        assert_eq!(set.metric_name(), "up");
        assert_eq!(set.without_name().to_string(), r#"{job="y"}"#);
        assert_eq!(set.only(&["job", "zz"]), set.without_name());
    }

    #[test]
    fn orders_as_upstream() {
        let sets = ["a=1", "a=1 b=1", "a=2", "aa=1", "b=0"]
            .map(|s| LabelSet::from_pairs(s.split(' ').filter_map(|p| p.split_once('='))));
        for pair in sets.windows(2) {
            assert!(pair[0] < pair[1], "{:?} < {:?}", pair[0], pair[1]);
        }
    }

    #[test]
    fn hashes_as_upstream() {
        // xxhash64 of nothing; the second was computed by Prometheus' labels.Hash for {a="b"}.
        assert_eq!(LabelSet::empty().upstream_hash(), 0xef46_db37_51d8_e999);
        assert_eq!(LabelSet::empty().fingerprint(), 0xcbf2_9ce4_8422_2325);
    }

    proptest! {
        #[test]
        fn packed_bytes_round_trip(pairs in proptest::collection::btree_map(".{0,8}", ".{1,300}", 0..6)) {
            let set = LabelSet::from_pairs(&pairs);
            prop_assert_eq!(set.iter().count(), pairs.len());
            for (n, v) in &pairs {
                prop_assert_eq!(set.get(n), Some(v.as_str()));
            }
            prop_assert_eq!(LabelSet::from_bytes(set.as_bytes()), Some(set.clone()));
            prop_assert_eq!(set.to_builder().build(), set.clone());
            let mut pairs: Vec<_> = pairs.iter().rev().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            pairs.push(("absent in all others", ""));
            prop_assert_eq!(LabelSet::from_unique(&mut pairs), Some(set));
            pairs.push(("absent in all others", "x"));
            prop_assert_eq!(LabelSet::from_unique(&mut pairs), None);
        }

        #[test]
        fn foreign_bytes_are_refused_or_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(set) = LabelSet::from_bytes(&bytes) {
                prop_assert_eq!(LabelSet::from_pairs(set.iter()), set);
            }
        }
    }
}
