//! Escaping by context, as `html/template` does it: a value in a page is made safe for the place where it stands.
//!
//! Upstream rewrites templates before they run; here a small state machine follows the output instead, with the same
//! result for pages that make sense. Simplified against upstream, always to the safe side:
//!
//! - templates whose branches end in different contexts are not refused; each output is escaped for where it is;
//! - in style attributes and `<style>`, a value with any of `` '"()<>[]{}\;@/` `` or `--` becomes `ZgotmplZ`, also
//!   inside CSS strings and `url(…)`; comments in CSS and JavaScript stay in the output;
//! - in scripts, regular expression literals are not told from division;
//! - `srcset` is one URL.

use model::float::format_g;

use crate::gofmt;
use crate::value::{Safe, Value};

const BAD: &str = "ZgotmplZ";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delim {
    Double,
    Single,
    Space,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attr {
    Plain,
    Url,
    Style,
    Script,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UrlPart {
    Start,
    PreQuery,
    QueryOrFragment,
}

/// Where in a script: code, a string by its quote, or a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Js {
    Code,
    Quoted(char),
    Line,
    Block,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Raw {
    /// `title`, `textarea`: text without tags.
    Text,
    Script,
    Style,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Text,
    Comment,
    Tag,
    AttrName(String),
    AfterName(Attr),
    BeforeValue(Attr),
    Value(Delim, Attr),
    Raw(Raw, &'static str),
}

/// Follows a page as it is written.
#[derive(Debug)]
pub(crate) struct Escaper {
    state: State,
    /// The raw-text element whose start tag is being read.
    pending: Option<(Raw, &'static str)>,
    url: UrlPart,
    js: Js,
    js_escaped: bool,
    js_last: char,
}

impl Default for Escaper {
    fn default() -> Self {
        Self {
            state: State::Text,
            pending: None,
            url: UrlPart::Start,
            js: Js::Code,
            js_escaped: false,
            js_last: ' ',
        }
    }
}

impl Escaper {
    /// Takes the template's own text; gives it back without comments and with stray `<` escaped.
    pub(crate) fn literal(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let used = match &self.state {
                State::Text => self.text(rest, &mut out),
                State::Comment => match rest.find("-->") {
                    Some(end) => {
                        self.state = State::Text;
                        end + 3
                    }
                    None => rest.len(),
                },
                State::Raw(raw, name) => {
                    let (raw, name) = (*raw, *name);
                    self.raw(rest, raw, name, &mut out)
                }
                _ => {
                    out.push(c);
                    self.tag(c);
                    c.len_utf8()
                }
            };
            rest = &rest[used..];
        }
        out
    }

    fn text(&mut self, rest: &str, out: &mut String) -> usize {
        let Some(at) = rest.find('<') else {
            out.push_str(rest);
            return rest.len();
        };
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        if tail.starts_with("!--") {
            self.state = State::Comment;
            return at + 4;
        }
        let (slash, name) = tail.strip_prefix('/').map_or((0, tail), |t| (1, t));
        if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let len = name
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | ':')))
                .unwrap_or(name.len());
            let element = name[..len].to_ascii_lowercase();
            self.pending = match (slash, element.as_str()) {
                (0, "script") => Some((Raw::Script, "script")),
                (0, "style") => Some((Raw::Style, "style")),
                (0, "title") => Some((Raw::Text, "title")),
                (0, "textarea") => Some((Raw::Text, "textarea")),
                _ => None,
            };
            self.state = State::Tag;
            let end = at + 1 + slash + len;
            out.push_str(&rest[at..end]);
            return end;
        }
        let doctype = tail.get(..8).is_some_and(|t| t.eq_ignore_ascii_case("!doctype"));
        out.push_str(if doctype { "<" } else { "&lt;" });
        at + 1
    }

    fn raw(&mut self, rest: &str, raw: Raw, name: &'static str, out: &mut String) -> usize {
        // The end tag ends the element wherever it stands, in a string too.
        let mut end = None;
        for (at, _) in rest.match_indices("</") {
            if rest[at + 2..].get(..name.len()).is_some_and(|t| t.eq_ignore_ascii_case(name)) {
                end = Some(at);
                break;
            }
        }
        let body = &rest[..end.unwrap_or(rest.len())];
        if raw == Raw::Script {
            body.chars().for_each(|c| self.script(c));
        }
        if raw == Raw::Text {
            out.push_str(&body.replace('<', "&lt;"));
        } else {
            out.push_str(body);
        }
        let Some(at) = end else { return rest.len() };
        self.state = State::Tag;
        self.pending = None;
        out.push_str(&rest[at..at + 2 + name.len()]);
        at + 2 + name.len()
    }

    /// Inside a tag, one character at a time.
    fn tag(&mut self, c: char) {
        let space = c.is_ascii_whitespace();
        match &mut self.state {
            State::Tag => match c {
                '>' => self.close_tag(),
                '/' => {}
                _ if space => {}
                c => self.state = State::AttrName(c.to_lowercase().collect()),
            },
            State::AttrName(name) => match c {
                '=' => self.state = State::BeforeValue(attr_kind(name)),
                '>' => self.close_tag(),
                _ if space => self.state = State::AfterName(attr_kind(name)),
                c if name.len() < 64 => name.extend(c.to_lowercase()),
                _ => {}
            },
            State::AfterName(kind) => match c {
                '=' => self.state = State::BeforeValue(*kind),
                '>' => self.close_tag(),
                _ if space => {}
                c => self.state = State::AttrName(c.to_lowercase().collect()),
            },
            State::BeforeValue(kind) => {
                let kind = *kind;
                match c {
                    '"' => self.open_value(Delim::Double, kind),
                    '\'' => self.open_value(Delim::Single, kind),
                    '>' => self.close_tag(),
                    _ if space => {}
                    c => {
                        self.open_value(Delim::Space, kind);
                        self.in_value(c, kind);
                    }
                }
            }
            State::Value(delim, kind) => {
                let (delim, kind) = (*delim, *kind);
                match (delim, c) {
                    (Delim::Double, '"') | (Delim::Single, '\'') => self.state = State::Tag,
                    (Delim::Space, '>') => self.close_tag(),
                    (Delim::Space, _) if space => self.state = State::Tag,
                    _ => self.in_value(c, kind),
                }
            }
            State::Text | State::Comment | State::Raw(..) => {}
        }
    }

    fn open_value(&mut self, delim: Delim, kind: Attr) {
        self.state = State::Value(delim, kind);
        self.url = UrlPart::Start;
        self.js = Js::Code;
    }

    fn in_value(&mut self, c: char, kind: Attr) {
        match kind {
            Attr::Url => {
                if matches!(c, '#' | '?') {
                    self.url = UrlPart::QueryOrFragment;
                } else if self.url == UrlPart::Start && !c.is_whitespace() {
                    self.url = UrlPart::PreQuery;
                }
            }
            Attr::Script => self.script(c),
            Attr::Plain | Attr::Style => {}
        }
    }

    fn close_tag(&mut self) {
        self.state = match self.pending.take() {
            Some((raw, name)) => State::Raw(raw, name),
            None => State::Text,
        };
        self.js = Js::Code;
    }

    fn script(&mut self, c: char) {
        let last = std::mem::replace(&mut self.js_last, c);
        match self.js {
            Js::Code => match c {
                '"' | '\'' | '`' => self.js = Js::Quoted(c),
                '/' if last == '/' => self.js = Js::Line,
                '*' if last == '/' => self.js = Js::Block,
                _ => {}
            },
            Js::Quoted(quote) => {
                if self.js_escaped {
                    self.js_escaped = false;
                } else if c == '\\' {
                    self.js_escaped = true;
                } else if c == quote {
                    self.js = Js::Code;
                }
            }
            Js::Line if c == '\n' => self.js = Js::Code,
            Js::Block if c == '/' && last == '*' => self.js = Js::Code,
            Js::Line | Js::Block => {}
        }
    }

    /// Escapes a value for the current context. `escaped_by` names the pipeline's last function, because a value
    /// that `urlquery` or `html` has made safe for just this place is not escaped again.
    pub(crate) fn value(&mut self, value: &Value, escaped_by: Option<&str>) -> String {
        match self.state.clone() {
            State::Text => match value {
                Value::Safe(Safe::Html, html) => html.to_string(),
                _ if escaped_by == Some("html") => text_of(value),
                v => escape(&text_of(v), TEXT),
            },
            State::Comment => String::new(),
            State::Raw(Raw::Text, _) => match value {
                Value::Safe(Safe::Html, html) => escape(html, NORMALIZE),
                _ if escaped_by == Some("html") => text_of(value),
                v => escape(&text_of(v), TEXT),
            },
            State::Raw(Raw::Script, _) => self.script_value(value),
            State::Raw(Raw::Style, _) => css_value(&text_of(value)),
            State::Tag | State::AttrName(_) | State::AfterName(_) => {
                let name = text_of(value);
                if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()) {
                    if self.state == State::Tag {
                        self.state = State::AttrName(name.to_ascii_lowercase());
                    }
                    name
                } else {
                    BAD.to_owned()
                }
            }
            State::BeforeValue(kind) => {
                self.open_value(Delim::Space, kind);
                self.attribute(value, Delim::Space, kind, escaped_by)
            }
            State::Value(delim, kind) => self.attribute(value, delim, kind, escaped_by),
        }
    }

    fn attribute(&mut self, value: &Value, delim: Delim, kind: Attr, escaped_by: Option<&str>) -> String {
        let text = match kind {
            Attr::Url => self.url_value(value, escaped_by),
            Attr::Style => css_value(&text_of(value)),
            Attr::Script => self.script_value(value),
            Attr::Plain => match value {
                Value::Safe(Safe::Html, html) => {
                    let plain = strip_tags(html);
                    return escape(&plain, if delim == Delim::Space { UNQUOTED } else { NORMALIZE });
                }
                _ if escaped_by == Some("html") && delim != Delim::Space => return text_of(value),
                v => text_of(v),
            },
        };
        if delim == Delim::Space && text.is_empty() {
            return BAD.to_owned();
        }
        escape(&text, if delim == Delim::Space { UNQUOTED } else { TEXT })
    }

    fn url_value(&self, value: &Value, escaped_by: Option<&str>) -> String {
        let trusted = matches!(value, Value::Safe(Safe::Url, _));
        let text = text_of(value);
        if escaped_by == Some("urlquery") {
            return text;
        }
        match self.url {
            UrlPart::QueryOrFragment => percent_encode(&text, trusted),
            UrlPart::Start if !trusted && !is_safe_url(&text) => format!("#{BAD}"),
            UrlPart::Start | UrlPart::PreQuery => percent_encode(&text, true),
        }
    }

    fn script_value(&self, value: &Value) -> String {
        match self.js {
            Js::Code => js_value(value),
            Js::Quoted(_) => escape_js_string(&text_of(value)),
            Js::Line | Js::Block => String::new(),
        }
    }
}

