//! Reading the kernel's small files.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use crate::fault::Fault;

/// The largest file that is read; the kernel's are far smaller, but a fake tree or a full disk's leftovers need not be.
pub(crate) const MAX_FILE_BYTES: u64 = 16 << 20;

/// A file's text; bytes that are no UTF-8 are replaced.
pub(crate) fn text(path: &Path) -> Result<String, Fault> {
    let mut file = File::open(path).map_err(|e| Fault::read(path, &e))?;
    let mut bytes = Vec::with_capacity(4096);
    (&mut file).take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|e| Fault::read(path, &e))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Fault::Error(format!("{}: larger than {MAX_FILE_BYTES} bytes", path.display())));
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// A file's text without surrounding white space.
pub(crate) fn trimmed(path: &Path) -> Result<String, Fault> {
    text(path).map(|t| t.trim().to_owned())
}

/// A file that holds one number.
pub(crate) fn number(path: &Path) -> Result<f64, Fault> {
    let text = text(path)?;
    text.trim().parse().map_err(|_| Fault::garbage(path, format_args!("{:?}", text.trim())))
}

/// The names in a directory, sorted, so that series come in the same order each time.
pub(crate) fn names(path: &Path) -> Result<Vec<String>, Fault> {
    let entries = fs::read_dir(path).map_err(|e| Fault::read(path, &e))?;
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    Ok(names)
}
