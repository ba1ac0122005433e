//! Which values a pattern could match, as its literals say: what an index looks up, or tries, instead of all values.

use regex_syntax::hir::literal::{ExtractKind, Extractor};

/// More prefixes than this are not worth looking up one by one.
const MAX_PREFIXES: usize = 4_096;

/// The values a pattern could match.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Candidates {
    /// These alone, sorted.
    Exact(Vec<Vec<u8>>),
    /// Those that begin with one of these, sorted, none the beginning of another.
    Prefixes(Vec<Vec<u8>>),
}

impl Candidates {
    /// What the literals at the beginning of an anchored pattern say. Never leaves out what matches.
    pub(crate) fn of(pattern: &str) -> Self {
        let everything = || Self::Prefixes(vec![vec![]]);
        let Ok(hir) = regex_syntax::Parser::new().parse(&format!("(?s:{pattern})")) else {
            return everything();
        };
        let mut extractor = Extractor::new();
        extractor.kind(ExtractKind::Prefix).limit_total(MAX_PREFIXES).limit_class(32);
        let sequence = extractor.extract(&hir);
        let Some(literals) = sequence.literals().filter(|l| !l.is_empty()) else { return everything() };
        let mut texts: Vec<Vec<u8>> = literals.iter().map(|l| l.as_bytes().to_vec()).collect();
        texts.sort_unstable();
        texts.dedup();
        if literals.iter().all(regex_syntax::hir::literal::Literal::is_exact) {
            return Self::Exact(texts);
        }
        let mut prefixes: Vec<Vec<u8>> = vec![];
        for text in texts {
            if !prefixes.last().is_some_and(|last| text.starts_with(last)) {
                prefixes.push(text);
            }
        }
        Self::Prefixes(prefixes)
    }

    /// Whether a pattern could match the value.
    pub(crate) fn admit(&self, value: &str) -> bool {
        let value = value.as_bytes();
        match self {
            Self::Exact(values) => values.binary_search_by(|v| v.as_slice().cmp(value)).is_ok(),
            Self::Prefixes(prefixes) => {
                // None is the beginning of another, so the one before where the value belongs is the only one that can be its.
                let at = prefixes.partition_point(|prefix| prefix.as_slice() <= value);
                at > 0 && value.starts_with(&prefixes[at - 1])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_tell_their_beginnings() {
        let texts = |t: &[&str]| t.iter().map(|t| t.as_bytes().to_vec()).collect::<Vec<_>>();
        for (pattern, expect) in [
            ("a|b|ab", Candidates::Exact(texts(&["a", "ab", "b"]))),
            ("(checkout|kafka)-00.*", Candidates::Prefixes(texts(&["checkout-00", "kafka-00"]))),
            ("a(b|).*", Candidates::Prefixes(texts(&["a"]))),
            (".*x", Candidates::Prefixes(texts(&[""]))),
            ("x?", Candidates::Exact(texts(&["", "x"]))),
            ("x+", Candidates::Prefixes(texts(&["x"]))),
            ("5..", Candidates::Prefixes(texts(&["5"]))),
            ("", Candidates::Exact(texts(&[""]))),
            ("[[:alpha:]]+", Candidates::Prefixes(texts(&[""]))),
        ] {
            assert_eq!(Candidates::of(pattern), expect, "{pattern}");
        }
    }

    #[test]
    fn what_matches_is_admitted() {
        let values =
            ["", "a", "ab", "abc", "b", "checkout-001", "checkout", "kafka-00", "kafka-01", "x", "xx", "é"];
        for pattern in [
            "a|b|ab",
            "(checkout|kafka)-00.*",
            "a(b|).*",
            ".*x",
            "x?",
            "x+",
            "",
            "(?i:A.*)",
            "[ab]",
            "é.*",
            ".",
        ] {
            let candidates = Candidates::of(pattern);
            let matcher = model::Matcher::new("l", model::MatchOp::Regex, pattern).unwrap();
            for value in values {
                assert!(candidates.admit(value) || !matcher.matches(value), "{pattern} {value}");
            }
        }
        let narrow = Candidates::of("(checkout|kafka)-00.*");
        let admitted: Vec<&str> = values.into_iter().filter(|v| narrow.admit(v)).collect();
        assert_eq!(admitted, ["checkout-001", "kafka-00"]);
    }
}