fn text_of(value: &Value) -> String {
    if matches!(value, Value::Nil) { String::new() } else { gofmt::value_text(value) }
}

/// Which kind of content an attribute holds.
fn attr_kind(name: &str) -> Attr {
    const URLS: [&str; 19] = [
        "action",
        "archive",
        "background",
        "cite",
        "classid",
        "codebase",
        "data",
        "formaction",
        "href",
        "icon",
        "longdesc",
        "manifest",
        "poster",
        "profile",
        "src",
        "srcset",
        "usemap",
        "xmlns",
        "ping",
    ];
    if name.starts_with("xmlns:") {
        return Attr::Url;
    }
    let local = name.strip_prefix("data-").unwrap_or(name);
    let local = local.split_once(':').map_or(local, |(_, l)| l);
    if URLS.contains(&local) {
        Attr::Url
    } else if local == "style" {
        Attr::Style
    } else if local.starts_with("on") {
        Attr::Script
    } else if ["src", "uri", "url"].iter().any(|w| local.contains(w)) {
        Attr::Url
    } else {
        Attr::Plain
    }
}

/// Characters a table of replacements covers.
#[derive(Clone, Copy)]
struct Table {
    ampersand: bool,
    unquoted: bool,
}

const TEXT: Table = Table { ampersand: true, unquoted: false };
/// Entities already there stay.
const NORMALIZE: Table = Table { ampersand: false, unquoted: false };
const UNQUOTED: Table = Table { ampersand: true, unquoted: true };

