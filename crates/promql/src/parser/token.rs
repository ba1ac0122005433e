//! What the lexer hands to the parser, and how error messages call it.

use model::float::go_quote;

use super::ast::{AggregateOp, BinaryOp, Span};

/// A piece of the query text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

/// The kinds of tokens. Comments and spaces are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    End,
    /// What follows cannot be read; the lexer holds the message.
    Error,
    Number,
    Duration,
    String,
    /// A name without a colon.
    Identifier,
    /// A name with a colon.
    MetricIdentifier,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    /// `=`
    Equal,
    /// `=~`
    EqualRegex,
    /// `!~`
    NotRegex,
    /// `@`
    At,
    /// An operator, one spelt as a word included.
    Operator(BinaryOp),
    Aggregate(AggregateOp),
    Keyword(Keyword),
    /// `start`
    Start,
    /// `end`
    EndWord,
    /// `step`
    Step,
    /// `range`
    Range,
    /// `max_of`
    MaxOf,
    /// `min_of`
    MinOf,
}

/// Words that modify an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Anchored,
    Bool,
    By,
    Fill,
    FillLeft,
    FillRight,
    GroupLeft,
    GroupRight,
    Ignoring,
    Offset,
    On,
    Smoothed,
    Without,
}

impl Kind {
    /// The kind of a word, by upstream's table of keywords; case does not count.
    pub(super) fn of_word(word: &str) -> Self {
        // The longest keyword has 12 letters; longer words need no lower-casing.
        if word.len() > 12 {
            return Self::of_name(word);
        }
        match word.to_ascii_lowercase().as_str() {
            "inf" | "nan" => Self::Number,
            "and" => Self::Operator(BinaryOp::And),
            "or" => Self::Operator(BinaryOp::Or),
            "unless" => Self::Operator(BinaryOp::Unless),
            "atan2" => Self::Operator(BinaryOp::Atan2),
            "sum" => Self::Aggregate(AggregateOp::Sum),
            "avg" => Self::Aggregate(AggregateOp::Avg),
            "count" => Self::Aggregate(AggregateOp::Count),
            "min" => Self::Aggregate(AggregateOp::Min),
            "max" => Self::Aggregate(AggregateOp::Max),
            "group" => Self::Aggregate(AggregateOp::Group),
            "stddev" => Self::Aggregate(AggregateOp::Stddev),
            "stdvar" => Self::Aggregate(AggregateOp::Stdvar),
            "topk" => Self::Aggregate(AggregateOp::Topk),
            "bottomk" => Self::Aggregate(AggregateOp::Bottomk),
            "count_values" => Self::Aggregate(AggregateOp::CountValues),
            "quantile" => Self::Aggregate(AggregateOp::Quantile),
            "limitk" => Self::Aggregate(AggregateOp::Limitk),
            "limit_ratio" => Self::Aggregate(AggregateOp::LimitRatio),
            "offset" => Self::Keyword(Keyword::Offset),
            "smoothed" => Self::Keyword(Keyword::Smoothed),
            "anchored" => Self::Keyword(Keyword::Anchored),
            "by" => Self::Keyword(Keyword::By),
            "without" => Self::Keyword(Keyword::Without),
            "on" => Self::Keyword(Keyword::On),
            "ignoring" => Self::Keyword(Keyword::Ignoring),
            "group_left" => Self::Keyword(Keyword::GroupLeft),
            "group_right" => Self::Keyword(Keyword::GroupRight),
            "fill" => Self::Keyword(Keyword::Fill),
            "fill_left" => Self::Keyword(Keyword::FillLeft),
            "fill_right" => Self::Keyword(Keyword::FillRight),
            "bool" => Self::Keyword(Keyword::Bool),
            "start" => Self::Start,
            "end" => Self::EndWord,
            "step" => Self::Step,
            "range" => Self::Range,
            "max_of" => Self::MaxOf,
            "min_of" => Self::MinOf,
            _ => Self::of_name(word),
        }
    }

    fn of_name(word: &str) -> Self {
        if word.contains(':') { Self::MetricIdentifier } else { Self::Identifier }
    }

    /// Whether the token can be a metric's name.
    pub(super) fn is_metric_name(self) -> bool {
        use Keyword::{Bool, GroupLeft, GroupRight, Ignoring, On};
        match self {
            Self::Operator(op) => op.is_set(),
            Self::Keyword(k) => !matches!(k, Bool | On | Ignoring | GroupLeft | GroupRight),
            other => other.is_name(),
        }
    }

    /// Whether the token can be a label in `by`, `on`, ….
    pub(super) fn is_label_name(self) -> bool {
        match self {
            Self::Operator(op) => op.is_set() || op == BinaryOp::Atan2,
            Self::Keyword(k) => k != Keyword::Without,
            other => other.is_name(),
        }
    }

    fn is_name(self) -> bool {
        matches!(
            self,
            Self::Identifier
                | Self::MetricIdentifier
                | Self::Aggregate(_)
                | Self::Start
                | Self::EndWord
                | Self::Step
                | Self::Range
                | Self::MaxOf
                | Self::MinOf
        )
    }

    /// A token of one spelling, as a message says what it expects.
    pub(super) fn spelling(self) -> &'static str {
        match self {
            Self::LeftParen => "\"(\"",
            Self::RightParen => "\")\"",
            Self::LeftBrace => "\"{\"",
            Self::Comma => "\",\"",
            Self::End => "the end of the text",
            _ => "",
        }
    }

    /// How a message names the token whose text is `text`.
    pub(super) fn describe(self, text: &str) -> String {
        match self {
            Self::End => "end of input".to_owned(),
            Self::Error => "error".to_owned(),
            Self::Number => format!("number {}", abridged(text)),
            Self::Duration => format!("duration {}", abridged(text)),
            Self::String => format!("string {}", abridged(text)),
            Self::Identifier => format!("identifier {}", go_quote(text)),
            Self::MetricIdentifier => format!("metric identifier {}", go_quote(text)),
            Self::Keyword(_) => format!("<{text}>"),
            Self::Operator(_) | Self::At | Self::EqualRegex | Self::NotRegex => format!("<op:{text}>"),
            Self::Aggregate(_) => format!("<aggr:{text}>"),
            _ => abridged(text),
        }
    }
}

/// Quoted, and past ten bytes only the first ten characters.
fn abridged(text: &str) -> String {
    if text.len() > 10 {
        format!("{}...", go_quote(&text.chars().take(10).collect::<String>()))
    } else {
        go_quote(text)
    }
}
