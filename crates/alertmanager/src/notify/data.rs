//! What notification templates see: `Data`, `Alerts`, `KV`, `Pairs` with their fields and methods.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::LabelSet;
use template::{CallResult, Object, Value};

use crate::alert::{Alert, status_text};

/// Labels or annotations.
#[derive(Debug, Clone)]
pub(crate) struct Kv(pub(crate) BTreeMap<String, String>);

impl Kv {
    pub(crate) fn of(labels: &LabelSet) -> Self {
        Self(labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
    }

    /// `alertname` first, then by name.
    fn sorted(&self) -> Vec<(String, String)> {
        let (mut first, rest): (Vec<_>, Vec<_>) =
            self.0.iter().map(|(k, v)| (k.clone(), v.clone())).partition(|(k, _)| k == "alertname");
        first.extend(rest);
        first
    }

    fn value(self) -> Value {
        Value::object(self)
    }
}

impl Object for Kv {
    fn type_name(&self) -> &'static str {
        "template.KV"
    }
    fn get(&self, name: &str, args: &[Value]) -> Option<CallResult> {
        match name {
            "SortedPairs" => Some(Ok(Value::object(Pairs(self.sorted())))),
            "Names" => Some(Ok(strings(self.sorted().into_iter().map(|p| p.0)))),
            "Values" => Some(Ok(strings(self.sorted().into_iter().map(|p| p.1)))),
            "String" => self.print().map(|s| Ok(s.into())),
            "Remove" => Some(match args.first().map(Value::plain) {
                Some(Value::List(keys)) => {
                    let mut rest = self.clone();
                    keys.iter().filter_map(Value::as_str).for_each(|k| drop(rest.0.remove(k)));
                    Ok(rest.value())
                }
                _ => Err("wrong number of args for Remove: want 1 got 0".to_owned()),
            }),
            _ => None,
        }
    }
    fn is_method(&self, name: &str) -> bool {
        matches!(name, "SortedPairs" | "Names" | "Values" | "Remove" | "String")
    }
    fn plain(&self) -> Option<Value> {
        Some(Value::string_map(&self.0))
    }
    fn print(&self) -> Option<String> {
        Pairs(self.sorted()).print()
    }
}

/// A list of names with values.
#[derive(Debug)]
struct Pairs(Vec<(String, String)>);

impl Object for Pairs {
    fn type_name(&self) -> &'static str {
        "template.Pairs"
    }
    fn get(&self, name: &str, _: &[Value]) -> Option<CallResult> {
        match name {
            "Names" => Some(Ok(strings(self.0.iter().map(|p| p.0.clone())))),
            "Values" => Some(Ok(strings(self.0.iter().map(|p| p.1.clone())))),
            "String" => self.print().map(|s| Ok(s.into())),
            _ => None,
        }
    }
    fn plain(&self) -> Option<Value> {
        Some(Value::list(self.0.iter().map(|(n, v)| Value::object(Pair(n.clone(), v.clone()))).collect()))
    }
    fn print(&self) -> Option<String> {
        Some(self.0.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(", "))
    }
}

#[derive(Debug)]
struct Pair(String, String);

impl Object for Pair {
    fn type_name(&self) -> &'static str {
        "template.Pair"
    }
    fn get(&self, name: &str, _: &[Value]) -> Option<CallResult> {
        match name {
            "Name" => Some(Ok(Value::str(&self.0))),
            "Value" => Some(Ok(Value::str(&self.1))),
            _ => None,
        }
    }
    fn print(&self) -> Option<String> {
        Some(format!("{{{} {}}}", self.0, self.1))
    }
    fn json(&self) -> serde_json::Value {
        serde_json::json!({"Name": self.0, "Value": self.1})
    }
}

/// A list of strings that can join itself.
#[derive(Debug)]
struct Strings(Vec<String>);

fn strings(items: impl IntoIterator<Item = String>) -> Value {
    Value::object(Strings(items.into_iter().collect()))
}

impl Object for Strings {
    fn type_name(&self) -> &'static str {
        "template.Strings"
    }
    fn get(&self, name: &str, args: &[Value]) -> Option<CallResult> {
        (name == "Join").then(|| Ok(self.0.join(template::funcs::string_arg(args, 0)?).into()))
    }
    fn is_method(&self, name: &str) -> bool {
        name == "Join"
    }
    fn plain(&self) -> Option<Value> {
        Some(Value::strings(&self.0))
    }
}

/// One alert of a notification.
#[derive(Debug, Clone)]
pub(crate) struct AlertData {
    pub(crate) status: &'static str,
    pub(crate) labels: Kv,
    pub(crate) annotations: Kv,
    pub(crate) starts_at_ms: i64,
    /// `None` while it fires.
    pub(crate) ends_at_ms: Option<i64>,
    pub(crate) generator_url: String,
    pub(crate) fingerprint: String,
}

