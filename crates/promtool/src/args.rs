//! Arguments of one command, parsed with kingpin's rules and error texts.

use std::collections::BTreeMap;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Value,
    /// Values, the flag being given several times.
    Values,
    Nothing,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) takes: Takes,
    pub(crate) default: &'static str,
    pub(crate) help: &'static str,
}

pub(crate) const fn value(name: &'static str, default: &'static str, help: &'static str) -> Flag {
    Flag { name, short: None, takes: Takes::Value, default, help }
}

pub(crate) const fn values(name: &'static str, default: &'static str, help: &'static str) -> Flag {
    Flag { name, short: None, takes: Takes::Values, default, help }
}

pub(crate) const fn switch(name: &'static str, short: Option<char>, help: &'static str) -> Flag {
    Flag { name, short, takes: Takes::Nothing, default: "false", help }
}

impl Flag {
    pub(crate) fn usage(&self) -> String {
        let short = self.short.map(|s| format!("-{s}, ")).unwrap_or_default();
        match self.takes {
            Takes::Nothing => format!("{short}--{}", self.name),
            Takes::Value => format!("{short}--{}={}", self.name, self.default),
            Takes::Values => format!("{short}--{}={} ...", self.name, self.default),
        }
    }
}

/// An argument that is no flag.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Positional {
    pub(crate) name: &'static str,
    /// `None`: it must be given.
    pub(crate) default: Option<&'static str>,
    /// Takes all that follow.
    pub(crate) many: bool,
}

pub(crate) const fn required(name: &'static str) -> Positional {
    Positional { name, default: None, many: false }
}

pub(crate) const fn optional(name: &'static str, default: &'static str) -> Positional {
    Positional { name, default: Some(default), many: false }
}

/// What a command may be given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    pub(crate) about: &'static str,
    pub(crate) flags: &'static [Flag],
    pub(crate) positional: &'static [Positional],
}

/// What it was given.
#[derive(Debug, Default)]
pub(crate) struct Args {
    flags: BTreeMap<&'static str, Vec<String>>,
    positional: Vec<String>,
}

impl Args {
    /// The value of a flag of the table, or its default.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.flags.get(name).and_then(|v| v.last()).map_or("", String::as_str)
    }

    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.flags.get(name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.get(name) == "true"
    }

    /// A whole number.
    pub(crate) fn number(&self, name: &str) -> Result<i64, crate::Failure> {
        let text = self.get(name);
        text.parse()
            .map_err(|_| crate::Failure::usage(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))
    }

    pub(crate) fn positional(&self, i: usize) -> &str {
        self.positional.get(i).map_or("", String::as_str)
    }

    pub(crate) fn rest(&self, from: usize) -> &[String] {
        self.positional.get(from..).unwrap_or_default()
    }
}

impl Spec {
    pub(crate) fn usage(&self) -> String {
        let flags = if self.flags.is_empty() { "" } else { " [<flags>]" };
        let positional: String = self
            .positional
            .iter()
            .map(|p| match (p.default, p.many) {
                (None, false) => format!(" <{}>", p.name),
                (None, true) => format!(" <{}>...", p.name),
                (Some(_), _) => format!(" [<{}>]", p.name),
            })
            .collect();
        format!("{flags}{positional}")
    }

    pub(crate) fn parse(&self, args: &[String]) -> Result<Args, String> {
        let mut out = Args::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            if arg == "--" {
                out.positional.extend(rest.by_ref().cloned());
            } else if let Some(long) = arg.strip_prefix("--") {
                let (name, inline) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
                let (flag, value) = self.long(name).ok_or_else(|| format!("unknown long flag '--{name}'"))?;
                self.put(&mut out, flag, value, inline, &mut rest, &format!("--{name}"))?;
            } else if let Some(short) = arg.strip_prefix('-').filter(|s| !s.is_empty()) {
                for c in short.chars() {
                    let flag = self.flags.iter().find(|f| f.short == Some(c));
                    let flag = flag.ok_or_else(|| format!("unknown short flag '-{c}'"))?;
                    self.put(&mut out, flag, "true", None, &mut rest, &format!("-{c}"))?;
                }
            } else {
                let many = self.positional.last().is_some_and(|p| p.many);
                if out.positional.len() >= self.positional.len() && !many {
                    return Err(format!("unexpected {arg}"));
                }
                out.positional.push(arg.clone());
            }
        }
        for (i, p) in self.positional.iter().enumerate().skip(out.positional.len()) {
            match p.default {
                Some(default) if out.positional.len() == i => out.positional.push(default.to_owned()),
                Some(_) => {}
                None => return Err(format!("required argument '{}' not provided", p.name)),
            }
        }
        for flag in self.flags.iter().filter(|f| !f.default.is_empty()) {
            out.flags.entry(flag.name).or_insert_with(|| vec![flag.default.to_owned()]);
        }
        Ok(out)
    }

    fn long(&self, name: &str) -> Option<(&'static Flag, &'static str)> {
        let exact = self.flags.iter().find(|f| f.name == name).map(|f| (f, "true"));
        exact.or_else(|| {
            let positive = name.strip_prefix("no-")?;
            self.flags.iter().find(|f| f.name == positive && f.takes == Takes::Nothing).map(|f| (f, "false"))
        })
    }

    fn put(
        &self,
        out: &mut Args,
        flag: &'static Flag,
        switched: &str,
        inline: Option<&str>,
        rest: &mut std::slice::Iter<'_, String>,
        shown: &str,
    ) -> Result<(), String> {
        let value = match (flag.takes, inline) {
            (Takes::Nothing, _) => switched.to_owned(),
            (_, Some(v)) => v.to_owned(),
            (_, None) => rest.next().ok_or_else(|| format!("expected argument for flag '{shown}'"))?.clone(),
        };
        let values = out.flags.entry(flag.name).or_default();
        if flag.takes != Takes::Values {
            values.clear();
        }
        values.push(value);
        Ok(())
    }
}
