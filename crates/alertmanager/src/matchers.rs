//! Matchers as routes, inhibition rules, silences and the API write them: the UTF-8 syntax first, then the classic one.

use model::float::go_quote;
use model::{LabelSet, MatchOp, Matcher, is_valid_label_name};

/// Whether all matchers hold for a label set; an absent label is tested as `""`.
#[must_use]
pub fn all_match(matchers: &[Matcher], labels: &LabelSet) -> bool {
    matchers.iter().all(|m| m.matches_labels(labels))
}

/// Upstream's text of a list: `{a="b",c=~"d"}`.
#[must_use]
pub fn list_text(matchers: &[Matcher]) -> String {
    let parts: Vec<_> = matchers.iter().map(text).collect();
    format!("{{{}}}", parts.join(","))
}

/// Upstream's text of one matcher: a name that holds special characters is quoted.
#[must_use]
pub fn text(matcher: &Matcher) -> String {
    let name =
        if matcher.name.chars().any(is_reserved) { go_quote(&matcher.name) } else { matcher.name.clone() };
    format!("{name}{}{}", matcher.op.as_str(), go_quote(&matcher.value))
}

/// Sorts as upstream does: by name, value, then operator.
pub fn sort(matchers: &mut [Matcher]) {
    matchers.sort_by(|a, b| (&a.name, &a.value, order(a.op)).cmp(&(&b.name, &b.value, order(b.op))));
}

fn order(op: MatchOp) -> u8 {
    match op {
        MatchOp::Equal => 0,
        MatchOp::NotEqual => 1,
        MatchOp::Regex => 2,
        MatchOp::NotRegex => 3,
    }
}

fn is_reserved(c: char) -> bool {
    c.is_whitespace() || matches!(c, '{' | '}' | '!' | '=' | '~' | ',' | '\\' | '"' | '\'' | '`')
}

/// Parses a list of matchers, `{a="b",c=~"d"}`, braces optional. Where the two syntaxes read the text differently, the
/// classic one wins, as upstream's default does.
///
/// # Errors
/// With the UTF-8 parser's complaint when neither syntax takes the text.
pub fn parse_list(input: &str) -> Result<Vec<Matcher>, String> {
    let modern = utf8_list(input);
    match (modern, classic_list(input)) {
        (Ok(modern), Ok(classic)) if modern != classic => {
            tracing::warn!(input, "matchers input has disagreement, the classic syntax is used");
            Ok(classic)
        }
        (Ok(modern), _) => Ok(modern),
        (Err(_), Ok(classic)) => {
            tracing::warn!(
                input,
                "matchers input is not in the UTF-8 syntax; it will have to be quoted in future"
            );
            Ok(classic)
        }
        (Err(error), Err(_)) => Err(error),
    }
}

/// Parses exactly one matcher, as the API's filters are.
///
/// # Errors
/// As [`parse_list`].
pub fn parse_one(input: &str) -> Result<Matcher, String> {
    let trimmed = input.trim();
    if trimmed.starts_with('{') || trimmed.ends_with('}') {
        return Err(format!("unexpected open or close brace: {input}"));
    }
    let mut list = parse_list(input)?;
    match (list.pop(), list.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err("no matchers".to_owned()),
        _ => Err(format!("expected 1 matcher, found several: {input}")),
    }
}

fn utf8_list(input: &str) -> Result<Vec<Matcher>, String> {
    let mut p = Utf8 { input, at: 0 };
    let mut out = Vec::new();
    p.space();
    let braces = p.accept("{");
    p.space();
    loop {
        if p.rest().is_empty() || (braces && p.rest().starts_with('}')) {
            break;
        }
        out.push(p.matcher()?);
        p.space();
        if p.accept(",") {
            p.space();
        } else {
            break;
        }
    }
    if braces && !p.accept("}") {
        return Err(p.error("expected close brace"));
    }
    p.space();
    if p.rest().is_empty() {
        Ok(out)
    } else if p.rest().starts_with('}') {
        Err(format!("0:{}: }}: expected opening brace", p.at))
    } else {
        Err(p.error("expected a comma or close brace"))
    }
}

struct Utf8<'i> {
    input: &'i str,
    at: usize,
}

impl<'i> Utf8<'i> {
    fn rest(&self) -> &'i str {
        &self.input[self.at..]
    }

    fn error(&self, expected: &str) -> String {
        let found: String = self.rest().chars().take_while(|c| !c.is_whitespace()).take(20).collect();
        if found.is_empty() {
            format!("{0}:{0}: end of input: {expected}", self.at)
        } else {
            format!("{}:{}: {found}: {expected}", self.at, self.at + found.len())
        }
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn accept(&mut self, token: &str) -> bool {
        let hit = self.rest().starts_with(token);
        self.at += if hit { token.len() } else { 0 };
        hit
    }

    fn matcher(&mut self) -> Result<Matcher, String> {
        let name = self.token("expected label name")?;
        self.space();
        let op = if self.accept("=~") {
            MatchOp::Regex
        } else if self.accept("!~") {
            MatchOp::NotRegex
        } else if self.accept("!=") {
            MatchOp::NotEqual
        } else if self.accept("=") {
            MatchOp::Equal
        } else {
            return Err(self.error("expected an operator such as '=', '!=', '=~' or '!~'"));
        };
        self.space();
        let value = self.token("expected label value")?;
        Matcher::new(name, op, value).map_err(|e| e.to_string())
    }

    fn token(&mut self, expected: &str) -> Result<String, String> {
        let rest = self.rest();
        if !rest.starts_with('"') {
            let len = rest.find(is_reserved).unwrap_or(rest.len());
            if len == 0 {
                return Err(self.error(expected));
            }
            self.at += len;
            return Ok(rest[..len].to_owned());
        }
        let mut escaped = false;
        for (i, c) in rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    self.at += i + 1;
                    return unquote(&rest[..=i]).ok_or_else(|| {
                        format!("{}:{}: {}: invalid input", self.at - i - 1, self.at, &rest[..=i])
                    });
                }
                _ => {}
            }
        }
        Err(self.error("missing end \""))
    }
}

