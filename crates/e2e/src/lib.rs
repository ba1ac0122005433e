//! What the end-to-end tests stand on: programs started and stopped, a small HTTP client and server,
//! the place of every tool.
//!
//! The tests are in `tests/stack`. They start real programs on free loopback ports, each wait bounded,
//! and keep configurations and logs under `target/e2e/TEST`. A program that is not there makes its
//! tests print `SKIPPED: …`; `cargo xtask test` installs what it may and counts the rest.

pub mod dataset;
pub mod demo;
pub mod expositions;
pub mod http;
pub mod postgres;
pub mod program;
pub mod prometheus;
pub mod promql;
pub mod random;
pub mod remote_write;
pub mod server;
pub mod tools;

use std::net::TcpListener;
use std::time::{Duration, Instant};

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// Asks `probe` again and again until it gives a value.
///
/// # Panics
/// After `patience`, naming `what` and the last reason.
pub fn wait_for<T>(what: &str, patience: Duration, mut probe: impl FnMut() -> anyhow::Result<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        match probe() {
            Ok(value) => return value,
            Err(error) if Instant::now() >= deadline => {
                panic!("waited {patience:?} for {what}: {error:#}");
            }
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}
