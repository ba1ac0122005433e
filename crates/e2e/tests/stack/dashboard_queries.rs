//! The queries of a dashboard's panels with their variables put in, as a viewer would send them.

use serde_json::Value;

/// One query of one panel.
#[derive(Debug, Clone)]
pub(crate) struct PanelQuery {
    pub(crate) panel: String,
    pub(crate) expression: String,
}

/// A dashboard's title and all queries, those in rows too.
pub(crate) fn panel_queries(dashboard: &Value) -> (String, Vec<PanelQuery>) {
    let dashboard = dashboard.get("dashboard").filter(|d| d.is_object()).unwrap_or(dashboard);
    let mut queries = Vec::new();
    collect(&dashboard["panels"], "", &mut queries);
    // Before schema 16 panels stood in rows.
    for row in dashboard["rows"].as_array().into_iter().flatten() {
        collect(&row["panels"], row["title"].as_str().unwrap_or(""), &mut queries);
    }
    (dashboard["title"].as_str().unwrap_or("(untitled)").to_owned(), queries)
}

fn collect(panels: &Value, row: &str, out: &mut Vec<PanelQuery>) {
    let mut row = row.to_owned();
    for panel in panels.as_array().into_iter().flatten() {
        let title = panel["title"].as_str().unwrap_or("").trim();
        if panel["type"] == "row" {
            row = title.to_owned();
            collect(&panel["panels"], title, out);
            continue;
        }
        let name = if row.is_empty() { title.to_owned() } else { format!("{row} › {title}") };
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap_or("").trim();
            if !expression.is_empty() {
                out.push(PanelQuery { panel: name.clone(), expression: expression.to_owned() });
            }
        }
    }
}

/// What stands for a variable where its text is compared, and where it is a pattern.
pub(crate) struct Variable<'a> {
    pub(crate) name: &'a str,
    pub(crate) equal: &'a str,
    pub(crate) pattern: &'a str,
}

/// A variable with one value.
pub(crate) fn one<'a>(name: &'a str, value: &'a str) -> Variable<'a> {
    Variable { name, equal: value, pattern: value }
}

/// Puts variables in: `$name`, `${name}`, `${name:format}`, `[[name]]`.
///
/// # Errors
/// The name that is not known.
pub(crate) fn substitute(expression: &str, variables: &[Variable<'_>]) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = expression;
    while let Some(at) = rest.find(['$', '[']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (name, length) = reference(rest);
        let Some(name) = name else {
            out.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        };
        let variable = variables.iter().find(|v| v.name == name).ok_or_else(|| name.to_owned())?;
        // `a=~"x|$name"`: what decides is the operator before the string.
        let matcher = out.rfind('"').map_or("", |quote| out[..quote].trim_end());
        let is_pattern = matcher.ends_with("=~") || matcher.ends_with("!~");
        out.push_str(if is_pattern { variable.pattern } else { variable.equal });
        rest = &rest[length..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The variable that `text` begins with, and how long the reference is. `$1` belongs to `label_replace`, `[5m]` to a range.
fn reference(text: &str) -> (Option<&str>, usize) {
    let word = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    if let Some(inner) = text.strip_prefix("[[") {
        let end = word(inner);
        let length = inner.find("]]").map_or(text.len(), |close| close + 4);
        return (Some(&inner[..end]), length);
    }
    if let Some(inner) = text.strip_prefix("${") {
        let end = word(inner);
        let length = inner.find('}').map_or(text.len(), |close| close + 3);
        return (Some(&inner[..end]), length);
    }
    let inner = text.strip_prefix('$').unwrap_or("");
    let end = word(inner);
    let named = inner.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (named.then(|| &inner[..end]), if named { end + 1 } else { 1 })
}

#[test]
fn variables_are_put_in() {
    let variables = [
        one("job", "node"),
        Variable { name: "db", equal: "shop", pattern: ".*" },
        one("__rate_interval", "10s"),
    ];
    for (expression, expect) in [
        ("rate(a{job=\"$job\",db=~\"$db\"}[$__rate_interval])", "rate(a{job=\"node\",db=~\".*\"}[10s])"),
        (
            "a{db=\"${db}\",x!~\"y|[[db]]\",z=\"[[job:raw]]\"}[5m]",
            "a{db=\"shop\",x!~\"y|.*\",z=\"node\"}[5m]",
        ),
        (
            "label_replace(a, \"b\", \"$1\", \"c\", \"(.*)\")",
            "label_replace(a, \"b\", \"$1\", \"c\", \"(.*)\")",
        ),
    ] {
        assert_eq!(substitute(expression, &variables).as_deref(), Ok(expect));
    }
    assert_eq!(substitute("a{b=\"$other\"}", &variables), Err("other".to_owned()));
}
