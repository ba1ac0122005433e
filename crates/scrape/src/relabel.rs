//! Applying relabelling rules, to targets and to samples.

use config::{RelabelAction, RelabelConfig, ValidationScheme};
use md5::{Digest as _, Md5};
use model::{LabelSet, LabelSetBuilder};

/// Whether a label set survived its rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It did.
    Keep,
    /// A rule dropped it.
    Drop,
}

/// Applies rules in order to the labels in `builder`. After [`Verdict::Drop`] the labels are as the dropping rule found them.
pub fn apply(builder: &mut LabelSetBuilder, rules: &[RelabelConfig], scheme: ValidationScheme) -> Verdict {
    for rule in rules {
        if step(builder, rule, scheme) == Verdict::Drop {
            return Verdict::Drop;
        }
    }
    Verdict::Keep
}

/// Applies rules to a label set; `None` where a rule drops it.
#[must_use]
pub fn process(labels: &LabelSet, rules: &[RelabelConfig], scheme: ValidationScheme) -> Option<LabelSet> {
    if rules.is_empty() {
        return Some(labels.clone());
    }
    let mut builder = labels.to_builder();
    (apply(&mut builder, rules, scheme) == Verdict::Keep).then(|| builder.build())
}

/// Applies one rule.
pub fn step(builder: &mut LabelSetBuilder, rule: &RelabelConfig, scheme: ValidationScheme) -> Verdict {
    let regex = rule.regex.compiled();
    let keep = |kept: bool| if kept { Verdict::Keep } else { Verdict::Drop };
    let target = rule.target_label.as_str();
    match rule.action {
        RelabelAction::Keep => return keep(regex.is_match(&joined(builder, rule))),
        RelabelAction::Drop => return keep(!regex.is_match(&joined(builder, rule))),
        RelabelAction::KeepEqual => return keep(joined(builder, rule) == builder.value(target)),
        RelabelAction::DropEqual => return keep(joined(builder, rule) != builder.value(target)),
        RelabelAction::Replace => {
            let value = joined(builder, rule);
            let Some(captures) = regex.captures(&value) else { return Verdict::Keep };
            let expand = |template: &str| {
                let mut out = String::new();
                captures.expand(template, &mut out);
                out
            };
            let name = expand(target);
            // A name that is none makes the rule do nothing.
            if scheme.is_valid_label_name(&name) {
                set(builder, &name, &expand(&rule.replacement));
            }
        }
        RelabelAction::HashMod => {
            let digest = Md5::digest(joined(builder, rule).as_bytes());
            let mut tail = [0; 8];
            tail.copy_from_slice(&digest[8..16]);
            let bucket = u64::from_be_bytes(tail).checked_rem(rule.modulus).unwrap_or(0);
            set(builder, target, &bucket.to_string());
        }
        RelabelAction::LabelMap => {
            let labels: Vec<_> = builder.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            for (name, value) in labels {
                if let Some(captures) = regex.captures(&name) {
                    let mut copy = String::new();
                    captures.expand(&rule.replacement, &mut copy);
                    set(builder, &copy, &value);
                }
            }
        }
        RelabelAction::LabelDrop => remove_where(builder, |name| regex.is_match(name)),
        RelabelAction::LabelKeep => remove_where(builder, |name| !regex.is_match(name)),
        RelabelAction::Lowercase => {
            let value = joined(builder, rule).to_lowercase();
            set(builder, target, &value);
        }
        RelabelAction::Uppercase => {
            let value = joined(builder, rule).to_uppercase();
            set(builder, target, &value);
        }
    }
    Verdict::Keep
}

/// The values of the source labels, joined.
fn joined(builder: &LabelSetBuilder, rule: &RelabelConfig) -> String {
    let mut out = String::new();
    for (i, name) in rule.source_labels.iter().enumerate() {
        if i > 0 {
            out.push_str(&rule.separator);
        }
        out.push_str(builder.value(name));
    }
    out
}

fn set(builder: &mut LabelSetBuilder, name: &str, value: &str) {
    if value.is_empty() {
        builder.remove(name);
    } else {
        builder.set(name, value);
    }
}

