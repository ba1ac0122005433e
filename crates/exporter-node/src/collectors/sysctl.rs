//! Kernel parameters that the user names, from `/proc/sys`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::families::{Family, gauge, is_name, sanitize};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::sysfs;

const INFO: Family = gauge("node_sysctl_info", "sysctl info");

/// `NAME`, or `NAME:KEY,KEY` where each value gets a metric of its own.
struct Parameter {
    name: String,
    keys: Vec<String>,
    numeric: bool,
}

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let mut parameters = Vec::new();
    for (flag, numeric) in [("collector.sysctl.include", true), ("collector.sysctl.include-info", false)] {
        for text in flags.all(flag).iter().filter(|t| !t.is_empty()) {
            let (name, keys) = text.split_once(':').map_or((text.as_str(), None), |(n, k)| (n, Some(k)));
            let keys: Vec<String> =
                keys.map(|k| k.split(',').map(str::to_owned).collect()).unwrap_or_default();
            if let Some(bad) = keys.iter().find(|k| !is_name(k)) {
                return Err(format!("--{flag}: {text}: {bad:?} cannot end a metric's name"));
            }
            parameters.push(Parameter { name: name.to_owned(), keys, numeric });
        }
    }
    Ok(Box::new(move |paths: &Paths, page: &mut Page| {
        parameters.iter().try_for_each(|parameter| write(parameter, paths, page))
    }))
}

fn write(parameter: &Parameter, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let Parameter { name, keys, numeric } = parameter;
    let path = paths.proc("sys").join(name.replace('.', "/").trim_start_matches('/'));
    let text = match sysfs::value(&path) {
        Err(Fault::NoData) => return Err(Fault::Error(format!("{}: no such file", path.display()))),
        text => text?,
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let fault = |what: String| Err(Fault::Error(format!("sysctl {name} {what}")));
    match (words.len(), keys.len()) {
        (0, _) => return fault("has no values".to_owned()),
        (_, 0) => {}
        (1, _) => return fault(format!("has only one value, but expected {keys:?}")),
        (n, k) if n != k => return fault(format!("has {n} keys but only {k} defined in flag")),
        _ if !numeric => return fault("has strings, which cannot be mapped".to_owned()),
        _ => {}
    }
    if !numeric {
        for (index, word) in words.iter().enumerate() {
            let labels = [("index", &*index.to_string()), ("name", name), ("value", word)];
            INFO.sample(page, &labels, 1.0);
        }
        return Ok(());
    }
    let numbers: Option<Vec<i64>> = words.iter().map(|w| sysfs::parse_int(w)).collect();
    let numbers = numbers.ok_or_else(|| Fault::garbage(&path, format_args!("{text:?}")))?;
    let family = format!("node_sysctl_{}", sanitize(name));
    for (index, number) in numbers.iter().enumerate() {
        let value = *number as f64;
        if let Some(key) = keys.get(index) {
            let help = format!("sysctl {name}, field {index}");
            page.family(&format!("{family}_{key}"), &help, Kind::Untyped).sample(&[], value);
            continue;
        }
        let mut writer = page.family(&family, &format!("sysctl {name}"), Kind::Untyped);
        if numbers.len() == 1 {
            writer.sample(&[], value);
        } else {
            writer.sample(&[("index", &index.to_string())], value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    fn tree() -> Tree {
        Tree::new(&[
            ("proc/sys/fs/file-nr", "1024\t0\t1631329\n"),
            ("proc/sys/kernel/threads-max", "7801\n"),
            ("proc/sys/kernel/seccomp/actions_avail", "kill_process trap\n"),
            ("proc/sys/kernel/empty", "\n"),
        ])
    }

    #[test]
    fn values_plain_indexed_mapped_and_as_text() {
        let include = |v| ("collector.sysctl.include", v);
        let flags = [
            include("fs.file-nr"),
            include("fs.file-nr:total,current,max"),
            include("kernel.threads-max"),
            ("collector.sysctl.include-info", "kernel.seccomp.actions_avail"),
        ];
        let expect = r#"node_sysctl_fs_file_nr{index="0"} 1024
node_sysctl_fs_file_nr{index="1"} 0
node_sysctl_fs_file_nr{index="2"} 1.631329e+06
node_sysctl_fs_file_nr_current 0
node_sysctl_fs_file_nr_max 1.631329e+06
node_sysctl_fs_file_nr_total 1024
node_sysctl_info{index="0",name="kernel.seccomp.actions_avail",value="kill_process"} 1
node_sysctl_info{index="1",name="kernel.seccomp.actions_avail",value="trap"} 1
node_sysctl_kernel_threads_max 7801
"#;
        assert_eq!(tree().samples(make, &flags), expect);
        assert_eq!(tree().samples(make, &[]), "");
    }

    #[test]
    fn what_does_not_fit_is_said() {
        for (include, expect) in [
            ("fs.file-nr:a,b", "sysctl fs.file-nr has 3 keys but only 2 defined in flag"),
            ("kernel.threads-max:a", "sysctl kernel.threads-max has only one value, but expected [\"a\"]"),
            ("kernel.empty", "sysctl kernel.empty has no values"),
        ] {
            let (_, outcome) = tree().collect(make, &[("collector.sysctl.include", include)]);
            assert_eq!(outcome, Err(Fault::Error(expect.to_owned())));
        }
        let (_, outcome) = tree().collect(make, &[("collector.sysctl.include", "no.such")]);
        assert!(matches!(&outcome, Err(Fault::Error(e)) if e.ends_with("no such file")), "{outcome:?}");
        let flags = crate::tree::flags_of(&[("collector.sysctl.include", "a:b-c")]);
        assert!(make(&flags).is_err());
    }
}
