//! Recipients that decide by their name what happens to them (2.7).

use std::time::Duration;

/// What the sandbox does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Magic {
    /// Replies with this code.
    Code(u16),
    /// As if the recipient were on the suppression list.
    Suppressed,
    /// Delivers after a while.
    Slow(Duration),
}

/// Longest wait.
const SLOWEST: Duration = Duration::from_hours(1);

/// What `local` asks for, if anything.
pub(super) fn magic(local: &str) -> Option<Magic> {
    let local = local.to_ascii_lowercase();
    let (name, detail) = local.split_once('+').map_or((&*local, None), |(n, d)| (n, Some(d)));
    match name {
        "delivered" => return Some(Magic::Code(250)),
        "suppressed" => return Some(Magic::Suppressed),
        "bounce" => return Some(Magic::Code(code(detail, 500..600).unwrap_or(550))),
        "defer" => return Some(Magic::Code(code(detail, 400..500).unwrap_or(451))),
        "slow" => {
            return Some(Magic::Slow(seconds(detail).unwrap_or(Duration::from_secs(10))));
        }
        _ => {}
    }
    if local.ends_with("temperror") {
        return Some(Magic::Code(451));
    }
    if local.ends_with("permerror") {
        return Some(Magic::Code(550));
    }
    if local.ends_with("timeout") {
        return Some(Magic::Slow(SLOWEST));
    }
    let digits = local.len().checked_sub(3).and_then(|start| local.get(start..));
    code(digits, 400..600).map(Magic::Code)
}

fn code(text: Option<&str>, range: std::ops::Range<u16>) -> Option<u16> {
    let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok().filter(|code| range.contains(code))
}

fn seconds(text: Option<&str>) -> Option<Duration> {
    let number = text?.strip_suffix('s')?.parse().ok()?;
    Some(Duration::from_secs(number).min(SLOWEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide() {
        assert_eq!(magic("delivered"), Some(Magic::Code(250)));
        assert_eq!(magic("bounce+552"), Some(Magic::Code(552)));
        assert_eq!(magic("Bounce"), Some(Magic::Code(550)));
        assert_eq!(magic("bounce+250"), Some(Magic::Code(550)));
        assert_eq!(magic("defer+421"), Some(Magic::Code(421)));
        assert_eq!(magic("slow+30s"), Some(Magic::Slow(Duration::from_secs(30))));
        assert_eq!(magic("suppressed"), Some(Magic::Suppressed));
        assert_eq!(magic("queuetemperror"), Some(Magic::Code(451)));
        assert_eq!(magic("rcpttopermerror"), Some(Magic::Code(550)));
        assert_eq!(magic("x503"), Some(Magic::Code(503)));
        assert_eq!(magic("x250"), None);
        assert_eq!(magic("alice"), None);
        assert_eq!(magic("日本"), None);
    }
}