fn remove_where(builder: &mut LabelSetBuilder, hit: impl Fn(&str) -> bool) {
    let names: Vec<_> = builder.iter().map(|(n, _)| n).filter(|n| hit(n)).map(str::to_owned).collect();
    for name in names {
        builder.remove(&name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::RelabelRegex;

    fn rule(action: RelabelAction, sources: &[&str], regex: Option<&str>) -> RelabelConfig {
        let mut rule = RelabelConfig {
            action,
            source_labels: sources.iter().map(|s| (*s).to_owned()).collect(),
            ..RelabelConfig::default()
        };
        if let Some(regex) = regex {
            rule.regex = RelabelRegex::new(regex).unwrap();
        }
        rule
    }

    fn check(labels: &[(&str, &str)], rules: &[RelabelConfig], expect: Option<&[(&str, &str)]>) {
        let got = process(&LabelSet::from_pairs(labels.to_vec()), rules, ValidationScheme::Utf8);
        assert_eq!(got, expect.map(|e| LabelSet::from_pairs(e.to_vec())), "{rules:?}");
    }

    fn to(mut rule: RelabelConfig, target: &str, replacement: &str) -> RelabelConfig {
        target.clone_into(&mut rule.target_label);
        replacement.clone_into(&mut rule.replacement);
        rule
    }

    #[test]
    fn every_action() {
        use RelabelAction as A;
        let abc = [("a", "foo"), ("b", "bar"), ("c", "baz")];
        check(
            &abc,
            &[to(rule(A::Replace, &["a"], Some("f(.*)")), "d", "ch${1}-ch${1}")],
            Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "choo-choo")]),
        );
        check(
            &abc,
            &[
                to(rule(A::Replace, &["a", "b"], Some("f(.*);(.*)r")), "a", "b${1}${2}m"),
                to(rule(A::Replace, &["c", "a"], Some("(b).*b(.*)ba(.*)")), "d", "$1$2$2$3"),
            ],
            Some(&[("a", "boobam"), ("b", "bar"), ("c", "baz"), ("d", "boooom")]),
        );
        check(&abc, &[rule(A::Drop, &["a"], Some(".*o.*"))], None);
        check(&abc, &[rule(A::Drop, &["a"], Some("o"))], Some(&abc));
        check(&abc, &[rule(A::Keep, &["a"], Some("no-match"))], None);
        check(&abc, &[rule(A::Keep, &["a"], Some("f.*"))], Some(&abc));
        check(
            &abc,
            &[to(rule(A::Replace, &["b"], Some("bar")), "a", "")],
            Some(&[("b", "bar"), ("c", "baz")]),
        );
        check(&abc, &[to(rule(A::Replace, &["a"], Some("(f).*")), "$9", "x")], Some(&abc));
        check(
            &abc,
            &[to(rule(A::Replace, &["zz"], None), "d", "$$x")],
            Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "$x")]),
        );
        check(
            &[("a", "foo"), ("b1", "bar"), ("b2", "baz")],
            &[to(rule(A::LabelMap, &[], Some("b(.*)")), "", "bar_${1}")],
            Some(&[("a", "foo"), ("b1", "bar"), ("b2", "baz"), ("bar_1", "bar"), ("bar_2", "baz")]),
        );
        check(&abc, &[rule(A::LabelDrop, &[], Some("[ab]"))], Some(&[("c", "baz")]));
        check(&abc, &[rule(A::LabelKeep, &[], Some("[ab]"))], Some(&[("a", "foo"), ("b", "bar")]));
        check(
            &[("a", "Foo")],
            &[to(rule(A::Lowercase, &["a"], None), "b", "$1")],
            Some(&[("a", "Foo"), ("b", "foo")]),
        );
        check(&[("a", "Foo")], &[to(rule(A::Uppercase, &["a"], None), "a", "$1")], Some(&[("a", "FOO")]));
        check(
            &[("p", "1"), ("q", "1")],
            &[to(rule(A::KeepEqual, &["p"], None), "q", "$1")],
            Some(&[("p", "1"), ("q", "1")]),
        );
        check(&[("p", "1"), ("q", "2")], &[to(rule(A::KeepEqual, &["p"], None), "q", "$1")], None);
        check(&[("p", "1"), ("q", "1")], &[to(rule(A::DropEqual, &["p"], None), "q", "$1")], None);
    }

    #[test]
    fn hashmod_takes_the_last_eight_bytes_of_md5() {
        // Both values as Prometheus' own tests have them.
        let mut one = to(rule(RelabelAction::HashMod, &["c"], None), "d", "$1");
        one.modulus = 1000;
        check(
            &[("a", "foo"), ("b", "bar"), ("c", "baz")],
            &[one.clone()],
            Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "976")]),
        );
        check(&[("c", "foo\nbar")], &[one], Some(&[("c", "foo\nbar"), ("d", "734")]));
    }
}
