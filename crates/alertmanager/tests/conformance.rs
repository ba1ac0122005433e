//! Upstream's configuration files: which load, and with what text the others are refused.

use std::path::{Path, PathBuf};

fn data() -> Option<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|a| a.join("shared/conformance/alertmanager-config-testdata"))
        .find(|p| p.is_dir())
}

/// Files that are refused, with a part of upstream's text.
const REFUSED: [(&str, &str); 24] = [
    (
        "mattermost-both-webhook-url-and-file",
        "at most one of mattermost_webhook_url & mattermost_webhook_url_file must be configured",
    ),
    ("mattermost-no-webhook-url", "no global Mattermost Webhook URL set either inline or in a file"),
    (
        "mattermost-valid-receiver-both-webhook-url-and-file",
        "at most one of mattermost_webhook_url & mattermost_webhook_url_file must be configured",
    ),
    ("nil-match_re-route", "invalid_label"),
    ("nil-source_match_re-inhibition", "invalid_source_label"),
    ("nil-target_match_re-inhibition", "invalid_target_label"),
    (
        "opsgenie-both-file-and-apikey",
        "at most one of opsgenie_api_key & opsgenie_api_key_file must be configured",
    ),
    ("opsgenie-no-apikey", "no global OpsGenie API Key set either inline or in a file"),
    ("opsgenie-default-apikey-old-team", "field teams not found in type"),
    (
        "rocketchat-both-token-and-tokenfile",
        "at most one of rocketchat_token & rocketchat_token_file must be configured",
    ),
    (
        "rocketchat-both-tokenid-and-tokenidfile",
        "at most one of rocketchat_token_id & rocketchat_token_id_file must be configured",
    ),
    ("rocketchat-no-token", "no global Rocketchat Token set either inline or in a file"),
    ("slack-both-file-and-token", "at most one of slack_app_token & slack_app_token_file must be configured"),
    ("slack-both-file-and-url", "at most one of slack_api_url & slack_api_url_file must be configured"),
    (
        "slack-both-url-and-token",
        "at most one of slack_app_token/slack_app_token_file & slack_api_url/slack_api_url_file must be configured",
    ),
    ("slack-no-api-url-or-token", "no Slack API URL nor App token set either inline or in a file"),
    (
        "slack-update-message-and-webhook",
        "update_message can only be used with bot tokens. api_url must be set to https://slack.com/api/chat.postMessage",
    ),
    (
        "smtp-both-password-and-file",
        "at most one of smtp_auth_password & smtp_auth_password_file must be configured",
    ),
    ("sns-invalid", "must provide either a Target ARN, Topic ARN, or Phone Number for SNS config"),
    (
        "telegram-both-bot-token-and-file",
        "at most one of telegram_bot_token & telegram_bot_token_file must be configured",
    ),
    ("telegram-no-bot-token", "missing bot_token or bot_token_file on telegram_config"),
    (
        "victorops-both-file-and-apikey",
        "at most one of victorops_api_key & victorops_api_key_file must be configured",
    ),
    ("victorops-no-apikey", "no global VictorOps API Key set"),
    ("wechat-no-api-secret", "no global Wechat Api Secret set either inline or in a file"),
];
/// More of them, whose names do not fit above.
const REFUSED_TOO: [(&str, &str); 2] = [
    (
        "telegram-valid-receiver-both-bot-token-and-file",
        "at most one of telegram_bot_token & telegram_bot_token_file must be configured",
    ),
    (
        "wechat-both-file-and-secret",
        "at most one of wechat_api_secret & wechat_api_secret_file must be configured",
    ),
];

#[test]
fn loads_and_refuses_as_upstream() {
    let Some(dir) = data() else {
        println!("SKIPPED: no conformance data");
        return;
    };
    let mut files: Vec<_> = std::fs::read_dir(&dir).unwrap().flatten().map(|e| e.path()).collect();
    files.sort();
    let mut count = 0;
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "yml")) {
        count += 1;
        let name = file.file_name().unwrap().to_str().unwrap();
        let short = name.trim_start_matches("conf.").trim_end_matches(".yml");
        let expect = REFUSED.iter().chain(&REFUSED_TOO).find(|(n, _)| *n == short);
        match (alertmanager::config::load_file(file), expect) {
            (Ok(_), None) => {}
            (Err(e), Some((_, part))) => assert!(e.to_string().contains(part), "{name}: {e}"),
            (Ok(_), Some(_)) => panic!("{name} should be refused"),
            (Err(e), None) => panic!("{name} should load: {e}"),
        }
    }
    assert!(count >= 40, "{count} files");
}

#[test]
fn hides_secrets_and_warns_of_what_is_not_acted_on() {
    let Some(dir) = data() else { return };
    let loaded = alertmanager::config::load_file(&dir.join("conf.good.yml")).unwrap();
    assert!(!loaded.value.shown.contains("mysecret"), "{}", loaded.value.shown);
    assert!(loaded.warnings.iter().any(|w| w.message.contains("pagerduty_configs")));
}

#[test]
fn names_what_an_email_receiver_does_not_get() {
    let head = "global: {smtp_smarthost: 'h:25', smtp_from: a@b}\nroute: {receiver: m}\nreceivers: [{name: m, email_configs: [{to: a@b";
    for (own, expect) in [
        ("", None),
        (", auth_username: u, auth_password: p", None),
        (", auth_username: u, auth_secret: s", Some("auth_secret (CRAM-MD5)")),
        (
            ", threading: {enabled: true, thread_by_date: daily}",
            Some("threading is accepted but not acted on"),
        ),
        (", threading: {enabled: false}", None),
        (", tls_config: {cert_file: c, key_file: k}", Some("client certificates")),
    ] {
        let text = format!("{head}{own}}}]}}]\n");
        let warnings = alertmanager::config::load_str(&text, Path::new("am.yml")).unwrap().warnings;
        let texts: Vec<_> = warnings.iter().map(|w| w.message.as_str()).collect();
        match expect {
            None => assert!(texts.is_empty(), "{own}: {texts:?}"),
            Some(part) => assert!(texts.len() == 1 && texts[0].contains(part), "{own}: {texts:?}"),
        }
    }
}
