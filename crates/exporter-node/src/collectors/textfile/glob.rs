//! Directories named by a pattern: `*`, `?` and `[a-z]` within one part of a path, as Go's `filepath.Glob` has them.

use std::path::{Path, PathBuf};

use regex::Regex;

use crate::read;

/// Directories at most that one pattern names.
const MAX_MATCHES: usize = 4096;

/// The paths that match, sorted; the pattern itself where none does, so that it is reported as missing.
pub(super) fn expand(pattern: &str) -> Vec<PathBuf> {
    if !pattern.contains(['*', '?', '[']) {
        return vec![PathBuf::from(pattern)];
    }
    let begin = if pattern.starts_with('/') { "/" } else { "" };
    let mut found = vec![PathBuf::from(begin)];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let Some(expression) = expression(part) else { return vec![PathBuf::from(pattern)] };
        let next = found.iter().flat_map(|path| match &expression {
            Part::Name(name) => vec![path.join(name)],
            Part::Pattern(regex) => matching(path, regex),
        });
        found = next.filter(|path| path.exists()).take(MAX_MATCHES).collect();
    }
    if found.is_empty() { vec![PathBuf::from(pattern)] } else { found }
}

fn matching(path: &Path, regex: &Regex) -> Vec<PathBuf> {
    let directory = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let names = read::names(directory).unwrap_or_default();
    names.iter().filter(|name| regex.is_match(name)).map(|name| path.join(name)).collect()
}

enum Part {
    Name(String),
    Pattern(Regex),
}

/// A part of a path; nothing where it is no pattern that makes sense.
fn expression(part: &str) -> Option<Part> {
    if !part.contains(['*', '?', '[', '\\']) {
        return Some(Part::Name(part.to_owned()));
    }
    let mut out = String::from("^(?s:");
    let mut letters = part.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '\\' => out.push_str(&regex::escape(letters.next()?.encode_utf8(&mut [0; 4]))),
            '[' => {
                let (class, rest) = letters.as_str().split_once(']')?;
                let (negated, class) = class.strip_prefix('^').map_or(("", class), |c| ("^", c));
                if class.is_empty() {
                    return None;
                }
                let class = class.replace('\\', "").replace(['[', '&', '~'], "");
                out.push_str(&format!("[{negated}{class}]"));
                letters = rest.chars();
            }
            other => out.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push_str(")$");
    Regex::new(&out).ok().map(Part::Pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_within_a_part() {
        for (pattern, name, expect) in [
            ("a*", "abc", true),
            ("a?", "abc", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("a.*", "axb", false),
            ("*_extra_*", "h_extra_d", true),
        ] {
            let Some(Part::Pattern(regex)) = expression(pattern) else { panic!("{pattern}") };
            assert_eq!(regex.is_match(name), expect, "{pattern} {name}");
        }
        assert!(expression("[a").is_none() && expression("[]").is_none());
    }

    #[test]
    fn expands_in_order() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b/x", "a/x", "c/y"] {
            std::fs::create_dir_all(directory.path().join(name)).unwrap();
        }
        let root = directory.path().display().to_string();
        let found: Vec<_> = expand(&format!("{root}/*/x")).iter().map(|p| p.display().to_string()).collect();
        assert_eq!(found, [format!("{root}/a/x"), format!("{root}/b/x")]);
        assert_eq!(expand(&format!("{root}/z*")), [PathBuf::from(format!("{root}/z*"))]);
    }
}
