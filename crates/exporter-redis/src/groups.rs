//! Keys counted by group: the captures of the first Lua pattern that a key's name matches.

use std::collections::BTreeMap;

use crate::resp::Value;
use crate::sheet::Sheet;

/// Most groups of a database that are kept apart while keys are read.
const MAX_GROUPS: usize = 100_000;

/// The group of keys for which there was no place of their own.
const OVERFLOW: &str = "overflow";

/// Looks at some keys from a cursor on. Arguments: cursor, how many, patterns. Answers the next cursor and name, keys, bytes of each group.
pub(crate) const SCRIPT: &str = "\
local page = redis.call('SCAN', ARGV[1], 'COUNT', ARGV[2])
local seen, found = {}, {}
for _, key in ipairs(page[2]) do
  local name = 'unclassified'
  for n = 3, #ARGV do
    local match = {string.find(key, ARGV[n])}
    if match[1] then
      name = table.concat(match, '', 3)
      break
    end
  end
  local group = seen[name]
  if not group then
    group = {name, 0, 0}
    seen[name] = group
    found[#found + 1] = group
  end
  group[2] = group[2] + 1
  local used = redis.pcall('MEMORY', 'USAGE', key)
  if type(used) == 'number' then
    group[3] = group[3] + used
  end
end
return {page[1], found}";

/// The groups of one database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Groups {
    /// Keys and bytes by name.
    by_name: BTreeMap<String, (i64, i64)>,
    /// Those of groups beyond [`MAX_GROUPS`].
    beyond: (i64, i64),
}

impl Groups {
    /// Adds what the script answered.
    pub(crate) fn add(&mut self, reply: Value) {
        for group in reply.into_list().into_iter().flatten() {
            let Some(values) = group.into_list() else { continue };
            let [name, keys, bytes] = values.as_slice() else { continue };
            let (Some(keys), Some(bytes)) = (keys.number(), bytes.number()) else { continue };
            let Some(name) = name.clone().into_text() else { continue };
            let room = self.by_name.len() < MAX_GROUPS || self.by_name.contains_key(&name);
            let sums = if room { self.by_name.entry(name).or_default() } else { &mut self.beyond };
            *sums = (sums.0.saturating_add(keys), sums.1.saturating_add(bytes));
        }
    }

    /// Writes the groups that take the most memory, and the others as one.
    pub(crate) fn write(&self, sheet: &mut Sheet, db: u32, most: usize) {
        let db = format!("db{db}");
        let mut order: Vec<(&str, (i64, i64))> = self.by_name.iter().map(|(n, s)| (n.as_str(), *s)).collect();
        let too_many = order.len() > most;
        let mut rest = self.beyond;
        if too_many {
            order.sort_by_key(|(name, (keys, bytes))| (std::cmp::Reverse(*bytes), *keys, *name));
            for (_, (keys, bytes)) in order.drain(most..) {
                rest = (rest.0.saturating_add(keys), rest.1.saturating_add(bytes));
            }
            // Always in the same order, whatever their sizes.
            order.sort_unstable_by_key(|(name, _)| *name);
        }
        let overflow = (too_many || rest != (0, 0)).then_some((OVERFLOW, rest));
        for (name, (keys, bytes)) in order.into_iter().chain(overflow) {
            let labels = [("db", db.as_str()), ("key_group", name)];
            sheet.gauge("key_group_count", "Count of keys in key group", &labels, keys as f64);
            let help = "Total memory usage of key group in bytes";
            sheet.gauge("key_group_memory_usage_bytes", help, &labels, bytes as f64);
        }
        let number = self.by_name.len() as f64;
        sheet.gauge("number_of_distinct_key_groups", "Number of distinct key groups", &[("db", &db)], number);
    }
}

/// The patterns of a flag: comma-separated, in double quotes where they have a comma themselves, as in CSV.
///
/// # Errors
/// When quotes are not closed or stand inside a pattern.
pub(crate) fn parse_patterns(text: &str) -> Result<Vec<String>, String> {
    let mut patterns = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let mut pattern = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut after = quoted;
            loop {
                let end = after.find('"').ok_or_else(|| format!("{text}: a double quote is not closed"))?;
                pattern.push_str(&after[..end]);
                after = &after[end + 1..];
                match after.strip_prefix('"') {
                    Some(more) => {
                        pattern.push('"');
                        after = more;
                    }
                    None => break,
                }
            }
            rest = after.trim_start();
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err(format!("{text}: expected a comma after a closing double quote"));
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            pattern.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        patterns.push(pattern.trim().to_owned());
    }
    patterns.retain(|p| !p.is_empty());
    Ok(patterns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::tests::lines;

    #[test]
    fn reads_patterns() {
        let ok = |text: &str| parse_patterns(text).unwrap();
        assert_eq!(ok("^(user):, ^(a)%d+ ,,"), ["^(user):", "^(a)%d+"]);
        assert_eq!(ok("\"a,b\",\"c\"\"d\",e"), ["a,b", "c\"d", "e"]);
        assert_eq!(ok(" "), [""; 0]);
        assert!(parse_patterns("\"a").is_err() && parse_patterns("\"a\"b").is_err());
    }

    fn group(name: &str, keys: i64, bytes: i64) -> Value {
        Value::List(vec![Value::Text(name.into()), Value::Number(keys), Value::Number(bytes)])
    }

    #[test]
    fn the_largest_are_told_and_the_rest_as_one() {
        let mut groups = Groups::default();
        groups.add(Value::List(vec![group("a", 1, 10), group("b", 2, 30), group("c", 3, 20)]));
        groups.add(Value::List(vec![group("a", 1, 1), Value::Nil]));
        let check = |most| {
            let mut sheet = Sheet::new("redis");
            groups.write(&mut sheet, 0, most);
            lines(sheet)
        };
        assert_eq!(
            check(2),
            [
                "redis_key_group_count{db=\"db0\",key_group=\"b\"} 2",
                "redis_key_group_count{db=\"db0\",key_group=\"c\"} 3",
                "redis_key_group_count{db=\"db0\",key_group=\"overflow\"} 2",
                "redis_key_group_memory_usage_bytes{db=\"db0\",key_group=\"b\"} 30",
                "redis_key_group_memory_usage_bytes{db=\"db0\",key_group=\"c\"} 20",
                "redis_key_group_memory_usage_bytes{db=\"db0\",key_group=\"overflow\"} 11",
                "redis_number_of_distinct_key_groups{db=\"db0\"} 3",
            ]
        );
        assert_eq!(check(3).len(), 7);
        assert!(!check(3).iter().any(|l| l.contains("overflow")));
    }
}
