//! The node exporter beside the original, on the same host at the same moment.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::expositions::{Differences, Differs, Exception, Exposition, compare};
use e2e::program::{Program, test_directory};
use e2e::{http, tools};

use crate::support::free_address;

/// Flags that make the original, which distributions patch, and ours start from the same place.
const SAME: [&str; 9] = [
    "--no-collector.systemd",
    "--collector.netdev.device-exclude=^$",
    "--collector.filesystem.mount-points-exclude=^/(dev|proc|sys)($|/)",
    "--collector.filesystem.fs-types-exclude=^(autofs|cgroup2?|devpts|devtmpfs|overlay|proc|sysfs|tracefs)$",
    r"--collector.diskstats.device-exclude=^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$",
    "--collector.netclass.ignored-devices=^$",
    r"--collector.netstat.fields=^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|Syncookies.*)|Tcp_(ActiveOpens|InSegs|CurrEstab)|Udp6?_(InDatagrams|NoPorts))$",
    "--collector.cpu.info",
    "--path.rootfs=/",
];

/// The original's collectors that ours does not have, by intention.
const NOT_OURS: [&str; 3] = ["supervisord", "logind", "perf"];

/// Collectors of daemons that a test has not: without one, each program says so in its own way.
const OF_DAEMONS: [&str; 3] = ["ntp", "runit", "systemd"];

/// Label names that versions since 1.5 added to families there were; taken out of ours before comparing.
const NEW_LABELS: [&str; 3] = ["device_error", "rotational", "adminstate"];

const EXCEPTIONS: &[Exception] = &[
    Exception {
        pattern: "node_(cpu_online|cpu_isolated|filesystem_mount_info|disk_(filesystem|device_mapper)_info|disk_ata_.*)",
        what: Differs::Extra,
        reason: "newer than the original here",
    },
    Exception {
        pattern: "node_softnet_(backlog_len|cpu_collision_total|flow_limit_count_total|received_rps_total)",
        what: Differs::Extra,
        reason: "since 1.6",
    },
    Exception {
        pattern: "node_pressure_irq_stalled_seconds_total",
        what: Differs::Extra,
        reason: "since 1.9",
    },
    Exception {
        pattern: "node_cpu_frequency_hertz",
        what: Differs::Extra,
        reason: "1.7 moved the frequency of /proc/cpuinfo from the value of cpu_info to a family of its own",
    },
    Exception {
        pattern: "node_ksmd_.*",
        what: Differs::Help,
        reason: "later versions say what the number is",
    },
    Exception { pattern: "node_ksmd_general_profit_bytes", what: Differs::Extra, reason: "newer" },
    Exception {
        pattern: "node_exporter_build_info.*",
        what: Differs::Missing,
        reason: "the label values are each program's own",
    },
    Exception { pattern: "node_exporter_build_info.*", what: Differs::Extra, reason: "as above" },
    Exception { pattern: "node_exporter_build_info", what: Differs::Help, reason: "1.6 worded it anew" },
    Exception {
        pattern: "node_filefd_allocated|node_sockstat_.*_(alloc|mem|mem_bytes)|node_procs_running",
        what: Differs::Value,
        reason: "each program's own files, sockets and threads count while it reads",
    },
    Exception {
        pattern: "node_scrape_collector_(duration_seconds|success)",
        what: Differs::Value,
        reason: "each program's own; successes are compared by the test",
    },
    Exception {
        pattern: "node_scrape_collector_(duration_seconds|success).*",
        what: Differs::Extra,
        reason: "collectors newer than the original here",
    },
    Exception { pattern: "(process_|promhttp_).*", what: Differs::Value, reason: "each program's own" },
    Exception {
        pattern: "node_(slabinfo_(active_)?objects|buddyinfo_blocks)",
        what: Differs::Value,
        reason: "every program that runs beside takes and gives back objects and pages all the time",
    },
    Exception {
        pattern: "(process_|promhttp_|jemalloc_).*",
        what: Differs::Extra,
        reason: "each program's own",
    },
    Exception { pattern: "(process_|promhttp_).*", what: Differs::Help, reason: "worded by the library" },
    Exception { pattern: "(go_|process_).*", what: Differs::Missing, reason: "there is no Go runtime" },
];

/// How often a value may lie outside of the two readings around it before it is a difference: readings of moving values differ now and
/// then, those of wrong ones always.
const ATTEMPTS: usize = 6;

struct Exporter {
    program: Program,
    address: String,
}

impl Exporter {
    fn start(name: &str, mut command: Command, directory: &Path, flags: &[String]) -> Self {
        let address = free_address();
        command.arg(format!("--web.listen-address={address}")).args(flags);
        let mut program = Program::start(name, &mut command, directory);
        program.wait_until_listening(&address);
        Self { program, address }
    }

