//! Command lines as data: a table of flags per role, parsed as kingpin does for the originals.
//!
//! `--name=value`, `--name value`, `--name` and `--no-name` for switches; a repeated flag keeps its last value unless the
//! table lets it repeat. A flag that is known but not acted on yet is accepted with a warning that names it; an unknown one
//! is an error. Where the original reads an environment variable for a flag that is not given, so does ours.

pub(crate) mod alertmanager;
pub(crate) mod dashboards;
pub(crate) mod exporter;
pub(crate) mod node_exporter;
mod node_hardware;
pub(crate) mod postgres_exporter;
pub(crate) mod prometheus;
pub(crate) mod redis_exporter;
pub(crate) mod run;
pub(crate) mod store;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// A value.
    Value,
    /// Values, the flag being given several times.
    Values,
    /// Nothing: a switch with a `--no-` form.
    Nothing,
}

/// One row of a flag table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    /// The name without dashes.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) takes: Takes,
    /// The value where it is not given; `true` or `false` for a switch.
    pub(crate) default: &'static str,
    /// One sentence.
    pub(crate) help: &'static str,
    /// Left out of `--help`, as in the original.
    pub(crate) hidden: bool,
    /// What giving it does.
    pub(crate) effect: Effect,
    /// The environment variable that is read where it is not given; an empty one counts as none.
    pub(crate) env: Option<&'static str>,
}

/// What giving a flag does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// What its help says.
    Acts,
    /// Nothing yet.
    Later,
    /// Nothing, for this reason.
    Nothing(&'static str),
}

impl Effect {
    /// For those who give it all the same.
    pub(crate) fn remark(self) -> Option<&'static str> {
        match self {
            Self::Acts => None,
            Self::Later => Some("accepted, not acted on yet"),
            Self::Nothing(why) => Some(why),
        }
    }
}

/// A flag with a value.
pub(crate) const fn value(name: &'static str, default: &'static str, help: &'static str) -> Flag {
    Flag { name, takes: Takes::Value, default, help, hidden: false, effect: Effect::Acts, env: None }
}

/// A switch that is off unless given.
pub(crate) const fn switch(name: &'static str, help: &'static str) -> Flag {
    Flag {
        name,
        takes: Takes::Nothing,
        default: "false",
        help,
        hidden: false,
        effect: Effect::Acts,
        env: None,
    }
}

impl Flag {
    /// The same, repeatable.
    pub(crate) const fn repeatable(self) -> Self {
        Self { takes: Takes::Values, ..self }
    }

    /// The same, a switch that is on unless `--no-` is given.
    pub(crate) const fn on(self) -> Self {
        Self { default: "true", ..self }
    }

    /// The same, accepted without effect for now.
    pub(crate) const fn later(self) -> Self {
        Self { effect: Effect::Later, ..self }
    }

    /// The same, accepted for drop-in use without effect, and why.
    pub(crate) const fn without_effect(self, why: &'static str) -> Self {
        Self { effect: Effect::Nothing(why), ..self }
    }

    /// The same, read from this environment variable where it is not given.
    pub(crate) const fn env(self, variable: &'static str) -> Self {
        Self { env: Some(variable), ..self }
    }

    /// The same, left out of `--help`.
    pub(crate) const fn hidden(self) -> Self {
        Self { hidden: true, ..self }
    }
}

/// A role's command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Command {
    /// The name shown in usage and errors.
    pub(crate) name: &'static str,
    /// One sentence under the usage.
    pub(crate) about: &'static str,
    /// What may stand besides flags, for the usage line.
    pub(crate) positional: Option<&'static str>,
    /// The flags.
    pub(crate) flags: &'static [&'static [Flag]],
    /// Another command whose flags of these tables are taken too; `--help` only names it.
    pub(crate) also: Option<(&'static str, &'static [&'static [Flag]])>,
    /// Which library's habits the original has.
    pub(crate) style: Style,
}

/// How a command line is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `--name`, `--no-name`: kingpin.
    Kingpin,
    /// `-name` or `--name`, `-name=false`: Go's `flag`.
    Go,
}

/// What a command line came to.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// Run with these.
    Run(Parsed),
    /// Print this and exit 0: `--help`, `--version`.
    Print(String),
}

/// Flags with their values.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    values: BTreeMap<&'static str, Vec<String>>,
    /// Flags that were given, here or by their environment variable.
    given: Vec<&'static str>,
    /// Arguments that are no flags.
    pub(crate) positional: Vec<String>,
    /// Flags given that change nothing, and why not.
    pub(crate) ignored: Vec<(&'static str, &'static str)>,
}

