//! Points in time as the wire writes them: RFC 3339, UTC, to the nanosecond.

use dht_core::Wall;
use jiff::Timestamp;

/// The time with nine fractional digits, which every implementation reads (some insist on a fraction). The year 9999 is
/// the last there is.
pub(crate) fn format(time: Wall) -> String {
    let seconds = i64::try_from(time.0.as_secs()).unwrap_or(i64::MAX);
    let nanos = i32::try_from(time.0.subsec_nanos()).unwrap_or(0);
    let time = Timestamp::new(seconds, nanos).unwrap_or(Timestamp::MAX);
    format!("{time:.9}")
}

/// Reads RFC 3339 with any offset; `None` for anything else and for times before 1970.
pub(crate) fn parse(text: &[u8]) -> Option<Wall> {
    // The parser reads more than RFC 3339: spaces, week dates, zone names in brackets.
    let plain = |byte: &u8| byte.is_ascii_digit() || b"-:.TZ+".contains(byte);
    if !(20..=40).contains(&text.len()) || text[10] != b'T' || !text.iter().all(plain) {
        return None;
    }
    let time: Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    std::time::Duration::try_from(time.as_duration()).ok().map(Wall)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_time_is_read_as_it_was_written(secs in 0u64..200_000_000_000, nanos in 0u32..1_000_000_000) {
            let time = Wall(Duration::new(secs, nanos));
            prop_assert_eq!(parse(format(time).as_bytes()), Some(time));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-0-9:.TZ+ \\[\\]]{0,45}") {
            parse(text.as_bytes());
        }
    }

    #[test]
    fn offsets_and_short_fractions_are_read_and_other_texts_are_not() {
        let time = Some(Wall(Duration::new(1_704_067_200, 500_000_000)));
        for text in
            ["2024-01-01T00:00:00.5Z", "2024-01-01T01:00:00.500+01:00", "2024-01-01T00:00:00.500000000Z"]
        {
            assert_eq!(parse(text.as_bytes()), time, "{text}");
        }
        for text in [
            "",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01 00:00:00Z",
            "2024-13-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2024-01-01T00:00:00+01:00[Europe/Berlin]",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_time_beyond_the_calendar_is_its_last_day() {
        assert!(format(Wall(Duration::MAX)).starts_with("9999-12-3"));
        assert_eq!(format(Wall::default()), "1970-01-01T00:00:00.000000000Z");
    }
}
