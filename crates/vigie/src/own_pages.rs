//! The program's own pages in memory: those that only its start needed are given back.
//!
//! Vigie is one program of many roles, and the kernel maps sixteen pages around each that is touched: after its start a small role
//! keeps megabytes of code mapped that it will not run again. What is used again comes back from the page cache without reading.

use std::fs;

/// A mapping of a file.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: usize,
    len: usize,
}

/// Unmaps what of the program's file is mapped and was never written. Does nothing where the kernel tells too little.
pub(crate) fn release() {
    let (Ok(maps), Ok(program)) = (fs::read_to_string("/proc/self/smaps"), fs::read_link("/proc/self/exe"))
    else {
        return;
    };
    for mapping in unwritten(&maps, &program.to_string_lossy()) {
        forget(&mapping);
    }
}

#[expect(unsafe_code, reason = "madvise has no safe form")]
fn forget(mapping: &Mapping) {
    let start = std::ptr::without_provenance_mut(mapping.start);
    // SAFETY: the mapping is of our own program's file, private, not writable, and has no page that differs from the file; each page that is
    // used again is read from the file again, with the same bytes.
    unsafe { libc::madvise(start, mapping.len, libc::MADV_DONTNEED) };
}

/// The mappings of `program` that cannot be written and hold no page of their own. Relocated constants are read-only too, but are pages of
/// the process: dropping these would lose the relocations.
fn unwritten(smaps: &str, program: &str) -> Vec<Mapping> {
    let mut found = Vec::new();
    let mut current: Option<Mapping> = None;
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(first), Some(second)) = (words.next(), words.next()) else { continue };
        if let Some((start, end)) = first.split_once('-') {
            let number = |text| usize::from_str_radix(text, 16).ok();
            let ours = line.ends_with(program) && line[..line.len() - program.len()].ends_with(' ');
            current = match (number(start), number(end)) {
                (Some(start), Some(end)) if ours && matches!(second, "r-xp" | "r--p") && start < end => {
                    Some(Mapping { start, len: end - start })
                }
                _ => None,
            };
        } else if first == "Anonymous:" && second != "0" {
            current = None;
        } else if first == "Swap:" && second == "0" {
            // The last to be told of the two places where pages of the process can be.
            found.extend(current.take());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_in_the_file_is_given_back() {
        let smaps = "1000-3000 r--p 00000000 fe:00 7   /bin/a b\nRss: 8 kB\nAnonymous:             0 kB\nSwap: 0 kB\n\
                     3000-4000 r-xp 00002000 fe:00 7   /bin/a b\nAnonymous:             0 kB\nSwap: 0 kB\n\
                     4000-5000 r--p 00003000 fe:00 7   /bin/a b\nAnonymous:             4 kB\nSwap: 0 kB\n\
                     4800-5000 r--p 00003000 fe:00 7   /bin/a b\nAnonymous:             0 kB\nSwap: 4 kB\n\
                     5000-6000 rw-p 00004000 fe:00 7   /bin/a b\nAnonymous:             0 kB\nSwap: 0 kB\n\
                     7000-8000 r-xp 00000000 fe:00 8   /lib/a b\nAnonymous:             0 kB\nSwap: 0 kB\n";
        let expect = [Mapping { start: 0x1000, len: 0x2000 }, Mapping { start: 0x3000, len: 0x1000 }];
        assert_eq!(unwritten(smaps, "/bin/a b"), expect);
        assert_eq!(unwritten("nonsense\n1-2\nx-y r-xp\n", "/bin/a"), []);
    }

    #[test]
    fn the_program_runs_on() {
        let text = || (0..100).map(|n| format!("{n:?}")).collect::<String>();
        let before = text();
        release();
        assert_eq!(text(), before);
    }
}
