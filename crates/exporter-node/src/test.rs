//! What the crate's tests share.

use std::time::{Duration, Instant};

/// Waits until something holds that another thread brings about.
pub(crate) fn wait_until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "it did not come to hold");
        std::thread::sleep(Duration::from_millis(5));
    }
}