impl Command {
    fn table(&self) -> impl Iterator<Item = &'static Flag> {
        let also = self.also.map_or(&[][..], |(_, tables)| tables);
        self.flags.iter().chain(also).flat_map(|f| f.iter())
    }

    /// Parses arguments (the program's and the command's names not among them).
    ///
    /// # Errors
    /// An unknown flag, a missing value, a surplus argument; in kingpin's words.
    pub(crate) fn parse(&self, args: &[String]) -> Result<Outcome, String> {
        self.parse_in(args, &|variable| std::env::var(variable).ok())
    }

    /// The same in an environment.
    fn parse_in(
        &self,
        args: &[String],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Outcome, String> {
        let mut parsed = Parsed {
            values: BTreeMap::new(),
            given: Vec::new(),
            positional: Vec::new(),
            ignored: Vec::new(),
        };
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let single = || arg.strip_prefix('-').filter(|name| self.style == Style::Go && !name.is_empty());
            let Some(long) = arg.strip_prefix("--").or_else(single) else {
                match arg.as_str() {
                    "-h" => return Ok(Outcome::Print(self.help())),
                    short if short.len() > 1 && short.starts_with('-') => {
                        return Err(format!("unknown short flag '{short}'"));
                    }
                    _ if self.positional.is_some() => parsed.positional.push(arg.clone()),
                    _ => return Err(format!("unexpected {arg}")),
                }
                continue;
            };
            let (name, inline) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v.to_owned())));
            match name {
                "" => {
                    parsed.positional.extend(rest.cloned());
                    break;
                }
                "help" | "help-long" | "help-man" | "h" => return Ok(Outcome::Print(self.help())),
                "version" => return Ok(Outcome::Print(version(self.name))),
                _ => {}
            }
            let (flag, negated) = self.find(name).ok_or_else(|| self.unknown(name))?;
            let value = match (flag.takes, inline) {
                (Takes::Nothing, None) => (!negated).to_string(),
                (Takes::Nothing, Some(v)) if v == "true" || v == "false" => v,
                (Takes::Nothing, Some(v)) if self.style == Style::Go && go_bool(&v).is_some() => {
                    go_bool(&v).unwrap_or_default().to_string()
                }
                (Takes::Nothing, Some(v)) => {
                    return Err(format!("unexpected value {v:?} for flag '--{name}'"));
                }
                (_, Some(v)) => v,
                (_, None) => {
                    rest.next().ok_or_else(|| format!("expected argument for flag '--{name}'"))?.clone()
                }
            };
            let values = parsed.values.entry(flag.name).or_default();
            if flag.takes != Takes::Values {
                values.clear();
            }
            values.push(value);
            parsed.given.push(flag.name);
            parsed.ignored.extend(flag.effect.remark().map(|why| (flag.name, why)));
        }
        for flag in self.table() {
            let given = flag.env.and_then(environment).filter(|value| !value.is_empty());
            if let (Some(value), None) = (given, parsed.values.get(flag.name)) {
                let variable = flag.env.unwrap_or_default();
                let values = match (flag.takes, value.as_str()) {
                    (Takes::Values, lines) => lines.lines().map(str::to_owned).collect(),
                    (Takes::Nothing, word) => {
                        let on = go_bool(word).ok_or_else(|| {
                            format!("environment variable {variable}: expected true or false, found {word:?}")
                        })?;
                        vec![on.to_string()]
                    }
                    (Takes::Value, _) => vec![value],
                };
                parsed.values.insert(flag.name, values);
                parsed.given.push(flag.name);
                parsed.ignored.extend(flag.effect.remark().map(|why| (flag.name, why)));
            }
            parsed.values.entry(flag.name).or_insert_with(|| {
                if flag.takes == Takes::Values && flag.default.is_empty() {
                    Vec::new()
                } else {
                    vec![flag.default.to_owned()]
                }
            });
        }
        Ok(Outcome::Run(parsed))
    }

    fn find(&self, name: &str) -> Option<(&'static Flag, bool)> {
        let exact = self.table().find(|f| f.name == name).map(|f| (f, false));
        exact.or_else(|| {
            let positive = name.strip_prefix("no-")?;
            self.table().find(|f| f.name == positive && f.takes == Takes::Nothing).map(|f| (f, true))
        })
    }

    /// Names the nearest flag, since most unknown flags are misspelt ones.
    fn unknown(&self, name: &str) -> String {
        let near = self
            .table()
            .map(|f| (distance(f.name, name), f.name))
            .min()
            .filter(|&(d, _)| d <= 3)
            .map(|(_, n)| format!(" (did you mean '--{n}'?)"))
            .unwrap_or_default();
        format!("unknown long flag '--{name}'{near}")
    }

    /// The text of `--help`, laid out as kingpin does.
    #[must_use]
    pub(crate) fn help(&self) -> String {
        let positional = self.positional.map(|p| format!(" {p}")).unwrap_or_default();
        let mut out = format!("usage: {} [<flags>]{positional}\n\n{}\n\nFlags:\n", self.name, self.about);
        let mut row = |left: &str, help: &str| {
            let indent = " ".repeat(33);
            let head =
                if left.len() < 31 { format!("  {left:<31}") } else { format!("  {left}  \n{indent}") };
            let mut line_len = 33;
            out.push_str(&head);
            for (i, word) in help.split_whitespace().enumerate() {
                if line_len + word.len() + 1 > 100 {
                    write!(out, "\n{indent}").expect("a String takes all");
                    line_len = 33;
                } else if i > 0 {
                    out.push(' ');
                }
                out.push_str(word);
                line_len += word.len() + 1;
            }
            out.push('\n');
        };
        row("-h, --[no-]help", "Show context-sensitive help (also try --help-long and --help-man).");
        row("    --[no-]version", "Show application version.");
        for flag in self.flags.iter().flat_map(|f| f.iter()).filter(|f| !f.hidden) {
            let left = match flag.takes {
                Takes::Nothing => format!("    --[no-]{}", flag.name),
                Takes::Value => format!("    --{}={:?}", flag.name, flag.default),
                Takes::Values => format!(
                    "    --{}={} ...",
                    flag.name,
                    if flag.default.is_empty() { "..." } else { flag.default }
                ),
            };
            let remark = flag.effect.remark().map(|r| format!(" ({r})")).unwrap_or_default();
            let env = flag.env.map(|variable| format!(" (${variable})")).unwrap_or_default();
            row(&left, &format!("{}{env}{remark}", flag.help));
        }
        if let Some((command, _)) = self.also {
            out.push_str(&format!("\nAnd all flags of `{command} --help` that say what is collected.\n"));
        }
        out
    }
}

