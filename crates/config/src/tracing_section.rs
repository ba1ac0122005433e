//! The `tracing` and `otlp` blocks.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::http_client::TlsConfig;
use crate::values::text_enum;
use crate::yaml::{Context, SectionMap, section};

section! {
    /// Where traces of the program itself go.
    TracingConfig as "config.TracingConfig" {
        /// The protocol.
        client_type: Option<TracingClientType> = None, "client_type" omit;
        /// The receiver.
        endpoint: String = String::new(), "endpoint" omit;
        /// Share of traces kept, 0 to 1.
        sampling_fraction: f64 = 0.0, "sampling_fraction" omit;
        /// Whether TLS is left out.
        insecure: bool = false, "insecure" omit;
        /// TLS to the receiver.
        tls_config: TlsConfig = TlsConfig::default(), "tls_config" omit;
        /// Headers to add.
        headers: BTreeMap<String, String> = BTreeMap::new(), "headers" omit;
        /// `gzip` or nothing.
        compression: String = String::new(), "compression" omit;
        /// Time a request may take.
        timeout: Duration = Duration::ZERO, "timeout" omit;
    }
}

text_enum! {
    /// The protocol of traces.
    TracingClientType {
        /// OTLP over gRPC.
        Grpc = "grpc",
        /// OTLP over HTTP.
        Http = "http",
    } error |text| format!("expected tracing client type to be to be http or grpc, but got {text}")
}

section! {
    /// How metrics received over OTLP are named.
    OtlpConfig as "config.OTLPConfig" {
        /// Whether all resource attributes become labels.
        promote_all_resource_attributes: bool = false, "promote_all_resource_attributes" omit;
        /// Resource attributes that become labels.
        promote_resource_attributes: Vec<String> = Vec::new(), "promote_resource_attributes" omit;
        /// Resource attributes that do not, where all others do.
        ignore_resource_attributes: Vec<String> = Vec::new(), "ignore_resource_attributes" omit;
        /// How names are translated.
        translation_strategy: Option<TranslationStrategy> = Some(TranslationStrategy::UnderscoreEscapingWithSuffixes), "translation_strategy" omit;
        /// Whether attributes that make `job` and `instance` stay in `target_info`.
        keep_identifying_resource_attributes: bool = false, "keep_identifying_resource_attributes" omit;
        /// Whether explicit histograms become native ones.
        convert_histograms_to_nhcb: bool = false, "convert_histograms_to_nhcb" omit;
        /// Whether the scope's metadata become labels.
        promote_scope_metadata: bool = false, "promote_scope_metadata" omit;
        /// Whether labels that start with an underscore get a prefix.
        label_name_underscore_sanitization: bool = true, "label_name_underscore_sanitization" omit;
        /// Whether runs of underscores stay.
        label_name_preserve_multiple_underscores: bool = true, "label_name_preserve_multiple_underscores" omit;
    }
}

text_enum! {
    /// How OTLP names are translated.
    TranslationStrategy {
        /// To the legacy set, with unit and type suffixes.
        UnderscoreEscapingWithSuffixes = "UnderscoreEscapingWithSuffixes",
        /// To the legacy set.
        UnderscoreEscapingWithoutSuffixes = "UnderscoreEscapingWithoutSuffixes",
        /// Suffixes only.
        NoUtf8EscapingWithSuffixes = "NoUTF8EscapingWithSuffixes",
        /// Nothing.
        NoTranslation = "NoTranslation",
    } error |text| format!("unsupported OTLP translation strategy {text:?}")
}

impl TracingConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        crate::remote::check_headers(
            &self.headers,
            "custom authorization header configuration is not yet supported",
            map,
            cx,
        );
        if self.endpoint.is_empty() {
            cx.error(map.place, "tracing endpoint must be set");
        }
        if !matches!(self.compression.as_str(), "" | "gzip") {
            let text = format!("invalid compression type {} provided, valid options: gzip", self.compression);
            cx.error(map.place_of("compression"), text);
        }
        self.client_type.get_or_insert(TracingClientType::Grpc);
    }
}

impl OtlpConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        if self.promote_all_resource_attributes {
            if !self.promote_resource_attributes.is_empty() {
                cx.error(map.place_of("promote_resource_attributes"), "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured simultaneously");
            }
            clean(&mut self.ignore_resource_attributes, "ignore_resource_attributes", "ignored", map, cx);
        } else {
            if !self.ignore_resource_attributes.is_empty() {
                cx.error(map.place_of("ignore_resource_attributes"), "'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true");
            }
            clean(&mut self.promote_resource_attributes, "promote_resource_attributes", "promoted", map, cx);
        }
    }
}

/// Trims attribute names; reports empty and repeated ones.
fn clean(names: &mut [String], key: &str, adjective: &str, map: &SectionMap<'_>, cx: &mut Context<'_>) {
    for i in 0..names.len() {
        let name = names[i].trim().to_owned();
        if name.is_empty() {
            cx.error(
                map.place_of(key),
                format!("invalid '{key}': empty {adjective} OTel resource attribute"),
            );
        } else if names[..i].contains(&name) {
            let text = format!("invalid '{key}': duplicated {adjective} OTel resource attribute {name:?}");
            cx.error(map.place_of(key), text);
        }
        names[i] = name;
    }
}
