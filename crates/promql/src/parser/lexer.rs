//! Query text to tokens.
//!
//! What a character means depends on where it stands: inside braces words are never keywords, and inside brackets a
//! colon separates range and step. The lexer keeps track of both, and of parentheses, whose imbalance it reports.

use super::ast::{BinaryOp, Span};
use super::literal::{quote_char, unicode_name};
use super::token::{Keyword, Kind, Token};

pub(super) struct Lexer<'a> {
    input: &'a str,
    pos: usize,
    start: usize,
    paren_depth: u32,
    brace_open: bool,
    bracket_open: bool,
    /// Just behind a left bracket, or behind something that does not end the state.
    in_duration_expr: bool,
    got_colon: bool,
    got_duration: bool,
    error: Option<String>,
    /// Whether `0x` is not read as the start of a hexadecimal number, and an `x` may follow a number.
    series_values: bool,
}

type LexResult = Result<Option<Kind>, String>;

impl<'a> Lexer<'a> {
    pub(super) fn new(input: &'a str) -> Self {
        Self {
            input,
            pos: 0,
            start: 0,
            paren_depth: 0,
            brace_open: false,
            bracket_open: false,
            in_duration_expr: false,
            got_colon: false,
            got_duration: false,
            error: None,
            series_values: false,
        }
    }

    /// A lexer for the numbers of a series description.
    pub(super) fn for_series_values(input: &'a str) -> Self {
        Self { series_values: true, ..Self::new(input) }
    }

    /// The message behind [`Kind::Error`].
    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Where the next token is looked for.
    pub(super) fn pos(&self) -> usize {
        self.pos
    }

    /// The next token; after an error only [`Kind::End`] comes.
    pub(super) fn next_token(&mut self) -> Token {
        if self.error.is_some() {
            return self.token(Kind::End);
        }
        loop {
            self.start = self.pos;
            let step = if self.in_duration_expr {
                self.duration_expr()
            } else if self.brace_open {
                self.inside_braces()
            } else {
                self.statement()
            };
            match step {
                Ok(Some(kind)) => return self.token(kind),
                Ok(None) => {}
                Err(message) => {
                    self.error = Some(message);
                    return Token {
                        kind: Kind::Error,
                        span: Span::new(self.start.min(self.input.len()), self.input.len()),
                    };
                }
            }
        }
    }

    fn token(&self, kind: Kind) -> Token {
        let start = if kind == Kind::End { self.pos } else { self.start };
        Token { kind, span: Span::new(start, self.pos) }
    }