impl Parsed {
    /// The last value of a flag of the table.
    ///
    /// # Panics
    /// When the table has no such flag.
    #[must_use]
    pub(crate) fn get(&self, name: &str) -> &str {
        self.values[name].last().map_or("", String::as_str)
    }

    /// All values of a repeatable flag.
    #[must_use]
    pub(crate) fn all(&self, name: &str) -> &[String] {
        &self.values[name]
    }

    /// Whether a switch is on.
    #[must_use]
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.get(name) == "true"
    }

    /// A duration.
    ///
    /// # Errors
    /// When the value is none.
    pub(crate) fn duration(&self, name: &str) -> Result<Duration, String> {
        model::duration::parse(self.get(name))
            .map_err(|e| format!("--{name}: {e}; write it as 30s, 5m or 1h30m"))
    }

    /// A number.
    ///
    /// # Errors
    /// When the value is none.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T, String> {
        let text = self.get(name);
        text.parse().map_err(|_| format!("--{name}: expected a number, found {text:?}"))
    }

    /// All flags with all their values in force.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        self.values.iter().map(|(name, values)| (*name, values.as_slice()))
    }

    /// The flags that were given, in the order they were.
    pub(crate) fn given(&self) -> &[&'static str] {
        &self.given
    }

    /// What was given of the flags of these tables, as arguments.
    pub(crate) fn arguments_of(&self, tables: &[&[Flag]]) -> Vec<String> {
        let of_tables =
            |name: &&&str| tables.iter().any(|table| table.iter().any(|flag| flag.name == **name));
        let mut names: Vec<_> = self.given.iter().filter(of_tables).collect();
        names.sort_unstable();
        names.dedup();
        let each =
            |name: &&&str| self.all(name).iter().map(|value| format!("--{name}={value}")).collect::<Vec<_>>();
        names.iter().flat_map(each).collect()
    }

    /// All flags with the values in force, for `/api/v1/status/flags`.
    #[must_use]
    pub(crate) fn in_force(&self) -> BTreeMap<String, String> {
        self.values.iter().map(|(name, v)| ((*name).to_owned(), v.join(","))).collect()
    }
}

