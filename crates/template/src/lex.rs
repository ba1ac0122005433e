//! From template text to tokens, by Go's rules: trim markers, comments, and spaces that count inside actions.

use crate::error::{Error, ErrorKind};

/// What a token is. Texts are slices of the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    LeftDelim,
    RightDelim,
    Space,
    Field,
    Variable,
    Ident,
    Keyword,
    Dot,
    Nil,
    Bool,
    Char,
    Str,
    RawStr,
    Number,
    Pipe,
    Declare,
    Assign,
    Comma,
    /// A printable ASCII character that means nothing here; the parser names it.
    Stray,
    LeftParen,
    RightParen,
    Eof,
}

/// A token and where it starts, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'t> {
    pub(crate) kind: Kind,
    pub(crate) pos: usize,
    pub(crate) text: &'t str,
}

impl Token<'_> {
    /// The token as Go's error texts show it.
    pub(crate) fn describe(&self) -> String {
        match self.kind {
            Kind::Eof => "EOF".to_owned(),
            Kind::Keyword | Kind::Nil => format!("<{}>", self.text),
            _ if self.text.chars().count() > 10 => {
                let head: String = self.text.chars().take(10).collect();
                format!("{}...", model::float::go_quote(&head))
            }
            _ => model::float::go_quote(self.text),
        }
    }
}

/// The line of a byte position, from 1.
pub(crate) fn line_of(text: &str, pos: usize) -> usize {
    1 + text.as_bytes().iter().take(pos).filter(|&&b| b == b'\n').count()
}

/// A parse error as Go words it.
pub(crate) fn parse_error(name: &str, text: &str, pos: usize, message: &str) -> Error {
    Error::new(ErrorKind::Parse, format!("template: {name}:{}: {message}", line_of(text, pos)))
}

const KEYWORDS: [&str; 11] =
    ["break", "block", "continue", "define", "else", "end", "if", "range", "nil", "template", "with"];

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Splits a template into tokens, ending with one of kind `Eof`.
pub(crate) fn tokens<'t>(name: &str, text: &'t str) -> Result<Vec<Token<'t>>, Error> {
    let mut lexer = Lexer { name, text, at: 0, out: Vec::new() };
    lexer.run()?;
    Ok(lexer.out)
}

struct Lexer<'n, 't> {
    name: &'n str,
    text: &'t str,
    at: usize,
    out: Vec<Token<'t>>,
}