    fn ours(vigie: &Path, directory: &Path, flags: &[String]) -> Self {
        let mut command = Command::new(vigie);
        command.arg("node-exporter");
        Self::start("vigie", command, directory, flags)
    }

    fn theirs(original: &Path, directory: &Path, flags: &[String]) -> Self {
        Self::start("original", Command::new(original), directory, flags)
    }

    fn page(&self, query: &str) -> String {
        let answer = http::get(&self.address, &format!("/metrics{query}")).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }
}

fn programs() -> Option<(PathBuf, PathBuf)> {
    Some((tools::vigie()?, tools::node_exporter()?))
}

/// The collectors that a program has a switch for.
fn collectors(program: &Path, arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(program).args(arguments).arg("--help").output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let names =
        text.split_whitespace().filter_map(|word| word.split_once("--[no-]collector.").map(|(_, n)| n));
    let names: BTreeSet<String> =
        names.filter(|n| !n.contains('.') && *n != "disable-defaults").map(str::to_owned).collect();
    if !names.is_empty() {
        return names;
    }
    // Older kingpins do not show the `no-` form; switches have no value.
    let names = text.split_whitespace().filter_map(|word| word.strip_prefix("--collector."));
    names.filter(|n| !n.contains(['.', '=']) && *n != "disable-defaults").map(str::to_owned).collect()
}

fn without_new_labels(page: &str) -> String {
    let mut out = page.to_owned();
    for label in NEW_LABELS {
        let pattern = regex::Regex::new(&format!("(,?){label}=\"[^\"]*\"(,?)")).unwrap();
        let joined = |c: &regex::Captures<'_>| if c[1].is_empty() || c[2].is_empty() { "" } else { "," };
        out = pattern.replace_all(&out, joined).into_owned();
    }
    out
}

/// Both pages several times: what differs each time.
fn compared(theirs: &Exporter, ours: &Exporter, query: &str, exceptions: &[Exception]) -> Differences {
    let mut kept: Option<Differences> = None;
    for _ in 0..ATTEMPTS {
        let before = Exposition::parse(&theirs.page(query));
        let ours = Exposition::parse(&without_new_labels(&ours.page(query)));
        let after = Exposition::parse(&theirs.page(query));
        let mut now = compare(&before, &ours, &after, exceptions);
        if let Some(earlier) = kept {
            let key = |text: &str| text.split(": ").next().unwrap_or_default().to_owned();
            let known: BTreeSet<_> = earlier.found.iter().map(|(w, t)| (*w as u8, key(t))).collect();
            now.found.retain(|(what, text)| known.contains(&(*what as u8, key(text))));
        }
        let done = now.found.is_empty();
        kept = Some(now);
        if done {
            break;
        }
    }
    kept.unwrap()
}

fn flags(more: impl IntoIterator<Item = String>, directory: &Path) -> Vec<String> {
    let texts = format!("--collector.textfile.directory={}", directory.join("texts").display());
    SAME.iter().map(|f| (*f).to_owned()).chain([texts]).chain(more).collect()
}

fn write_texts(directory: &Path) {
    let texts = directory.join("texts");
    fs::create_dir_all(&texts).unwrap();
    let text = "# HELP batch_jobs_total Jobs.\n# TYPE batch_jobs_total counter\nbatch_jobs_total{job=\"a b\"} 3\n\
                # HELP batch_seconds Time.\n# TYPE batch_seconds histogram\nbatch_seconds_bucket{le=\"1\"} 1\n\
                batch_seconds_bucket{le=\"+Inf\"} 2\nbatch_seconds_sum 3.5\nbatch_seconds_count 2\n\
                # HELP batch_size Size.\n# TYPE batch_size summary\nbatch_size{quantile=\"0.5\"} 1\nbatch_size_sum 1\nbatch_size_count 1\n";
    fs::write(texts.join("batch.prom"), text).unwrap();
    fs::write(texts.join("bare.prom"), "bare_metric 1\n").unwrap();
    fs::write(texts.join("broken.prom"), "broken_metric 1").unwrap();
    fs::write(texts.join("stamped.prom"), "stamped_metric 1 1500000000000\n").unwrap();
    // What collides with a collector's family is not compared: in the original whichever comes first wins.
    fs::write(texts.join("other.txt"), "other_metric 1\n").unwrap();
}

#[expect(clippy::print_stdout, reason = "the report is for whoever runs the test")]
fn report(name: &str, differences: &Differences) {
    println!("{}", differences.report(name, EXCEPTIONS));
}

