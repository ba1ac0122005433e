//! Attributes: files of one short value each, as `/sys` is made of.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::fault::Fault;
use crate::read;

/// The most that is read of an attribute, which the kernel keeps within a page.
const MAX_ATTRIBUTE_BYTES: usize = 4096;

/// An attribute's value without white space around it, taken by one read: drivers that answer "try again" would keep a second one waiting.
pub(crate) fn attribute(path: &Path) -> io::Result<String> {
    Ok(raw(path)?.trim().to_owned())
}

/// An attribute's value as it is.
pub(crate) fn raw(path: &Path) -> io::Result<String> {
    let mut bytes = [0; MAX_ATTRIBUTE_BYTES];
    let len = File::open(path)?.read(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..len]).into_owned())
}

/// An attribute that must be there.
pub(crate) fn value(path: &Path) -> Result<String, Fault> {
    attribute(path).map_err(|e| Fault::read(path, &e))
}

/// An attribute that need not be there.
pub(crate) fn optional(path: &Path) -> Result<Option<String>, Fault> {
    match attribute(path) {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Fault::read(path, &e)),
    }
}

/// Whether reading fails because the device has nothing to say here, and not because something is wrong.
pub(crate) fn is_silent(error: &io::Error) -> bool {
    let silent = [libc::ENOENT, libc::EOPNOTSUPP, libc::ENODEV, libc::EINVAL];
    error.raw_os_error().is_some_and(|code| silent.contains(&code))
}

/// An attribute that must hold a decimal number.
pub(crate) fn uint(path: &Path) -> Result<u64, Fault> {
    let text = value(path)?;
    text.parse().map_err(|_| Fault::garbage(path, format_args!("{text:?}")))
}

/// The paths in a directory whose names are `prefix` and then a digit, with whatever follows; none where there is no such directory.
pub(crate) fn numbered(dir: &Path, prefix: &str) -> Vec<(String, PathBuf)> {
    matching(dir, |name| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// The paths in a directory whose names fit; none where there is no such directory.
pub(crate) fn matching(dir: &Path, fits: impl Fn(&str) -> bool) -> Vec<(String, PathBuf)> {
    let names = read::names(dir).unwrap_or_default();
    names.into_iter().filter(|n| fits(n)).map(|n| (n.clone(), dir.join(n))).collect()
}

/// The plain files of a directory: not its links and directories.
pub(crate) fn files(dir: &Path) -> Result<Vec<String>, Fault> {
    let mut names = read::names(dir)?;
    names.retain(|n| fs::symlink_metadata(dir.join(n)).is_ok_and(|m| m.is_file()));
    Ok(names)
}

/// A whole number as a C program writes it: decimal, or with a prefix for another base.
pub(crate) fn parse_uint(text: &str) -> Option<u64> {
    let bases = [("0x", 16), ("0X", 16), ("0b", 2), ("0B", 2), ("0o", 8), ("0O", 8)];
    for (prefix, base) in bases {
        if let Some(digits) = text.strip_prefix(prefix) {
            return u64::from_str_radix(digits, base).ok().filter(|_| !digits.starts_with('+'));
        }
    }
    if text.starts_with('+') {
        return None;
    }
    let octal = text.len() > 1 && text.starts_with('0');
    u64::from_str_radix(text, if octal { 8 } else { 10 }).ok()
}

/// The same with a sign.
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = i128::from(parse_uint(digits)?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn numbers_with_and_without_a_base() {
        for (text, expect) in [
            ("42", Some(42)),
            ("0x8000", Some(0x8000)),
            ("017", Some(15)),
            ("0", Some(0)),
            ("-3", Some(-3)),
            ("+3", Some(3)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("08", None),
            ("--1", None),
            ("0x+1", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(parse_int(text), expect, "{text}");
        }
        assert_eq!(parse_uint("18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_uint("-1"), None);
    }

    #[test]
    fn attributes_and_directories() {
        let tree =
            Tree::new(&[("sys/a/n1", " 7 \n"), ("sys/a/n2x", "x"), ("sys/a/nx", ""), ("sys/a/d/f", "")]);
        let dir = tree.path("sys/a");
        assert_eq!(uint(&dir.join("n1")), Ok(7));
        assert!(matches!(uint(&dir.join("n2x")), Err(Fault::Error(_))));
        assert_eq!(uint(&dir.join("gone")), Err(Fault::NoData));
        assert_eq!(optional(&dir.join("gone")), Ok(None));
        assert!(matches!(optional(&dir.join("d")), Err(Fault::Error(_))), "a directory");
        let names: Vec<_> = numbered(&dir, "n").into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["n1", "n2x"]);
        assert_eq!(files(&dir), Ok(["n1", "n2x", "nx"].map(str::to_owned).to_vec()));
        assert!(numbered(&dir.join("gone"), "n").is_empty());
    }
}
