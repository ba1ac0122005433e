//! Reading files: paths, globs, and the entry points of `prometheus.yml`.

use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Diagnostics, Loaded};
use crate::global::ValidationScheme;
use crate::prometheus::Config;
use crate::scrape::{ScrapeConfig, check_relabel};
use crate::tracing_section::TranslationStrategy;
use crate::yaml::{Context, Decode as _, Node, Place, SectionMap, parse};

/// The largest configuration file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Reads `prometheus.yml`, the scrape config files it names, and fills in defaults. Relative paths are joined with the file's directory.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn load_file(path: &Path) -> Result<Loaded<Config>, Diagnostics> {
    let text = read_text(path)?;
    load_str(&text, path)
}

/// As [`load_file`], from a text; `origin` is the file it stands for.
///
/// # Errors
/// As [`load_file`].
pub fn load_str(text: &str, origin: &Path) -> Result<Loaded<Config>, Diagnostics> {
    load_with(text, origin, &|name| std::env::var(name).ok())
}

/// As [`load_str`], with the environment for `external_labels` given by the caller.
///
/// # Errors
/// As [`load_file`].
pub fn load_with(
    text: &str,
    origin: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded<Config>, Diagnostics> {
    let root = parse(text, origin)?;
    let mut cx = Context::new(origin, text);
    let mut config = Config::decode(&root, &mut cx);
    if let Some(config) = &mut config {
        complete(config, &root, &mut cx, env);
        config.set_directory(directory_of(origin));
        if cx.errors.is_empty() {
            add_scrape_config_files(config, origin, &mut cx);
        }
    }
    let (value, warnings) = cx.finish(config)?;
    Ok(Loaded { value, warnings, text: text.to_owned() })
}

/// Reads a file as UTF-8.
///
/// # Errors
/// When it cannot be read, is too large or is no UTF-8.
pub fn read_text(path: &Path) -> Result<String, Diagnostics> {
    let fail = |message: String| Diagnostics::from(Diagnostic::whole_file(path, message));
    let size = std::fs::metadata(path).map_err(|e| fail(format!("cannot read the file: {e}")))?.len();
    if size > MAX_FILE_BYTES {
        return Err(fail(format!("the file has {size} bytes, more than the {MAX_FILE_BYTES} that are read")));
    }
    let bytes = std::fs::read(path).map_err(|e| fail(format!("cannot read the file: {e}")))?;
    String::from_utf8(bytes).map_err(|e| {
        let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = good.iter().filter(|b| **b == b'\n').count() + 1;
        fail(format!("line {line}: yaml: invalid Unicode: the file is not UTF-8"))
    })
}

/// The directory that relative paths in `file` refer to.
#[must_use]
pub fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Joins a relative file name with `dir`; leaves empty and absolute ones.
pub(crate) fn join_dir(dir: &Path, file: &mut String) {
    if !file.is_empty() && Path::new(file.as_str()).is_relative() && dir != Path::new(".") {
        *file = dir.join(&*file).to_string_lossy().into_owned();
    }
}

/// Where item `i` of the list under `key` stands.
fn item_place(root: &Node, key: &str, i: usize) -> Place {
    let items = root.get(key).and_then(Node::as_seq).unwrap_or(&[]);
    items.iter().filter(|n| !n.is_null()).nth(i).map_or(root.place, |n| n.place)
}

fn complete(config: &mut Config, root: &Node, cx: &mut Context<'_>, env: &dyn Fn(&str) -> Option<String>) {
    config.global.expand_external_labels(
        root.get("global").and_then(|g| g.get("external_labels")).map_or(root.place, |n| n.place),
        cx,
        env,
    );
    let scheme = config.global.metric_name_validation_scheme;
    let mut jobs: Vec<String> = Vec::new();
    for (i, job) in config.scrape_configs.iter_mut().enumerate() {
        let place = item_place(root, "scrape_configs", i);
        job.complete(&config.global, place, cx);
        if !job.job_name.is_empty() && jobs.contains(&job.job_name) {
            cx.error(place, format!("found multiple scrape configs with job name {:?}", job.job_name));
        }
        jobs.push(job.job_name.clone());
    }
    check_relabel(&config.alerting.alert_relabel_configs, scheme, cx);
    for target in &config.alerting.alertmanagers {
        check_relabel(&target.alert_relabel_configs, scheme, cx);
        check_relabel(&target.relabel_configs, scheme, cx);
    }
    for (i, write) in config.remote_write.iter().enumerate() {
        check_relabel(&write.write_relabel_configs, scheme, cx);
        if !write.name.is_empty() && config.remote_write[..i].iter().any(|o| o.name == write.name) {
            let text = format!("found multiple remote write configs with job name {:?}", write.name);
            cx.error(item_place(root, "remote_write", i), text);
        }
    }
    for (i, read) in config.remote_read.iter().enumerate() {
        if !read.name.is_empty() && config.remote_read[..i].iter().any(|o| o.name == read.name) {
            let text = format!("found multiple remote read configs with job name {:?}", read.name);
            cx.error(item_place(root, "remote_read", i), text);
        }
    }
    if let Some(
        strategy @ (TranslationStrategy::NoTranslation | TranslationStrategy::NoUtf8EscapingWithSuffixes),
    ) = config.otlp.translation_strategy
        && scheme == ValidationScheme::Legacy
    {
        let place = root.get("otlp").map_or(root.place, |n| n.place);
        cx.error(
            place,
            format!("OTLP translation strategy {:?} is not allowed when UTF8 is disabled", strategy.as_str()),
        );
    }
}

/// Reads the files that `scrape_config_files` names and adds their entries.
fn add_scrape_config_files(config: &mut Config, origin: &Path, cx: &mut Context<'_>) {
    let mut jobs: Vec<(String, String)> =
        config.scrape_configs.iter().map(|c| (c.job_name.clone(), "main config file".to_owned())).collect();
    for pattern in config.scrape_config_files.clone() {
        for file in expand_glob(&pattern) {
            let outcome = read_text(&file).and_then(|text| {
                let root = parse(&text, &file)?;
                let mut inner = Context::new(&file, &text);
                let mut list: Vec<ScrapeConfig> = Vec::new();
                if let Some(mut map) = SectionMap::open(&root, "config.ScrapeConfigs", &mut inner) {
                    map.no_nulls("scrape_configs", "empty or null scrape config section", &mut inner);
                    map.read("scrape_configs", &mut list, &mut inner);
                    map.finish(&["scrape_configs"], &mut inner);
                }
                for (i, job) in list.iter_mut().enumerate() {
                    let place = item_place(&root, "scrape_configs", i);
                    job.complete(&config.global, place, &mut inner);
                    if let Some((_, first)) = jobs.iter().find(|(name, _)| *name == job.job_name) {
                        let text = format!(
                            "found multiple scrape configs with job name {:?}, first found in {first}",
                            job.job_name
                        );
                        inner.error(place, text);
                    }
                    jobs.push((job.job_name.clone(), format!("{:?}", file.display())));
                    job.set_directory(directory_of(&file));
                }
                inner.finish(Some(list))
            });
            match outcome {
                Ok((mut list, mut warnings)) => {
                    config.imported_scrape_configs.append(&mut list);
                    cx.warnings.append(&mut warnings);
                }
                Err(Diagnostics(mut errors)) => cx.errors.append(&mut errors),
            }
        }
    }
    let _ = origin;
}

/// The files a pattern names, sorted; `*`, `?` and `[…]` in the last part only. A pattern without wildcards names itself.
#[must_use]
pub fn expand_glob(pattern: &str) -> Vec<PathBuf> {
    let path = Path::new(pattern);
    let Some(name) = path.file_name().and_then(|n| n.to_str()) else { return Vec::new() };
    if !name.contains(['*', '?', '[']) {
        return if path.exists() { vec![path.to_owned()] } else { Vec::new() };
    }
    let Ok(glob) = glob_regex(name) else { return Vec::new() };
    let dir = directory_of(path);
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut out: Vec<PathBuf> = entries
        .flatten()
        .filter(|e| e.file_name().to_str().is_some_and(|n| glob.is_match(n)))
        .map(|e| {
            if path.parent().is_some_and(|p| p.as_os_str().is_empty()) {
                PathBuf::from(e.file_name())
            } else {
                dir.join(e.file_name())
            }
        })
        .collect();
    out.sort();
    out
}

fn glob_regex(glob: &str) -> Result<regex::Regex, regex::Error> {
    let mut out = String::from("^");
    let mut chars = glob.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => {
                out.push('[');
                for c in chars.by_ref() {
                    if c == '[' || c == '&' || c == '~' {
                        out.push('\\');
                    }
                    out.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            '\\' => out.push_str(&regex::escape(&chars.next().map(String::from).unwrap_or_default())),
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    out.push('$');
    regex::Regex::new(&out)
}
