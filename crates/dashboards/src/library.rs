//! All dashboards known at one moment, by uid, and what was wrong with the files that gave none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::provisioning::Problem;

/// The largest dashboard file read. The largest public one known has 1.4 MB.
pub(crate) const MAX_DASHBOARD_BYTES: u64 = 16 << 20;

/// One dashboard.
#[derive(Debug, Clone)]
pub struct Dashboard {
    /// Its identity in links; taken from the JSON, else derived from the file's path.
    pub uid: String,
    /// Its title.
    pub title: String,
    /// The title as part of a link.
    pub slug: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The folder's title; empty for the general folder.
    pub folder: String,
    /// The file.
    pub file: PathBuf,
    /// Its version, from the JSON, else 1.
    pub version: u64,
    /// Whether it is one of the program's own ([`crate::starters`]).
    pub starter: bool,
    /// Grafana's JSON, with a uid.
    pub json: Arc<RawValue>,
}

impl Dashboard {
    /// The link to it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("/d/{}/{}", self.uid, self.slug)
    }

    /// Reads a file's content: a dashboard, or one wrapped as `{"dashboard": …}`.
    ///
    /// # Errors
    /// Not JSON (with line and column), not an object, without a title.
    pub fn parse(text: &str, file: &Path, folder: &str) -> Result<Self, Problem> {
        let problem =
            |line, column, message: String| Problem { file: file.to_owned(), line, column, message };
        let mut root: serde_json::Value = serde_json::from_str(text).map_err(|e| {
            let message = e.to_string();
            let bare = message.split(" at line ").next().unwrap_or(&message).to_owned();
            problem(e.line(), e.column(), format!("not a dashboard: {bare}"))
        })?;
        if let Some(inner) = root.get_mut("dashboard").filter(|d| d.is_object()) {
            root = inner.take();
        }
        let Some(object) = root.as_object_mut() else {
            return Err(problem(1, 1, "not a dashboard: expected a JSON object".to_owned()));
        };
        let title = object.get("title").and_then(|t| t.as_str()).unwrap_or("").trim().to_owned();
        if title.is_empty() {
            let message = "dashboard title cannot be empty; add a \"title\"".to_owned();
            return Err(problem(1, 1, message));
        }
        let uid = match object.get("uid").and_then(|u| u.as_str()) {
            Some(uid) if !uid.is_empty() => {
                let plain = uid.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
                if uid.len() > 40 || !plain {
                    let message = format!("uid {uid:?}: expected at most 40 letters, digits, '-' or '_'");
                    return Err(problem(1, 1, message));
                }
                uid.to_owned()
            }
            _ => derived_uid(file),
        };
        object.insert("uid".to_owned(), uid.clone().into());
        let strings = |key: &str| -> Vec<String> {
            let list = object.get(key).and_then(|t| t.as_array()).map(Vec::as_slice).unwrap_or_default();
            list.iter().filter_map(|t| t.as_str().map(str::to_owned)).collect()
        };
        let (tags, version) = (strings("tags"), object.get("version").and_then(serde_json::Value::as_u64));
        let json = serde_json::value::to_raw_value(&root).map_err(|e| problem(1, 1, e.to_string()))?;
        Ok(Self {
            slug: slugify(&title),
            uid,
            title,
            tags,
            folder: folder.to_owned(),
            file: file.to_owned(),
            version: version.unwrap_or(1).max(1),
            starter: false,
            json: Arc::from(json),
        })
    }
}

/// Stable over restarts: the file's path decides.
fn derived_uid(file: &Path) -> String {
    let digest = Sha256::digest(file.to_string_lossy().as_bytes());
    digest.iter().take(7).map(|b| format!("{b:02x}")).collect()
}

/// Lower case, words joined by `-`.
pub(crate) fn slugify(title: &str) -> String {
    let mut slug = String::new();
    for c in title.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// Dashboards by uid.
#[derive(Debug, Clone, Default)]
pub struct Library {
    dashboards: BTreeMap<String, Arc<Dashboard>>,
    problems: Vec<Problem>,
}

impl Library {
    /// Adds a dashboard; of two with one uid the first stays and the second becomes a problem.
    pub fn add(&mut self, dashboard: Dashboard) {
        match self.dashboards.get(&dashboard.uid) {
            Some(first) if first.file != dashboard.file => {
                let message =
                    format!("uid {:?} is taken by {}; give it another", dashboard.uid, first.file.display());
                self.problems.push(Problem { file: dashboard.file, line: 1, column: 1, message });
            }
            Some(_) => {}
            None => {
                self.dashboards.insert(dashboard.uid.clone(), Arc::new(dashboard));
            }
        }
    }

    /// Adds the starters whose uid no other dashboard has: a user's dashboard takes a starter's place without a word.
    pub fn add_starters(&mut self) {
        for starter in crate::starters::dashboards() {
            self.dashboards.entry(starter.uid.clone()).or_insert_with(|| Arc::new(starter.clone()));
        }
    }

    /// Notes what was wrong with a file.
    pub fn add_problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The dashboard with this uid.
    #[must_use]
    pub fn get(&self, uid: &str) -> Option<&Arc<Dashboard>> {
        self.dashboards.get(uid)
    }

    /// All, by folder and title.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Arc<Dashboard>> {
        let mut all: Vec<_> = self.dashboards.values().collect();
        all.sort_by_key(|d| (d.folder.to_lowercase(), d.title.to_lowercase(), d.uid.clone()));
        all
    }

    /// The number of dashboards.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dashboards.len()
    }

    /// How many of them are starters.
    #[must_use]
    pub fn starters(&self) -> usize {
        self.dashboards.values().filter(|d| d.starter).count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dashboards.is_empty()
    }

    /// Files that gave no dashboard, and why.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_plain_and_wrapped_json_and_names_what_is_wrong() {
        let file = Path::new("a/b.json");
        let d = Dashboard::parse(
            r#"{"dashboard":{"title":"API & co","uid":"x-1","tags":["a"],"version":3}}"#,
            file,
            "F",
        );
        let d = d.unwrap();
        assert_eq!((d.url().as_str(), d.version, d.tags.len()), ("/d/x-1/api-co", 3, 1));
        let unnamed = Dashboard::parse(r#"{"title":"T","uid":null}"#, file, "").unwrap();
        assert_eq!(unnamed.uid, Dashboard::parse(r#"{"title":"U"}"#, file, "").unwrap().uid);
        assert!(unnamed.json.get().contains(&unnamed.uid));
        for (text, error) in [
            ("{\"title\":\n x", "a/b.json:2:2: not a dashboard: expected value"),
            ("[]", "a/b.json:1:1: not a dashboard: expected a JSON object"),
            ("{}", "a/b.json:1:1: dashboard title cannot be empty; add a \"title\""),
            (
                r#"{"title":"T","uid":"a b"}"#,
                "a/b.json:1:1: uid \"a b\": expected at most 40 letters, digits, '-' or '_'",
            ),
        ] {
            assert_eq!(Dashboard::parse(text, file, "").unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn the_first_of_two_with_one_uid_stays() {
        let mut library = Library::default();
        for name in ["a.json", "b.json"] {
            library.add(Dashboard::parse(r#"{"title":"T","uid":"u"}"#, Path::new(name), "").unwrap());
        }
        assert_eq!((library.len(), library.problems().len()), (1, 1));
        assert_eq!(library.get("u").unwrap().file, Path::new("a.json"));
    }
}
