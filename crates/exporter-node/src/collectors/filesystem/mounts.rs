//! Lines of `/proc/PID/mountinfo`, as proc(5) has them.

use std::path::Path;

use crate::fault::Fault;
use crate::paths::Paths;
use crate::read;

/// A mounted file system.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) device: String,
    /// As the host sees it.
    pub(crate) point: String,
    pub(crate) kind: String,
    pub(crate) major: String,
    pub(crate) minor: String,
    pub(crate) read_only: bool,
}

/// All mounts of the host's first process, else one's own: with hidepid, only that is there.
pub(crate) fn of_host(paths: &Paths) -> Result<Vec<Mount>, Fault> {
    let mut path = paths.proc("1/mountinfo");
    let text = match read::if_there(read::text(&path))? {
        Some(text) => text,
        None => {
            path = paths.proc("self/mountinfo");
            read::text(&path)?
        }
    };
    parse(&path, &text, paths)
}

/// All mounts of a file, in its order.
fn parse(path: &Path, text: &str, paths: &Paths) -> Result<Vec<Mount>, Fault> {
    let mount = |line: &str| {
        let garbage = || Fault::garbage(path, format_args!("line {:?}", read::shortened(line)));
        mount(line, paths).ok_or_else(garbage)
    };
    text.lines().map(mount).collect()
}

/// `id parent major:minor root point options optional… - type source super-options`
fn mount(line: &str, paths: &Paths) -> Option<Mount> {
    // A source may be empty, which leaves two spaces beside each other.
    let words: Vec<&str> = line.split(' ').collect();
    let separator = words.len().checked_sub(4)?;
    let (&[_, _, numbers, _, point, options, ..], &["-", kind, device, super_options]) =
        (words.get(..separator)?, words.get(separator..)?)
    else {
        return None;
    };
    let (major, minor) = numbers.split_once(':')?;
    let (_, _) = (major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?);
    // After an error a file system may turn read-only on its own.
    let read_only = options.split(',').any(|o| o == "ro")
        || super_options.split(',').any(|o| o == "ro" || o == "emergency_ro");
    let point = unescaped(point);
    Some(Mount {
        device: unescaped(device),
        point: paths.strip_rootfs(&point).to_owned(),
        kind: kind.to_owned(),
        major: major.to_owned(),
        minor: minor.to_owned(),
        read_only,
    })
}

/// The kernel writes space, tab, newline and backslash as `\040`, `\011`, `\012`, `\134`.
fn unescaped(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code.filter(u8::is_ascii) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &after[3..];
            }
            None => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(rootfs: &str) -> Paths {
        Paths { rootfs: rootfs.into(), ..Paths::usual() }
    }

    #[test]
    fn reads_lines_of_mountinfo() {
        for (line, root, expect) in [
            (
                "27 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard",
                "/",
                Some(("/dev/vda1", "/", "ext4", "254", "1", false)),
            ),
            (
                r"31 27 8:2 /x /mnt/a\040b ro,nosuid - xfs /dev/sdb2 rw",
                "/",
                Some(("/dev/sdb2", "/mnt/a b", "xfs", "8", "2", true)),
            ),
            (
                "31 27 8:2 / /host/var rw - ext4 /dev/sdb2 rw,emergency_ro",
                "/host",
                Some(("/dev/sdb2", "/var", "ext4", "8", "2", true)),
            ),
            ("40 27 0:5 / /x rw - tmpfs  rw,size=1k", "/", Some(("", "/x", "tmpfs", "0", "5", false))),
            ("27 1 254:1 / / rw ext4 /dev/vda1 rw", "/", None),
            ("27 1 254 / / rw - ext4 /dev/vda1 rw", "/", None),
            ("- a b c", "/", None),
            ("", "/", None),
        ] {
            let got = mount(line, &paths(root));
            let got = got.as_ref().map(|m| {
                let [device, point, kind] = [&m.device, &m.point, &m.kind].map(String::as_str);
                (device, point, kind, m.major.as_str(), m.minor.as_str(), m.read_only)
            });
            assert_eq!(got, expect, "{line}");
        }
    }

    #[test]
    fn escapes_are_those_of_the_kernel() {
        for (text, expect) in [
            (r"a\040b\011c\012d\134e", "a b\tc\nd\\e"),
            (r"\04", r"\04"),
            (r"\999", r"\999"),
            (r"\377", r"\377"),
            (r"\é", r"\é"),
        ] {
            assert_eq!(unescaped(text), expect, "{text}");
        }
    }
}
