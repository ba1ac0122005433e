//! Label matchers: `=`, `!=`, `=~`, `!~`.

use std::fmt;

use regex::Regex;

use crate::{LabelSet, float::go_quote, is_valid_label_name};

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends, `.` matches newlines.
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// A regular expression that does not compile.
#[derive(Debug, Clone, thiserror::Error)]
#[error("error parsing regexp: {0}")]
pub struct MatcherError(String);

/// Compiles a pattern anchored at both ends, with `.` matching newlines, as Prometheus does everywhere.
///
/// # Errors
/// When the pattern is no valid regular expression, or compiles to more than the `regex` crate's size limit.
pub fn anchored(pattern: &str) -> Result<Regex, MatcherError> {
    // The pattern is parsed alone first, so that `a)(b` cannot escape from the group that anchors it. Not compiled: that takes longer than
    // all else of a small query.
    regex_syntax::parse(pattern).map_err(|e| MatcherError(e.to_string()))?;
    Regex::new(&format!("^(?s:{pattern})$")).map_err(|e| MatcherError(e.to_string()))
}

/// One comparison of a label's value. A label that is absent has the empty value.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// The label's name.
    pub name: String,
    /// How to compare.
    pub op: MatchOp,
    /// The value or the pattern.
    pub value: String,
    test: Test,
}

/// What a pattern comes down to. Most patterns in dashboards are alternations of literals.
#[derive(Debug, Clone)]
enum Test {
    Literal,
    OneOf(Vec<String>),
    Any,
    NonEmpty,
    Pattern(Regex),
}

impl Matcher {
    /// A matcher; compiles the pattern of a regular expression.
    ///
    /// # Errors
    /// When `op` is one of the two regular expression operators and `value` does not compile.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let test = match op {
            MatchOp::Equal | MatchOp::NotEqual => Test::Literal,
            MatchOp::Regex | MatchOp::NotRegex => match value.as_str() {
                ".*" => Test::Any,
                ".+" => Test::NonEmpty,
                p => match literals(p) {
                    Some(set) => Test::OneOf(set),
                    None => Test::Pattern(anchored(p)?),
                },
            },
        };
        Ok(Self { name, op, value, test })
    }

    /// An equality matcher, which cannot fail.
    #[must_use]
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), test: Test::Literal }
    }

    /// Whether a label value satisfies the matcher; absent labels are tested as `""`.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        let hit = match &self.test {
            Test::Literal => self.value == value,
            Test::OneOf(set) => set.iter().any(|s| s == value),
            Test::Any => true,
            Test::NonEmpty => !value.is_empty(),
            Test::Pattern(re) => re.is_match(value),
        };
        hit == matches!(self.op, MatchOp::Equal | MatchOp::Regex)
    }

    /// Whether the label set satisfies the matcher.
    #[must_use]
    pub fn matches_labels(&self, labels: &LabelSet) -> bool {
        self.matches(labels.value(&self.name))
    }

    /// Whether series without the label satisfy the matcher.
    #[must_use]
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// The finite set of values a positive matcher accepts, if it is one: `=` or `=~"a|b"`.
    #[must_use]
    pub fn accepted_values(&self) -> Option<&[String]> {
        match (&self.test, self.op) {
            (Test::Literal, MatchOp::Equal) => Some(std::slice::from_ref(&self.value)),
            (Test::OneOf(set), MatchOp::Regex) => Some(set),
            _ => None,
        }
    }
}

impl Matcher {
    /// The finite set of values a negative matcher refuses, if it is one: `!=` or `!~"a|b"`.
    #[must_use]
    pub fn refused_values(&self) -> Option<&[String]> {
        match (&self.test, self.op) {
            (Test::Literal, MatchOp::NotEqual) => Some(std::slice::from_ref(&self.value)),
            (Test::OneOf(set), MatchOp::NotRegex) => Some(set),
            _ => None,
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

/// `name="value"` as PromQL writes it.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_valid_label_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            f.write_str(&go_quote(&self.name))?;
        }
        write!(f, "{}{}", self.op.as_str(), go_quote(&self.value))
    }
}

/// Splits `a|b|c` without any other special character into its words.
fn literals(pattern: &str) -> Option<Vec<String>> {
    let special = |c: char| r".+*?()[]{}^$\".contains(c);
    (!pattern.contains(special)).then(|| pattern.split('|').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_anchored_and_treats_absent_as_empty() {
        let cases = [
            (MatchOp::Equal, "a", "a", true),
            (MatchOp::NotEqual, "a", "", true),
            (MatchOp::Regex, "a|b", "b", true),
            (MatchOp::Regex, "a|b", "ab", false),
            (MatchOp::Regex, "a|", "", true),
            (MatchOp::Regex, ".*", "", true),
            (MatchOp::Regex, ".+", "", false),
            (MatchOp::NotRegex, ".+", "", true),
            (MatchOp::Regex, "a.c", "a\nc", true),
            (MatchOp::Regex, "b", "abc", false),
            (MatchOp::NotRegex, "5..", "500", false),
        ];
        for (op, pattern, value, expect) in cases {
            let m = Matcher::new("l", op, pattern).unwrap();
            assert_eq!(m.matches(value), expect, "{m} on {value:?}");
        }
        assert!(Matcher::new("l", MatchOp::Regex, "a)(b").is_err());
    }
}
