//! The sections about commands and errors: calls and times per command, percentiles, errors by code.

use std::collections::BTreeMap;

use exporters::Kind;
use model::float::parse_go_float;

use crate::sheet::Sheet;

/// Calls and microseconds per command, as far as INFO told them.
#[derive(Debug, Default)]
pub(crate) struct CommandTimes(BTreeMap<String, (f64, f64)>);

impl CommandTimes {
    /// Microseconds of a command with its subcommands.
    pub(crate) fn total_usec(&self, command: &str) -> f64 {
        let own = self.0.get(command).map_or(0.0, |t| t.1);
        let first = format!("{command}|");
        let below = self.0.range(first.clone()..).take_while(|(name, _)| name.starts_with(&first));
        own + below.map(|(_, t)| t.1).sum::<f64>()
    }
}

/// What is gathered until the sections have been read.
#[derive(Debug, Default)]
pub(super) struct Stats<'t> {
    times: CommandTimes,
    percentiles: Vec<(&'t str, Vec<(f64, f64)>)>,
}

impl<'t> Stats<'t> {
    /// `cmdstat_get:calls=21,usec=175,usec_per_call=8.33`, from 6.2 on with `rejected_calls` and `failed_calls`.
    pub(super) fn command(&mut self, sheet: &mut Sheet, name: &str, value: &str) {
        let Some(command) = name.strip_prefix("cmdstat_") else { return };
        let get = |wanted: &str| {
            let pair = value.split(',').filter_map(|p| p.split_once('=')).find(|(n, _)| *n == wanted)?;
            parse_go_float(pair.1)
        };
        let (Some(calls), Some(usec)) = (get("calls"), get("usec")) else { return };
        let labels = [("cmd", command)];
        sheet.counter("commands_total", "Total number of calls per command", &labels, calls);
        let help = "Total amount of time in seconds spent per command";
        sheet.counter("commands_duration_seconds_total", help, &labels, usec / 1e6);
        if let (Some(rejected), Some(failed)) = (get("rejected_calls"), get("failed_calls")) {
            // The help texts are the original's, each about the other.
            let help = "Total number of errors within command execution per command";
            sheet.counter("commands_rejected_calls_total", help, &labels, rejected);
            let help = "Total number of errors prior command execution per command";
            sheet.counter("commands_failed_calls_total", help, &labels, failed);
        }
        self.times.0.insert(command.to_owned(), (calls, usec));
    }

    /// `latency_percentiles_usec_get:p50=0.001,p99=1.003,p99.9=3.007`
    pub(super) fn percentiles(&mut self, name: &'t str, value: &str) {
        let Some(command) = name.strip_prefix("latency_percentiles_usec_") else { return };
        let one = |pair: &str| {
            let (percentile, value) = pair.split_once('=')?;
            Some((parse_go_float(percentile.strip_prefix('p')?)?, parse_go_float(value)?))
        };
        if let Some(mut all) = value.split(',').map(one).collect::<Option<Vec<_>>>() {
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            all.dedup_by(|a, b| a.0.total_cmp(&b.0).is_eq());
            self.percentiles.push((command, all));
        }
    }

    /// Writes what needed both sections.
    pub(super) fn finish(self, sheet: &mut Sheet) -> CommandTimes {
        let help = "A summary of latency percentile distribution per command";
        for (command, quantiles) in &self.percentiles {
            let Some(&(calls, usec)) = self.times.0.get(*command) else { continue };
            let labels = [("cmd", *command)];
            sheet.with("latency_percentiles_usec", help, Kind::Summary, &labels, |family, labels| {
                family.summary(labels, quantiles, usec, calls);
            });
        }
        self.times
    }
}

/// `errorstat_ERR:count=4`
pub(super) fn error(sheet: &mut Sheet, name: &str, value: &str) {
    let code = name.strip_prefix("errorstat_");
    let count = value.strip_prefix("count=").and_then(parse_go_float);
    if let (Some(code), Some(count)) = (code, count) {
        sheet.counter("errors_total", "Total number of errors per error type", &[("err", code)], count);
    }
}
