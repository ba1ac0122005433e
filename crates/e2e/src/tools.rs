//! Where the programs are: ours under `target/`, the originals from the system.
//!
//! Each finder gives `None` after printing `SKIPPED: …`, which `cargo xtask test` counts.

use std::env;
use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> PathBuf {
    let crate_directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_directory.ancestors().nth(2).expect("crates/e2e is two levels deep").to_owned()
}

/// `CARGO_TARGET_DIR`, or `target` in the repository.
pub fn target_directory() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Says that something was not tested.
#[expect(clippy::print_stdout, reason = "test runners show what tests print")]
pub fn skipped(what: &str) {
    println!("SKIPPED: {what}");
}

fn built(variable: &str, name: &str) -> Option<PathBuf> {
    let path =
        env::var_os(variable).map_or_else(|| target_directory().join("quick").join(name), PathBuf::from);
    if path.is_file() {
        return Some(path);
    }
    skipped(&format!(
        "no {name} at {} (build it with `cargo xtask build --quick`, or set {variable})",
        path.display()
    ));
    None
}

fn installed(variable: &str, names: &[&str]) -> Option<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return Some(path.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = names
        .iter()
        .flat_map(|name| env::split_paths(&path).map(move |directory| directory.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        skipped(&format!("no program {} is installed (or named by {variable})", names.join(" or ")));
    }
    found
}

/// `VIGIE_BIN`, or the one in `target/quick`.
pub fn vigie() -> Option<PathBuf> {
    built("VIGIE_BIN", "vigie")
}

/// `REAL_ESTATE_BIN`, or the one in `target/quick`.
pub fn real_estate() -> Option<PathBuf> {
    built("REAL_ESTATE_BIN", "real-estate")
}

/// The original Prometheus, `PROMETHEUS_BIN`.
pub fn prometheus() -> Option<PathBuf> {
    installed("PROMETHEUS_BIN", &["prometheus"])
}

/// The original's tool for rules, `PROMTOOL_BIN`.
pub fn promtool() -> Option<PathBuf> {
    installed("PROMTOOL_BIN", &["promtool"])
}

/// The original node exporter, `NODE_EXPORTER_BIN`.
pub fn node_exporter() -> Option<PathBuf> {
    installed("NODE_EXPORTER_BIN", &["prometheus-node-exporter", "node_exporter"])
}

/// The original PostgreSQL exporter, `POSTGRES_EXPORTER_BIN`.
pub fn postgres_exporter() -> Option<PathBuf> {
    installed("POSTGRES_EXPORTER_BIN", &["prometheus-postgres-exporter", "postgres_exporter"])
}

/// The original Redis exporter, `REDIS_EXPORTER_BIN`.
pub fn redis_exporter() -> Option<PathBuf> {
    installed("REDIS_EXPORTER_BIN", &["prometheus-redis-exporter", "redis_exporter"])
}

/// `REDIS_SERVER_BIN`, or the one that is installed.
pub fn redis_server() -> Option<PathBuf> {
    installed("REDIS_SERVER_BIN", &["redis-server"])
}

/// `REDIS_CLI_BIN`, or the one that is installed.
pub fn redis_cli() -> Option<PathBuf> {
    installed("REDIS_CLI_BIN", &["redis-cli"])
}

/// `OPENSSL_BIN`, or the one that is installed, to make certificates.
pub fn openssl() -> Option<PathBuf> {
    installed("OPENSSL_BIN", &["openssl"])
}

/// The directory of PostgreSQL's server programs, `POSTGRES_BIN_DIR` or the newest of Debian's.
pub fn postgres_bin_dir() -> Option<PathBuf> {
    if let Some(path) = env::var_os("POSTGRES_BIN_DIR") {
        return Some(path.into());
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").is_file())
        .max_by_key(|bin| bin.parent().and_then(|v| v.file_name()?.to_str()?.parse::<u32>().ok()));
    if newest.is_none() {
        skipped("no PostgreSQL server is installed (or named by POSTGRES_BIN_DIR)");
    }
    newest
}

/// `NODE_BIN`, to run the browser test.
pub fn node() -> Option<PathBuf> {
    installed("NODE_BIN", &["node"])
}

/// `CHROMIUM_BIN`, or one that is installed.
pub fn chromium() -> Option<PathBuf> {
    installed("CHROMIUM_BIN", &["chromium", "chromium-browser", "google-chrome"])
}

/// `E2E_PYTHON`, or the virtual environment that `cargo xtask test` makes in `target/venv`.
pub fn python() -> Option<PathBuf> {
    let path =
        env::var_os("E2E_PYTHON").map_or_else(|| target_directory().join("venv/bin/python"), PathBuf::from);
    if path.is_file() {
        return Some(path);
    }
    skipped(&format!("no Python environment at {} (or named by E2E_PYTHON)", path.display()));
    None
}

/// A file of the reference user's, `examples/real-estate/NAME`.
pub fn example(name: &str) -> PathBuf {
    root().join("examples/real-estate").join(name)
}

/// Its text with each `(from, to)` replaced.
///
/// # Panics
/// Where a `from` does not occur: the example moved on, the test must follow.
pub fn example_with(name: &str, edits: &[(&str, &str)]) -> String {
    let path = example(name);
    let mut text =
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for (from, to) in edits {
        assert!(text.contains(from), "{} has no `{from}`", path.display());
        text = text.replace(from, to);
    }
    text
}
