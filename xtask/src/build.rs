//! Builds: the UI first, for the program embeds it.

use anyhow::ensure;

use crate::paths;
use crate::process::{cargo, command, run};

/// Whether there is a UI to build and node to build it with; says so where not.
pub(crate) fn has_ui() -> bool {
    paths::root().join("ui/package.json").is_file()
}

/// npm packages as locked, unless they are there already and not older than the lock.
pub(crate) fn ui_packages() -> anyhow::Result<()> {
    ensure!(paths::installed(&["npm"]).is_some(), "npm is not installed");
    let modified = |path: &str| paths::root().join(path).metadata().and_then(|meta| meta.modified()).ok();
    let fresh = modified("ui/node_modules/.package-lock.json") >= modified("ui/package-lock.json");
    if modified("ui/node_modules/.package-lock.json").is_some() && fresh {
        return Ok(());
    }
    // Not `npm ci`: the lock names packages for the platforms that were at hand when it was written, and
    // `ci` refuses that. This takes the locked versions all the same, and leaves the lock alone.
    run(command("npm")
        .args(["install", "--no-save", "--no-audit", "--no-fund"])
        .current_dir(paths::root().join("ui")))
}

/// `ui/dist`.
pub(crate) fn ui() -> anyhow::Result<()> {
    ensure!(has_ui(), "there is no ui/package.json");
    ui_packages()?;
    run(command("npm").args(["run", "--silent", "build"]).current_dir(paths::root().join("ui")))
}

/// `target/quick/{vigie,real-estate}`.
pub(crate) fn quick() -> anyhow::Result<()> {
    run(cargo().args(["build", "--profile", "quick", "-p", "vigie", "-p", "real-estate"]))
}

/// `target/release/vigie`.
pub(crate) fn release() -> anyhow::Result<()> {
    run(cargo().args(["build", "--release", "-p", "vigie"]))
}
