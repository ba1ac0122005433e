//! `SIOCETHTOOL`, and memory that the kernel may fill with as much as it likes.
//!
//! For some commands the kernel writes as many bytes as the driver has counters, whatever room it was told there is, and that number may
//! change between asking for it and asking for the counters. So the room ends at memory that nobody may write: there the kernel stops
//! with an error.

#![expect(unsafe_code, reason = "the only way to ask a driver; everything else goes through `Room`")]

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// What one answer may hold.
pub(super) const ROOM_BYTES: usize = 1 << 20;

/// What is cleared before a question: more than any answer has that is no list. Lists say how long they are.
const CLEARED_BYTES: usize = 4096;

/// What follows and must not be written; a multiple of any page's size.
const GUARD_BYTES: usize = 64 << 10;

/// The longest name of a device, with the zero byte at its end.
const NAME_BYTES: usize = 16;

/// `struct ifreq`, and more room than it has on any machine.
#[repr(C)]
struct Request {
    name: [u8; NAME_BYTES],
    data: *mut c_void,
    rest: [u64; 3],
}

/// Memory for one answer at a time.
pub(super) struct Room {
    start: NonNull<u8>,
    socket: OwnedFd,
}

impl Room {
    pub(super) fn new() -> io::Result<Self> {
        let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        // SAFETY: a new mapping at a place that the kernel chooses touches nothing of ours.
        let start = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                ROOM_BYTES + GUARD_BYTES,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?
        };
        let start = NonNull::new(start.cast::<u8>()).ok_or_else(|| io::Error::other("a mapping at 0"))?;
        // From here on dropping it unmaps.
        let room = Self { start, socket };
        // SAFETY: the end of the mapping made above, to which no reference was given yet.
        unsafe {
            mprotect(
                room.start.as_ptr().wrapping_add(ROOM_BYTES).cast(),
                GUARD_BYTES,
                MprotectFlags::empty(),
            )?;
        }
        Ok(room)
    }

    /// Asks for a command, which begins with its number; the answer is in the same place.
    pub(super) fn ask(&mut self, device: &str, command: &[u32]) -> io::Result<&[u8]> {
        if device.len() >= NAME_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a device's name that is too long"));
        }
        let bytes = self.bytes_mut();
        bytes[..CLEARED_BYTES].fill(0);
        for (place, word) in bytes.chunks_exact_mut(4).zip(command) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        let mut request = Request { name: [0; NAME_BYTES], data: self.start.as_ptr().cast(), rest: [0; 3] };
        request.name[..device.len()].copy_from_slice(device.as_bytes());
        // SAFETY: `request` is as large as the kernel's and outlives the call, its name ends with a zero byte. What the kernel writes
        // begins at `start` and is contiguous: it stays in the mapping or fails at the guard. `&mut self`: nobody else looks at it.
        let outcome = unsafe {
            libc::ioctl(self.socket.as_raw_fd(), libc::SIOCETHTOOL as _, ptr::from_mut(&mut request))
        };
        if outcome < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping is ROOM_BYTES long, initialized (with zeros by the kernel, at first), and lives as long as `self`.
        Ok(unsafe { std::slice::from_raw_parts(self.start.as_ptr(), ROOM_BYTES) })
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and exclusive by `&mut self`.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), ROOM_BYTES) }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, to which no reference outlives `self`. It fails for arguments that are none only.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), ROOM_BYTES + GUARD_BYTES) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_that_are_not_there_are_errors() {
        let mut room = Room::new().unwrap();
        let error = room.ask("no-such-device", &[3]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        assert_eq!(
            room.ask("a name that is too long", &[3]).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