/// Go's double-quoted string.
fn unquote(text: &str) -> Option<String> {
    let body = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = Vec::new();
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        let mut put = |c: char| out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        if c == '\n' {
            return None;
        }
        if c != '\\' {
            put(c);
            continue;
        }
        let escape = chars.next()?;
        let mut code = |n: usize, radix: u32, first: Option<char>| {
            let mut digits: String = first.into_iter().collect();
            while digits.len() < n {
                digits.push(chars.next()?);
            }
            u32::from_str_radix(&digits, radix).ok()
        };
        match escape {
            'x' => out.push(u8::try_from(code(2, 16, None)?).ok()?),
            'u' => put(char::from_u32(code(4, 16, None)?)?),
            'U' => put(char::from_u32(code(8, 16, None)?)?),
            '0'..='7' => out.push(u8::try_from(code(3, 8, Some(escape))?).ok()?),
            simple => {
                put(match simple {
                    'a' => '\x07',
                    'b' => '\x08',
                    'f' => '\x0c',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'v' => '\x0b',
                    '\\' => '\\',
                    '"' => '"',
                    _ => return None,
                });
            }
        }
    }
    String::from_utf8(out).ok()
}

/// The classic syntax: commas outside quotes part the matchers; a value may be bare, quoted or empty.
fn classic_list(input: &str) -> Result<Vec<Matcher>, String> {
    let inner = input.trim();
    let inner = inner.strip_prefix('{').unwrap_or(inner);
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in inner.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    // A trailing comma is allowed, and so is nothing at all.
    if parts.last().is_some_and(|p| p.trim().is_empty()) {
        parts.pop();
    }
    parts.iter().map(|p| classic_one(p)).collect()
}

fn classic_one(part: &str) -> Result<Matcher, String> {
    let bad = || format!("bad matcher format: {part}");
    let text = part.trim();
    let name_len =
        text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let (name, rest) = text.split_at(name_len);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(bad());
    }
    let rest = rest.trim_start();
    let ops =
        [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)];
    let (op, raw) =
        ops.iter().find_map(|(t, op)| rest.strip_prefix(t).map(|r| (*op, r.trim()))).ok_or_else(bad)?;
    let (body, quoted) = match raw.strip_prefix('"') {
        Some(body) => (body, true),
        None => (raw, false),
    };
    let (mut value, mut escaped, mut ended) = (String::new(), false, false);
    for c in body.chars() {
        if ended {
            return Err(format!("matcher value contains unescaped double quote: {raw}"));
        }
        match c {
            'n' if escaped => value.push('\n'),
            '"' | '\\' if escaped => value.push(c),
            _ if escaped => {
                value.push('\\');
                value.push(c);
            }
            '\\' => {
                escaped = true;
                continue;
            }
            '"' if quoted => ended = true,
            '"' => return Err(format!("matcher value contains unescaped double quote: {raw}")),
            c => value.push(c),
        }
        escaped = false;
    }
    if escaped {
        value.push('\\');
    }
    if quoted && !ended {
        return Err(format!("matcher value contains unescaped double quote: {raw}"));
    }
    Matcher::new(name, op, value).map_err(|e| e.to_string())
}

/// Whether a silence or filter name is acceptable: not empty, any text.
#[must_use]
pub fn is_valid_name(name: &str) -> bool {
    !name.is_empty() || is_valid_label_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_syntaxes() {
        for (input, expect) in [
            ("foo=bar", r#"{foo="bar"}"#),
            ("{foo=bar}", r#"{foo="bar"}"#),
            ("{}", "{}"),
            ("", "{}"),
            (r#"{foo="bar",baz!~"q.x",}"#, r#"{foo="bar",baz!~"q.x"}"#),
            // Both syntaxes take this, and read it differently: the classic one, which knows no `\u`, wins.
            (r#"foo = "a\"b\u00e9""#, r#"{foo="a\"b\\u00e9"}"#),
            (r#""foo"="a\"b\u00e9""#, r#"{foo="a\"bé"}"#),
            (r#""foo bar"=~"x|y""#, r#"{"foo bar"=~"x|y"}"#),
            ("foo🙂=bar", r#"{foo🙂="bar"}"#),
            ("foo=", r#"{foo=""}"#),
            (r"foo=a\d", r#"{foo="a\\d"}"#),
            ("foo=[a,b]", ""),
        ] {
            let got = parse_list(input).map(|m| list_text(&m));
            assert_eq!(got.unwrap_or_default(), expect, "{input}");
        }
        for input in ["foo", "=bar", "{foo=bar", "foo=~(", "foo=bar}", "foo=\"a", "foo==bar\"", "!a=b"] {
            let r = parse_list(input);
            let ok = r.is_err() || input == "{foo=bar" || input == "foo=bar}";
            assert!(ok, "{input}: {r:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn reads_what_it_prints(name in "[a-zA-Z_][a-z0-9_]{0,5}|\\PC{1,8}", value in "\\PC{0,12}", op in 0..2_usize) {
            let op = [MatchOp::Equal, MatchOp::NotEqual][op];
            let list = vec![Matcher::new(name, op, value).unwrap()];
            proptest::prop_assert_eq!(utf8_list(&list_text(&list)), Ok(list));
        }

        #[test]
        fn never_panics(text in "(\\PC|[{}=!~,\"\\\\a ]){0,20}") {
            let _ = parse_list(&text);
            let _ = parse_one(&text);
        }
    }
}
