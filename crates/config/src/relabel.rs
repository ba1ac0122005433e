//! Relabelling rules: their keys, defaults and checks. Applying them is the scrape crate's part.

use std::fmt;

use model::is_valid_label_name;

use crate::global::ValidationScheme;
use crate::values::Regex;
use crate::yaml::{Context, Decode, Encode, Node, Out, Place, SectionMap, section};

section! {
    /// One relabelling rule.
    RelabelConfig as "relabel.Config" {
        /// Labels whose values are joined.
        source_labels: Vec<String> = Vec::new(), "source_labels" omit;
        /// What joins them.
        separator: String = ";".to_owned(), "separator" always;
        /// What the joined value must match.
        regex: RelabelRegex = RelabelRegex::default(), "regex" omit;
        /// For `hashmod`.
        modulus: u64 = 0, "modulus" omit;
        /// The label to write.
        target_label: String = String::new(), "target_label" omit;
        /// What to write, with `$1` and `${name}` from the match.
        replacement: String = "$1".to_owned(), "replacement" always;
        /// What to do.
        action: RelabelAction = RelabelAction::Replace, "action" omit;
        /// Where the rule is written; for findings made later.
        place: RulePlace = RulePlace::default(), "" inline;
    }
}

/// Where a rule stands in its file. Not part of equality or output.
#[derive(Debug, Clone, Copy, Default, Eq)]
pub struct RulePlace(pub Place);

impl PartialEq for RulePlace {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl crate::yaml::Section for RulePlace {
    const NAME: &'static str = "";
    fn read(&mut self, map: &mut SectionMap<'_>, _: &mut Context<'_>) {
        self.0 = map.place;
    }
    fn write(&self, _: &mut Vec<(String, Out)>) {}
    fn keys(_: &mut Vec<&'static str>) {}
}

impl Encode for RulePlace {
    fn encode(&self) -> Out {
        Out::Null
    }
    fn is_empty(&self) -> bool {
        true
    }
}

/// A rule's expression, which knows whether it was written or is the default `(.*)`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RelabelRegex {
    regex: Regex,
    written: bool,
}

impl RelabelRegex {
    /// An expression as if written.
    ///
    /// # Errors
    /// Why the text is no expression.
    pub fn new(text: &str) -> Result<Self, String> {
        Ok(Self { regex: Regex::new(text)?, written: true })
    }
}

impl std::ops::Deref for RelabelRegex {
    type Target = Regex;
    fn deref(&self) -> &Regex {
        &self.regex
    }
}

impl fmt::Debug for RelabelRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.regex.fmt(f)
    }
}

impl Decode for RelabelRegex {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        Some(Self { regex: Regex::decode(node, cx)?, written: true })
    }
}

impl Encode for RelabelRegex {
    fn encode(&self) -> Out {
        self.regex.encode()
    }
    fn is_empty(&self) -> bool {
        !self.written
    }
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelabelAction {
    /// Write the expanded replacement to the target label where the expression matches.
    Replace,
    /// Drop what does not match.
    Keep,
    /// Drop what matches.
    Drop,
    /// Drop where the joined value differs from the target label's.
    KeepEqual,
    /// Drop where the joined value equals the target label's.
    DropEqual,
    /// Write the hash of the joined value modulo `modulus`.
    HashMod,
    /// Copy labels whose name matches.
    LabelMap,
    /// Remove labels whose name matches.
    LabelDrop,
    /// Remove labels whose name does not match.
    LabelKeep,
    /// Write the joined value in lower case.
    Lowercase,
    /// Write the joined value in upper case.
    Uppercase,
}

const ACTIONS: [(RelabelAction, &str); 11] = [
    (RelabelAction::Replace, "replace"),
    (RelabelAction::Keep, "keep"),
    (RelabelAction::Drop, "drop"),
    (RelabelAction::KeepEqual, "keepequal"),
    (RelabelAction::DropEqual, "dropequal"),
    (RelabelAction::HashMod, "hashmod"),
    (RelabelAction::LabelMap, "labelmap"),
    (RelabelAction::LabelDrop, "labeldrop"),
    (RelabelAction::LabelKeep, "labelkeep"),
    (RelabelAction::Lowercase, "lowercase"),
    (RelabelAction::Uppercase, "uppercase"),
];

impl RelabelAction {
    /// The name in configuration files.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        ACTIONS.iter().find(|(a, _)| a == self).map_or("", |(_, name)| name)
    }
}

