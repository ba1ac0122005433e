//! Flags and environment: a flag wins over its variable, a variable over the default.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::store::Location;

pub(crate) const USAGE: &str = "\
real-estate [serve] [FLAGS]   the application
real-estate sink [FLAGS]      prints the mails and Slack messages sent to it

serve: flag (variable) [default]
  --listen ADDR (LISTEN) [127.0.0.1:8000]          API and /metrics
  --sites-listen ADDR (SITES_LISTEN) [127.0.0.1:8001]  the listing sites that are scraped
  --database-url URL (DATABASE_URL) [sqlite:real-estate.db]  or postgresql://USER:PASSWORD@HOST/NAME
  --redis-url URL (REDIS_URL) []                   cache in Redis instead of in process
  --scrape-interval SECONDS (SCRAPE_INTERVAL) [30] between two rounds over the sites
  --cache-ttl SECONDS (CACHE_TTL) [10]
  --lookup-ms MS (LOOKUP_MS) [15]                  mean extra time of a cache miss
  --traffic RATE (TRAFFIC) [0]                     own visitors, requests per second
  --broken true|false (BROKEN) [false]             start with the break switch on
  --seed N (SEED) [42]                             of all randomness

sink:
  --smtp-listen ADDR [127.0.0.1:2525]              SMTP with AUTH PLAIN and LOGIN, no TLS
  --slack-listen ADDR [127.0.0.1:2526]             takes POSTed JSON on any path
";

/// What to run.
pub(crate) enum Command {
    Serve(Options),
    Sink { smtp: SocketAddr, slack: SocketAddr },
    Help,
}

/// Settings of `serve`.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub listen: SocketAddr,
    pub sites_listen: SocketAddr,
    pub database: Location,
    pub redis_url: Option<String>,
    pub scrape_interval: Duration,
    pub cache_ttl: Duration,
    pub lookup: Duration,
    /// Requests per second; zero for none.
    pub traffic: f64,
    pub broken: bool,
    pub seed: u64,
}

/// Reads the arguments after the program's name; `variable` looks one up in the environment.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = String>,
    variable: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Command> {
    let mut command = None;
    let mut flags: HashMap<String, String> = HashMap::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if matches!(argument.as_str(), "-h" | "--help" | "help") {
            return Ok(Command::Help);
        }
        match argument.strip_prefix("--") {
            Some(flag) => {
                let (name, value) = match flag.split_once('=') {
                    Some((name, value)) => (name.to_owned(), value.to_owned()),
                    None => {
                        let value = arguments.next().with_context(|| format!("--{flag} wants a value"))?;
                        (flag.to_owned(), value)
                    }
                };
                if flags.insert(name.clone(), value).is_some() {
                    bail!("--{name} is given twice");
                }
            }
            None if command.is_none() => command = Some(argument),
            None => bail!("unexpected argument `{argument}`"),
        }
    }
    let mut source = Source { flags, variable };
    let command = match command.as_deref() {
        None | Some("serve") => Command::Serve(Options {
            listen: source.take("listen", "127.0.0.1:8000")?,
            sites_listen: source.take("sites-listen", "127.0.0.1:8001")?,
            database: Location::parse(&source.take::<String>("database-url", "sqlite:real-estate.db")?)?,
            redis_url: Some(source.take::<String>("redis-url", "")?).filter(|url| !url.is_empty()),
            scrape_interval: source.seconds("scrape-interval", "30")?,
            cache_ttl: source.seconds("cache-ttl", "10")?,
            lookup: Duration::from_millis(source.take("lookup-ms", "15")?),
            traffic: source.take::<f64>("traffic", "0")?.clamp(0.0, 10_000.0),
            broken: source.take("broken", "false")?,
            seed: source.take("seed", "42")?,
        }),
        Some("sink") => Command::Sink {
            smtp: source.take("smtp-listen", "127.0.0.1:2525")?,
            slack: source.take("slack-listen", "127.0.0.1:2526")?,
        },
        Some(other) => bail!("unknown command `{other}`, expected serve or sink"),
    };
    if let Some(unknown) = source.flags.keys().next() {
        bail!("unknown flag --{unknown}");
    }
    Ok(command)
}

struct Source<V> {
    flags: HashMap<String, String>,
    variable: V,
}

impl<V: Fn(&str) -> Option<String>> Source<V> {
    fn take<T>(&mut self, flag: &str, default: &str) -> anyhow::Result<T>
    where
        T: std::str::FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let name = flag.to_uppercase().replace('-', "_");
        let value = self.flags.remove(flag).or_else(|| (self.variable)(&name).filter(|v| !v.is_empty()));
        let value = value.as_deref().unwrap_or(default);
        value.parse().with_context(|| format!("--{flag} (or {name}): `{value}`"))
    }

    fn seconds(&mut self, flag: &str, default: &str) -> anyhow::Result<Duration> {
        let seconds: f64 = self.take(flag, default)?;
        if !(0.01..=86_400.0).contains(&seconds) {
            bail!("--{flag}: {seconds} is not within 0.01 and 86400 seconds");
        }
        Ok(Duration::from_secs_f64(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(arguments: &[&str]) -> anyhow::Result<Options> {
        let variable = |name: &str| (name == "SEED").then(|| "7".to_owned());
        match parse(arguments.iter().map(|a| (*a).to_owned()), variable)? {
            Command::Serve(options) => Ok(options),
            _ => bail!("not serve"),
        }
    }

    #[test]
    fn flag_then_variable_then_default() {
        let options = serve(&["--listen=127.0.0.1:0", "--scrape-interval", "0.5"]).unwrap();
        assert_eq!(options.listen.port(), 0);
        assert_eq!(options.scrape_interval, Duration::from_millis(500));
        assert_eq!((options.seed, options.sites_listen.port()), (7, 8001));
        assert_eq!(serve(&["serve", "--seed", "9"]).unwrap().seed, 9);
    }

    #[test]
    fn mistakes_are_named() {
        for (arguments, expect) in [
            (&["--lisen", "x"][..], "unknown flag --lisen"),
            (&["--listen"], "--listen wants a value"),
            (&["--listen", "nowhere"], "--listen (or LISTEN): `nowhere`"),
            (&["--scrape-interval=0"], "not within"),
            (&["--seed=1", "--seed=2"], "given twice"),
            (&["run"], "unknown command `run`"),
            (&["serve", "x"], "unexpected argument `x`"),
        ] {
            let error = format!("{:#}", serve(arguments).unwrap_err());
            assert!(error.contains(expect), "{arguments:?}: {error}");
        }
    }
}
