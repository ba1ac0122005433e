//! Notification templates: the functions they may call, the built-in definitions, the user's files.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use template::funcs::{self, TitleRest, string_arg};
use template::{Funcs, Mode, Safe, Templates, Value};

use super::data::Data;
use crate::error::{Error, ErrorKind};

/// How deep route labels may refer to one another.
const MAX_ROUTE_LABEL_DEPTH: usize = 16;

/// The parsed templates of a configuration.
#[derive(Debug, Clone)]
pub(crate) struct NotificationTemplates {
    set: Templates,
}

impl NotificationTemplates {
    /// The built-in definitions and, over them, those of the files that the globs name.
    pub(crate) fn load(globs: &[String]) -> Result<Self, Error> {
        let fail = |text: String| Error::new(ErrorKind::Config, text);
        let mut set = Templates::default();
        let no_data = functions(None, 0);
        set.parse("default.tmpl", &built_in(), &no_data).map_err(|e| fail(e.to_string()))?;
        set.parse("email.tmpl", EMAIL, &no_data).map_err(|e| fail(e.to_string()))?;
        for glob in globs {
            for file in ::config::expand_glob(glob) {
                let text = ::config::read_text(&file).map_err(|e| fail(e.to_string()))?;
                let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                set.parse(&name, &text, &no_data).map_err(|e| fail(format!("{}: {e}", file.display())))?;
            }
        }
        Ok(Self { set })
    }

    /// Expands a text from the configuration.
    pub(crate) fn text(&self, text: &str, data: &Data) -> Result<String, template::Error> {
        self.render(text, data, Mode::Text, 0)
    }

    /// Expands a text with its values escaped for HTML.
    pub(crate) fn html(&self, text: &str, data: &Data) -> Result<String, template::Error> {
        self.render(text, data, Mode::Html, 0)
    }

    fn render(&self, text: &str, data: &Data, mode: Mode, depth: usize) -> Result<String, template::Error> {
        let funcs = functions(Some((self, data, mode)), depth);
        self.set.render("", text, &Value::object(data.clone()), &funcs, mode)
    }
}

type Scope<'a> = Option<(&'a NotificationTemplates, &'a Data, Mode)>;

fn functions<'f>(scope: Scope<'f>, depth: usize) -> Funcs<'f> {
    let mut f = Funcs::default();
    text_functions(&mut f);
    time_functions(&mut f);
    let memo: RefCell<BTreeMap<String, String>> = RefCell::default();
    f.add("routeLabels", 1, move |a| {
        let name = string_arg(a, 0)?;
        let Some((templates, data, mode)) = scope else { return Ok(Value::str("")) };
        let Some(raw) = data.route_labels.0.get(name) else { return Ok(Value::str("")) };
        if let Some(done) = memo.borrow().get(name) {
            return Ok(Value::str(done));
        }
        if depth >= MAX_ROUTE_LABEL_DEPTH {
            return Err(format!("route label cycle detected: {name}"));
        }
        let text = templates.render(raw, data, mode, depth + 1).map_err(|e| e.to_string())?;
        memo.borrow_mut().insert(name.to_owned(), text.clone());
        Ok(Value::from(text))
    });
    f
}

fn string_list(value: Option<&Value>) -> Result<Vec<String>, String> {
    match value.map(Value::plain) {
        Some(Value::List(items)) => items
            .iter()
            .map(|v| {
                v.as_str()
                    .map(str::to_owned)
                    .ok_or_else(|| format!("wrong type for value; expected string; got {}", v.type_name()))
            })
            .collect(),
        Some(v) => Err(format!("wrong type for value; expected []string; got {}", v.type_name())),
        None => Err("invalid value; expected []string".to_owned()),
    }
}

