//! `promtool`: the `tsdb` group, with upstream's flags, texts and exit codes, and two commands of our own, `import` and `export`.
//!
//! [`main`] takes the arguments and writes to what it is given, so that everything here is tested without a process.

mod analyze;
mod args;
mod bounds;
mod compact;
mod dump;
mod export;
mod go_text;
mod histogram_text;
mod import;
mod list;
mod openmetrics;
mod rules;
mod source;

use std::fmt;
use std::io::Write;

use args::{Args, Spec};

/// What comes from outside.
pub struct Outside<'a> {
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Milliseconds since the Unix epoch, now.
    pub now_ms: i64,
}

impl fmt::Debug for Outside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").field("now_ms", &self.now_ms).finish_non_exhaustive()
    }
}

/// Why a command failed: the text for standard error. The exit code is 1, as upstream's for all of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A command line that cannot be understood.
    fn usage(text: impl fmt::Display) -> Self {
        Self(format!("promtool: error: {text}, try --help"))
    }

    fn within(self, what: &str) -> Self {
        Self(format!("{what}: {}", self.0))
    }
}

impl From<interchange::Error> for Failure {
    fn from(e: interchange::Error) -> Self {
        Self(e.to_string())
    }
}

impl From<storage::Error> for Failure {
    fn from(e: storage::Error) -> Self {
        Self(e.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        Self(format!("write to standard output: {e}"))
    }
}

type Run = fn(&Args, &mut Outside<'_>) -> Result<(), Failure>;

/// A command: its words, its arguments, what it does.
struct Command {
    words: &'static [&'static str],
    spec: Spec,
    run: Run,
}

const COMMANDS: [Command; 9] = [
    Command { words: &["tsdb", "analyze"], spec: analyze::SPEC, run: analyze::run },
    Command { words: &["tsdb", "compact"], spec: compact::SPEC, run: compact::run },
    Command { words: &["tsdb", "list"], spec: list::SPEC, run: list::run },
    Command { words: &["tsdb", "dump"], spec: dump::SPEC, run: dump::run },
    Command {
        words: &["tsdb", "dump-openmetrics"],
        spec: dump::OPENMETRICS_SPEC,
        run: dump::run_openmetrics,
    },
    Command {
        words: &["tsdb", "create-blocks-from", "openmetrics"],
        spec: openmetrics::SPEC,
        run: openmetrics::run,
    },
    Command { words: &["tsdb", "create-blocks-from", "rules"], spec: rules::SPEC, run: rules::run },
    Command { words: &["tsdb", "import"], spec: import::SPEC, run: import::run },
    Command { words: &["tsdb", "export"], spec: export::SPEC, run: export::run },
];

/// Groups of upstream's promtool that are not here yet.
const NOT_YET: [&str; 6] = ["check", "query", "debug", "push", "test", "promql"];

/// Runs the command that `args` (without the program's name) say.
///
/// # Errors
/// With the text for standard error; the exit code is 1.
pub fn main(args: &[String], outside: &mut Outside<'_>) -> Result<(), Failure> {
    let first = args.first().map_or("", String::as_str);
    if NOT_YET.contains(&first) {
        return Err(Failure::new(format!(
            "promtool {first}: this group of commands is not part of this version"
        )));
    }
    if args.iter().any(|a| matches!(a.as_str(), "-h" | "--help")) || first == "help" {
        return help(args, outside);
    }
    // Flags may stand among the words, as kingpin has it; none that comes before a word takes a value here.
    let mut depth = 0;
    loop {
        let candidates =
            || COMMANDS.iter().filter(|c| c.words.len() > depth && same(&c.words[..depth], args));
        let Some(word) = args.get(depth) else {
            let of = if depth == 0 { String::new() } else { format!(" of '{}'", args[..depth].join(" ")) };
            return Err(Failure::usage(format!("must select a subcommand{of}")));
        };
        if let Some(command) = candidates().find(|c| c.words.len() == depth + 1 && c.words[depth] == word) {
            let parsed = command.spec.parse(&args[depth + 1..]).map_err(Failure::usage)?;
            (command.run)(&parsed, outside)?;
            outside.out.flush()?;
            return Ok(());
        }
        if !candidates().any(|c| c.words[depth] == word) {
            return Err(Failure::usage(if word.starts_with("--") {
                format!("unknown long flag '{word}'")
            } else {
                format!("expected command but got {word:?}")
            }));
        }
        depth += 1;
    }
}

fn same(words: &[&str], args: &[String]) -> bool {
    words.iter().zip(args).all(|(w, a)| w == a)
}

fn help(args: &[String], outside: &mut Outside<'_>) -> Result<(), Failure> {
    let words: Vec<&str> = args.iter().map(String::as_str).take_while(|a| !a.starts_with('-')).collect();
    let begins = |c: &Command| words.iter().zip(c.words).all(|(a, b)| a == b);
    for command in COMMANDS.iter().filter(|c| begins(c)) {
        writeln!(
            outside.out,
            "promtool {}{}\n    {}",
            command.words.join(" "),
            command.spec.usage(),
            command.spec.about
        )?;
        for flag in command.spec.flags {
            writeln!(outside.out, "      {:<28} {}", flag.usage(), flag.help)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
