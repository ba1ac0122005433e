//! Where the Prometheus role's configuration comes from, and reading all of it.

use std::path::{Path, PathBuf};

use config::rules::RuleFile;
use config::{Config, Loaded};

use super::built_in::{Beside, BuiltInJob};
use crate::Failure;

/// The name of what stands in no file.
const BUILT_IN: &str = "(built in)";

/// What is written, and what is there without being written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Configuration {
    /// `prometheus.yml`; `None`: the text of [`Configuration::default_text`].
    pub(crate) file: Option<PathBuf>,
    /// The configuration where there is no file.
    pub(crate) default_text: String,
    /// Rule files that are loaded whatever the configuration names.
    pub(crate) own_rule_files: Vec<PathBuf>,
    /// Jobs that are added to the written ones.
    pub(crate) built_in: Vec<BuiltInJob>,
}

/// A configuration whose every file was read and found right.
pub(crate) struct Checked {
    pub(crate) config: Loaded<Config>,
    pub(crate) rule_files: Vec<(PathBuf, RuleFile)>,
    /// How each built-in job came out, in their order.
    pub(crate) beside: Vec<Beside>,
}

impl Configuration {
    /// A file and nothing else.
    pub(crate) fn of_file(file: PathBuf) -> Self {
        Self { file: Some(file), ..Self::default() }
    }

    /// What to call it in messages.
    pub(crate) fn origin(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new(BUILT_IN))
    }

    /// Reads the configuration and all its rule files, and checks expressions and templates.
    pub(crate) fn read(&self, parser: &promql::parser::ParserOptions) -> Result<Checked, Failure> {
        let mut config = match &self.file {
            Some(path) => config::load_file(path),
            None => config::load_str(&self.default_text, self.origin()),
        }
        .map_err(|e| Failure::new(e.to_string()))?;
        let mut beside = Vec::new();
        for job in &self.built_in {
            beside.push(job.join(&mut config.value));
            if beside.last() == Some(&Beside::NameTaken) {
                tracing::warn!(
                    job = job.name,
                    target = job.target,
                    "The configuration has a job of this name without this target: the built-in exporter is not scraped; add the target to the job"
                );
            }
        }
        let mut paths = config.value.rule_file_paths();
        // A configuration that names one of ours, in whatever way, does not load it twice.
        let named: Vec<_> = paths.iter().filter_map(|path| path.canonicalize().ok()).collect();
        let is_new = |own: &PathBuf| own.canonicalize().map_or(true, |own| !named.contains(&own));
        paths.extend(self.own_rule_files.iter().filter(|own| is_new(own)).cloned());
        let mut rule_files = Vec::new();
        let mut wrong = Vec::new();
        for path in paths {
            match config::rules::load_file(&path) {
                Ok(file) => {
                    // The text is only for snippets in messages; a file that vanished meanwhile gives none.
                    let text = std::fs::read_to_string(&path).unwrap_or_default();
                    wrong.extend(
                        rules::check_file(&path, &text, &file, parser).iter().map(ToString::to_string),
                    );
                    rule_files.push((path, file));
                }
                Err(e) => wrong.push(e.to_string()),
            }
        }
        if wrong.is_empty() {
            Ok(Checked { config, rule_files, beside })
        } else {
            Err(Failure::new(wrong.join("\n")))
        }
    }
}
