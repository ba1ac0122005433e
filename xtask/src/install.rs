//! What the tests need beyond Rust: Debian packages, npm packages, a Python environment.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::paths;
use crate::process::{command, run};

/// Program looked for, package that brings it.
const PACKAGES: [(&[&str], &str); 12] = [
    (&["node"], "nodejs"),
    (&["npm"], "npm"),
    (&["chromium", "chromium-browser", "google-chrome"], "chromium"),
    (&["prometheus"], "prometheus"),
    (&["amtool"], "prometheus-alertmanager"),
    (&["prometheus-node-exporter", "node_exporter"], "prometheus-node-exporter"),
    (&["prometheus-postgres-exporter", "postgres_exporter"], "prometheus-postgres-exporter"),
    (&["prometheus-redis-exporter", "redis_exporter"], "prometheus-redis-exporter"),
    (&["redis-server"], "redis-server"),
    (&["pg_ctlcluster"], "postgresql"),
    (&["python3"], "python3"),
    (&["git"], "git"),
];

/// Installs what is missing and may be installed; the rest is left for the tests to skip.
pub(crate) fn all() {
    debian_packages();
    if let Err(error) = python_environment() {
        println!("xtask: no Python environment: {error:#}");
    }
}

fn debian_packages() {
    let mut missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(programs, _)| paths::installed(programs).is_none())
        .map(|(_, package)| *package)
        .collect();
    if paths::installed(&["python3"]).is_some() && !has_ensurepip() {
        missing.push("python3-venv");
    }
    if missing.is_empty() {
        return;
    }
    if paths::installed(&["apt-get"]).is_none() {
        println!("xtask: not installed and no apt-get to install it with: {}", missing.join(" "));
        return;
    }
    let Some(privilege) = privilege() else {
        println!(
            "xtask: not installed, and neither root nor sudo to do it: apt-get install {}",
            missing.join(" ")
        );
        return;
    };
    let apt = |arguments: &[&str]| {
        let mut words = privilege.to_vec();
        words.extend_from_slice(&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        words.extend_from_slice(arguments);
        run(command(words[0]).args(&words[1..]))
    };
    let guard = NoServices::set(privilege);
    let installed = apt(&["-qq", "update"]).and_then(|()| {
        let mut arguments = vec!["-qq", "-y", "--no-install-recommends", "install"];
        arguments.extend_from_slice(&missing);
        apt(&arguments)
    });
    drop(guard);
    if let Err(error) = installed {
        println!("xtask: {error:#}");
    }
}

fn has_ensurepip() -> bool {
    let tried = Command::new("python3").args(["-c", "import venv, ensurepip"]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// What to put before a command that needs root; `None` where there is no way.
fn privilege() -> Option<&'static [&'static str]> {
    let output = Command::new("id").arg("-u").output().ok()?;
    if output.stdout.trim_ascii() == b"0" {
        return Some(&[]);
    }
    let sudo = Command::new("sudo").args(["-n", "true"]).output().ok()?;
    sudo.status.success().then_some(&["sudo", "-n"])
}

/// Keeps Debian's packages from starting their services while they are installed.
struct NoServices {
    written: bool,
    privilege: &'static [&'static str],
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NoServices {
    /// A policy that is already there is left alone.
    fn set(privilege: &'static [&'static str]) -> Self {
        let mut guard = Self { written: false, privilege };
        if !Path::new(POLICY).exists() {
            let draft = paths::target().join("policy-rc.d");
            let drafted = fs::create_dir_all(paths::target())
                .and_then(|()| fs::write(&draft, "#!/bin/sh\nexit 101\n"))
                .and_then(|()| fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)));
            guard.written = drafted.is_ok() && guard.as_root(&["cp", &draft.to_string_lossy(), POLICY]);
        }
        guard
    }

    fn as_root(&self, words: &[&str]) -> bool {
        let all: Vec<&str> = self.privilege.iter().chain(words).copied().collect();
        Command::new(all[0]).args(&all[1..]).status().is_ok_and(|status| status.success())
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.written {
            self.as_root(&["rm", "-f", POLICY]);
        }
    }
}

/// The tests' Python.
pub(crate) fn python() -> PathBuf {
    paths::target().join("venv/bin/python")
}

/// `target/venv` with what the two requirement files name; made once, renewed when these change.
fn python_environment() -> anyhow::Result<()> {
    let requirements = ["examples/python-app/requirements.txt", "crates/e2e/python/requirements.txt"];
    let wanted = requirements
        .iter()
        .map(|file| fs::read_to_string(paths::root().join(file)))
        .collect::<Result<String, _>>()?;
    let stamp = paths::target().join("venv/requirements");
    if python().is_file() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    run(command("python3").args(["-m", "venv", "--clear"]).arg(paths::target().join("venv")))?;
    let mut pip = command(python());
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    for file in requirements {
        pip.args(["-r", file]);
    }
    run(&mut pip)?;
    Ok(fs::write(stamp, wanted)?)
}
