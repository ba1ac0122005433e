//! The `alerting` block.

use std::time::Duration;

use crate::discovery::DiscoveryConfigs;
use crate::http_client::HttpClientConfig;
use crate::relabel::RelabelConfig;
use crate::values::{Secret, text_enum};
use crate::yaml::{Context, Section as _, SectionMap, section};

section! {
    /// The `alerting` block.
    AlertingConfig as "config.AlertingConfig" {
        /// Rules for every alert before it is sent.
        alert_relabel_configs: Vec<RelabelConfig> = Vec::new(), "alert_relabel_configs" omit;
        /// Whom to send alerts to.
        alertmanagers: Vec<AlertmanagerConfig> = Vec::new(), "alertmanagers" omit;
    }
}

section! {
    /// A set of Alertmanagers and how to speak to them.
    AlertmanagerConfig as "config.AlertmanagerConfig" {
        /// HTTP to them.
        http: HttpClientConfig = HttpClientConfig::default(), "" inline;
        /// Signing of requests for AWS.
        sigv4: Option<SigV4Config> = None, "sigv4" omit;
        /// `http` or `https`.
        scheme: String = "http".to_owned(), "scheme" omit;
        /// What stands before `/api/v2/alerts`.
        path_prefix: String = String::new(), "path_prefix" omit;
        /// Time a request may take.
        timeout: Duration = Duration::from_secs(10), "timeout" omit;
        /// The API; only v2 is left.
        api_version: AlertmanagerApiVersion = AlertmanagerApiVersion::V2, "api_version" always;
        /// Rules for the Alertmanagers found.
        relabel_configs: Vec<RelabelConfig> = Vec::new(), "relabel_configs" omit;
        /// Rules for alerts sent to these Alertmanagers.
        alert_relabel_configs: Vec<RelabelConfig> = Vec::new(), "alert_relabel_configs" omit;
        /// Where they come from.
        discovery: DiscoveryConfigs = DiscoveryConfigs::default(), "" inline;
    }
}

text_enum! {
    /// The version of Alertmanager's API.
    AlertmanagerApiVersion {
        /// `/api/v2`.
        V2 = "v2",
    } error |text| format!("expected Alertmanager api version to be one of [v2] but got {text}")
}

section! {
    /// AWS signature version 4.
    SigV4Config as "sigv4.SigV4Config" {
        /// AWS region.
        region: String = String::new(), "region" omit;
        /// Key id.
        access_key: String = String::new(), "access_key" omit;
        /// Key.
        secret_key: Secret = Secret::default(), "secret_key" omit;
        /// Named profile.
        profile: String = String::new(), "profile" omit;
        /// Role to assume.
        role_arn: String = String::new(), "role_arn" omit;
        /// External id for the role.
        external_id: String = String::new(), "external_id" omit;
        /// Whether the FIPS endpoint of STS is used.
        use_fips_sts_endpoint: bool = false, "use_fips_sts_endpoint" omit;
        /// Signing service.
        service_name: String = String::new(), "service_name" omit;
    }
}

impl SigV4Config {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        if self.access_key.is_empty() != self.secret_key.is_empty() {
            cx.error(map.place, "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config");
        }
    }
}

impl AlertingConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        map.no_nulls("alert_relabel_configs", "empty or null alert relabeling rule", cx);
        map.no_nulls("alertmanagers", "empty or null alertmanager config section", cx);
    }
}

impl AlertmanagerConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        self.http.check(map, cx);
        let auth =
            self.http.basic_auth.is_some() || self.http.authorization.is_some() || self.http.oauth2.is_some();
        if auth && self.sigv4.is_some() {
            cx.error(
                map.place_of("sigv4"),
                "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured",
            );
        }
        if self.relabel_configs.is_empty() {
            self.discovery.check_static_targets(map, cx);
        }
        map.no_nulls("relabel_configs", "empty or null Alertmanager target relabeling rule", cx);
        map.no_nulls("alert_relabel_configs", "empty or null Alertmanager alert relabeling rule", cx);
        debug_assert_eq!(map.name, Self::NAME);
    }

    /// Joins relative file names with `dir`.
    pub fn set_directory(&mut self, dir: &std::path::Path) {
        self.discovery.set_directory(dir);
        self.http.set_directory(dir);
    }
}
