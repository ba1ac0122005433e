//! LATENCY LATEST and LATENCY HISTOGRAM; SLOWLOG, and Valkey's COMMANDLOG beside it.

use exporters::Kind;

use crate::config_values::ServerConfig;
use crate::info::CommandTimes;
use crate::resp::Value;
use crate::sheet::Sheet;

/// LATENCY LATEST: name, time, milliseconds, longest of each event.
pub(crate) fn write_latest(sheet: &mut Sheet, reply: Value) {
    for event in reply.into_list().into_iter().flatten() {
        let Some(values) = event.into_list() else { continue };
        let [name, last, duration, ..] = values.as_slice() else { continue };
        let (Some(last), Some(ms)) = (last.number(), duration.number()) else { continue };
        let Some(name) = name.clone().into_text() else { continue };
        let labels = [("event_name", name.as_str())];
        sheet.gauge("latency_spike_last", "When the latency spike last occurred", &labels, last as f64);
        let help = "Length of the last latency spike in seconds";
        sheet.gauge("latency_spike_duration_seconds", help, &labels, ms as f64 / 1e3);
    }
}

/// LATENCY HISTOGRAM: by command, calls and cumulative counts by microseconds. The sum is INFO's.
pub(crate) fn write_histogram(sheet: &mut Sheet, reply: Value, times: &CommandTimes) {
    let mut values = reply.into_list().into_iter().flatten();
    while let (Some(command), Some(details)) = (values.next(), values.next()) {
        let (Some(command), Some(details)) = (command.into_text(), details.into_list()) else { continue };
        // Names by turns: "calls", n, "histogram_usec", [bound, count, …].
        let [_, calls, _, Value::List(counts)] = details.as_slice() else { continue };
        let Some(calls) = calls.number() else { continue };
        let pair = |pair: &[Value]| Some((pair[0].number()? as f64, pair[1].number()? as f64));
        let mut buckets: Vec<(f64, f64)> = counts.chunks_exact(2).filter_map(pair).collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let labels = [("cmd", command.as_str())];
        let help = "A histogram of latencies per command";
        sheet.with("commands_latencies_usec", help, Kind::Histogram, &labels, |family, labels| {
            family.histogram(labels, &buckets, times.total_usec(&command), calls as f64);
        });
    }
}

/// SLOWLOG LEN and SLOWLOG GET 1.
pub(crate) fn write_slowlog(sheet: &mut Sheet, length: &Value, newest: Value) {
    if let Value::Number(length) = length {
        sheet.gauge("slowlog_length", "Total slowlog", &[], *length as f64);
    }
    let Some(entries) = newest.into_list() else { return };
    let entry = entries.into_iter().next().and_then(Value::into_list).unwrap_or_default();
    let number = |place: usize| entry.get(place).and_then(Value::number).unwrap_or(0) as f64;
    sheet.gauge("slowlog_last_id", "Last id of slowlog", &[], number(0));
    let help = "The amount of time needed for last slow execution, in seconds";
    sheet.gauge("last_slow_execution_duration_seconds", help, &[], number(2) / 1e6);
}

/// The logs that Valkey 8.1 has, with the families of their lengths.
pub(crate) const COMMAND_LOGS: [(&str, &str, &str); 3] = [
    ("slow", "commandlog_slow_length", "Total entries in the slow command log"),
    ("large-request", "commandlog_large_request_length", "Total entries in the large-request command log"),
    ("large-reply", "commandlog_large_reply_length", "Total entries in the large-reply command log"),
];

const COMMAND_LOG_SETTINGS: [(&str, &str); 6] = [
    ("commandlog-execution-slower-than", "Execution time threshold in microseconds for the slow command log"),
    ("commandlog-slow-execution-max-len", "Maximum number of entries retained in the slow command log"),
    ("commandlog-request-larger-than", "Request size threshold in bytes for the large-request command log"),
    (
        "commandlog-large-request-max-len",
        "Maximum number of entries retained in the large-request command log",
    ),
    ("commandlog-reply-larger-than", "Reply size threshold in bytes for the large-reply command log"),
    ("commandlog-large-reply-max-len", "Maximum number of entries retained in the large-reply command log"),
];

