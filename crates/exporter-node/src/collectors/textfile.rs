//! Families from files that others write: `*.prom` in given directories.

mod file;
mod glob;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use exporters::{Kind, Page};

use self::file::{Family, Sample};
use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct TextFile {
    directories: Vec<String>,
}

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let directories = flags.all("collector.textfile.directory").iter().filter(|d| !d.is_empty());
    Ok(Box::new(TextFile { directories: directories.cloned().collect() }))
}

/// A family of a file, with the file.
struct Found {
    file: String,
    family: Family,
}

impl Collector for TextFile {
    fn update(&mut self, _: &Paths, page: &mut Page) -> Result<(), Fault> {
        let mut errors = false;
        let mut error = |what: &str, path: &Path, why: &dyn std::fmt::Display| {
            tracing::error!(path = %path.display(), err = %why, "{what}");
            errors = true;
        };
        let mut found = Vec::new();
        let mut times = BTreeMap::new();
        for directory in self.directories.iter().flat_map(|pattern| glob::expand(pattern)) {
            let names = match read::names(&directory) {
                Ok(names) => names,
                Err(fault) => {
                    error("failed to read textfile collector directory", &directory, &fault);
                    continue;
                }
            };
            for name in names.iter().filter(|name| name.ends_with(".prom")) {
                let path = directory.join(name);
                match families(&path) {
                    Ok((seconds, families)) => {
                        let file = shown(&path);
                        times.insert(file.clone(), seconds);
                        found.extend(families.into_iter().map(|family| Found { file: file.clone(), family }));
                    }
                    Err(why) => error("failed to collect textfile data", &path, &why),
                }
            }
        }
        let (helps, inconsistent) = helps(&found);
        for Found { file, family } in &found {
            if inconsistent.contains(&(file.as_str(), family.name.as_str())) {
                let why = format!("another file has another help text for {}", family.name);
                error("inconsistent metric help text", Path::new(file), &why);
            }
        }
        let help = "1 if there was an error opening or reading a file, 0 otherwise";
        page.single("node_textfile_scrape_error", help, Kind::Gauge, f64::from(u8::from(errors)));
        let help = "Unixtime mtime of textfiles successfully read.";
        let mut family = page.family("node_textfile_mtime_seconds", help, Kind::Gauge);
        for (file, seconds) in &times {
            family.sample(&[("file", file)], *seconds);
        }
        let kept =
            found.iter().filter(|f| !inconsistent.contains(&(f.file.as_str(), f.family.name.as_str())));
        let mut seen = HashSet::new();
        for Found { file, family } in kept {
            let help = helps.get(family.name.as_str()).map_or("", String::as_str);
            if let Err(why) = write(page, family, help, &mut seen) {
                page.count_error();
                tracing::error!(file, metric = %family.name, err = %why, "error gathering metrics");
            }
        }
        Ok(())
    }
}

/// A file's families and when it was written last.
fn families(path: &Path) -> Result<(f64, Vec<Family>), String> {
    // A pipe among them would make the scrape wait for its writer.
    let metadata = fs::metadata(path).map_err(|e| e.to_string())?;
    if !metadata.is_file() {
        return Err("not a regular file".to_owned());
    }
    let text = read::bytes(path).map_err(|e| e.to_string())?;
    let families = file::parse(&text)?;
    let modified = metadata.modified().map_err(|e| e.to_string())?;
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((since.as_secs() as f64, families))
}

/// A path as upstream writes it: without `./` and doubled slashes.
fn shown(path: &Path) -> String {
    let clean: PathBuf = path.components().filter(|c| *c != std::path::Component::CurDir).collect();
    clean.display().to_string()
}

/// The help text of each family: the first that a file has, else the files' names. And those that have another than the first.
fn helps(found: &[Found]) -> (BTreeMap<&str, String>, HashSet<(&str, &str)>) {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let mut inconsistent = HashSet::new();
    for Found { file, family } in found.iter().filter(|f| !f.family.help.is_empty()) {
        let help = *first.entry(&family.name).or_insert(&family.help);
        if help != family.help {
            inconsistent.insert((file.as_str(), family.name.as_str()));
        }
    }
    let mut helps: BTreeMap<&str, String> = first.iter().map(|(n, h)| (*n, (*h).to_owned())).collect();
    for Found { file, family } in found {
        if first.contains_key(family.name.as_str()) {
            continue;
        }
        match helps.get_mut(family.name.as_str()) {
            Some(help) => *help = format!("{help}, {file}"),
            None => drop(helps.insert(&family.name, format!("Metric read from {file}"))),
        }
    }
    (helps, inconsistent)
}

/// Writes a family's samples, but for those that are on the page.
fn write(page: &mut Page, family: &Family, help: &str, seen: &mut HashSet<String>) -> Result<(), String> {
    // These come after this collector has run.
    if family.name.starts_with("node_scrape_collector_") {
        return Err("the exporter itself has a family of this name".to_owned());
    }
    let mut repeated = None;
    let names = family.label_names();
    for sample in &family.samples {
        let labels: Vec<(&str, &str)> = names.iter().map(|name| (*name, sample.label(name))).collect();
        let key = format!("{} {labels:?}", family.name);
        if seen.contains(&key) || (page.has(&family.name) && page.has_series(&family.name, &labels)) {
            repeated = Some(format!("a series was collected before with the same name and labels: {key}"));
            continue;
        }
        let mut writer = page
            .try_family(&family.name, help, family.kind)
            .map_err(|conflict| format!("another family of this name has {conflict:?}"))?;
        match sample {
            Sample::Value { value, .. } => writer.sample(&labels, *value),
            Sample::Histogram { buckets, sum, count, .. } => writer.histogram(&labels, buckets, *sum, *count),
            Sample::Summary { quantiles, sum, count, .. } => writer.summary(&labels, quantiles, *sum, *count),
        };
        seen.insert(key);
    }
    repeated.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
