//! Which devices, mount points or names a collector leaves out.

use regex::Regex;

use crate::flags::Flags;

/// Patterns of what to leave out and of what alone to keep. As upstream's they match anywhere unless anchored.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    exclude: Option<Regex>,
    include: Option<Regex>,
}

impl Filter {
    /// Of the values of two flags; an empty pattern is none.
    pub(crate) fn of(flags: &Flags, exclude: &str, include: &str) -> Result<Self, String> {
        Ok(Self { exclude: optional(flags, exclude)?, include: optional(flags, include)? })
    }

    /// Of the two flags' values, of which only one may be set. Where `include` is given, the default of `exclude` does not count.
    pub(crate) fn either(flags: &Flags, exclude: &str, include: &str, error: &str) -> Result<Self, String> {
        let include_pattern = optional(flags, include)?;
        let exclude_counts = include_pattern.is_none() || flags.is_given(exclude);
        let exclude_pattern = if exclude_counts { optional(flags, exclude)? } else { None };
        if include_pattern.is_some() && exclude_pattern.is_some() {
            return Err(error.to_owned());
        }
        Ok(Self { exclude: exclude_pattern, include: include_pattern })
    }

    /// Whether `name` is left out.
    pub(crate) fn ignores(&self, name: &str) -> bool {
        self.exclude.as_ref().is_some_and(|e| e.is_match(name))
            || self.include.as_ref().is_some_and(|i| !i.is_match(name))
    }
}

/// A flag's value as a pattern, where it has one.
pub(crate) fn optional(flags: &Flags, name: &str) -> Result<Option<Regex>, String> {
    if flags.get(name).is_empty() { Ok(None) } else { pattern(flags, name).map(Some) }
}

/// A flag's value as a pattern.
pub(crate) fn pattern(flags: &Flags, name: &str) -> Result<Regex, String> {
    let text = flags.get(name);
    Regex::new(text).map_err(|e| format!("--{name}: {text:?} is no regular expression: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(values: &[(&str, &str)], given: &[&str]) -> Flags {
        let values = values.iter().map(|(n, v)| ((*n).to_owned(), vec![(*v).to_owned()]));
        Flags::new(values, given.iter().map(|g| (*g).to_owned()).collect())
    }

    #[test]
    fn includes_and_excludes() {
        for (exclude, include, name, ignored) in [
            ("", "", "eth0", false),
            ("^lo$", "", "lo", true),
            ("^lo$", "", "lo1", false),
            ("", "eth", "veth0", false),
            ("", "^eth", "veth0", true),
        ] {
            let flags = flags(&[("x", exclude), ("i", include)], &[]);
            let filter = Filter::of(&flags, "x", "i").unwrap();
            assert_eq!(filter.ignores(name), ignored, "{exclude} {include} {name}");
        }
    }

    #[test]
    fn an_include_stands_in_for_the_default_exclude() {
        let both = [("x", "^a$"), ("i", "^a$")];
        let filter = Filter::either(&flags(&both, &["i"]), "x", "i", "exclusive").unwrap();
        assert!(!filter.ignores("a") && filter.ignores("b"));
        let error = Filter::either(&flags(&both, &["x", "i"]), "x", "i", "exclusive").unwrap_err();
        assert_eq!(error, "exclusive");
        let error = Filter::of(&flags(&[("x", "(")], &[]), "x", "i").unwrap_err();
        assert!(error.starts_with("--x: \"(\" is no regular expression: "), "{error}");
    }
}
