//! Files of `/proc/net/rpc`: lines of a word and numbers.

use std::collections::HashMap;

/// NFS version 2, in the order of their numbers.
#[rustfmt::skip]
pub(crate) const V2: &[&str] = &[
    "Null", "GetAttr", "SetAttr", "Root", "Lookup", "ReadLink", "Read", "WrCache", "Write", "Create",
    "Remove", "Rename", "Link", "SymLink", "MkDir", "RmDir", "ReadDir", "FsStat",
];

/// NFS version 3, in the order of their numbers.
#[rustfmt::skip]
pub(crate) const V3: &[&str] = &[
    "Null", "GetAttr", "SetAttr", "Lookup", "Access", "ReadLink", "Read", "Write", "Create", "MkDir",
    "SymLink", "MkNod", "Remove", "RmDir", "Rename", "Link", "ReadDir", "ReadDirPlus", "FsStat",
    "FsInfo", "PathConf", "Commit",
];

/// A line of a count and as many numbers, one for each procedure.
pub(crate) struct Procedures {
    pub(crate) line: &'static str,
    pub(crate) proto: &'static str,
    pub(crate) names: &'static [&'static str],
    /// How many numbers there must be; more are of procedures we have no name for.
    pub(crate) least: usize,
}

/// The numbers of each line.
pub(crate) struct Lines<'t> {
    lines: HashMap<&'t str, Vec<u64>>,
}

impl<'t> Lines<'t> {
    /// Of lines that must be among those given.
    ///
    /// # Errors
    /// The line that is not as it should be.
    pub(crate) fn parse(
        text: &'t str,
        fixed: &[(&str, usize)],
        procedures: &[Procedures],
    ) -> Result<Self, String> {
        let mut lines = HashMap::new();
        for line in text.lines() {
            let parsed = parse_line(line, fixed, procedures).ok_or_else(|| format!("{line:?}"))?;
            lines.insert(parsed.0, parsed.1);
        }
        Ok(Self { lines })
    }

    /// A number; 0 where there is no such line.
    pub(crate) fn get(&self, line: &str, column: usize) -> f64 {
        self.lines.get(line).and_then(|numbers| numbers.get(column)).copied().unwrap_or(0) as f64
    }
}

fn parse_line<'t>(
    line: &'t str,
    fixed: &[(&str, usize)],
    procedures: &[Procedures],
) -> Option<(&'t str, Vec<u64>)> {
    let mut words = line.split_whitespace();
    let label = words.next()?;
    // The line of threads goes on with fractions, which newer kernels write as zeros.
    let most = if label == "th" { 2 } else { usize::MAX };
    let numbers: Vec<u64> = words.take(most).map(|w| w.parse().ok()).collect::<Option<_>>()?;
    let fits = match procedures.iter().find(|p| p.line == label) {
        Some(p) => numbers.first().is_some_and(|n| *n == numbers.len() as u64 - 1) && numbers.len() > p.least,
        None => fixed.iter().any(|(known, len)| *known == label && *len == numbers.len()),
    };
    fits.then_some((label, numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_must_be_known_and_full() {
        let two = Procedures { line: "proc9", proto: "9", names: &["A", "B"], least: 2 };
        let check =
            |text: &str| Lines::parse(text, &[("net", 2), ("th", 2)], std::slice::from_ref(&two)).err();
        assert_eq!(check("net 1 2\nth 8 0 0.000 0.100\nproc9 3 1 2 3\n"), None);
        for bad in
            ["net 1", "net 1 2 3", "net 1 x", "other 1 2", "proc9 2 1", "proc9 1 1", "proc9", "", "th 8"]
        {
            assert_eq!(check(&format!("{bad}\n")), Some(format!("{bad:?}")));
        }
        let lines = Lines::parse("net 1 2\n", &[("net", 2)], &[]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!([lines.get("net", 1), lines.get("net", 2), lines.get("rpc", 0)], [2.0, 0.0, 0.0]);
    }
}
