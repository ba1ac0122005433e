//! `vigie`: flags, wiring, signals. Everything that computes lives in the other crates.
//!
//! Called under the name of a program it replaces (a link named `prometheus`, `alertmanager`), it is that role.

mod flags;
mod own_pages;
mod roles;
mod signals;

use std::path::Path;
use std::process::ExitCode;

use flags::{Command, Outcome, Parsed, Style};
use telemetry::logging::Format;
use tracing::Level;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Why a role could not start or ended, and the exit code that says so.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// A failure of configuration or of a resource: exit code 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// A command line that cannot be understood: exit code 2, as kingpin's in the originals.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

type Role = fn(&Parsed) -> Result<(), Failure>;

/// Names, command lines and entry points of the roles.
const ROLES: [(&[&str], Command, Role); 7] = [
    (&["run"], flags::run::COMMAND, roles::run::main),
    (&["prometheus"], flags::prometheus::COMMAND, roles::prometheus::main),
    (&["alertmanager"], flags::alertmanager::COMMAND, roles::alertmanager::main),
    (&["dashboards"], flags::dashboards::COMMAND, roles::dashboards::main),
    (
        &["node-exporter", "node_exporter", "prometheus-node-exporter"],
        flags::node_exporter::COMMAND,
        roles::node_exporter::main,
    ),
    (
        &["postgres-exporter", "postgres_exporter", "prometheus-postgres-exporter"],
        flags::postgres_exporter::COMMAND,
        roles::postgres_exporter::main,
    ),
    (
        &["redis-exporter", "redis_exporter", "prometheus-redis-exporter"],
        flags::redis_exporter::COMMAND,
        roles::redis_exporter::main,
    ),
];

/// Roles of the design that this version does not have.
const NOT_YET: [&str; 2] = ["amtool", "doctor"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(args: &[String]) -> Result<(), Failure> {
    let called_as =
        args.first().map(Path::new).and_then(Path::file_name).and_then(|n| n.to_str()).unwrap_or("vigie");
    let find = |name: &str| ROLES.iter().find(|(names, _, _)| names.contains(&name));
    if NOT_YET.contains(&called_as) {
        return Err(Failure::usage(format!("{called_as}: this role is not part of this version")));
    }
    if let Some(role) = find(called_as).filter(|(names, _, _)| !names.contains(&"run")) {
        return run_role(role, &args[1..]);
    }
    if called_as == "promtool" {
        return roles::promtool::main(&args[1..]);
    }
    let rest = args.get(2..).unwrap_or_default();
    match args.get(1).map(String::as_str) {
        Some("--version" | "version") => say(&flags::version("vigie")),
        Some("-h" | "--help" | "help") => say(&overview()),
        Some("promtool") => return roles::promtool::main(rest),
        Some(name) if NOT_YET.contains(&name) => {
            return Err(Failure::usage(format!("vigie {name}: this role is not part of this version")));
        }
        Some(name) if find(name).is_some() => return run_role(find(name).expect("just found"), rest),
        // `vigie DIR` and `vigie --flag` are `vigie run …`.
        Some(first) if first.starts_with("--") || Path::new(first).is_dir() => {
            return run_role(find("run").expect("in the table"), &args[1..]);
        }
        None => return run_role(find("run").expect("in the table"), &[]),
        Some(other) => {
            return Err(Failure::usage(format!(
                "vigie: expected a role or a directory, found {other:?}\n\n{}",
                overview()
            )));
        }
    }
    Ok(())
}

fn run_role((_, command, role): &(&[&str], Command, Role), args: &[String]) -> Result<(), Failure> {
    match command.parse(args) {
        Ok(Outcome::Print(text)) => {
            say(&text);
            Ok(())
        }
        Ok(Outcome::Run(parsed)) => {
            start_logging(command.style, &parsed)?;
            for (name, why) in &parsed.ignored {
                tracing::warn!(flag = %format!("--{name}"), reason = %why, "This flag changes nothing");
            }
            role(&parsed)
        }
        Err(message) => Err(Failure::usage(format!("{}: error: {message}, try --help", command.name))),
    }
}

fn start_logging(style: Style, parsed: &Parsed) -> Result<(), Failure> {
    let (level, format) = match style {
        Style::Kingpin => kingpin_logging(parsed)?,
        Style::Go => go_logging(parsed),
    };
    telemetry::logging::init(level, format);
    Ok(())
}

fn kingpin_logging(parsed: &Parsed) -> Result<(Level, Format), Failure> {
    let level = match parsed.get("log.level") {
        "debug" => Level::DEBUG,
        "info" => Level::INFO,
        "warn" => Level::WARN,
        "error" => Level::ERROR,
        other => {
            return Err(Failure::usage(format!(
                "--log.level: expected debug, info, warn or error, found {other:?}"
            )));
        }
    };
    let format = match parsed.get("log.format") {
        "logfmt" => Format::Logfmt,
        "json" => Format::Json,
        other => {
            return Err(Failure::usage(format!("--log.format: expected logfmt or json, found {other:?}")));
        }
    };
    Ok((level, format))
}

/// The flags of `redis_exporter`, which takes whatever it does not know for its defaults.
fn go_logging(parsed: &Parsed) -> (Level, Format) {
    let level = match parsed.get("log-level").to_ascii_uppercase().as_str() {
        _ if parsed.is_on("debug") => Level::DEBUG,
        "DEBUG" => Level::DEBUG,
        "WARN" | "WARNING" => Level::WARN,
        "ERROR" => Level::ERROR,
        _ => Level::INFO,
    };
    let format = if parsed.get("log-format") == "json" { Format::Json } else { Format::Logfmt };
    (level, format)
}

fn overview() -> String {
    let mut out = String::from(
        "usage: vigie [run] [DIR] [<flags>]\n       vigie <role> [<flags>]\n\nThe whole monitoring stack in one program.\n\nRoles:\n",
    );
    for (names, command, _) in &ROLES {
        out.push_str(&format!("  {:<18} {}\n", names[0], command.about));
    }
    out.push_str(&format!(
        "  {:<18} {}\n",
        "promtool", "promtool's commands for stores: vigie promtool tsdb --help"
    ));
    out.push_str("\n`vigie <role> --help` lists a role's flags.\n");
    out
}

#[expect(clippy::print_stdout, reason = "help and versions belong on standard output")]
fn say(text: &str) {
    print!("{text}");
}

#[expect(clippy::print_stderr, reason = "the last word of a program that could not run")]
fn complain(text: &str) {
    eprintln!("{text}");
}
