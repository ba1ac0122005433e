//! Sample values: Go's float syntax, quickly; and `le`/`quantile` in their canonical spelling.

use model::float::{format_g, parse_go_float};

/// Powers of ten that a double holds exactly.
const POW10: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Reads a plain decimal (`-12.5`, `1.7953546104398785e+09`) at the start of `bytes`, up to a blank, a line end or the end.
///
/// Returns the value and its length. `None` means only that the quick way does not apply (a word such as `NaN`, too many
/// digits, a syntax error): then [`parse_float`] decides.
#[inline]
#[must_use]
pub fn scan_float(bytes: &[u8]) -> Option<(f64, usize)> {
    let mut i = 0;
    let negative = match bytes.first()? {
        b'-' => {
            i = 1;
            true
        }
        _ => false,
    };
    let (mut mantissa, mut digits) = whole_digits(bytes, i, 0);
    i += digits;
    let mut exponent = 0_i32;
    if bytes.get(i) == Some(&b'.') {
        let (m, fraction) = whole_digits(bytes, i + 1, mantissa);
        mantissa = m;
        i += 1 + fraction;
        digits += fraction;
        exponent = -i32::try_from(fraction).ok()?;
    }
    // 19 digits cannot overflow 64 bits; without any digit it is no number.
    if digits == 0 || digits > 19 {
        return None;
    }
    if matches!(bytes.get(i), Some(b'e' | b'E')) {
        i += 1;
        let sign = match bytes.get(i) {
            Some(b'-') => -1,
            Some(b'+') => 1,
            _ => 0,
        };
        if sign != 0 {
            i += 1;
        }
        let start = i;
        let mut e = 0_i32;
        while let Some(d) = digit(bytes, i) {
            e = e.saturating_mul(10).saturating_add(d as i32);
            i += 1;
        }
        if i == start || i - start > 4 {
            return None;
        }
        exponent += if sign < 0 { -e } else { e };
    }
    if !matches!(bytes.get(i), None | Some(b'\n' | b' ' | b'\t')) {
        return None;
    }
    // Both operands exact, so the one operation rounds correctly (Clinger's fast path).
    let value = if mantissa >> 53 == 0 && (-22..=22).contains(&exponent) {
        let power = POW10[exponent.unsigned_abs() as usize];
        let m = mantissa as f64;
        if exponent < 0 { m / power } else { m * power }
    } else {
        let start = usize::from(negative);
        std::str::from_utf8(&bytes[start..i]).ok()?.parse().ok().filter(|v: &f64| v.is_finite())?
    };
    Some((if negative { -value } else { value }, i))
}

/// Reads the digits at `at` after those of `before`: the number they make together (modulo 2⁶⁴), and how many they are.
#[inline]
fn whole_digits(bytes: &[u8], at: usize, before: u64) -> (u64, usize) {
    let (mut value, mut i) = (before, at);
    // Eight at once: most values end within them.
    while let Some(eight) = bytes.get(i..).and_then(<[u8]>::first_chunk::<8>) {
        let digits = u64::from_le_bytes(*eight) ^ 0x3030_3030_3030_3030;
        // The lowest high bit set is that of the first byte that is no digit; a carry only reaches those after it.
        let others = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
        if others == 0 {
            value = value.wrapping_mul(100_000_000).wrapping_add(eight_digits(digits));
            i += 8;
            continue;
        }
        let len = others.trailing_zeros() / 8;
        if len > 0 {
            value = value
                .wrapping_mul(SMALL_POW10[len as usize])
                .wrapping_add(eight_digits(digits << (64 - 8 * len)));
        }
        return (value, i - at + len as usize);
    }
    while let Some(d) = digit(bytes, i) {
        value = value.wrapping_mul(10).wrapping_add(d);
        i += 1;
    }
    (value, i - at)
}

const SMALL_POW10: [u64; 8] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000];

/// The number of eight digits, the first in the lowest byte: to pairs, to fours, to eight.
#[inline]
fn eight_digits(digits: u64) -> u64 {
    const LOW: u64 = 0x0000_00ff_0000_00ff;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let high = (pairs & LOW).wrapping_mul(100 + (1_000_000 << 32));
    let low = (pairs >> 16 & LOW).wrapping_mul(1 + (10_000 << 32));
    high.wrapping_add(low) >> 32
}

#[inline]
fn digit(bytes: &[u8], i: usize) -> Option<u64> {
    let d = bytes.get(i)?.wrapping_sub(b'0');
    (d < 10).then_some(u64::from(d))
}

