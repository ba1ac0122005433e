//! Grafana's provisioning files, `provisioning/dashboards/*.yaml`, and the dashboards they point to.
//!
//! Scanning is synchronous and gives a whole new [`Library`]; the owner calls it every few seconds, as Grafana's
//! `updateIntervalSeconds` has it. Files whose time and length did not change are not read again.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use crate::library::{Dashboard, Library, MAX_DASHBOARD_BYTES};

/// How deep below a provider's path files are looked for, so that a link to a parent does not loop.
const MAX_DEPTH: usize = 8;

/// Something wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.message)
    }
}

/// Where dashboards come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Grafana's `provisioning` directory; may be absent.
    pub provisioning: Option<PathBuf>,
    /// A directory whose JSON files are dashboards without further ado; may be absent.
    pub plain: Option<PathBuf>,
    /// Whether the starters are offered too.
    pub starters: bool,
}

/// One entry of a provisioning file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// The folder its dashboards go to; empty for the general one.
    pub folder: String,
    /// The directory.
    pub path: PathBuf,
    /// Whether sub-directories name the folders.
    pub folders_from_files_structure: bool,
}

#[derive(Deserialize)]
struct ProvidersFile {
    #[serde(default)]
    providers: Vec<ProviderEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProviderEntry {
    #[serde(default)]
    name: String,
    #[serde(default)]
    folder: String,
    #[serde(default, rename = "type")]
    kind: String,
    options: Option<ProviderOptions>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProviderOptions {
    #[serde(default)]
    path: String,
    #[serde(default)]
    folders_from_files_structure: bool,
}

/// Scans [`Sources`], remembering what it read.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    seen: HashMap<PathBuf, (SystemTime, u64, Result<Dashboard, Problem>)>,
}

impl Scanner {
    /// All dashboards now.
    pub(crate) fn scan(&mut self, sources: &Sources) -> Library {
        let mut library = Library::default();
        let mut read = HashMap::new();
        let mut providers = Vec::new();
        if let Some(dir) = &sources.provisioning {
            let fallback = sources.plain.as_deref();
            for file in yaml_files(&dir.join("dashboards")) {
                match load_providers(&file, fallback, &mut library) {
                    Ok(found) => providers.extend(found),
                    Err(problem) => library.add_problem(problem),
                }
            }
        }
        if let Some(path) = &sources.plain {
            let covered = providers.iter().any(|p: &Provider| same_dir(&p.path, path));
            if !covered && path.is_dir() {
                let provider = Provider {
                    name: "dashboards".to_owned(),
                    folder: String::new(),
                    path: path.clone(),
                    folders_from_files_structure: true,
                };
                providers.push(provider);
            }
        }
        for provider in &providers {
            let mut files = Vec::new();
            json_files(&provider.path, 0, &mut files);
            files.sort();
            for file in files {
                let folder = folder_of(provider, &file);
                match self.read(&file, &folder, &mut read) {
                    Ok(dashboard) => library.add(dashboard),
                    Err(problem) => library.add_problem(problem),
                }
            }
        }
        if sources.starters {
            library.add_starters();
        }
        self.seen = read;
        library
    }

    fn read(
        &mut self,
        file: &Path,
        folder: &str,
        read: &mut HashMap<PathBuf, (SystemTime, u64, Result<Dashboard, Problem>)>,
    ) -> Result<Dashboard, Problem> {
        let problem = |message: String| Problem { file: file.to_owned(), line: 1, column: 1, message };
        let meta = fs::metadata(file).map_err(|e| problem(e.to_string()))?;
        let stamp = (meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), meta.len());
        let outcome = match self.seen.get(file) {
            Some((time, len, known)) if (*time, *len) == stamp => known.clone(),
            _ if meta.len() > MAX_DASHBOARD_BYTES => {
                Err(problem(format!("larger than {MAX_DASHBOARD_BYTES} bytes (MAX_DASHBOARD_BYTES)")))
            }
            _ => fs::read_to_string(file)
                .map_err(|e| problem(e.to_string()))
                .and_then(|text| Dashboard::parse(&text, file, folder)),
        };
        let outcome = outcome.map(|d| Dashboard { folder: folder.to_owned(), ..d });
        read.insert(file.to_owned(), (stamp.0, stamp.1, outcome.clone()));
        outcome
    }
}