impl<'t> Lexer<'_, 't> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn error(&self, pos: usize, message: &str) -> Error {
        parse_error(self.name, self.text, pos, message)
    }

    fn emit(&mut self, kind: Kind, start: usize) {
        self.out.push(Token { kind, pos: start, text: &self.text[start..self.at] });
    }

    fn run(&mut self) -> Result<(), Error> {
        loop {
            let start = self.at;
            let Some(offset) = self.rest().find("{{") else {
                self.at = self.text.len();
                if self.at > start {
                    self.emit(Kind::Text, start);
                }
                self.emit(Kind::Eof, self.at);
                return Ok(());
            };
            let delim = start + offset;
            let trims = has_left_trim(&self.text[delim + 2..]);
            let mut end = delim;
            if trims {
                end = start + self.text[start..delim].trim_end_matches(is_space).len();
            }
            if end > start {
                self.at = end;
                self.emit(Kind::Text, start);
            }
            let inner = delim + 2 + if trims { 2 } else { 0 };
            if self.text[inner..].starts_with("/*") {
                self.comment(delim, inner)?;
            } else {
                self.at = inner;
                self.out.push(Token { kind: Kind::LeftDelim, pos: delim, text: &self.text[delim..inner] });
                self.action(delim)?;
            }
        }
    }

    fn comment(&mut self, delim: usize, inner: usize) -> Result<(), Error> {
        let body = inner + 2;
        let Some(length) = self.text[body..].find("*/") else {
            return Err(self.error(delim, "unclosed comment"));
        };
        self.at = body + length + 2;
        if !self.right_delim() {
            return Err(self.error(self.at, "comment ends before closing delimiter"));
        }
        Ok(())
    }

    /// Steps over `}}` or ` -}}` with the space the latter trims, if one is next.
    fn right_delim(&mut self) -> bool {
        let rest = self.rest();
        if rest.starts_with("}}") {
            self.at += 2;
            return true;
        }
        let mut chars = rest.chars();
        if chars.next().is_some_and(is_space) && chars.as_str().starts_with("-}}") {
            self.at += 4;
            let tail = self.rest();
            self.at += tail.len() - tail.trim_start_matches(is_space).len();
            return true;
        }
        false
    }

    fn action(&mut self, delim: usize) -> Result<(), Error> {
        let mut parens = 0_usize;
        loop {
            let start = self.at;
            if self.right_delim() {
                if parens > 0 {
                    return Err(self.error(start, "unclosed left paren"));
                }
                self.out.push(Token { kind: Kind::RightDelim, pos: start, text: "}}" });
                return Ok(());
            }
            let Some(c) = self.rest().chars().next() else {
                return Err(self.error(delim, "unclosed action"));
            };
            if is_space(c) {
                while self.rest().chars().next().is_some_and(is_space) && !self.at_trimming_end() {
                    self.at += 1;
                }
                self.emit(Kind::Space, start);
                continue;
            }
            self.at += c.len_utf8();
            match c {
                ':' => {
                    if !self.rest().starts_with('=') {
                        return Err(self.error(start, "expected :="));
                    }
                    self.at += 1;
                    self.emit(Kind::Declare, start);
                }
                '=' => self.emit(Kind::Assign, start),
                '|' => self.emit(Kind::Pipe, start),
                ',' => self.emit(Kind::Comma, start),
                '(' => {
                    parens += 1;
                    self.emit(Kind::LeftParen, start);
                }
                ')' => {
                    if parens == 0 {
                        return Err(self.error(start, "unexpected right paren"));
                    }
                    parens -= 1;
                    self.emit(Kind::RightParen, start);
                }
                '"' => self.quoted(start, '"', Kind::Str, "unterminated quoted string")?,
                '\'' => self.quoted(start, '\'', Kind::Char, "unterminated character constant")?,
                '`' => {
                    let Some(length) = self.rest().find('`') else {
                        return Err(self.error(start, "unterminated raw quoted string"));
                    };
                    self.at += length + 1;
                    self.emit(Kind::RawStr, start);
                }
                '.' if !self.rest().starts_with(|c: char| c.is_ascii_digit()) => {
                    self.word(start, Kind::Field, Kind::Dot)?;
                }
                '$' => self.word(start, Kind::Variable, Kind::Variable)?,
                '.' | '+' | '-' | '0'..='9' => {
                    self.at = start;
                    self.number(start)?;
                }
                c if is_alphanumeric(c) => self.identifier(start)?,
                c if c.is_ascii_graphic() => self.emit(Kind::Stray, start),
                c => {
                    return Err(self.error(start, &format!("unrecognized character in action: {}", rune(c))));
                }
            }
        }
    }

    fn at_trimming_end(&self) -> bool {
        self.rest().get(1..).is_some_and(|r| r.starts_with("-}}"))
    }

    /// `.name` or `$name`; the sigil alone is of kind `bare`.
    fn word(&mut self, start: usize, kind: Kind, bare: Kind) -> Result<(), Error> {
        if self.at_terminator() {
            self.emit(bare, start);
            return Ok(());
        }
        let rest = self.rest();
        self.at += rest.find(|c| !is_alphanumeric(c)).unwrap_or(rest.len());
        self.check_terminator()?;
        self.emit(kind, start);
        Ok(())
    }

    fn identifier(&mut self, start: usize) -> Result<(), Error> {
        let rest = self.rest();
        self.at += rest.find(|c| !is_alphanumeric(c)).unwrap_or(rest.len());
        self.check_terminator()?;
        let kind = match &self.text[start..self.at] {
            "nil" => Kind::Nil,
            "true" | "false" => Kind::Bool,
            word if KEYWORDS.contains(&word) => Kind::Keyword,
            _ => Kind::Ident,
        };
        self.emit(kind, start);
        Ok(())
    }

    fn quoted(&mut self, start: usize, quote: char, kind: Kind, unterminated: &str) -> Result<(), Error> {
        let mut chars = self.rest().char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '\\' if chars.next().is_none_or(|(_, c)| c == '\n') => break,
                '\\' => {}
                '\n' => break,
                c if c == quote => {
                    self.at += i + 1;
                    self.emit(kind, start);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(self.error(start, unterminated))
    }

    fn number(&mut self, start: usize) -> Result<(), Error> {
        let bytes = self.text.as_bytes();
        let accept = |at: &mut usize, set: &[u8]| {
            let hit = bytes.get(*at).is_some_and(|b| set.contains(b));
            *at += usize::from(hit);
            hit
        };
        let mut at = self.at;
        accept(&mut at, b"+-");
        let mut digits: &[u8] = b"0123456789_";
        if accept(&mut at, b"0") {
            if accept(&mut at, b"xX") {
                digits = b"0123456789abcdefABCDEF_";
            } else if accept(&mut at, b"oO") {
                digits = b"01234567_";
            } else if accept(&mut at, b"bB") {
                digits = b"01_";
            }
        }
        while accept(&mut at, digits) {}
        if accept(&mut at, b".") {
            while accept(&mut at, digits) {}
        }
        let exponent: &[u8] = if digits.len() == 11 { b"eE" } else { b"pP" };
        if (digits.len() == 11 || digits.len() == 23) && accept(&mut at, exponent) {
            accept(&mut at, b"+-");
            while accept(&mut at, b"0123456789_") {}
        }
        self.at = at;
        if self.rest().starts_with(is_alphanumeric) {
            self.at += self.rest().chars().next().map_or(0, char::len_utf8);
            let bad = model::float::go_quote(&self.text[start..self.at]);
            return Err(self.error(start, &format!("bad number syntax: {bad}")));
        }
        self.emit(Kind::Number, start);
        Ok(())
    }

    fn at_terminator(&self) -> bool {
        let rest = self.rest();
        match rest.chars().next() {
            None => true,
            Some(c) => {
                is_space(c) || matches!(c, '.' | ',' | '|' | ':' | ')' | '(') || rest.starts_with("}}")
            }
        }
    }

    fn check_terminator(&self) -> Result<(), Error> {
        match self.rest().chars().next() {
            Some(c) if !self.at_terminator() => {
                Err(self.error(self.at, &format!("bad character {}", rune(c))))
            }
            _ => Ok(()),
        }
    }
}

fn has_left_trim(after_delim: &str) -> bool {
    let mut chars = after_delim.chars();
    chars.next() == Some('-') && chars.next().is_some_and(is_space)
}

/// Go's `%#U`: `U+0021 '!'`.
fn rune(c: char) -> String {
    let code = u32::from(c);
    if c.is_control() { format!("U+{code:04X}") } else { format!("U+{code:04X} '{c}'") }
}
