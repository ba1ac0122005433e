//! Services that runit supervises. The original calls it deprecated.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

const STATE: Family = gauge("node_service_state", "State of runit service.");
const DESIRED: Family = gauge("node_service_desired_state", "Desired state of runit service.");
const NORMAL: Family = gauge("node_service_normal_state", "Normal state of runit service.");
const CHANGED: Family = gauge(
    "node_service_state_last_change_timestamp_seconds",
    "Unix timestamp of the last runit service state change.",
);

/// Length of `supervise/status`.
const STATUS_BYTES: usize = 20;

/// What TAI64 has for the beginning of 1970.
const TAI_OF_1970: u64 = (1 << 62) + 10;

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    tracing::warn!(
        "the runit collector is deprecated and will be removed in the next major version release."
    );
    let directory = flags.get("collector.runit.servicedir").to_owned();
    Ok(Box::new(move |_: &Paths, page: &mut Page| update(Path::new(&directory), page)))
}

fn update(directory: &Path, page: &mut Page) -> Result<(), Fault> {
    for service in read::names(directory)? {
        let path = directory.join(&service);
        if !path.is_dir() {
            continue;
        }
        let status = match status(&path) {
            Ok(status) => status,
            Err(error) => {
                tracing::debug!(service, %error, "Couldn't get status");
                continue;
            }
        };
        let labels = [("service", &*service), ("supervisor", "runit")];
        STATE.sample(page, &labels, f64::from(status.state));
        DESIRED.sample(page, &labels, f64::from(u8::from(status.wants_up)));
        NORMAL.sample(page, &labels, f64::from(u8::from(!path.join("down").exists())));
        CHANGED.sample(page, &labels, status.changed as f64);
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Status {
    /// Seconds since 1970.
    changed: i64,
    wants_up: bool,
    /// 0 down, 1 up, 2 finishing.
    state: u8,
}

/// Of a service whose supervisor runs.
fn status(service: &Path) -> io::Result<Status> {
    // A pipe that the supervisor keeps open for reading: without it there is nobody to write to.
    let pipe = service.join("supervise/ok");
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(pipe)?;
    let mut bytes = Vec::with_capacity(STATUS_BYTES);
    let file = File::open(service.join("supervise/status"))?;
    file.take(STATUS_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    parse(&bytes).ok_or_else(|| io::Error::other(format!("a status of {} bytes", bytes.len())))
}

/// A time in TAI64N, the process, whether it is paused, what is wanted, whether it was told to end, and the state.
fn parse(bytes: &[u8]) -> Option<Status> {
    let bytes: &[u8; STATUS_BYTES] = bytes.try_into().ok()?;
    let seconds = u64::from_be_bytes(*bytes.first_chunk()?);
    Some(Status {
        changed: seconds.wrapping_sub(TAI_OF_1970).cast_signed(),
        wants_up: bytes[17] == b'u',
        state: bytes[19],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    fn bytes(seconds: u64, want: u8, state: u8) -> [u8; STATUS_BYTES] {
        let mut bytes = [0; STATUS_BYTES];
        bytes[..8].copy_from_slice(&(TAI_OF_1970 + seconds).to_be_bytes());
        (bytes[17], bytes[19]) = (want, state);
        bytes
    }

    #[test]
    fn statuses_are_read_by_place() {
        let expect = Status { changed: 1_700_000_000, wants_up: true, state: 1 };
        assert_eq!(parse(&bytes(1_700_000_000, b'u', 1)), Some(expect));
        assert_eq!(parse(&[0; STATUS_BYTES]).map(|s| s.wants_up), Some(false));
        assert_eq!([parse(&[]), parse(&[0; 21])], [None, None]);
    }

    #[test]
    fn services_with_a_supervisor() {
        let tree = Tree::new(&[
            // A plain file stands in for the pipe with a reader.
            ("service/web/supervise/ok", ""),
            ("service/idle/down", ""),
            ("service/idle/supervise/status", "no supervisor"),
            ("service/file", ""),
        ]);
        tree.put("service/web/supervise/status", &bytes(5, b'd', 2));
        let directory = tree.path("service");
        let flags = [("collector.runit.servicedir", directory.to_str().unwrap())];
        let expect = r#"node_service_desired_state{service="web",supervisor="runit"} 0
node_service_normal_state{service="web",supervisor="runit"} 1
node_service_state{service="web",supervisor="runit"} 2
node_service_state_last_change_timestamp_seconds{service="web",supervisor="runit"} 5
"#;
        assert_eq!(tree.samples(make, &flags), expect);
        let outcome = tree.collect(make, &[("collector.runit.servicedir", "/no/such")]).1;
        assert_eq!(outcome, Err(Fault::NoData));
    }
}
