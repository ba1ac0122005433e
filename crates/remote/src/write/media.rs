//! `Content-Type` and `Content-Encoding` of a request, judged in upstream's words (client_golang's `exp/api/remote`).

const MEDIA_TYPE: &str = "application/x-protobuf";
const V1: &str = "prometheus.WriteRequest";
const V2: &str = "io.prometheus.write.v2.Request";

/// Refuses what is no remote write 1.0 in snappy. Absent headers (`""`) mean exactly that, as upstream.
///
/// # Errors
/// The text for an answer with status 415.
pub(super) fn check(content_type: &str, content_encoding: &str) -> Result<(), String> {
    match message(content_type)? {
        V1 => {}
        other => {
            return Err(format!(
                "{other} protobuf message is not accepted by this server; only accepts {V1}; set protobuf_message: {V1} in the sender's remote_write section"
            ));
        }
    }
    if content_encoding.is_empty() || content_encoding.eq_ignore_ascii_case("snappy") {
        return Ok(());
    }
    Err(format!(
        "{content_encoding} encoding (compression) is not accepted by this server; only snappy is acceptable"
    ))
}

/// The protobuf message a content type names.
fn message(content_type: &str) -> Result<&'static str, String> {
    let content_type = content_type.trim();
    if content_type.is_empty() {
        return Ok(V1);
    }
    let mut parts = content_type.split(';');
    if parts.next().map(str::trim) != Some(MEDIA_TYPE) {
        return Err(format!(
            "expected {MEDIA_TYPE} as the first (media) part, got {content_type} content-type"
        ));
    }
    for part in parts {
        let Some((name, value)) = part.trim().split_once('=') else {
            return Err(format!(
                "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be key-values, got {part} in {content_type} content-type"
            ));
        };
        if name == "proto" {
            return [V1, V2].into_iter().find(|known| *known == value).ok_or_else(|| {
                format!(
                    "got {content_type} content type; unknown type for remote write protobuf message {value}, supported: {V1}, {V2}"
                )
            });
        }
    }
    Ok(V1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_and_encodings() {
        for (content_type, encoding, refusal) in [
            ("", "", ""),
            ("application/x-protobuf", "snappy", ""),
            (" application/x-protobuf", "Snappy", ""),
            ("application/x-protobuf;proto=prometheus.WriteRequest", "snappy", ""),
            ("application/x-protobuf; charset=utf-8", "snappy", ""),
            (
                "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                "snappy",
                "io.prometheus.write.v2.Request protobuf message is not accepted",
            ),
            (
                "application/x-protobuf;proto=x",
                "snappy",
                "got application/x-protobuf;proto=x content type; unknown type",
            ),
            ("application/x-protobuf;x", "", "as per https://www.rfc-editor.org/"),
            (
                "application/json",
                "",
                "expected application/x-protobuf as the first (media) part, got application/json content-type",
            ),
            (
                "",
                "gzip",
                "gzip encoding (compression) is not accepted by this server; only snappy is acceptable",
            ),
        ] {
            let got = check(content_type, encoding).err().unwrap_or_default();
            assert!(
                got.starts_with(refusal) && got.is_empty() == refusal.is_empty(),
                "{content_type}: {got}"
            );
        }
    }
}