impl AlertData {
    fn of(alert: &Alert, now_ms: i64) -> Self {
        let resolved = alert.resolved_at(now_ms);
        Self {
            status: status_text(resolved),
            labels: Kv::of(&alert.labels),
            annotations: Kv::of(&alert.annotations),
            starts_at_ms: alert.starts_at_ms,
            ends_at_ms: resolved.then_some(alert.ends_at_ms),
            generator_url: alert.generator_url.clone(),
            fingerprint: format!("{:016x}", alert.fingerprint()),
        }
    }

    fn ends_at(&self) -> Value {
        self.ends_at_ms.map_or_else(template::time::zero, template::time::from_ms)
    }
}

impl Object for AlertData {
    fn type_name(&self) -> &'static str {
        "template.Alert"
    }
    fn get(&self, name: &str, _: &[Value]) -> Option<CallResult> {
        Some(Ok(match name {
            "Status" => Value::str(self.status),
            "Labels" => self.labels.clone().value(),
            "Annotations" => self.annotations.clone().value(),
            "StartsAt" => template::time::from_ms(self.starts_at_ms),
            "EndsAt" => self.ends_at(),
            "GeneratorURL" => Value::str(&self.generator_url),
            "Fingerprint" => Value::str(&self.fingerprint),
            _ => return None,
        }))
    }
    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "status": self.status,
            "labels": self.labels.0,
            "annotations": self.annotations.0,
            "startsAt": template::time::from_ms(self.starts_at_ms).to_json(),
            "endsAt": self.ends_at().to_json(),
            "generatorURL": self.generator_url,
            "fingerprint": self.fingerprint,
        })
    }
}

#[derive(Debug)]
struct Alerts(Vec<Arc<AlertData>>);

impl Object for Alerts {
    fn type_name(&self) -> &'static str {
        "template.Alerts"
    }
    fn get(&self, name: &str, _: &[Value]) -> Option<CallResult> {
        let wanted = match name {
            "Firing" => "firing",
            "Resolved" => "resolved",
            _ => return None,
        };
        let some = self.0.iter().filter(|a| a.status == wanted).cloned().collect();
        Some(Ok(list_of(some)))
    }
    fn plain(&self) -> Option<Value> {
        Some(list_of(self.0.clone()))
    }
}

fn list_of(alerts: Vec<Arc<AlertData>>) -> Value {
    Value::list(alerts.into_iter().map(|a| Value::Object(a)).collect())
}

/// What a notification is about.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    pub(crate) receiver: String,
    pub(crate) status: &'static str,
    pub(crate) alerts: Vec<Arc<AlertData>>,
    pub(crate) reason: &'static str,
    pub(crate) group_labels: Kv,
    pub(crate) common_labels: Kv,
    pub(crate) common_annotations: Kv,
    pub(crate) route_labels: Kv,
    pub(crate) external_url: String,
}

impl Data {
    pub(crate) fn new(
        receiver: &str,
        group_labels: &LabelSet,
        route_labels: &BTreeMap<String, String>,
        reason: &'static str,
        alerts: &[Alert],
        external_url: &str,
        now_ms: i64,
    ) -> Self {
        let common = |side: fn(&Alert) -> &LabelSet| {
            let Some(first) = alerts.first() else { return Kv(BTreeMap::new()) };
            let mut kv = Kv::of(side(first));
            kv.0.retain(|k, v| alerts.iter().all(|a| side(a).get(k) == Some(v)));
            kv
        };
        let data: Vec<_> = alerts.iter().map(|a| Arc::new(AlertData::of(a, now_ms))).collect();
        Self {
            receiver: quote_meta(receiver),
            status: status_text(!data.iter().any(|a| a.status == "firing")),
            alerts: data,
            reason,
            group_labels: Kv::of(group_labels),
            common_labels: common(|a| &a.labels),
            common_annotations: common(|a| &a.annotations),
            route_labels: Kv(route_labels.clone()),
            external_url: external_url.to_owned(),
        }
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "receiver": self.receiver,
            "status": self.status,
            "alerts": self.alerts.iter().map(|a| a.json()).collect::<Vec<_>>(),
            "notification_reason": self.reason,
            "groupLabels": self.group_labels.0,
            "commonLabels": self.common_labels.0,
            "commonAnnotations": self.common_annotations.0,
            "routeLabels": self.route_labels.0,
            "externalURL": self.external_url,
        })
    }
}

/// Go's `regexp.QuoteMeta`.
fn quote_meta(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

impl Object for Data {
    fn type_name(&self) -> &'static str {
        "*template.Data"
    }
    fn get(&self, name: &str, _: &[Value]) -> Option<CallResult> {
        Some(Ok(match name {
            "Receiver" => Value::str(&self.receiver),
            "Status" => Value::str(self.status),
            "Alerts" => Value::object(Alerts(self.alerts.clone())),
            "NotificationReason" => Value::str(self.reason),
            "GroupLabels" => self.group_labels.clone().value(),
            "CommonLabels" => self.common_labels.clone().value(),
            "CommonAnnotations" => self.common_annotations.clone().value(),
            "RouteLabels" => self.route_labels.clone().value(),
            "ExternalURL" => Value::str(&self.external_url),
            _ => return None,
        }))
    }
    fn json(&self) -> serde_json::Value {
        self.to_json()
    }
}