/// Reads a value as upstream does: Go's syntax without `p`, `P` and `_`; any NaN becomes the canonical one.
///
/// # Errors
/// Upstream's text.
pub fn parse_float(bytes: &[u8]) -> Result<f64, String> {
    if let Some((value, len)) = scan_float(bytes)
        && len == bytes.len()
    {
        return Ok(value);
    }
    if bytes.iter().any(|b| matches!(b, b'p' | b'P' | b'_')) {
        return Err("unsupported character in float".to_owned());
    }
    let reason = match std::str::from_utf8(bytes).ok().and_then(parse_go_float) {
        Some(v) if v.is_infinite() && bytes.iter().any(u8::is_ascii_digit) => "value out of range",
        Some(v) => return Ok(v),
        None => "invalid syntax",
    };
    Err(format!("strconv.ParseFloat: parsing {}: {reason}", crate::go_quote_bytes(bytes)))
}

/// A float as OpenMetrics wants it in `le` and `quantile`: Go's shortest form, `.0` added to whole numbers.
#[must_use]
pub fn format_openmetrics(v: f64) -> String {
    let mut s = format_g(v);
    if v.is_finite() && !s.contains(['e', '.']) {
        s.push_str(".0");
    }
    s
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_values_as_upstream() {
        for (text, value) in [
            ("1", 1.0),
            ("-0", -0.0),
            ("40.0", 40.0),
            ("+7", 7.0),
            ("1.7953546104398785e+09", 1_795_354_610.439_878_5),
            ("1e22", 1e22),
            ("1e23", 1e23),
            ("123456789012345678901234567890", 123_456_789_012_345_678_901_234_567_890.0),
            ("+Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e-400", 0.0),
            ("9007199254740993", 9_007_199_254_740_992.0),
        ] {
            assert_eq!(parse_float(text.as_bytes()).map(f64::to_bits), Ok(value.to_bits()), "{text}");
        }
        assert_eq!(parse_float(b"nan").map(f64::to_bits), Ok(model::NORMAL_NAN_BITS));
        for (text, error) in [
            ("1_2", "unsupported character in float"),
            ("0x1p-3", "unsupported character in float"),
            ("true", "strconv.ParseFloat: parsing \"true\": invalid syntax"),
            ("1e999", "strconv.ParseFloat: parsing \"1e999\": value out of range"),
            ("0x1", "strconv.ParseFloat: parsing \"0x1\": invalid syntax"),
            ("", "strconv.ParseFloat: parsing \"\": invalid syntax"),
            ("-", "strconv.ParseFloat: parsing \"-\": invalid syntax"),
            ("1e", "strconv.ParseFloat: parsing \"1e\": invalid syntax"),
        ] {
            assert_eq!(parse_float(text.as_bytes()), Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn spells_bounds_canonically() {
        for (v, s) in
            [(1.0, "1.0"), (0.005, "0.005"), (10.0, "10.0"), (1e6, "1e+06"), (f64::INFINITY, "+Inf")]
        {
            assert_eq!(format_openmetrics(v), s);
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_agrees_with_the_exact_one(v in any::<f64>(), digits in 0..20_usize) {
            for text in [format!("{v}"), format!("{v:e}"), format!("{v:.digits$}"), format!("{v:.digits$e}")] {
                if let Some((got, len)) = scan_float(text.as_bytes()) {
                    prop_assert_eq!(len, text.len());
                    prop_assert_eq!(got.to_bits(), text.parse::<f64>().unwrap().to_bits());
                }
            }
        }

        #[test]
        fn digits_by_eights_are_digits_one_by_one(before in 0..1000_u64, digits in "[0-9]{0,19}", rest in "[^0-9]?\\PC{0,9}") {
            let text = format!("{digits}{rest}");
            let expect = text.bytes().take_while(u8::is_ascii_digit);
            let expect = expect.fold((before, 0), |(v, n), b| (v.wrapping_mul(10).wrapping_add(u64::from(b - b'0')), n + 1));
            prop_assert_eq!(whole_digits(text.as_bytes(), 0, before), expect);
        }

        #[test]
        fn short_decimals(m in -10_000_000_000_i64..10_000_000_000, e in -30..30_i32) {
            let text = format!("{m}e{e}");
            let (got, _) = scan_float(text.as_bytes()).unwrap();
            prop_assert_eq!(got.to_bits(), text.parse::<f64>().unwrap().to_bits());
        }
    }
}
