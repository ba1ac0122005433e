//! E-mail over SMTP: STARTTLS or TLS from the first byte, AUTH PLAIN and LOGIN, a message with text and HTML parts.

use std::time::Duration;

use lettre::Address;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes, Message, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use super::templates::NotificationTemplates;
use super::{Failure, Notification, secret};
use crate::config::EmailConfig;

const DEFAULT_SUBJECT: &str = r#"{{ template "email.default.subject" . }}"#;
/// How long one answer of the server may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// Sends one mail.
pub(super) async fn send(
    config: &EmailConfig,
    n: &Notification,
    templates: &NotificationTemplates,
) -> Result<(), Failure> {
    let (envelope, message) = compose(config, n, templates)?;
    let limit = n.timeout.min(STEP_TIMEOUT * 5);
    match tokio::time::timeout(limit, deliver(config, &envelope, &message)).await {
        Ok(result) => result,
        Err(_) => Err(Failure {
            retry: true,
            reason: "contextDeadlineExceeded",
            message: format!("no answer from the SMTP server within {}s", limit.as_secs()),
        }),
    }
}

fn compose(
    config: &EmailConfig,
    n: &Notification,
    templates: &NotificationTemplates,
) -> Result<(Envelope, Vec<u8>), Failure> {
    let text = |t: &str| templates.text(t, &n.data).map_err(Failure::from);
    let from: Mailbox = text(&config.from)?
        .trim()
        .parse()
        .map_err(|e| Failure::fatal(format!("parse 'from' addresses: {e}")))?;
    let to_text = text(&config.to)?;
    let to: Mailboxes =
        to_text.trim().parse().map_err(|e| Failure::fatal(format!("parse 'to' addresses: {e}")))?;
    let recipients: Vec<Address> = to.iter().map(|m| m.email.clone()).collect();
    let envelope =
        Envelope::new(Some(from.email.clone()), recipients).map_err(|e| Failure::fatal(e.to_string()))?;
    let mut builder = Message::builder().message_id(None);
    let header = |name: &str| config.headers.get(name).map(String::as_str);
    let set = |builder: lettre::message::MessageBuilder, name: &str, value: String| {
        let name = HeaderName::new_from_ascii(name.to_owned())
            .map_err(|_| Failure::fatal(format!("invalid header name {name:?} in email config")))?;
        Ok::<_, Failure>(builder.raw_header(HeaderValue::new(name, one_line(&value))))
    };
    builder = match header("From") {
        Some(own) => set(builder, "From", text(own)?)?,
        None => builder.from(from),
    };
    builder = match header("To") {
        Some(own) => set(builder, "To", text(own)?)?,
        None => builder.mailbox(lettre::message::header::To::from(to)),
    };
    builder = set(builder, "Subject", text(header("Subject").unwrap_or(DEFAULT_SUBJECT))?)?;
    builder = match header("Date") {
        Some(own) => set(builder, "Date", text(own)?)?,
        None => builder.date_now(),
    };
    for (name, value) in &config.headers {
        if !matches!(name.as_str(), "From" | "To" | "Subject" | "Date") {
            builder = set(builder, name, text(value)?)?;
        }
    }
    // Upstream's mails always are multipart/alternative, the plain text first.
    let mut parts = Vec::new();
    if !config.text.is_empty() {
        parts.push(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text(&config.text)?));
    }
    if !config.html.is_empty() {
        let html = templates.html(&config.html, &n.data)?;
        parts.push(SinglePart::builder().header(ContentType::TEXT_HTML).body(html));
    }
    let mut parts = parts.into_iter();
    let first = parts.next().unwrap_or_else(|| SinglePart::plain(String::new()));
    let body = parts.fold(MultiPart::alternative().singlepart(first), MultiPart::singlepart);
    // The From header may be the user's own text, so the envelope says who sends.
    let message = builder
        .envelope(envelope.clone())
        .multipart(body)
        .map_err(|e| Failure::fatal(format!("compose mail: {e}")))?;
    Ok((envelope, message.formatted()))
}

/// A header's value on one line: a line feed in it would start another header.
fn one_line(value: &str) -> String {
    value.split(['\r', '\n']).map(str::trim).filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ")
}

fn tls(config: &EmailConfig, host: &str) -> Result<TlsParameters, Failure> {
    let t = &config.tls;
    let name = if t.server_name.is_empty() { host } else { &t.server_name };
    let mut builder = TlsParameters::builder(name.to_owned());
    if t.insecure_skip_verify {
        builder = builder.dangerous_accept_invalid_certs(true).dangerous_accept_invalid_hostnames(true);
    }
    let ca = if t.ca_file.is_empty() {
        t.ca.clone().into_bytes()
    } else {
        std::fs::read(&t.ca_file).map_err(|e| Failure::fatal(format!("read {}: {e}", t.ca_file)))?
    };
    if !ca.is_empty() {
        let certificate =
            Certificate::from_pem(&ca).map_err(|e| Failure::fatal(format!("ca certificate: {e}")))?;
        builder = builder.add_root_certificate(certificate);
    }
    if !t.cert_file.is_empty() || !t.cert.is_empty() {
        return Err(Failure::fatal("client certificates in an email tls_config are not supported yet"));
    }
    builder.build().map_err(|e| Failure::fatal(format!("TLS to the SMTP server: {e}")))
}

