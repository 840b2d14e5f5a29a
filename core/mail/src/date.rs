//! Dates of header fields, RFC 5322 §3.3.

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

use crate::encoded_word;

/// `Sat, 21 Nov 2026 11:00:00 +0000`
pub(crate) fn format(at: OffsetDateTime) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let day = usize::from(at.weekday().number_days_from_monday());
    let month = at.month().to_string();
    let offset = at.offset();
    let sign = if offset.is_negative() { '-' } else { '+' };
    std::format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} {sign}{:02}{:02}",
        DAYS.get(day).unwrap_or(&"Mon"),
        at.day(),
        month.get(..3).unwrap_or(&month),
        at.year(),
        at.hour(),
        at.minute(),
        at.second(),
        offset.whole_hours().unsigned_abs(),
        offset.minutes_past_hour().unsigned_abs(),
    )
}

/// A date as the world writes it; `None` when it makes no sense.
pub(crate) fn parse(raw: &[u8]) -> Option<OffsetDateTime> {
    let text = encoded_word::unfold(raw.get(..256).unwrap_or(raw));
    let text = text.split('(').next()?;
    let mut tokens = text.split([' ', '\t', ',']).filter(|token| !token.is_empty()).peekable();
    tokens.next_if(|token| token.starts_with(|c: char| c.is_ascii_alphabetic()));
    let day = tokens.next()?.parse().ok()?;
    let month = parse_month(tokens.next()?)?;
    let date = Date::from_calendar_date(parse_year(tokens.next()?)?, month, day).ok()?;
    let time = parse_time(tokens.next()?)?;
    let offset = tokens.next().map_or(Some(UtcOffset::UTC), parse_zone)?;
    Some(PrimitiveDateTime::new(date, time).assume_offset(offset))
}

fn parse_month(name: &str) -> Option<Month> {
    const NAMES: &str = "janfebmaraprmayjunjulaugsepoctnovdec";
    let short = name.get(..3)?.to_ascii_lowercase();
    let at = NAMES.find(&short).filter(|at| at % 3 == 0)?;
    Month::try_from(u8::try_from(at / 3 + 1).ok()?).ok()
}

/// RFC 5322 §4.3: years of two and three digits are of the last century or this one.
fn parse_year(digits: &str) -> Option<i32> {
    match digits.parse().ok()? {
        year @ 0..50 => Some(year + 2000),
        year @ 50..1000 => Some(year + 1900),
        year @ 1900..10_000 => Some(year),
        _ => None,
    }
}

fn parse_time(text: &str) -> Option<Time> {
    let mut numbers = text.split(':').map(|number| number.parse::<u8>().ok());
    let (hour, minute) = (numbers.next()??, numbers.next()??);
    let second = numbers.next().unwrap_or(Some(0))?;
    // `time` knows no leap seconds.
    Time::from_hms(hour, minute, second.min(59)).ok()
}

/// RFC 5322 §4.3: zones by name; an unknown one is UTC.
fn parse_zone(zone: &str) -> Option<UtcOffset> {
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => {
            let hours = match zone.to_ascii_uppercase().as_str() {
                "EDT" => -4,
                "EST" | "CDT" => -5,
                "CST" | "MDT" => -6,
                "MST" | "PDT" => -7,
                "PST" => -8,
                _ => 0,
            };
            return UtcOffset::from_hms(hours, 0, 0).ok();
        }
    };
    let hours: i8 = zone.get(1..3)?.parse().ok()?;
    let minutes: i8 = zone.get(3..5)?.parse().ok()?;
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn there_and_back() {
        for (at, text) in [
            (datetime!(2026-11-21 11:00:00 UTC), "Sat, 21 Nov 2026 11:00:00 +0000"),
            (datetime!(2026-05-01 01:02:03 -03:30), "Fri, 01 May 2026 01:02:03 -0330"),
        ] {
            assert_eq!(format(at), text);
            assert_eq!(parse(text.as_bytes()), Some(at));
        }
        assert_eq!(parse(b" 1 Jan 98 00:00 GMT"), Some(datetime!(1998-01-01 00:00:00 UTC)));
        assert_eq!(
            parse(b"Mon, 2 March 2015 10:00:60 EST (x)"),
            Some(datetime!(2015-03-02 10:00:59 -05:00))
        );
        for bad in ["", "x", "99 Foo 2026", "31 Dec 9999 25:61:61 +9999"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
