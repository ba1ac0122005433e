//! `remote_write` and `remote_read`.

use std::collections::BTreeMap;
use std::time::Duration;

use model::LabelSet;

use crate::alerting::SigV4Config;
use crate::http_client::HttpClientConfig;
use crate::relabel::RelabelConfig;
use crate::values::{ConfigUrl, Secret, text_enum};
use crate::yaml::{Context, SectionMap, section};

section! {
    /// One entry of `remote_write`.
    RemoteWriteConfig as "config.RemoteWriteConfig" {
        /// Where to send samples.
        url: ConfigUrl = ConfigUrl::default(), "url" always;
        /// Time a request may take.
        remote_timeout: Duration = Duration::from_secs(30), "remote_timeout" omit;
        /// Headers to add.
        headers: BTreeMap<String, String> = BTreeMap::new(), "headers" omit;
        /// Rules for samples, after external labels are added.
        write_relabel_configs: Vec<RelabelConfig> = Vec::new(), "write_relabel_configs" omit;
        /// The name in metrics; unique.
        name: String = String::new(), "name" omit;
        /// Whether exemplars are sent.
        send_exemplars: bool = false, "send_exemplars" omit;
        /// Whether native histograms are sent.
        send_native_histograms: bool = false, "send_native_histograms" omit;
        /// Whether connections spread over all addresses of the host.
        round_robin_dns: bool = false, "round_robin_dns" omit;
        /// Version 1 or 2 of the protocol.
        protobuf_message: WriteMessage = WriteMessage::V1, "protobuf_message" omit;
        /// Whether failed requests are logged.
        failed_request_logging: bool = false, "failed_request_logging" omit;
        /// HTTP to the receiver.
        http: HttpClientConfig = HttpClientConfig::without_http2(), "" inline;
        /// Batching and shards.
        queue_config: QueueConfig = QueueConfig::default(), "queue_config" omit;
        /// Sending of metadata.
        metadata_config: MetadataConfig = MetadataConfig::default(), "metadata_config" omit;
        /// Signing for AWS.
        sigv4: Option<SigV4Config> = None, "sigv4" omit;
        /// Authentication with Azure.
        azuread: Option<AzureAdConfig> = None, "azuread" omit;
        /// Authentication with Google.
        google_iam: Option<GoogleIamConfig> = None, "google_iam" omit;
    }
}

text_enum! {
    /// The message of remote write.
    WriteMessage {
        /// Version 1.
        V1 = "prometheus.WriteRequest",
        /// Version 2.
        V2 = "io.prometheus.write.v2.Request",
    } error |text| format!(
        "invalid protobuf_message value: unknown type for remote write protobuf message {text}, supported: prometheus.WriteRequest, io.prometheus.write.v2.Request"
    )
}

section! {
    /// Azure AD or Entra.
    AzureAdConfig as "azuread.AzureADConfig" unchecked {
        /// Managed identity.
        managed_identity: Option<ManagedIdentity> = None, "managed_identity" omit;
        /// Workload identity.
        workload_identity: Option<WorkloadIdentity> = None, "workload_identity" omit;
        /// An application with a secret.
        oauth: Option<AzureOAuth> = None, "oauth" omit;
        /// The default credentials of the SDK.
        sdk: Option<AzureSdk> = None, "sdk" omit;
        /// `AzurePublic`, `AzureChina` or `AzureGovernment`.
        cloud: String = String::new(), "cloud" omit;
        /// Scope of the token.
        scope: String = String::new(), "scope" omit;
    }
}

section! {
    /// An Azure managed identity.
    ManagedIdentity as "azuread.ManagedIdentityConfig" unchecked {
        /// Client id.
        client_id: String = String::new(), "client_id" omit;
    }
}

section! {
    /// An Azure workload identity.
    WorkloadIdentity as "azuread.WorkloadIdentityConfig" unchecked {
        /// Client id.
        client_id: String = String::new(), "client_id" omit;
        /// Tenant id.
        tenant_id: String = String::new(), "tenant_id" omit;
        /// File with the token.
        token_file_path: String = String::new(), "token_file_path" omit;
    }
}

section! {
    /// An Azure application.
    AzureOAuth as "azuread.OAuthConfig" unchecked {
        /// Client id.
        client_id: String = String::new(), "client_id" omit;
        /// Client secret.
        client_secret: Secret = Secret::default(), "client_secret" omit;
        /// Tenant id.
        tenant_id: String = String::new(), "tenant_id" omit;
    }
}

section! {
    /// The Azure SDK's default credentials.
    AzureSdk as "azuread.SDKConfig" unchecked {
        /// Tenant id.
        tenant_id: String = String::new(), "tenant_id" omit;
    }
}

section! {
    /// Google IAM.
    GoogleIamConfig as "googleiam.Config" unchecked {
        /// File with credentials.
        credentials_file: String = String::new(), "credentials_file" omit;
    }
}

