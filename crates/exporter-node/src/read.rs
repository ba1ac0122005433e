//! Reading the kernel's small files.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::str::FromStr;

use crate::fault::Fault;

/// The largest file that is read; the kernel's are far smaller, but a fake tree or a full disk's leftovers need not be.
pub(crate) const MAX_FILE_BYTES: u64 = 16 << 20;

/// A file's text; bytes that are no UTF-8 are replaced.
pub(crate) fn text(path: &Path) -> Result<String, Fault> {
    raw(path).map_err(|e| Fault::read(path, &e))
}

/// A file's text without surrounding white space.
pub(crate) fn trimmed(path: &Path) -> Result<String, Fault> {
    text(path).map(|t| t.trim().to_owned())
}

/// A file that holds one number.
pub(crate) fn number(path: &Path) -> Result<f64, Fault> {
    parse(path, text(path)?.trim())
}

/// The names in a directory, sorted, so that series come in the same order each time.
pub(crate) fn names(path: &Path) -> Result<Vec<String>, Fault> {
    let entries = fs::read_dir(path).map_err(|e| Fault::read(path, &e))?;
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    Ok(names)
}

/// A file's text with the reason why not, for those who tell reasons apart.
pub(crate) fn raw(path: &Path) -> io::Result<String> {
    let bytes = bytes(path)?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// A file's bytes.
pub(crate) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4096);
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("larger than {MAX_FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

/// A word of `path` as a number.
pub(crate) fn parse<T: FromStr>(path: &Path, word: &str) -> Result<T, Fault> {
    word.parse().map_err(|_| Fault::garbage(path, format_args!("{:?}", shortened(word))))
}

/// What of a text goes into an error message.
pub(crate) fn shortened(text: &str) -> &str {
    let end = text.char_indices().nth(60).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// What is there, or nothing where the file is not.
pub(crate) fn if_there<T>(read: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Fault::NoData) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// The numbers of the directories `PREFIX<number>` below `path`, in order.
pub(crate) fn numbered(path: &Path, prefix: &str) -> Result<Vec<u32>, Fault> {
    let mut numbers: Vec<u32> =
        names(path)?.iter().filter_map(|name| name.strip_prefix(prefix)?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The most CPUs that a list of ranges may name; Linux is built for 8192 at most.
const MAX_CPUS: u32 = 1 << 16;

/// The numbers in ranges as the kernel writes them: `0-3,7`. What is no range is left out.
pub(crate) fn ranges(text: &str) -> Vec<u32> {
    let bounds = text.split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first.trim().parse::<u32>().ok().zip(last.trim().parse::<u32>().ok())
    });
    bounds.flat_map(|(first, last)| first..=last.min(MAX_CPUS)).take(MAX_CPUS as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_kernel() {
        for (text, expect) in [("0-3,7", &[0, 1, 2, 3, 7][..]), ("7\n", &[7]), ("", &[]), ("x-y,3-1,2", &[2])]
        {
            assert_eq!(ranges(text), expect, "{text}");
        }
        assert_eq!(ranges("0-4294967295").len(), MAX_CPUS as usize);
    }

    #[test]
    fn errors_tell_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert_eq!(number(&path), Err(Fault::NoData));
        fs::write(&path, "12\n").unwrap();
        assert_eq!(number(&path), Ok(12.0));
        fs::write(&path, b"\xff").unwrap();
        let error = number(&path).unwrap_err().to_string();
        assert_eq!(error, format!("{}: unexpected \"\u{fffd}\"", path.display()));
        let huge = vec![b'1'; usize::try_from(MAX_FILE_BYTES).unwrap() + 1];
        fs::write(&path, huge).unwrap();
        let error = number(&path).unwrap_err().to_string();
        assert!(error.ends_with("larger than 16777216 bytes"), "{error}");
        assert!(matches!(text(directory.path()), Err(Fault::Error(_))));
    }
}
