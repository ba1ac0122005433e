//! `prometheus.yml`, rule files and the web configuration: types, defaults, diagnostics with positions.
//!
//! Every key upstream knows is read into a typed struct; an unknown or repeated key is an error with file, line, column and a
//! hint; a key that nothing acts on yet is a warning that names it. All findings of a file are reported at once.
//!
//! [`load_file`] and [`load_str`] read `prometheus.yml`; [`rules::load_file`] a rule file; [`web::load_file`] a web configuration.
//! [`yaml`] is the reader beneath, which other crates use for their own files. This crate reads files when asked to and never
//! watches them; it opens no connections.

mod alerting;
mod diagnostic;
mod discovery;
mod global;
mod http_client;
mod load;
mod pending;
mod prometheus;
mod relabel;
mod remote;
pub mod rules;
mod scrape;
mod storage_section;
mod tracing_section;
mod values;
pub mod web;
pub mod yaml;

pub use alerting::{AlertingConfig, AlertmanagerApiVersion, AlertmanagerConfig, SigV4Config};
pub use diagnostic::{Diagnostic, Diagnostics, Loaded};
pub use discovery::{
    DiscoveryConfigs, DnsSdConfig, DnsType, FileSdConfig, HttpSdConfig, OtherDiscovery, StaticConfig,
};
pub use global::{EscapingScheme, GlobalConfig, RuntimeConfig, ScrapeProtocol, ValidationScheme};
pub use http_client::{
    Authorization, BasicAuth, HeaderValues, HttpClientConfig, OAuth2, ProxyConfig, TlsConfig, TlsVersion,
};
pub use load::{directory_of, expand_glob, load_file, load_str, load_with, read_text};
pub use prometheus::{Config, Imported};
pub use relabel::{RelabelAction, RelabelConfig, RelabelRegex, RulePlace};
pub use remote::{
    AzureAdConfig, AzureOAuth, AzureSdk, GoogleIamConfig, ManagedIdentity, MetadataConfig, QueueConfig,
    RemoteReadConfig, RemoteWriteConfig, WorkloadIdentity, WriteMessage,
};
pub use scrape::ScrapeConfig;
pub use storage_section::{ChunkEncodingConfig, ExemplarsConfig, RetentionConfig, StorageConfig, TsdbConfig};
pub use tracing_section::{OtlpConfig, TracingClientType, TracingConfig, TranslationStrategy};
pub use values::{ByteSize, ConfigUrl, Regex, Secret};