async fn deliver(config: &EmailConfig, envelope: &Envelope, message: &[u8]) -> Result<(), Failure> {
    let (host, port) = config.smarthost.rsplit_once(':').unwrap_or((&config.smarthost, "25"));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port: u16 =
        port.parse().map_err(|_| Failure::fatal(format!("address {}: invalid port", config.smarthost)))?;
    let hello = ClientId::Domain(config.hello.clone());
    let implicit = config.force_implicit_tls.unwrap_or(port == 465);
    let wrapper = if implicit { Some(tls(config, host)?) } else { None };
    let step = |what: &str, e: &lettre::transport::smtp::Error| Failure {
        // A 5xx answer is final for this message.
        retry: !e.is_permanent(),
        reason: "other",
        message: format!(
            "{what}: {e}{}",
            std::error::Error::source(e).map_or(String::new(), |s| format!(": {s}"))
        ),
    };
    let mut smtp =
        AsyncSmtpConnection::connect_tokio1((host, port), Some(STEP_TIMEOUT), &hello, wrapper, None)
            .await
            .map_err(|e| step("establish connection to server", &e))?;
    let result = converse(config, host, &hello, &mut smtp, envelope, message, &step).await;
    // What matters has been said; a server that does not take leave is no failure.
    let _ = smtp.quit().await;
    result
}

async fn converse(
    config: &EmailConfig,
    host: &str,
    hello: &ClientId,
    smtp: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    message: &[u8],
    step: &(dyn Fn(&str, &lettre::transport::smtp::Error) -> Failure + Sync),
) -> Result<(), Failure> {
    if !smtp.is_encrypted() {
        if smtp.can_starttls() {
            smtp.starttls(tls(config, host)?, hello).await.map_err(|e| step("send STARTTLS command", &e))?;
        } else if config.require_tls {
            let text = format!(
                "'require_tls' is true (default) but {:?} does not advertise the STARTTLS extension",
                config.smarthost
            );
            return Err(Failure::passing(text));
        }
    }
    if !config.auth_username.is_empty() {
        authenticate(config, host, smtp, step).await?;
    }
    smtp.send(envelope, message).await.map_err(|e| step("delivery failure", &e))?;
    Ok(())
}

async fn authenticate(
    config: &EmailConfig,
    host: &str,
    smtp: &mut AsyncSmtpConnection,
    step: &(dyn Fn(&str, &lettre::transport::smtp::Error) -> Failure + Sync),
) -> Result<(), Failure> {
    let password = secret(&config.auth_password, &config.auth_password_file)?;
    let offers = |m| smtp.server_info().supports_auth_mechanism(m);
    let (plain, login) = (offers(Mechanism::Plain), offers(Mechanism::Login));
    if !plain && !login {
        let text = if config.auth_secret.is_empty() && config.auth_secret_file.is_empty() {
            "the SMTP server offers neither AUTH PLAIN nor AUTH LOGIN"
        } else {
            "the SMTP server offers neither AUTH PLAIN nor AUTH LOGIN; CRAM-MD5 (auth_secret) is not supported yet"
        };
        return Err(Failure::fatal(text));
    }
    if password.is_empty() {
        let text = if config.auth_secret.is_empty() && config.auth_secret_file.is_empty() {
            "missing password for AUTH PLAIN or LOGIN mechanism"
        } else {
            "CRAM-MD5 (auth_secret) is not supported yet; set auth_password"
        };
        return Err(Failure::fatal(text));
    }
    if !config.auth_identity.is_empty() && config.auth_identity != config.auth_username {
        return Err(Failure::fatal("an auth_identity other than auth_username is not supported yet"));
    }
    let local = matches!(host, "localhost" | "127.0.0.1" | "::1");
    // As upstream: PLAIN only where nobody listens in.
    let mechanism = if plain && (smtp.is_encrypted() || local) {
        Mechanism::Plain
    } else if login {
        Mechanism::Login
    } else {
        return Err(Failure::passing("unencrypted connection"));
    };
    let credentials = Credentials::new(config.auth_username.clone(), password);
    smtp.auth(&[mechanism], &credentials).await.map_err(|e| {
        let failure = step(&format!("{mechanism} auth"), &e);
        Failure { reason: "authError", ..failure }
    })?;
    Ok(())
}
