//! Numbers with the letters that people put behind them.

/// Parses `20k`, `1.5M`: powers of 1000.
pub(super) fn parse_number(text: &str) -> Result<f64, String> {
    let wrong = || format!("{text:?} is no number: write 20000 or 20k");
    let (number, factor) = split(text, &[("k", 1e3), ("M", 1e6), ("G", 1e9), ("", 1.0)]).ok_or_else(wrong)?;
    let value = number * factor;
    if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(wrong()) }
}

/// Parses `512`, `16KiB`, `4TB`: binary units with an i, decimal ones without.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 10] = [
        ("KiB", 1024.0),
        ("MiB", 1024.0 * 1024.0),
        ("GiB", 1024.0 * 1024.0 * 1024.0),
        ("TiB", 1024.0 * 1024.0 * 1024.0 * 1024.0),
        ("kB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
        ("B", 1.0),
        ("", 1.0),
    ];
    let wrong = || format!("{text:?} is no size: write 1024, 16KiB or 4TB");
    let (number, factor) = split(text, &UNITS).ok_or_else(wrong)?;
    let value = number * factor;
    if (0.0..1e18).contains(&value) { Ok(value.round() as u64) } else { Err(wrong()) }
}

fn split(text: &str, units: &[(&str, f64)]) -> Option<(f64, f64)> {
    let text = text.trim();
    units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end().parse().ok()?, *factor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_binary_with_an_i() {
        for (text, expected) in [
            ("512", 512),
            ("16KiB", 16_384),
            ("1.5 MiB", 1_572_864),
            ("4TB", 4_000_000_000_000),
            ("10kB", 10_000),
            ("7B", 7),
        ] {
            assert_eq!(parse_bytes(text), Ok(expected), "{text}");
        }
        for wrong in ["", "KiB", "-1", "1XB", "nan", "1e30"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn thousands_may_be_short() {
        assert_eq!((parse_number("20k"), parse_number("1.5M"), parse_number("7")), (Ok(20_000.0), Ok(1.5e6), Ok(7.0)));
        assert!(parse_number("many").is_err() && parse_number("-1").is_err() && parse_number("inf").is_err());
    }
}