impl fmt::Display for RelabelAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Decode for RelabelAction {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let text = String::decode(node, cx)?;
        let lower = text.to_lowercase();
        let found = ACTIONS.iter().find(|(_, name)| *name == lower).map(|(a, _)| *a);
        if found.is_none() {
            let names: Vec<_> = ACTIONS.iter().map(|(_, n)| *n).collect();
            cx.error_hint(
                node.place,
                format!("unknown relabel action {text:?}"),
                format!("expected one of: {}", names.join(", ")),
            );
        }
        found
    }
}

impl Encode for RelabelAction {
    fn encode(&self) -> Out {
        Out::Str(self.as_str().to_owned())
    }
}

impl RelabelConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        if map.peek("action").is_some_and(Node::is_null) {
            cx.error(map.place_of("action"), "relabel action cannot be empty");
        }
        // Written without a value it means the empty expression, as upstream.
        if map.peek("regex").is_some_and(Node::is_null) {
            self.regex = RelabelRegex::new("").expect("a valid expression");
        }
    }

    /// What is wrong with the combination of keys, if anything.
    #[must_use]
    pub fn problem(&self, scheme: ValidationScheme) -> Option<String> {
        use RelabelAction as A;
        let action = self.action;
        let writes_one = matches!(
            action,
            A::Replace | A::HashMod | A::Lowercase | A::Uppercase | A::KeepEqual | A::DropEqual
        );
        let copies = matches!(action, A::Lowercase | A::Uppercase | A::KeepEqual | A::DropEqual);
        if self.modulus == 0 && action == A::HashMod {
            return Some("relabel configuration for hashmod requires non-zero modulus".to_owned());
        }
        if writes_one && self.target_label.is_empty() {
            return Some(format!("relabel configuration for {action} action requires 'target_label' value"));
        }
        let target_ok = match action {
            A::Replace if has_variable(&self.target_label) => {
                valid_with_variables(&self.target_label, scheme)
            }
            _ if writes_one => scheme.is_valid_label_name(&self.target_label),
            _ => true,
        };
        if !target_ok {
            return Some(format!("{:?} is invalid 'target_label' for {action} action", self.target_label));
        }
        if copies && self.replacement != "$1" {
            return Some(format!("'replacement' can not be set for {action} action"));
        }
        if action == A::LabelMap && !valid_with_variables(&self.replacement, scheme) {
            return Some(format!("{:?} is invalid 'replacement' for {action} action", self.replacement));
        }
        let plain = self.modulus == 0 && self.separator == ";" && self.replacement == "$1";
        if matches!(action, A::DropEqual | A::KeepEqual) && (self.regex.written || !plain) {
            return Some(format!(
                "{action} action requires only 'source_labels' and `target_label`, and no other fields"
            ));
        }
        if matches!(action, A::LabelDrop | A::LabelKeep)
            && (!plain || !self.source_labels.is_empty() || !self.target_label.is_empty())
        {
            return Some(format!("{action} action requires only 'regex', and no other fields"));
        }
        None
    }
}

/// Whether a template refers to a group of the match.
fn has_variable(text: &str) -> bool {
    text.match_indices('$').any(|(i, _)| {
        let rest = &text[i + 1..];
        rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
            || rest.strip_prefix('{').is_some_and(|r| r.find('}').is_some_and(|end| end > 0))
    })
}

/// Whether a template may become a label name: in the legacy set, identifier characters and variables only.
fn valid_with_variables(text: &str, scheme: ValidationScheme) -> bool {
    if scheme == ValidationScheme::Utf8 {
        return !text.is_empty();
    }
    let mut stripped = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        stripped.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let len = match rest.strip_prefix('{') {
            Some(inner) => match inner.find('}') {
                Some(end)
                    if inner[..end].chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && end > 0 =>
                {
                    end + 2
                }
                _ => return false,
            },
            None => rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len()),
        };
        if len == 0 {
            return false;
        }
        // A variable may stand for anything, the first character included.
        stripped.push('_');
        rest = &rest[len..];
    }
    stripped.push_str(rest);
    is_valid_label_name(&stripped)
}
