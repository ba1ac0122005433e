//! The starters: a dashboard and alert rules for each thing that Vigie can watch by itself, embedded in the program.
//!
//! They are data like a user's own: the dashboards Grafana's JSON, the rules Prometheus' rule files, both in `starters/`.
//! A dashboard of the user's with the same uid takes a starter's place ([`Library::add_starters`](crate::Library::add_starters)).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::library::Dashboard;

/// The folder that holds them.
pub const FOLDER: &str = "Starters";

/// What is offered for one subject.
#[derive(Debug, Clone, Copy)]
pub struct Starter {
    /// Names its files: `host`.
    pub subject: &'static str,
    /// Grafana's JSON.
    pub dashboard: &'static str,
    /// A rule file of Prometheus.
    pub rules: &'static str,
}

macro_rules! starter {
    ($subject:literal) => {
        Starter {
            subject: $subject,
            dashboard: include_str!(concat!("../starters/", $subject, ".json")),
            rules: include_str!(concat!("../starters/rules/", $subject, ".yml")),
        }
    };
}

/// All of them, in the order in which they are shown.
pub const ALL: [Starter; 4] =
    [starter!("host"), starter!("postgresql"), starter!("redis"), starter!("vigie")];

impl Starter {
    /// The name of its rule file.
    #[must_use]
    pub fn rule_file(&self) -> String {
        format!("{}.yml", self.subject)
    }
}

/// The dashboards, read once.
pub(crate) fn dashboards() -> &'static [Dashboard] {
    static READ: LazyLock<Vec<Dashboard>> = LazyLock::new(|| ALL.iter().map(read).collect());
    &READ
}

fn read(starter: &Starter) -> Dashboard {
    let file = PathBuf::from(format!("(built in)/{}.json", starter.subject));
    let dashboard = Dashboard::parse(starter.dashboard, &file, FOLDER).expect("a test reads each starter");
    Dashboard { starter: true, ..dashboard }
}

/// Writes the rule files to `dir`, which is made where it is missing, and names them. A file that is as it should be is not
/// touched; one that somebody changed is written anew, since the next start would lose the change anyway.
///
/// # Errors
/// The first directory or file that cannot be written, by name.
pub fn write_rules(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let named = |path: &Path, e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    fs::create_dir_all(dir).map_err(|e| named(dir, e))?;
    let mut written = Vec::new();
    for starter in &ALL {
        let path = dir.join(starter.rule_file());
        if fs::read(&path).ok().as_deref() != Some(starter.rules.as_bytes()) {
            // Moved into place, so that a reader never meets half a file.
            let unfinished = path.with_extension("yml.tmp");
            fs::write(&unfinished, starter.rules).map_err(|e| named(&unfinished, e))?;
            fs::rename(&unfinished, &path).map_err(|e| named(&path, e))?;
        }
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_starter_is_a_dashboard_with_a_uid_of_its_own() {
        let mut uids: Vec<_> = dashboards().iter().map(|d| d.uid.as_str()).collect();
        assert!(uids.iter().all(|uid| uid.starts_with("vigie-")), "{uids:?}");
        uids.sort_unstable();
        uids.dedup();
        assert_eq!(uids.len(), ALL.len());
    }

    #[test]
    fn rules_are_written_once_and_mended() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("starters/rules");
        let files = write_rules(&dir).unwrap();
        assert_eq!(files.len(), ALL.len());
        let stamp = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
        let before = stamp(&files[1]);
        fs::write(&files[0], "changed").unwrap();
        assert_eq!(write_rules(&dir).unwrap(), files);
        assert_eq!(fs::read_to_string(&files[0]).unwrap(), ALL[0].rules);
        assert_eq!(stamp(&files[1]), before, "what is right is left alone");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), ALL.len());
        let error = write_rules(&files[0]).unwrap_err().to_string();
        assert!(error.contains("host.yml"), "{error}");
    }
}
