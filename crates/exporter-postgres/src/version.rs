//! Versions of PostgreSQL, and ranges of them as query files write them.

use std::fmt;

/// A server's version: 15.18 is major 15, minor 18.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) patch: u32,
}

impl Version {
    /// The first release of a major version.
    pub(crate) const fn major(major: u32) -> Self {
        Self { major, minor: 0, patch: 0 }
    }

    /// Reads `15.18`, `15.18 (Debian 15.18-0+deb12u1)`, `17beta1` or `9.6.24`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits_end = text
            .trim_start()
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.trim_start().len());
        let mut parts = text.trim_start()[..digits_end].split('.');
        let major = parts.next()?.parse().ok()?;
        let mut next = || parts.next().and_then(|p| p.parse().ok()).unwrap_or(0);
        Some(Self { major, minor: next(), patch: next() })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

/// A range such as `>=9.2.0 <10.0.0 || >=12.x`: all comparisons of one alternative must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range(Vec<Vec<(Comparison, Version)>>);

impl Range {
    /// Reads a range.
    ///
    /// # Errors
    /// What of it is no comparison.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut alternatives = Vec::new();
        for alternative in text.split("||") {
            let mut comparisons = Vec::new();
            // An operator may stand apart from its version.
            let mut operator = "";
            for word in alternative.split_whitespace() {
                let end = word.find(|c: char| !"<>=!".contains(c)).unwrap_or(word.len());
                let (sign, version) = word.split_at(end);
                if !sign.is_empty() && !operator.is_empty() {
                    return Err(format!("version range {text:?}: two operators before {version:?}"));
                }
                let sign = if sign.is_empty() { operator } else { sign };
                if version.is_empty() {
                    operator = sign;
                    continue;
                }
                operator = "";
                comparisons
                    .extend(comparison(sign, version).map_err(|e| format!("version range {text:?}: {e}"))?);
            }
            if !operator.is_empty() || comparisons.is_empty() {
                return Err(format!("version range {text:?}: expected a comparison such as >=10.0.0"));
            }
            alternatives.push(comparisons);
        }
        Ok(Self(alternatives))
    }

    /// Whether a version is in it.
    pub(crate) fn contains(&self, version: Version) -> bool {
        self.0.iter().any(|all| {
            all.iter().all(|&(comparison, bound)| match comparison {
                Comparison::Less => version < bound,
                Comparison::LessOrEqual => version <= bound,
                Comparison::Equal => version == bound,
                Comparison::NotEqual => version != bound,
                Comparison::GreaterOrEqual => version >= bound,
                Comparison::Greater => version > bound,
            })
        })
    }
}

fn comparison(sign: &str, text: &str) -> Result<Vec<(Comparison, Version)>, String> {
    let wrong = || format!("{text:?} is no version");
    let parts: Vec<&str> = text.split('.').collect();
    let wildcard = parts.iter().position(|p| matches!(*p, "x" | "X" | "*"));
    let fixed = &parts[..wildcard.unwrap_or(parts.len())];
    let numbers: Vec<u32> = fixed.iter().map(|p| p.parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    if numbers.is_empty() || parts.len() > 3 {
        return Err(wrong());
    }
    let version = |n: &[u32]| Version {
        major: n[0],
        minor: n.get(1).copied().unwrap_or(0),
        patch: n.get(2).copied().unwrap_or(0),
    };
    let lower = version(&numbers);
    // The first version after all that the wildcard stands for.
    let upper = wildcard.map(|_| {
        let mut next = numbers.clone();
        if let Some(last) = next.last_mut() {
            *last = last.saturating_add(1);
        }
        version(&next)
    });
    Ok(match (sign, upper) {
        ("<", _) => vec![(Comparison::Less, lower)],
        (">=", _) => vec![(Comparison::GreaterOrEqual, lower)],
        (">", None) => vec![(Comparison::Greater, lower)],
        (">", Some(upper)) => vec![(Comparison::GreaterOrEqual, upper)],
        ("<=", None) => vec![(Comparison::LessOrEqual, lower)],
        ("<=", Some(upper)) => vec![(Comparison::Less, upper)],
        ("" | "=" | "==", None) => vec![(Comparison::Equal, lower)],
        ("" | "=" | "==", Some(upper)) => {
            vec![(Comparison::GreaterOrEqual, lower), (Comparison::Less, upper)]
        }
        ("!" | "!=", None) => vec![(Comparison::NotEqual, lower)],
        ("!" | "!=", Some(_)) => return Err("a wildcard cannot be excluded".to_owned()),
        _ => return Err(format!("{sign:?} is no comparison")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_servers_say() {
        for (text, shown) in [
            ("15.18 (Debian 15.18-0+deb12u1)", "15.18.0"),
            ("17beta1", "17.0.0"),
            ("9.6.24", "9.6.24"),
            ("14", "14.0.0"),
        ] {
            assert_eq!(Version::parse(text).unwrap().to_string(), shown);
        }
        assert_eq!(Version::parse("EnterpriseDB"), None);
    }

    #[test]
    fn ranges_hold_and_fail() {
        let check = |range: &str, version: &str, holds: bool| {
            let range_value = Range::parse(range).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(range_value.contains(Version::parse(version).unwrap()), holds, "{version} in {range}");
        };
        check(">=9.6.0", "15.2", true);
        check(">=9.2.0 <10.0.0", "10.0", false);
        check(">=9.2.0 <10.0.0", "9.6", true);
        check("<9.2.0 || >= 12", "15.18", true);
        check("15.x", "15.18", true);
        check("15.x", "16.0", false);
        check("!=15.18.0", "15.18", false);
        check("<=14.x", "14.9", true);
        for wrong in ["", ">=", "> = 10", "ten", ">=10 ||", "=>10", "1.2.3.4", "x"] {
            assert!(Range::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