/// COMMANDLOG LEN of each of [`COMMAND_LOGS`], and the settings that go with them.
pub(crate) fn write_command_logs(sheet: &mut Sheet, lengths: &[Value], config: &ServerConfig) {
    for ((_, name, help), length) in COMMAND_LOGS.iter().zip(lengths) {
        if let Value::Number(length) = length {
            sheet.gauge(name, help, &[], *length as f64);
        }
    }
    for (key, help) in COMMAND_LOG_SETTINGS {
        if let Some(value) = config.get(key).and_then(|v| v.parse::<i64>().ok()) {
            sheet.gauge(&key.replace('-', "_"), help, &[], value as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::tests::lines;

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    fn list(values: impl IntoIterator<Item = Value>) -> Value {
        Value::List(values.into_iter().collect())
    }

    fn numbers(numbers: &[i64]) -> Value {
        list(numbers.iter().map(|&n| Value::Number(n)))
    }

    #[test]
    fn spikes_histograms_and_logs() {
        let mut sheet = Sheet::new("redis");
        let event = list([text("fork"), Value::Number(1_700_000_000), Value::Number(3), Value::Number(9)]);
        write_latest(&mut sheet, list([event, Value::Nil, list([text("short")])]));
        let details = list([text("calls"), Value::Number(3), text("histogram_usec"), numbers(&[1, 2, 4, 3])]);
        write_histogram(&mut sheet, list([text("get"), details, text("odd")]), &CommandTimes::default());
        let entry = list([Value::Number(7), Value::Number(1), Value::Number(1500)]);
        write_slowlog(&mut sheet, &Value::Number(2), list([entry]));
        assert_eq!(
            lines(sheet),
            [
                "redis_commands_latencies_usec_bucket{cmd=\"get\",le=\"1\"} 2",
                "redis_commands_latencies_usec_bucket{cmd=\"get\",le=\"4\"} 3",
                "redis_commands_latencies_usec_bucket{cmd=\"get\",le=\"+Inf\"} 3",
                "redis_commands_latencies_usec_sum{cmd=\"get\"} 0",
                "redis_commands_latencies_usec_count{cmd=\"get\"} 3",
                "redis_last_slow_execution_duration_seconds 0.0015",
                "redis_latency_spike_duration_seconds{event_name=\"fork\"} 0.003",
                "redis_latency_spike_last{event_name=\"fork\"} 1.7e+09",
                "redis_slowlog_last_id 7",
                "redis_slowlog_length 2",
            ]
        );
    }

    #[test]
    fn an_empty_log_is_zero_and_a_refused_one_is_nothing() {
        let mut sheet = Sheet::new("redis");
        write_slowlog(&mut sheet, &Value::Number(0), list([]));
        let refused = || Value::Error("ERR unknown command".to_owned());
        write_slowlog(&mut sheet, &refused(), refused());
        write_latest(&mut sheet, refused());
        write_histogram(&mut sheet, refused(), &CommandTimes::default());
        assert_eq!(
            lines(sheet),
            [
                "redis_last_slow_execution_duration_seconds 0",
                "redis_slowlog_last_id 0",
                "redis_slowlog_length 0"
            ]
        );
    }

    #[test]
    fn valkeys_logs() {
        let mut sheet = Sheet::new("redis");
        let config =
            ServerConfig::new(vec![("commandlog-reply-larger-than".to_owned(), "1048576".to_owned())]);
        write_command_logs(
            &mut sheet,
            &[Value::Number(1), Value::Error("E".into()), Value::Number(3)],
            &config,
        );
        assert_eq!(
            lines(sheet),
            [
                "redis_commandlog_large_reply_length 3",
                "redis_commandlog_reply_larger_than 1.048576e+06",
                "redis_commandlog_slow_length 1"
            ]
        );
    }
}
