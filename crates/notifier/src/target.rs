//! Which Alertmanagers a configuration names.

use config::{AlertmanagerConfig, ValidationScheme};
use model::{LabelSet, LabelSetBuilder};
use scrape::relabel::{Verdict, apply};

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const ALERTS_PATH: &str = "__alerts_path__";

/// One Alertmanager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Where alerts are sent.
    pub(crate) url: String,
    /// Host and port, to tell whether it is in this process.
    pub(crate) address: String,
}

/// The Alertmanagers of one entry: those in force, and the URLs of those that relabelling dropped.
pub(crate) fn targets(config: &AlertmanagerConfig, scheme: ValidationScheme) -> (Vec<Target>, Vec<String>) {
    let (mut active, mut dropped) = (Vec::new(), Vec::new());
    for group in &config.discovery.static_configs {
        for address in &group.targets {
            let mut labels = LabelSetBuilder::default();
            for (name, value) in &group.labels {
                labels.set(name, value);
            }
            labels.set(ADDRESS, address);
            labels.set(SCHEME, &config.scheme);
            labels.set(ALERTS_PATH, &post_path(&config.path_prefix));
            let before = labels.build();
            if apply(&mut labels, &config.relabel_configs, scheme) == Verdict::Drop {
                dropped.push(target(&before).url);
                continue;
            }
            let found = target(&labels.build());
            if found.address.is_empty() || found.address.contains('/') {
                tracing::error!(address = found.address, "Creating targets failed: not a valid hostname");
            } else {
                active.push(found);
            }
        }
    }
    (active, dropped)
}

fn target(labels: &LabelSet) -> Target {
    let address = labels.value(ADDRESS).to_owned();
    let path = labels.value(ALERTS_PATH);
    let slash = if path.starts_with('/') || path.is_empty() { "" } else { "/" };
    Target { url: format!("{}://{address}{slash}{path}", labels.value(SCHEME)), address }
}

/// The path under a prefix, without doubled slashes.
fn post_path(prefix: &str) -> String {
    let parts = prefix.split('/').chain(["api", "v2", "alerts"]).filter(|p| !p.is_empty() && *p != ".");
    parts.fold(String::new(), |path, part| path + "/" + part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn finds_targets_and_relabels_them() {
        let text = "
alerting:
  alertmanagers:
    - path_prefix: /am/
      static_configs:
        - targets: ['a:9093', 'b:9093', 'c:9093']
          labels: {dc: x}
      relabel_configs:
        - {source_labels: [__address__], regex: 'b.*', action: drop}
        - {source_labels: [__address__], regex: '(c):.*', target_label: __address__, replacement: '$1:1'}
        - {source_labels: [dc], regex: x, target_label: __scheme__, replacement: https}
";
        let config = config::load_str(text, Path::new("p.yml")).unwrap().value;
        let (active, dropped) = targets(&config.alerting.alertmanagers[0], ValidationScheme::Utf8);
        let urls: Vec<_> = active.iter().map(|t| t.url.as_str()).collect();
        assert_eq!(urls, ["https://a:9093/am/api/v2/alerts", "https://c:1/am/api/v2/alerts"]);
        assert_eq!(dropped, ["http://b:9093/am/api/v2/alerts"]);
    }
}