    fn peek(&self) -> Option<char> {
        self.input[self.pos..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn accept(&mut self, valid: impl Fn(char) -> bool) -> bool {
        let hit = self.peek().is_some_and(valid);
        if hit {
            self.bump();
        }
        hit
    }

    fn accept_run(&mut self, valid: impl Fn(char) -> bool) {
        while self.accept(&valid) {}
    }

    /// Comments and spaces, which are met in all states but right behind a bracket.
    fn skip(&mut self) -> bool {
        let before = self.pos;
        self.accept_run(is_space);
        if self.peek() == Some('#') {
            self.accept_run(|c| c != '\n' && c != '\r');
        }
        self.pos != before
    }

    fn statement(&mut self) -> LexResult {
        if self.skip() {
            return Ok(None);
        }
        let Some(c) = self.bump() else {
            return if self.paren_depth != 0 {
                Err("unclosed left parenthesis".to_owned())
            } else if self.bracket_open {
                Err("unclosed left bracket".to_owned())
            } else {
                Ok(Some(Kind::End))
            };
        };
        Ok(Some(match c {
            ',' => Kind::Comma,
            '*' => Kind::Operator(BinaryOp::Mul),
            '/' => Kind::Operator(BinaryOp::Div),
            '%' => Kind::Operator(BinaryOp::Mod),
            '+' => Kind::Operator(BinaryOp::Add),
            '-' => Kind::Operator(BinaryOp::Sub),
            '^' => Kind::Operator(BinaryOp::Pow),
            '@' => Kind::At,
            '=' => match self.peek() {
                Some('=') => {
                    self.bump();
                    Kind::Operator(BinaryOp::Eql)
                }
                Some('~') => return Err("unexpected character after '=': '~'".to_owned()),
                _ => Kind::Equal,
            },
            '!' => {
                if self.accept(|c| c == '=') {
                    Kind::Operator(BinaryOp::Neq)
                } else {
                    return Err(format!("unexpected character after '!': {}", quote_char(self.peek())));
                }
            }
            '<' if self.accept(|c| c == '=') => Kind::Operator(BinaryOp::Lte),
            '<' if self.accept(|c| c == '/') => Kind::Operator(BinaryOp::TrimUpper),
            '<' => Kind::Operator(BinaryOp::Lss),
            '>' if self.accept(|c| c == '=') => Kind::Operator(BinaryOp::Gte),
            '>' if self.accept(|c| c == '/') => Kind::Operator(BinaryOp::TrimLower),
            '>' => Kind::Operator(BinaryOp::Gtr),
            '0'..='9' => return self.number_or_duration(),
            '.' if self.peek().is_some_and(|c| c.is_ascii_digit()) => return self.number_or_duration(),
            '"' | '\'' | '`' => return self.string(c),
            ':' if self.bracket_open => {
                if self.got_colon {
                    return Err("unexpected colon ':'".to_owned());
                }
                self.got_colon = true;
                Kind::Colon
            }
            c if is_alpha(c) && self.bracket_open => match self.duration_word(c) {
                Some(kind) => kind,
                None => {
                    return Err(format!("unexpected character: {}, expected ':'", quote_char(Some(c))));
                }
            },
            c if is_alpha(c) || c == ':' => return Ok(Some(self.word())),
            '(' => {
                self.paren_depth += 1;
                Kind::LeftParen
            }
            ')' => return self.right_paren(),
            '{' => {
                self.brace_open = true;
                Kind::LeftBrace
            }
            '[' => {
                if self.bracket_open {
                    return Err("unexpected left bracket '['".to_owned());
                }
                self.got_colon = false;
                self.bracket_open = true;
                self.in_duration_expr = true;
                Kind::LeftBracket
            }
            ']' => {
                if !self.bracket_open {
                    return Err("unexpected right bracket ']'".to_owned());
                }
                self.bracket_open = false;
                Kind::RightBracket
            }
            other => return Err(format!("unexpected character: {}", quote_char(Some(other)))),
        }))
    }

    fn right_paren(&mut self) -> LexResult {
        match self.paren_depth.checked_sub(1) {
            Some(depth) => {
                self.paren_depth = depth;
                Ok(Some(Kind::RightParen))
            }
            None => {
                // Upstream points behind the parenthesis.
                self.start = self.pos;
                Err("unexpected right parenthesis ')'".to_owned())
            }
        }
    }

    fn inside_braces(&mut self) -> LexResult {
        if self.skip() {
            return Ok(None);
        }
        let Some(c) = self.bump() else {
            return Err("unexpected end of input inside braces".to_owned());
        };
        Ok(Some(match c {
            c if is_alpha(c) => {
                self.accept_run(is_alphanumeric);
                Kind::Identifier
            }
            ',' => Kind::Comma,
            '"' | '\'' | '`' => return self.string(c),
            '=' if self.accept(|c| c == '~') => Kind::EqualRegex,
            '=' => Kind::Equal,
            '!' if self.accept(|c| c == '~') => Kind::NotRegex,
            '!' if self.accept(|c| c == '=') => Kind::Operator(BinaryOp::Neq),
            '!' => {
                return Err(format!(
                    "unexpected character after '!' inside braces: {}",
                    quote_char(self.peek())
                ));
            }
            '{' => return Err("unexpected left brace '{'".to_owned()),
            '}' => {
                self.brace_open = false;
                Kind::RightBrace
            }
            other => return Err(format!("unexpected character inside braces: {}", quote_char(Some(other)))),
        }))
    }

    /// Behind a left bracket, until the first number.
    fn duration_expr(&mut self) -> LexResult {
        self.accept_run(is_space);
        self.start = self.pos;
        let Some(c) = self.bump() else {
            return Err("unexpected end of input in duration expression".to_owned());
        };
        Ok(Some(match c {
            ']' => {
                self.bracket_open = false;
                self.got_colon = false;
                self.in_duration_expr = false;
                Kind::RightBracket
            }
            ':' => {
                let problem = if !self.got_duration {
                    "unexpected colon before duration in duration expression"
                } else if self.got_colon {
                    "unexpected repeated colon in duration expression"
                } else {
                    self.got_colon = true;
                    return Ok(Some(Kind::Colon));
                };
                self.start = self.pos;
                return Err(problem.to_owned());
            }
            '(' => {
                self.paren_depth += 1;
                Kind::LeftParen
            }
            ')' => return self.right_paren(),
            '+' => Kind::Operator(BinaryOp::Add),
            '-' => Kind::Operator(BinaryOp::Sub),
            '*' => Kind::Operator(BinaryOp::Mul),
            '/' => Kind::Operator(BinaryOp::Div),
            '%' => Kind::Operator(BinaryOp::Mod),
            '^' => Kind::Operator(BinaryOp::Pow),
            ',' => Kind::Comma,
            '0'..='9' => return self.number_in_brackets(),
            '.' if self.peek().is_some_and(|c| c.is_ascii_digit()) => return self.number_in_brackets(),
            c => match self.duration_word(c) {
                Some(kind) => kind,
                None => {
                    return Err(format!(
                        "unexpected character in duration expression: {}",
                        quote_char(Some(c))
                    ));
                }
            },
        }))
    }

    fn number_in_brackets(&mut self) -> LexResult {
        self.got_duration = true;
        self.in_duration_expr = false;
        self.number_or_duration()
    }

    /// One of the four words that duration expressions know; `first` is consumed already.
    fn duration_word(&mut self, first: char) -> Option<Kind> {
        if !matches!(first.to_ascii_lowercase(), 's' | 'r' | 'm') {
            return None;
        }
        self.accept_run(is_alpha);
        let kind = Kind::of_word(&self.input[self.start..self.pos]);
        matches!(kind, Kind::Step | Kind::Range | Kind::MaxOf | Kind::MinOf).then_some(kind)
    }

    fn word(&mut self) -> Kind {
        self.accept_run(|c| is_alphanumeric(c) || c == ':');
        match Kind::of_word(&self.input[self.start..self.pos]) {
            // Metrics may bear these names; the keyword has arguments.
            Kind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight)
                if !self.input[self.pos..].trim_start_matches(is_space).starts_with('(') =>
            {
                Kind::Identifier
            }
            kind => kind,
        }
    }

    /// A quoted string whose opening quote is consumed already.
    fn string(&mut self, quote: char) -> LexResult {
        let raw = quote == '`';
        loop {
            match self.bump() {
                Some('\\') if !raw => self.escape(quote)?,
                // Upstream decodes bytes here and cannot tell this character from what is no UTF-8.
                Some(char::REPLACEMENT_CHARACTER) => return Err("invalid UTF-8 rune".to_owned()),
                None if raw => return Err("unterminated raw string".to_owned()),
                Some('\n') if !raw => return Err("unterminated quoted string".to_owned()),
                None => return Err("unterminated quoted string".to_owned()),
                Some(c) if c == quote => return Ok(Some(Kind::String)),
                Some(_) => {}
            }
        }
    }

    fn escape(&mut self, quote: char) -> Result<(), String> {
        let unterminated = || "escape sequence not terminated".to_owned();
        let first = self.bump().ok_or_else(unterminated)?;
        let (digits, base, max) = match first {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(()),
            c if c == quote => return Ok(()),
            '0'..='7' => (3, 8, 255),
            'x' => (2, 16, 255),
            'u' => (4, 16, 0x10_ffff),
            'U' => (8, 16, 0x10_ffff),
            c => return Err(format!("unknown escape sequence {}", unicode_name(c))),
        };
        let mut next = if base == 8 { Some(first) } else { self.bump() };
        let mut value = 0_u32;
        for i in 0..digits {
            let c = next.ok_or_else(unterminated)?;
            let digit = c
                .to_digit(base)
                .ok_or_else(|| format!("illegal character {} in escape sequence", unicode_name(c)))?;
            value = value.wrapping_mul(base) + digit;
            if i + 1 < digits {
                next = self.bump();
            }
        }
        if value > max || (0xd800..0xe000).contains(&value) {
            return Err("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }

    /// A number or a duration whose first character is consumed already.
    fn number_or_duration(&mut self) -> LexResult {
        self.pos = self.start;
        if self.scan_number() {
            return Ok(Some(Kind::Number));
        }
        if self.scan_duration_tail() {
            return Ok(Some(Kind::Duration));
        }
        Err(format!(
            "bad number or duration syntax: {}",
            model::float::go_quote(&self.input[self.start..self.pos])
        ))
    }

    /// Scans one number, for series descriptions. Returns whether it is one; its text ends at [`Lexer::pos`].
    pub(super) fn scan_number(&mut self) -> bool {
        let begin = self.pos;
        let mut hex = false;
        if !self.series_values && self.accept(|c| c == '0') && self.accept(|c| matches!(c, 'x' | 'X')) {
            self.accept(|c| c == '_');
            hex = true;
        }
        let is_digit = move |c: char| if hex { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
        let is_exponent = |c: char| matches!(c, 'e' | 'E');
        let follows_badly = |c: char| matches!(c, '.' | '_' | 'e' | 'E');
        self.accept(|c| c == '.');
        self.accept(is_digit);
        let (mut dot_seen, mut exponent_seen) = (false, false);
        while let Some(c) = self.peek().filter(|&c| is_digit(c) || c == '.' || c == '_' || is_exponent(c)) {
            if (c == '.' && dot_seen) || (is_exponent(c) && exponent_seen) {
                self.bump();
                return false;
            }
            if c == '.' {
                self.bump();
                dot_seen = true;
                if self.accept(|c| matches!(c, '_' | '.')) || hex {
                    return false;
                }
            } else if is_exponent(c) {
                self.bump();
                exponent_seen = true;
                self.accept(|c| matches!(c, '+' | '-'));
                if self.accept(follows_badly) || self.peek().is_none() {
                    return false;
                }
            } else if c == '_' {
                self.bump();
                if self.accept(follows_badly) || self.peek().is_none() {
                    return false;
                }
            } else {
                self.accept_run(is_digit);
            }
        }
        if self.pos == begin {
            return false;
        }
        self.peek().is_none_or(|c| !is_alphanumeric(c) || (self.series_values && c == 'x'))
    }

    /// The rest of a duration from its first unit on.
    fn scan_duration_tail(&mut self) -> bool {
        if !self.accept(|c| "smhdwy".contains(c)) {
            return false;
        }
        self.accept(|c| c == 's');
        while self.accept(|c| c.is_ascii_digit()) {
            self.accept_run(|c| c.is_ascii_digit());
            if !self.accept(|c| "smhdw".contains(c)) {
                return false;
            }
            self.accept(|c| c == 's');
        }
        // A wrong character behind the unit is shown in the message.
        !self.accept(is_alphanumeric)
    }
}

pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_alphanumeric(c: char) -> bool {
    is_alpha(c) || c.is_ascii_digit()
}
