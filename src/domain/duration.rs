//! Spans of time as people write them: `500ms`, `10s`, `1h30m`, `2d`.

use std::time::Duration;

/// The units, longest first: in a text each comes at most once, and in this order.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// More digits than any span needs, and few enough that no sum of them overflows.
const DIGITS_MAX: usize = 9;

/// Why a text is not a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("a number alone does not say a unit")]
    NoUnit,
    #[error("not a span of time")]
    Malformed,
}

/// Reads whole numbers with units, from days to milliseconds, without spaces.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(DurationError::NoUnit);
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut millis = 0_u64;
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest.bytes().skip(digits).take_while(u8::is_ascii_alphabetic).count();
        if digits == 0 || DIGITS_MAX < digits {
            return Err(DurationError::Malformed);
        }
        let (number, tail) = rest.split_at(digits);
        let (unit, tail) = tail.split_at(letters);
        let (_, unit_millis) = units.find(|(name, _)| *name == unit).ok_or(DurationError::Malformed)?;
        let number: u64 = number.parse().map_err(|_| DurationError::Malformed)?;
        millis += number * unit_millis;
        if tail.is_empty() {
            return Ok(Duration::from_millis(millis));
        }
        rest = tail;
    }
}

/// Writes a span so that `parse` reads the same one, to the millisecond.
pub fn display(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, unit_millis) in UNITS {
        if unit_millis <= millis {
            text.push_str(&format!("{}{unit}", millis / unit_millis));
            millis %= unit_millis;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_span_is_read_by_its_units() {
        for (text, millis) in [
            ("500ms", 500),
            ("0s", 0),
            ("10s", 10_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("90m", 5_400_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_number_without_a_unit_is_told_apart() {
        for text in ["0", "10", "1.5"] {
            assert_eq!(parse(text), Err(DurationError::NoUnit), "{text}");
        }
        for text in ["", "s", "1.5h", "-1s", "1 s", "1s1s", "1m1h", "1y", "1s ", "1h30", "9999999999s", "1ｓ"]
        {
            assert_eq!(parse(text), Err(DurationError::Malformed), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(millis in 0..8_000_000_000_u64) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&display(duration)), Ok(duration));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,24}|[0-9dhms]{0,40}") {
            let _ = parse(&text);
        }
    }
}