/// What Go's `strconv.ParseBool` takes.
fn go_bool(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The text of `--version`.
#[must_use]
pub(crate) fn version(name: &str) -> String {
    format!(
        "{name}, version {} (vigie)\n  platform:         {}/{}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    )
}

/// Levenshtein's distance, for suggestions.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substitute = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: Command = Command {
        name: "test",
        about: "A test.",
        positional: None,
        flags: &[&[
            value("config.file", "prometheus.yml", "The file."),
            value("web.listen-address", "0.0.0.0:9090", "Where.").repeatable(),
            switch("web.enable-lifecycle", "Whether."),
            switch("compress", "Whether.").on(),
            value("old", "", "Nothing.").later(),
            switch("ping", "Whether.").env("TEST_PING"),
            value("addr", "here", "Where.").env("TEST_ADDR"),
        ]],
        also: Some(("other", &[&[value("path", "/", "More.").repeatable(), switch("net", "More.").on()]])),
        style: Style::Kingpin,
    };

    #[test]
    fn flags_of_another_command_are_passed_on() {
        let p = parse("--path=/a --path /b --no-net --addr=x").unwrap();
        assert_eq!(p.arguments_of(TEST.also.unwrap().1), ["--net=false", "--path=/a", "--path=/b"]);
        let help = parse("--help").unwrap_err();
        assert!(help.contains("And all flags of `other --help`") && !help.contains("--path"), "{help}");
    }

    #[test]
    fn reads_the_environment_where_a_flag_is_not_given() {
        let environment = |name: &str| match name {
            "TEST_PING" => Some("true".to_owned()),
            "TEST_ADDR" => Some("there".to_owned()),
            _ => None,
        };
        let parse = |args: &[&str], environment: &dyn Fn(&str) -> Option<String>| {
            let args: Vec<String> = args.iter().map(|&a| a.to_owned()).collect();
            let go = Command { style: Style::Go, ..TEST };
            match go.parse_in(&args, environment) {
                Ok(Outcome::Run(p)) => Ok((p.is_on("ping"), p.get("addr").to_owned())),
                Ok(Outcome::Print(text)) => Err(text),
                Err(e) => Err(e),
            }
        };
        assert_eq!(parse(&[], &environment), Ok((true, "there".to_owned())));
        assert_eq!(parse(&["-ping=false", "-addr", "a"], &environment), Ok((false, "a".to_owned())));
        assert_eq!(parse(&["-ping=T"], &|_| None), Ok((true, "here".to_owned())));
        assert_eq!(parse(&["--ping"], &|_| None), Ok((true, "here".to_owned())));
        assert_eq!(
            parse(&[], &|_| Some("maybe".to_owned())),
            Err("environment variable TEST_PING: expected true or false, found \"maybe\"".to_owned())
        );
    }

    fn parse(line: &str) -> Result<Parsed, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match TEST.parse(&args)? {
            Outcome::Run(p) => Ok(p),
            Outcome::Print(text) => Err(text),
        }
    }

    #[test]
    fn reads_all_forms() {
        let p = parse("--config.file=a.yml --web.listen-address :1 --web.listen-address=:2 --web.enable-lifecycle --no-compress --old=1").unwrap();
        assert_eq!(p.get("config.file"), "a.yml");
        assert_eq!(p.all("web.listen-address"), [":1", ":2"]);
        assert!(p.is_on("web.enable-lifecycle") && !p.is_on("compress"));
        assert_eq!(p.ignored, [("old", "accepted, not acted on yet")]);
        let p = parse("").unwrap();
        assert_eq!(p.get("web.listen-address"), "0.0.0.0:9090");
        assert!(p.is_on("compress"));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for (line, error) in [
            ("--confg.file=x", "unknown long flag '--confg.file' (did you mean '--config.file'?)"),
            ("--zzzzzzzzzz", "unknown long flag '--zzzzzzzzzz'"),
            ("-x", "unknown short flag '-x'"),
            ("stray", "unexpected stray"),
            ("--config.file", "expected argument for flag '--config.file'"),
            ("--compress=maybe", "unexpected value \"maybe\" for flag '--compress'"),
        ] {
            assert_eq!(parse(line).unwrap_err(), error);
        }
        assert!(parse("--help").unwrap_err().contains("--config.file=\"prometheus.yml\""));
    }
}
