//! Where targets come from: `static_configs` and the service discoveries.
//!
//! Static, file, DNS and HTTP discovery are typed. The others are described by a table of their keys ([`table`]), read and checked
//! against it, and kept as a tree.

mod table;

use std::time::Duration;

use model::LabelSet;

use crate::http_client::HttpClientConfig;
use crate::values::{ConfigUrl, text_enum};
use crate::yaml::{Context, Encode, Node, Out, Section, SectionMap, section};

pub use table::OtherDiscovery;

/// All sources of targets of one scrape config or Alertmanager set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DiscoveryConfigs {
    /// Targets given in the file.
    pub static_configs: Vec<StaticConfig>,
    /// Targets in other files.
    pub file_sd_configs: Vec<FileSdConfig>,
    /// Targets from DNS.
    pub dns_sd_configs: Vec<DnsSdConfig>,
    /// Targets from an HTTP endpoint.
    pub http_sd_configs: Vec<HttpSdConfig>,
    /// All other discoveries, in upstream's order of names.
    pub others: Vec<OtherDiscovery>,
}

impl Section for DiscoveryConfigs {
    const NAME: &'static str = "discovery.Configs";

    fn read(&mut self, map: &mut SectionMap<'_>, cx: &mut Context<'_>) {
        for key in table::all_keys() {
            map.no_nulls(key, &format!("empty or null section in {key}"), cx);
        }
        map.read("static_configs", &mut self.static_configs, cx);
        map.read("file_sd_configs", &mut self.file_sd_configs, cx);
        map.read("dns_sd_configs", &mut self.dns_sd_configs, cx);
        map.read("http_sd_configs", &mut self.http_sd_configs, cx);
        for key in table::other_keys() {
            let place = map.place_of(key);
            let Some(node) = map.take(key) else { continue };
            let Some(items) = node.as_seq() else {
                cx.wrong_kind(node, "a list");
                continue;
            };
            crate::pending::note(Self::NAME, key, place, cx);
            for item in items.iter().filter(|n| !n.is_null()) {
                self.others.extend(OtherDiscovery::decode(key, item, cx));
            }
        }
    }

    fn write(&self, out: &mut Vec<(String, Out)>) {
        for key in table::all_keys() {
            let list = match key {
                "static_configs" => self.static_configs.encode(),
                "file_sd_configs" => self.file_sd_configs.encode(),
                "dns_sd_configs" => self.dns_sd_configs.encode(),
                "http_sd_configs" => self.http_sd_configs.encode(),
                _ => Out::Seq(self.others.iter().filter(|o| o.kind == key).map(Encode::encode).collect()),
            };
            if matches!(&list, Out::Seq(items) if !items.is_empty()) {
                out.push((key.to_owned(), list));
            }
        }
    }

    fn keys(out: &mut Vec<&'static str>) {
        out.extend(table::all_keys());
    }
}

impl Encode for DiscoveryConfigs {
    fn encode(&self) -> Out {
        let mut out = Vec::new();
        self.write(&mut out);
        Out::Map(out)
    }
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl DiscoveryConfigs {
    /// Reports static targets that are URLs, the most common slip.
    pub(crate) fn check_static_targets(&self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        let groups = map.peek("static_configs").and_then(Node::as_seq).unwrap_or(&[]);
        for target in groups.iter().filter_map(|g| g.get("targets")?.as_seq()).flatten() {
            if let Some(text) = target.as_str().filter(|t| t.contains('/')) {
                cx.error_hint(
                    target.place,
                    format!("{text:?} is not a valid hostname"),
                    "write host:port here, and the rest as scheme and metrics_path",
                );
            }
        }
    }

    /// Joins relative file names with `dir`.
    pub fn set_directory(&mut self, dir: &std::path::Path) {
        for file in self.file_sd_configs.iter_mut().flat_map(|c| &mut c.files) {
            crate::load::join_dir(dir, file);
        }
        for http in &mut self.http_sd_configs {
            http.http.set_directory(dir);
        }
        for other in &mut self.others {
            other.http.set_directory(dir);
        }
    }
}

section! {
    /// A group of targets with labels in common.
    StaticConfig as "targetgroup.Group" {
        /// Addresses.
        targets: Vec<String> = Vec::new(), "targets" always;
        /// Labels of all of them.
        labels: LabelSet = LabelSet::empty(), "labels" omit;
    }
}

impl StaticConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        for (name, _) in map.peek("labels").and_then(Node::as_map).unwrap_or(&[]) {
            if name.as_str().is_none_or(str::is_empty) {
                cx.error(name.place, "\"\" is not a valid label name");
            }
        }
    }
}

section! {
    /// Targets in JSON or YAML files.
    FileSdConfig as "file.SDConfig" {
        /// Patterns; wildcards in the last part only.
        files: Vec<String> = Vec::new(), "files" always;
        /// How often the files are read without a change being seen.
        refresh_interval: Duration = Duration::from_secs(300), "refresh_interval" omit;
    }
}

impl FileSdConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        if self.files.is_empty() {
            cx.error(map.place, "file service discovery config must contain at least one path name");
        }
        for name in &self.files {
            let ends = [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"].iter().any(|e| name.ends_with(e));
            let wild_early = name.find('*').is_some_and(|at| name[at..].contains('/'));
            if !ends || wild_early {
                cx.error(
                    map.place_of("files"),
                    format!("path name {name:?} is not valid for file discovery"),
                );
            }
        }
    }
}

section! {
    /// Targets from DNS.
    DnsSdConfig as "dns.SDConfig" {
        /// Names to look up.
        names: Vec<String> = Vec::new(), "names" always;
        /// How often.
        refresh_interval: Duration = Duration::from_secs(30), "refresh_interval" omit;
        /// What to look up.
        record_type: DnsType = DnsType::Srv, "type" always;
        /// The port; not for SRV.
        port: u16 = 0, "port" always;
    }
}

text_enum! {
    /// A DNS record type.
    DnsType {
        /// Name and port.
        Srv = "SRV",
        /// IPv4.
        A = "A",
        /// IPv6.
        Aaaa = "AAAA",
        /// Mail exchanger.
        Mx = "MX",
        /// Name server.
        Ns = "NS",
    } error |text| format!("invalid DNS-SD records type {text}")
}

impl DnsSdConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        if self.names.is_empty() {
            cx.error(map.place, "DNS-SD config must contain at least one SRV record name");
        }
        if self.record_type != DnsType::Srv && self.port == 0 {
            cx.error(map.place, "a port is required in DNS-SD configs for all record types except SRV");
        }
    }
}

section! {
    /// Targets from an HTTP endpoint.
    HttpSdConfig as "http.SDConfig" {
        /// HTTP to it.
        http: HttpClientConfig = HttpClientConfig::default(), "" inline;
        /// How often.
        refresh_interval: Duration = Duration::from_secs(60), "refresh_interval" omit;
        /// The endpoint.
        url: ConfigUrl = ConfigUrl::default(), "url" always;
    }
}

impl HttpSdConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        self.http.check(map, cx);
        let place = map.place_of("url");
        if self.url.0.is_empty() {
            cx.error(place, "URL is missing");
            return;
        }
        let (scheme, rest) = self.url.0.split_once(':').unwrap_or(("", &self.url.0));
        if scheme != "http" && scheme != "https" {
            cx.error(place, "URL scheme must be 'http' or 'https'");
        } else if rest.trim_start_matches('/').is_empty()
            || !rest.starts_with("//")
            || rest.starts_with("///")
        {
            cx.error(place, "host is missing in URL");
        }
    }
}