section! {
    /// Batching and shards of remote write.
    QueueConfig as "config.QueueConfig" {
        /// Samples a shard buffers.
        capacity: i64 = 10_000, "capacity" omit;
        /// Most shards.
        max_shards: i64 = 50, "max_shards" omit;
        /// Least shards.
        min_shards: i64 = 1, "min_shards" omit;
        /// Most samples of a request.
        max_samples_per_send: i64 = 2000, "max_samples_per_send" omit;
        /// Longest wait for a full batch.
        batch_send_deadline: Duration = Duration::from_secs(5), "batch_send_deadline" omit;
        /// First wait after a failure.
        min_backoff: Duration = Duration::from_millis(30), "min_backoff" omit;
        /// Longest wait after failures.
        max_backoff: Duration = Duration::from_secs(5), "max_backoff" omit;
        /// Whether 429 is retried.
        retry_on_http_429: bool = false, "retry_on_http_429" omit;
        /// Age past which samples are dropped; 0: none.
        sample_age_limit: Duration = Duration::ZERO, "sample_age_limit" omit;
    }
}

section! {
    /// Sending of metadata.
    MetadataConfig as "config.MetadataConfig" unchecked {
        /// Whether it is sent.
        send: bool = true, "send" always;
        /// How often.
        send_interval: Duration = Duration::from_secs(60), "send_interval" always;
        /// Most entries of a request.
        max_samples_per_send: i64 = 2000, "max_samples_per_send" omit;
    }
}

section! {
    /// One entry of `remote_read`.
    RemoteReadConfig as "config.RemoteReadConfig" {
        /// Where to read from.
        url: ConfigUrl = ConfigUrl::default(), "url" always;
        /// Time a request may take.
        remote_timeout: Duration = Duration::from_secs(60), "remote_timeout" omit;
        /// Largest frame in bytes.
        chunked_read_limit: u64 = 50_000_000, "chunked_read_limit" omit;
        /// Headers to add.
        headers: BTreeMap<String, String> = BTreeMap::new(), "headers" omit;
        /// Whether times that the local store has are asked for as well.
        read_recent: bool = false, "read_recent" omit;
        /// The name in metrics; unique.
        name: String = String::new(), "name" omit;
        /// HTTP to the endpoint.
        http: HttpClientConfig = HttpClientConfig::default(), "" inline;
        /// Matchers a selector must have.
        required_matchers: LabelSet = LabelSet::empty(), "required_matchers" omit;
        /// Whether external labels are used as selectors.
        filter_external_labels: bool = true, "filter_external_labels" omit;
    }
}

/// Headers that requests set themselves.
const RESERVED: [&str; 16] = [
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

/// Reports headers that cannot be set; `authorization` is the text for that one.
pub(crate) fn check_headers(
    headers: &BTreeMap<String, String>,
    authorization: &str,
    map: &SectionMap<'_>,
    cx: &mut Context<'_>,
) {
    for name in headers.keys() {
        let lower = name.to_lowercase();
        if lower == "authorization" {
            cx.error(map.place_of("headers"), authorization);
        } else if RESERVED.contains(&lower.as_str()) {
            cx.error(map.place_of("headers"), format!("{name} is a reserved header. It must not be changed"));
        }
    }
}

const AUTH_HEADER: &str = "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, azuread or google_iam parameter";

impl RemoteWriteConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        if self.url.0.is_empty() {
            cx.error(map.place, "url for remote_write is empty");
        }
        map.no_nulls("write_relabel_configs", "empty or null relabeling rule in remote write config", cx);
        check_headers(&self.headers, AUTH_HEADER, map, cx);
        self.http.check(map, cx);
        let configured: Vec<_> = [
            (self.http.basic_auth.is_some(), "basic_auth"),
            (self.http.authorization.is_some(), "authorization"),
            (self.http.oauth2.is_some(), "oauth2"),
            (self.sigv4.is_some(), "sigv4"),
            (self.azuread.is_some(), "azuread"),
            (self.google_iam.is_some(), "google_iam"),
        ]
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| *name)
        .collect();
        if configured.len() > 1 {
            let names = configured.join(" ");
            cx.error(map.place, format!("at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be configured. Currently configured: [{names}]"));
        }
    }
}

impl QueueConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        let text = |key| (map.place_of(key), key);
        let problem = if self.max_shards <= 0 {
            Some((text("max_shards").0, "remote write queue max_shards must be positive"))
        } else if self.min_shards <= 0 {
            Some((text("min_shards").0, "remote write queue min_shards must be positive"))
        } else if self.min_shards > self.max_shards {
            Some((text("min_shards").0, "remote write queue min_shards must not be greater than max_shards"))
        } else if self.max_samples_per_send <= 0 {
            Some((text("max_samples_per_send").0, "remote write queue max_samples_per_send must be positive"))
        } else if self.capacity <= 0 {
            Some((text("capacity").0, "remote write queue capacity must be positive"))
        } else if self.max_backoff < self.min_backoff {
            Some((text("max_backoff").0, "remote write queue max_backoff must not be less than min_backoff"))
        } else {
            None
        };
        if let Some((place, message)) = problem {
            cx.error(place, message);
        }
    }
}

impl RemoteReadConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        if self.url.0.is_empty() {
            cx.error(map.place, "url for remote_read is empty");
        }
        check_headers(&self.headers, AUTH_HEADER, map, cx);
        self.http.check(map, cx);
    }
}
