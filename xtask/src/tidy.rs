//! `cargo xtask tidy`: what neither the compiler nor clippy sees.
//!
//! Crates depend downwards only; files stay small; unfinished work and paths of someone's machine
//! stay out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::paths;

/// The layers, bottom first. A crate may use those in lower layers, not those beside or above it.
const LAYERS: [&[&str]; 11] = [
    &["model", "kernels"],
    &["exposition", "interchange", "template", "config", "storage", "assets"],
    &["httpclient", "telemetry"],
    &["exporters"],
    &["tsdb", "promql", "scrape", "discovery", "remote", "alertmanager"],
    &["exporter-node", "exporter-postgres", "exporter-redis"],
    &["rules"],
    &["notifier", "promtool"],
    &["web", "dashboards"],
    &["vigie"],
    &["e2e"],
];

/// Lines from which a file is worth a question, and from which it fails.
const LONG: usize = 500;
const TOO_LONG: usize = 800;

/// Text files in these forms are read.
const READ: [&str; 13] =
    ["rs", "ts", "tsx", "mjs", "css", "toml", "md", "yml", "yaml", "json", "py", "sh", "txt"];
/// Files in these forms are code, and counted.
const CODE: [&str; 6] = ["rs", "ts", "tsx", "mjs", "css", "py"];

/// Assembled, so that this file does not find itself.
const FORBIDDEN: [(&str, &str); 5] = [
    (concat!("todo", "!("), "unfinished work"),
    (concat!("unimplemented", "!("), "unfinished work"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/Us", "ers/"), "a path of one machine"),
];

/// Prints what it finds; true where nothing fails.
pub(crate) fn run() -> anyhow::Result<bool> {
    let mut failures = layering()?;
    for file in tracked_files()? {
        let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
        let path = paths::root().join(&file);
        if !READ.contains(&extension) || !path.is_file() {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else {
            failures.push(format!("{file}: not UTF-8"));
            continue;
        };
        let lines = text.lines().count();
        if CODE.contains(&extension) {
            if lines > TOO_LONG {
                failures.push(format!("{file}: {lines} lines, split it (at most {TOO_LONG})"));
            } else if lines > LONG {
                println!("warning: {file}: {lines} lines, is it two ideas? ({LONG} is usual at most)");
            }
        }
        failures.extend(forbidden_text(&file, &text));
    }
    for failure in &failures {
        println!("tidy: {failure}");
    }
    println!("tidy: {} failed", failures.len());
    Ok(failures.is_empty())
}

fn tracked_files() -> anyhow::Result<Vec<String>> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let output =
        Command::new("git").args(arguments).current_dir(paths::root()).output().context("cannot run git")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout)?;
    Ok(names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn forbidden_text(file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (forbidden, why) in FORBIDDEN {
            // Part of a longer path is no absolute path.
            let alone = line.match_indices(forbidden).any(|(start, _)| {
                let before = line[..start].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '}'))
            });
            if alone {
                found.push(format!("{file}:{}: `{forbidden}`: {why}", number + 1));
            }
        }
    }
    found
}

fn layering() -> anyhow::Result<Vec<String>> {
    let mut failures = Vec::new();
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(paths::root().join("crates"))? {
        let directory = entry?.path();
        let manifest = directory.join("Cargo.toml");
        if !manifest.is_file() {
            continue;
        }
        let name = file_name(&directory);
        let text = fs::read_to_string(&manifest)?;
        failures.extend(upward_edges(&name, &dependencies(&text)));
        seen.insert(name);
    }
    ensure!(seen.contains("model"), "no crates found");
    Ok(failures)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Names under `[dependencies]` and `[target.….dependencies]`; tests may reach further.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut within = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            within = section == "dependencies" || section.ends_with(".dependencies");
            if let Some(name) = section.strip_prefix("dependencies.") {
                names.push(name.to_owned());
            }
        } else if within && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            if !name.is_empty() {
                names.push(name.trim_start_matches("vigie-").to_owned());
            }
        }
    }
    names
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

fn upward_edges(name: &str, dependencies: &[String]) -> Vec<String> {
    let Some(own) = layer(name) else {
        return vec![format!("crates/{name}: give it a layer in xtask/src/tidy.rs")];
    };
    // What has no layer is no crate of ours.
    let ours = dependencies.iter().filter_map(|dependency| Some((dependency, layer(dependency)?)));
    ours.filter(|(_, layer)| *layer >= own)
        .map(|(dependency, _)| format!("crates/{name} depends on {dependency}, which is not below it"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_go_down() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\nmodel.workspace = true\n# rules\nserde = \"1\"\n\
                        web = { workspace = true }\n[dev-dependencies]\nvigie.workspace = true\n\
                        [target.'cfg(unix)'.dependencies]\nlibc = \"1\"\n";
        assert_eq!(dependencies(manifest), ["model", "serde", "web", "libc"]);
        let edges = |name: &str| upward_edges(name, &dependencies(manifest));
        assert_eq!(edges("vigie"), Vec::<String>::new());
        assert_eq!(edges("rules"), ["crates/rules depends on web, which is not below it"]);
        assert_eq!(edges("model").len(), 2);
        assert_eq!(edges("novel"), ["crates/novel: give it a layer in xtask/src/tidy.rs"]);
        assert_eq!(upward_edges("promql", &["tsdb".to_owned()]).len(), 1);
    }

    #[test]
    fn forbidden_text_is_found_alone() {
        let path = format!("see {}wt/x", FORBIDDEN[2].0);
        assert_eq!(forbidden_text("f", &path).len(), 1);
        assert_eq!(forbidden_text("f", &path.replace("see ", "frame")).len(), 0);
        assert_eq!(
            forbidden_text("f", &format!("fn f() {{\n    {})\n}}", FORBIDDEN[0].0))[0].split(' ').next(),
            Some("f:2:")
        );
    }
}
