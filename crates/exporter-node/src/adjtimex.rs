//! `adjtimex(2)`, which no safe crate of the tree wraps.

use std::io;

/// The clock's state and parameters. Nothing is changed.
pub(crate) fn read() -> io::Result<(i32, libc::timex)> {
    // With no bit of `modes` set the call only reads.
    #[expect(unsafe_code, reason = "timex has only integers and padding, for which zeros are values")]
    // SAFETY: all fields are plain integers.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    #[expect(unsafe_code, reason = "the system call has no safe wrapper")]
    // SAFETY: the pointer is to an initialised `timex` that lives through the call.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state == -1 { Err(io::Error::last_os_error()) } else { Ok((state, timex)) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_a_plausible_clock() {
        match super::read() {
            // A tick is 10 ms give or take 10 %, as the man page bounds it.
            Ok((state, timex)) => {
                assert!((0..=5).contains(&state), "{state}");
                assert!((9_000..=11_000).contains(&timex.tick), "{}", timex.tick);
            }
            Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::PermissionDenied, "{e}"),
        }
    }
}