fn load_providers(
    file: &Path,
    fallback: Option<&Path>,
    library: &mut Library,
) -> Result<Vec<Provider>, Problem> {
    let problem = |line, column, message: String| Problem { file: file.to_owned(), line, column, message };
    let text = fs::read_to_string(file).map_err(|e| problem(1, 1, e.to_string()))?;
    let parsed: ProvidersFile = serde_saphyr::from_str(&text).map_err(|e| {
        let (line, column) = e
            .location()
            .map_or((1, 1), |l| (l.line().try_into().unwrap_or(1), l.column().try_into().unwrap_or(1)));
        problem(line, column, e.to_string().lines().next().unwrap_or("wrong YAML").to_owned())
    })?;
    let base = file.parent().unwrap_or(Path::new("."));
    let mut providers = Vec::new();
    for entry in parsed.providers {
        if !matches!(entry.kind.as_str(), "" | "file") {
            let message =
                format!("provider {:?}: type {:?} is not known; expected \"file\"", entry.name, entry.kind);
            library.add_problem(problem(1, 1, message));
            continue;
        }
        let options = entry
            .options
            .unwrap_or(ProviderOptions { path: String::new(), folders_from_files_structure: false });
        let written = expand(&options.path);
        // Relative paths are relative to the provisioning directory's parent: the user's directory.
        let root = base.parent().and_then(Path::parent).unwrap_or(Path::new("."));
        let mut path = root.join(&written);
        if !path.is_dir() {
            // A file made for a container names a path inside it; the dashboards lie beside the configuration.
            match fallback.filter(|f| f.is_dir()) {
                Some(plain) => path = plain.to_owned(),
                None => {
                    let message = format!("provider {:?}: {} is no directory", entry.name, path.display());
                    library.add_problem(problem(1, 1, message));
                    continue;
                }
            }
        }
        providers.push(Provider {
            name: entry.name,
            folder: expand(&entry.folder),
            path,
            folders_from_files_structure: options.folders_from_files_structure,
        });
    }
    Ok(providers)
}

/// `$VAR` and `${VAR}` from the environment, `$$` a dollar sign.
fn expand(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
            out.push_str(&std::env::var(name).unwrap_or_default());
            rest = after;
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            out.push_str(&std::env::var(&rest[..end]).unwrap_or_default());
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    out
}

fn folder_of(provider: &Provider, file: &Path) -> String {
    if !provider.folders_from_files_structure {
        return provider.folder.clone();
    }
    let parent = file.strip_prefix(&provider.path).ok().and_then(Path::parent);
    let nested = parent.map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    if nested.is_empty() { provider.folder.clone() } else { nested }
}

fn same_dir(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

fn yaml_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .map(|entries| entries.filter_map(Result::ok).map(|e| e.path()).collect())
        .unwrap_or_default();
    files.retain(|f| matches!(f.extension().and_then(|e| e.to_str()), Some("yaml" | "yml")));
    files.sort();
    files
}

fn json_files(dir: &Path, depth: usize, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for path in entries.filter_map(Result::ok).map(|e| e.path()) {
        if path.is_dir() {
            if depth < MAX_DEPTH {
                json_files(&path, depth + 1, out);
            }
        } else if path.extension().is_some_and(|e| e == "json") {
            out.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn follows_providers_and_notices_changes() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(
            &root.join("provisioning/dashboards/a.yaml"),
            "apiVersion: 1\nproviders:\n- name: x\n  folder: Estate\n  type: file\n  options:\n    path: /var/lib/nowhere/dashboards\n",
        );
        write(&root.join("dashboards/one.json"), r#"{"title":"One","uid":"one"}"#);
        write(&root.join("dashboards/bad.json"), "{");
        let sources = Sources {
            provisioning: Some(root.join("provisioning")),
            plain: Some(root.join("dashboards")),
            starters: false,
        };
        let mut scanner = Scanner::default();
        let library = scanner.scan(&sources);
        assert_eq!(library.len(), 1);
        assert_eq!(library.get("one").unwrap().folder, "Estate");
        assert_eq!(library.problems().len(), 1, "{:?}", library.problems());
        write(&root.join("dashboards/bad.json"), r#"{"title":"Mended","uid":"two"}"#);
        fs::remove_file(root.join("dashboards/one.json")).unwrap();
        let library = scanner.scan(&sources);
        assert!(library.get("one").is_none() && library.get("two").is_some());
        assert!(library.problems().is_empty());
    }

    #[test]
    fn a_plain_directory_needs_no_provider() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("dashboards/team/a.json"), r#"{"title":"A","uid":"a"}"#);
        let sources = Sources { plain: Some(dir.path().join("dashboards")), ..Sources::default() };
        let library = Scanner::default().scan(&sources);
        assert_eq!(library.get("a").unwrap().folder, "team");
    }

    #[test]
    fn a_users_dashboard_takes_the_place_of_a_starter() {
        let dir = tempfile::tempdir().unwrap();
        let sources =
            Sources { plain: Some(dir.path().join("dashboards")), starters: true, ..Sources::default() };
        let mut scanner = Scanner::default();
        let all = scanner.scan(&sources);
        assert_eq!((all.len(), all.starters()), (4, 4));
        assert_eq!(all.get("vigie-host").unwrap().folder, "Starters");
        write(&dir.path().join("dashboards/mine.json"), r#"{"title":"Mine","uid":"vigie-host"}"#);
        let mixed = scanner.scan(&sources);
        assert_eq!((mixed.len(), mixed.starters()), (4, 3));
        assert_eq!(mixed.get("vigie-host").unwrap().title, "Mine");
        assert!(mixed.problems().is_empty(), "{:?}", mixed.problems());
        assert_eq!(scanner.scan(&Sources { starters: false, ..sources }).len(), 1);
    }

    #[test]
    fn expands_the_environment() {
        assert_eq!(expand("a$$b${VIGIE_TEST_UNSET}c$VIGIE_TEST_UNSET/d"), "a$bc/d");
    }
}