#[test]
fn default_collectors_agree_with_the_original() {
    let Some((vigie, original)) = programs() else { return };
    let directory = test_directory("node-exporter-defaults");
    write_texts(&directory);
    let flags = flags([], &directory);
    let (theirs, ours) =
        (Exporter::theirs(&original, &directory, &flags), Exporter::ours(&vigie, &directory, &flags));
    let successes = |page: &str| -> BTreeSet<String> {
        let lines = page.lines().filter(|l| l.starts_with("node_scrape_collector_success"));
        lines.map(str::to_owned).collect()
    };
    let (their_page, our_page) = (theirs.page(""), ours.page(""));
    let missing: Vec<String> = successes(&their_page).difference(&successes(&our_page)).cloned().collect();
    assert!(missing.is_empty(), "successes of theirs that are not ours: {missing:?}\n{}", ours.program.log());
    let query = query_of(collectors_on(&their_page).intersection(&collectors_on(&our_page)));
    let differences = compared(&theirs, &ours, &query, EXCEPTIONS);
    report("node_exporter, default collectors", &differences);
    assert!(differences.found.is_empty(), "{}", differences.report("node_exporter", EXCEPTIONS));
    assert!(differences.common > 200, "only {} series in common", differences.common);
}

fn collectors_on(page: &str) -> BTreeSet<String> {
    let prefix = "node_scrape_collector_success{collector=\"";
    let lines = page.lines().filter_map(|l| l.strip_prefix(prefix)?.split_once('"'));
    lines.map(|(name, _)| name.to_owned()).collect()
}

fn query_of<'n>(names: impl Iterator<Item = &'n String>) -> String {
    let parts: Vec<String> = names.map(|name| format!("collect[]={name}")).collect();
    format!("?{}", parts.join("&"))
}

#[test]
fn optional_collectors_agree_with_the_original() {
    let Some((vigie, original)) = programs() else { return };
    let directory = test_directory("node-exporter-optional");
    write_texts(&directory);
    let known = collectors(&vigie, &["node-exporter"]);
    let both: Vec<String> = collectors(&original, &[])
        .into_iter()
        .filter(|name| known.contains(name) && !OF_DAEMONS.contains(&name.as_str()))
        .collect();
    let all = collectors(&original, &[]);
    let unknown: Vec<&String> =
        all.iter().filter(|n| !known.contains(*n) && !NOT_OURS.contains(&n.as_str())).collect();
    assert!(unknown.is_empty() && both.contains(&"interrupts".to_owned()), "{unknown:?} of {all:?}");
    let on = both.iter().map(|name| format!("--collector.{name}"));
    let more =
        ["--collector.disable-defaults", "--collector.stat.softirq", "--collector.netdev.address-info"];
    let flags = flags(on.chain(more.map(str::to_owned)), &directory);
    let (theirs, ours) =
        (Exporter::theirs(&original, &directory, &flags), Exporter::ours(&vigie, &directory, &flags));
    let differences = compared(&theirs, &ours, "", EXCEPTIONS);
    report("node_exporter, all collectors", &differences);
    assert!(differences.found.is_empty(), "{}", differences.report("node_exporter", EXCEPTIONS));
}

#[test]
fn requests_are_answered_as_by_the_original() {
    let Some((vigie, original)) = programs() else { return };
    let directory = test_directory("node-exporter-requests");
    let flags: Vec<String> =
        ["--no-collector.arp", "--web.disable-exporter-metrics"].iter().map(|f| (*f).to_owned()).collect();
    let (theirs, ours) =
        (Exporter::theirs(&original, &directory, &flags), Exporter::ours(&vigie, &directory, &flags));
    for query in
        ["?collect[]=nope", "?collect[]=arp", "?collect[]=loadavg", "?collect[]=loadavg&collect[]=nope"]
    {
        let ask = |exporter: &Exporter| {
            let answer = http::get(&exporter.address, &format!("/metrics{query}")).unwrap();
            let text = answer.text();
            let names = text.lines().filter(|l| !l.starts_with(['#', 'p']) && !l.contains("build_info"));
            let names: Vec<String> = names
                .map(|l| {
                    if answer.status == 200 { l.split(' ').next().unwrap_or_default() } else { l }.to_owned()
                })
                .collect();
            (answer.status, names)
        };
        assert_eq!(ask(&ours), ask(&theirs), "{query}");
    }
    let answer = http::get(&ours.address, "/").unwrap();
    assert!(answer.status == 200 && answer.text().contains("<a href=\"/metrics\">"), "{}", answer.text());
    let wrong = Command::new(&vigie)
        .args(["node-exporter", "--collector.netdev.device-include=a", "--collector.netdev.device-exclude=b"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        !wrong.status.success() && text.contains("device-exclude & device-include are mutually exclusive"),
        "{text}"
    );
}