fn text_functions(f: &mut Funcs<'_>) {
    f.add("toUpper", 1, |a| Ok(string_arg(a, 0)?.to_uppercase().into()));
    f.add("toLower", 1, |a| Ok(string_arg(a, 0)?.to_lowercase().into()));
    f.add("title", 1, |a| Ok(funcs::title(string_arg(a, 0)?, TitleRest::Lower).into()));
    f.add("trimSpace", 1, |a| Ok(string_arg(a, 0)?.trim().into()));
    f.add("join", 2, |a| Ok(string_list(a.get(1))?.join(string_arg(a, 0)?).into()));
    f.add("match", 2, |a| Ok(funcs::regex(string_arg(a, 0)?)?.is_match(string_arg(a, 1)?).into()));
    f.add("safeHtml", 1, |a| Ok(Value::Safe(Safe::Html, string_arg(a, 0)?.into())));
    f.add("safeUrl", 1, |a| Ok(Value::Safe(Safe::Url, string_arg(a, 0)?.into())));
    f.add("urlUnescape", 1, |a| url_unescape(string_arg(a, 0)?).map(Value::from));
    f.add("reReplaceAll", 3, |a| {
        let re = funcs::regex(string_arg(a, 0)?)?;
        Ok(re.replace_all(string_arg(a, 2)?, string_arg(a, 1)?).into_owned().into())
    });
    f.add_variadic("stringSlice", 0, |a| Ok(Value::list(a.to_vec())));
    f.add("toJson", 1, |a| Ok(a[0].to_json().to_string().into()));
    f.add("base64encode", 1, |a| Ok(URL_SAFE.encode(string_arg(a, 0)?).into()));
    f.add("base64decode", 1, |a| {
        let bytes = URL_SAFE.decode(string_arg(a, 0)?).map_err(|e| format!("illegal base64 data: {e}"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned().into())
    });
    f.add_variadic("list", 0, |a| Ok(Value::list(a.to_vec())));
    f.add_variadic("append", 1, |a| match a[0].plain() {
        Value::List(items) => Ok(Value::list(items.iter().chain(&a[1..]).cloned().collect())),
        v => Err(format!("wrong type for value; expected []interface {{}}; got {}", v.type_name())),
    });
    f.add_variadic("dict", 0, |a| {
        if a.len() % 2 != 0 {
            return Err("dict requires an even number of arguments".to_owned());
        }
        let mut map = BTreeMap::new();
        for pair in a.chunks_exact(2) {
            let key = pair[0].as_str().ok_or("dict keys must be strings")?;
            map.insert(key.to_owned(), pair[1].clone());
        }
        Ok(Value::any_map(map))
    });
}

fn time_functions(f: &mut Funcs<'_>) {
    let time = |v: Option<&Value>| match v {
        Some(Value::Time(t)) => Ok(t.clone()),
        Some(v) => Err(format!("wrong type for value; expected time.Time; got {}", v.type_name())),
        None => Err("invalid value; expected time.Time".to_owned()),
    };
    let now = || Value::Time(std::sync::Arc::new(jiff::Zoned::now()));
    f.add("date", 2, move |a| Ok(template::time::format(&*time(a.get(1))?, string_arg(a, 0)?).into()));
    f.add("tz", 2, move |a| template::time::in_zone(&*time(a.get(1))?, string_arg(a, 0)?));
    f.add("now", 0, move |_| Ok(now()));
    f.add("since", 1, move |a| {
        let elapsed = jiff::Timestamp::now().as_nanosecond() - time(a.first())?.timestamp().as_nanosecond();
        Ok(Value::Duration(i64::try_from(elapsed).unwrap_or(i64::MAX)))
    });
    f.add("humanizeDuration", 1, |a| funcs::humanize_duration(&a[0]).map(Value::from));
    f.add("toDate", 2, |a| {
        Ok(template::time::parse(string_arg(a, 0)?, string_arg(a, 1)?).unwrap_or_else(template::time::zero))
    });
    f.add("mustToDate", 2, |a| {
        let (layout, text) = (string_arg(a, 0)?, string_arg(a, 1)?);
        template::time::parse(layout, text)
            .ok_or_else(|| format!("parsing time {text:?} as {layout:?}: cannot parse"))
    });
}

/// Go's `url.QueryUnescape`.
fn url_unescape(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        at += 1;
        match b {
            b'+' => out.push(b' '),
            b'%' => {
                let code = text.get(at..at + 2).and_then(|h| u8::from_str_radix(h, 16).ok());
                out.push(
                    code.ok_or_else(|| {
                        format!("invalid URL escape {:?}", text.get(at - 1..).unwrap_or("%"))
                    })?,
                );
                at += 2;
            }
            b => out.push(b),
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Templates that only call another one, or give nothing.
const SUBJECTS: [&str; 13] = [
    "slack.default.title",
    "pagerduty.default.description",
    "opsgenie.default.message",
    "victorops.default.entity_display_name",
    "pushover.default.title",
    "sns.default.subject",
    "discord.default.title",
    "msteams.default.summary",
    "msteams.default.title",
    "msteamsv2.default.title",
    "jira.default.summary",
    "rocketchat.default.title",
    "mattermost.default.title",
];
const NAMES: [&str; 5] = [
    "slack.default.username",
    "pagerduty.default.client",
    "victorops.default.monitoring_tool",
    "rocketchat.default.alias",
    "mattermost.default.username",
];
const LINKS: [&str; 6] = [
    "slack.default.titlelink",
    "pagerduty.default.clientURL",
    "opsgenie.default.source",
    "pushover.default.url",
    "rocketchat.default.titlelink",
    "mattermost.default.titlelink",
];
const EMPTY: [&str; 15] = [
    "__description",
    "slack.default.callbackid",
    "slack.default.pretext",
    "slack.default.iconemoji",
    "slack.default.iconurl",
    "slack.default.text",
    "slack.default.footer",
    "wechat.default.to_user",
    "wechat.default.to_party",
    "wechat.default.to_tag",
    "wechat.default.agent_id",
    "discord.default.content",
    "rocketchat.default.emoji",
    "rocketchat.default.iconurl",
    "rocketchat.default.text",
];

/// The built-in definitions: most are one of a few shapes, so they are put together here.
fn built_in() -> String {
    let mut out = String::from(BASE);
    let mut define = |name: &str, body: &str| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{{{{ define \"{name}\" }}}}{body}{{{{ end }}}}");
    };
    for (names, target) in
        [(&SUBJECTS[..], "__subject"), (&NAMES[..], "__alertmanager"), (&LINKS[..], "__alertmanagerURL")]
    {
        for name in names {
            define(name, &format!("{{{{ template \"{target}\" . }}}}"));
        }
    }
    for name in EMPTY {
        define(name, "");
    }
    for service in ["slack", "mattermost"] {
        define(
            &format!("{service}.default.fallback"),
            &format!(
                "{{{{ template \"{service}.default.title\" . }}}} | {{{{ template \"{service}.default.titlelink\" . }}}}"
            ),
        );
        define(
            &format!("{service}.default.color"),
            "{{ if eq .Status \"firing\" }}danger{{ else }}good{{ end }}",
        );
    }
    define("pagerduty.default.instances", "{{ template \"__text_alert_list\" . }}");
    let annotations = "{{ .CommonAnnotations.SortedPairs.Values | join \" \" }}\n";
    let tight = |side: &str| {
        format!(
            "{{{{ if gt (len .Alerts.{side}) 0 -}}}}\nAlerts {side}:\n{{{{ template \"__text_alert_list\" .Alerts.{side} }}}}\n{{{{- end }}}}"
        )
    };
    let loose = |side: &str, mark: &str, list: &str| {
        format!(
            "{{{{ if gt (len .Alerts.{side}) 0 }}}}\n{mark}Alerts {side}:\n{{{{ template \"{list}\" .Alerts.{side} }}}}\n{{{{ end }}}}"
        )
    };
    let tight_body = format!("{annotations}{}\n{}\n{{{{- \"\" }}}}", tight("Firing"), tight("Resolved"));
    define("opsgenie.default.description", &tight_body);
    define("victorops.default.state_message", &tight_body);
    define(
        "wechat.default.message",
        &format!(
            "{{{{ template \"__subject\" . }}}}\n{annotations}{}\n{}\nAlertmanagerUrl:\n{{{{ template \"__alertmanagerURL\" . }}}}\n{{{{- \"\" }}}}",
            tight("Firing"),
            tight("Resolved")
        ),
    );
    let plain = format!(
        "{}\n{}\n",
        loose("Firing", "", "__text_alert_list"),
        loose("Resolved", "", "__text_alert_list")
    );
    for name in ["pushover.default.message", "sns.default.message", "webex.default.message"] {
        define(name, &format!("{annotations}{plain}"));
    }
    for name in ["telegram.default.message", "discord.default.message"] {
        define(name, &format!("\n{plain}"));
    }
    let markdown = format!(
        "\n{}\n{}\n",
        loose("Firing", "# ", "__text_alert_list_markdown"),
        loose("Resolved", "# ", "__text_alert_list_markdown")
    );
    for name in [
        "msteams.default.text",
        "msteamsv2.default.text",
        "jira.default.description",
        "mattermost.default.text",
    ] {
        define(name, &markdown);
    }
    out
}

const BASE: &str = r##"
{{- define "__alertmanager" }}Alertmanager{{ end -}}
{{- define "__alertmanagerURL" }}{{ .ExternalURL }}/#/alerts?receiver={{ .Receiver | urlquery }}{{ end -}}
{{- define "__subject" -}}
[{{ toUpper .Status }}{{ if eq .Status "firing" }}:{{ len .Alerts.Firing }}{{ end }}] {{ join " " .GroupLabels.Values -}}
{{ " " }}{{ if gt (len .CommonLabels) (len .GroupLabels) }}(
{{- with .CommonLabels.Remove .GroupLabels.Names }}{{ join " " .Values }}{{ end }}){{ end -}}
{{ end -}}
{{- define "__text_alert_list" }}{{ range . }}Labels:
{{ range .Labels.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Annotations:
{{ range .Annotations.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Source: {{ .GeneratorURL }}
{{ end }}{{ end -}}
{{- define "__text_alert_list_markdown" }}{{ range . }}
Labels:
{{ range .Labels.SortedPairs }}  - {{ .Name }} = {{ .Value }}
{{ end }}
Annotations:
{{ range .Annotations.SortedPairs }}  - {{ .Name }} = {{ .Value }}
{{ end }}
Source: {{ .GeneratorURL }}
{{ end }}
{{ end -}}
{{- define "__severity_priority" -}}
{{- $found := "" -}}
{{- range . -}}
{{- $s := index .Labels "severity" -}}
{{- if eq $s "critical" }}{{ $found = "High" -}}
{{- else if and (eq $s "warning") (ne $found "High") }}{{ $found = "Medium" -}}
{{- else if and (eq $s "info") (eq $found "") }}{{ $found = "Low" -}}
{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}
{{- define "jira.default.priority" -}}
{{- $rated := false -}}
{{- range .Alerts.Firing }}{{ $s := index .Labels "severity" -}}
{{- if or (eq $s "critical") (eq $s "warning") (eq $s "info") }}{{ $rated = true }}{{ end -}}
{{- end -}}
{{- if $rated }}{{ template "__severity_priority" .Alerts.Firing }}{{ else -}}
{{- template "__severity_priority" .Alerts.Resolved }}{{ end -}}
{{- end -}}
"##;

/// The page in e-mails.
const EMAIL: &str = r##"{{ define "email.default.subject" }}{{ template "__subject" . }}{{ end }}
{{ define "__email_alert" }}<tr><td style="padding:0 20px 16px">
<table width="100%" cellpadding="4" cellspacing="0" style="border:1px solid #ddd;border-collapse:collapse;font-size:14px">
<tr><th colspan="2" align="left" style="background:#f4f4f4">Labels</th></tr>
{{ range .Labels.SortedPairs }}<tr><td style="color:#666">{{ .Name }}</td><td>{{ .Value }}</td></tr>
{{ end }}{{ if gt (len .Annotations) 0 }}<tr><th colspan="2" align="left" style="background:#f4f4f4">Annotations</th></tr>
{{ range .Annotations.SortedPairs }}<tr><td style="color:#666">{{ .Name }}</td><td>{{ .Value }}</td></tr>
{{ end }}{{ end }}</table>
<a href="{{ .GeneratorURL }}" style="color:#1a6fb4">Source</a>
</td></tr>
{{ end }}
{{ define "email.default.html" }}<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ template "__subject" . }}</title>
</head>
<body style="margin:0;padding:20px;background:#f6f6f6;font-family:Helvetica,Arial,sans-serif;color:#222">
<table align="center" width="600" cellpadding="0" cellspacing="0" style="background:#fff;max-width:100%">
<tr><td style="padding:16px 20px;color:#fff;font-weight:bold;background:{{ if gt (len .Alerts.Firing) 0 }}#c4432b{{ else }}#3c8b3c{{ end }}">
{{ .Alerts | len }} alert{{ if gt (len .Alerts) 1 }}s{{ end }} for {{ range .GroupLabels.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}
</td></tr>
<tr><td style="padding:16px 20px"><a href="{{ template "__alertmanagerURL" . }}" style="color:#1a6fb4">View in {{ template "__alertmanager" . }}</a></td></tr>
{{ if gt (len .Alerts.Firing) 0 }}<tr><td style="padding:0 20px 8px"><strong>[{{ .Alerts.Firing | len }}] Firing</strong></td></tr>
{{ range .Alerts.Firing }}{{ template "__email_alert" . }}{{ end }}{{ end }}
{{ if gt (len .Alerts.Resolved) 0 }}<tr><td style="padding:0 20px 8px"><strong>[{{ .Alerts.Resolved | len }}] Resolved</strong></td></tr>
{{ range .Alerts.Resolved }}{{ template "__email_alert" . }}{{ end }}{{ end }}
<tr><td style="padding:16px 20px;font-size:12px;color:#888"><a href="{{ .ExternalURL }}" style="color:#888">Sent by {{ template "__alertmanager" . }}</a></td></tr>
</table>
</body>
</html>
{{ end }}"##;