fn escape(text: &str, table: Table) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '+' => out.push_str("&#43;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' if table.ampersand => out.push_str("&amp;"),
            '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ' | '=' | '`' if table.unquoted => {
                out.push_str(&format!("&#{};", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

/// The built-in `html` function's escaping.
pub(crate) fn escape_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

/// The built-in `js` function's escaping, also for values inside script strings.
pub(crate) fn escape_js_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' | '`' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

fn js_value(value: &Value) -> String {
    match value {
        Value::Int(i) => format!(" {i} "),
        Value::Float(f) if f.is_finite() => format!(" {} ", format_g(*f)),
        Value::Bool(b) => format!(" {b} "),
        v => {
            let json = v.to_json().to_string();
            let mut out = String::with_capacity(json.len());
            for c in json.chars() {
                match c {
                    '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                        out.push_str(&format!("\\u{:04x}", u32::from(c)));
                    }
                    c => out.push(c),
                }
            }
            out
        }
    }
}

fn css_value(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let bad = text.contains("--")
        || text.contains(['\0', '"', '\'', '(', ')', '/', ';', '@', '[', '\\', ']', '`', '{', '}', '<', '>'])
        || lower.contains("expression")
        || lower.contains("mozbinding");
    if bad { BAD.to_owned() } else { text.to_owned() }
}

fn is_safe_url(text: &str) -> bool {
    match text.split_once(':') {
        Some((scheme, _)) if !scheme.contains('/') => {
            ["http", "https", "mailto"].iter().any(|s| scheme.eq_ignore_ascii_case(s))
        }
        _ => true,
    }
}

/// Percent-encodes; with `keep` what has a meaning in a URL stays, escapes included.
fn percent_encode(text: &str, keep: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    for (i, &b) in bytes.iter().enumerate() {
        let escape =
            b == b'%' && bytes.get(i + 1..i + 3).is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit));
        if b.is_ascii_alphanumeric()
            || b"-._~".contains(&b)
            || (keep && (escape || b"!#$&*+,/:;=?@[]".contains(&b)))
        {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02x}"));
        }
    }
    out
}

/// Trusted HTML's text without its tags, for an attribute.
fn strip_tags(html: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}
