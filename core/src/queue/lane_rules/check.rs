//! What a rule may say.

use std::collections::HashSet;

use posthouse_mail::domain;

use super::LaneRule;
use crate::error::FieldError;

/// Most rules.
const MAX_RULES: usize = 200;
/// Most names in a rule.
const MAX_NAMES: usize = 50;
/// Largest number in a rule.
const MOST: u32 = 10_000;

/// Everything that setting these rules will find wrong.
pub fn lane_rule_faults(rules: &[LaneRule]) -> Vec<FieldError> {
    normalise(rules.to_vec()).err().unwrap_or_default()
}

/// The rules with names in their one form.
pub(super) fn normalise(mut rules: Vec<LaneRule>) -> Result<Vec<LaneRule>, Vec<FieldError>> {
    let mut faults = Vec::new();
    if rules.len() > MAX_RULES {
        let detail = format!("at most {MAX_RULES} rules");
        return Err(vec![FieldError::new("/rules", "too_many", detail)]);
    }
    let mut names = HashSet::new();
    for (number, rule) in rules.iter_mut().enumerate() {
        let mut fault = |field: &str, code, detail: &str| {
            let pointer = format!("/rules/{number}/{field}");
            faults.push(FieldError::new(pointer, code, detail.to_owned()));
        };
        let is_good = (1..=64).contains(&rule.name.len())
            && rule.name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if !is_good {
            let detail = "a name has 1 to 64 letters, digits, dots, underscores and hyphens";
            fault("name", "invalid_name", detail);
        } else if !names.insert(rule.name.to_ascii_lowercase()) {
            fault("name", "duplicate", "another rule has this name");
        }
        if !(1..=MAX_NAMES).contains(&rule.mx.len()) {
            fault("mx", "out_of_range", "expected 1 to 50 names");
        }
        for (place, name) in rule.mx.iter_mut().enumerate().take(MAX_NAMES) {
            match pattern(name) {
                Some(read) => *name = read,
                None => fault(
                    &format!("mx/{place}"),
                    "invalid_pattern",
                    "expected the name of a host, with *. in front for all below it",
                ),
            }
        }
        for (field, value) in [
            ("connections", rule.connections),
            ("messages_per_second", rule.messages_per_second),
            ("messages_per_connection", rule.messages_per_connection),
        ] {
            if value.is_some_and(|value| !(1..=MOST).contains(&value)) {
                fault(field, "out_of_range", "expected 1 to 10000");
            }
        }
    }
    if faults.is_empty() { Ok(rules) } else { Err(faults) }
}

/// The name of a host, or `*.` and one.
fn pattern(text: &str) -> Option<String> {
    let (star, name) = text.strip_prefix("*.").map_or(("", text), |name| ("*.", name));
    Some(format!("{star}{}", domain::normalise(name).ok()?))
}
