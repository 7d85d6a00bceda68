//! Points in time and lengths of time as people and Kafka's tools write them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Parses a point in time into milliseconds since 1970: such a number itself, `2026-11-21T06:00:00Z`, the same with another
/// zone or none (UTC then, as in Kafka's tools), a date, or a length of time before `now_ms` such as `1h ago`.
pub(crate) fn parse_time(text: &str, now_ms: i64) -> Result<i64, String> {
    let text = text.trim();
    if let Ok(ms) = text.parse::<i64>() {
        return if ms >= 0 { Ok(ms) } else { Err(not_a_time(text)) };
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp.as_millisecond());
    }
    let civil = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)));
    if let Ok(zoned) = civil.and_then(|civil| civil.to_zoned(TimeZone::UTC)) {
        return Ok(zoned.timestamp().as_millisecond());
    }
    match text.parse::<SignedDuration>() {
        // Kafka gives negative numbers a meaning of their own: nothing is older than 1970.
        Ok(length) if length.is_negative() => Ok(now_ms.saturating_add(duration_ms(length)).max(0)),
        _ => Err(not_a_time(text)),
    }
}

fn not_a_time(text: &str) -> String {
    format!("{text:?} is no time: write 2026-11-21T06:00:00Z, milliseconds since 1970, or \"2h ago\"")
}

/// Parses a length of time into milliseconds: ISO 8601 as Kafka's tools take it (`PT1H30M`, `P7D`), or `1h 30m`, `7d`.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let parsed = text.parse::<SignedDuration>().ok().or_else(|| with_days(text));
    let length = parsed.filter(|length| !length.is_negative());
    length.map(duration_ms).ok_or_else(|| format!("{text:?} is no length of time: write PT1H30M, P7D, 90m or 7d"))
}

/// Days are 24 hours here, as in java.time.Duration.
fn with_days(text: &str) -> Option<SignedDuration> {
    let span: jiff::Span = text.parse().ok()?;
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()
}

fn duration_ms(length: SignedDuration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

/// `2026-11-21T06:00:00.000Z`.
pub(crate) fn format_time(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(timestamp) => format!("{timestamp:.3}"),
        Err(_) => ms.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_240_800_000;

    #[test]
    fn times_are_read_as_people_write_them() {
        let same = ["2026-11-21T06:00:00Z", "2026-11-21T07:00:00+01:00", "2026-11-21T07:00:00.000+0100"];
        for text in same {
            assert_eq!(parse_time(text, 0), Ok(NOW), "{text}");
        }
        assert_eq!(parse_time("2026-11-21T06:00:00.000", 0), Ok(NOW), "without a zone it is UTC");
        assert_eq!(parse_time("2026-11-21 06:00", 0), Ok(NOW));
        assert_eq!(parse_time("2026-11-21", 0), Ok(NOW - 6 * 3_600_000));
        assert_eq!(parse_time("1795240800000", 0), Ok(NOW));
        assert_eq!(parse_time("2h ago", NOW), Ok(NOW - 7_200_000));
        assert_eq!(parse_time("-PT30M", NOW), Ok(NOW - 1_800_000));
        assert_eq!(parse_time("9000h ago", 0), Ok(0), "nothing is older than 1970");
        for wrong in ["", "yesterday", "-5", "1h", "2026-13-01"] {
            assert!(parse_time(wrong, NOW).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lengths_are_iso_8601_or_short() {
        let ms = [
            ("PT1H30M", 5_400_000),
            ("P7D", 604_800_000),
            ("P1DT1H", 90_000_000),
            ("90m", 5_400_000),
            ("7d", 604_800_000),
        ];
        for (text, expected) in ms {
            assert_eq!(parse_duration(text), Ok(expected), "{text}");
        }
        for wrong in ["", "-PT1H", "1h ago", "P", "soon"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(format_time(NOW + 7), "2026-11-21T06:00:00.007Z");
    }
}
