//! Numbers and strings as Go reads and prints them, on which upstream's texts depend.

/// Parses what Go's `strconv.ParseFloat` accepts: decimal, hexadecimal with `p` exponent, `_` only after a base
/// prefix (as in Go source, so never in plain decimals), `Inf`, `infinity`, `NaN` in any case.
///
/// Returns `None` for anything else. A number too large for a double is an infinity.
#[must_use]
pub fn parse_go_float(text: &str) -> Option<f64> {
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let first = *body.as_bytes().first()?;
    let magnitude = if first.is_ascii_digit() || first == b'.' {
        match body.get(..2) {
            Some("0x" | "0X") => parse_hex(&body[2..])?,
            // Rust's grammar for plain decimals is Go's.
            _ => body.parse().ok()?,
        }
    } else if body.eq_ignore_ascii_case("inf") || body.eq_ignore_ascii_case("infinity") {
        f64::INFINITY
    } else if body.eq_ignore_ascii_case("nan") && body.len() == text.len() {
        return Some(crate::NORMAL_NAN);
    } else {
        return None;
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// Hexadecimal mantissa with a mandatory binary exponent, rounded to nearest even.
fn parse_hex(body: &str) -> Option<f64> {
    let (mantissa, exponent) = body.split_once(['p', 'P'])?;
    let mut exponent: i64 = exponent.parse().ok()?;
    let (mut bits, mut sticky, mut digits, mut fraction) = (0_u64, false, 0, false);
    for c in mantissa.chars() {
        match c {
            '.' if !fraction => fraction = true,
            '_' => {}
            _ => {
                let d = u64::from(c.to_digit(16)?);
                digits += 1;
                if bits >> 59 == 0 {
                    bits = bits << 4 | d;
                    if fraction {
                        exponent = exponent.saturating_sub(4);
                    }
                } else {
                    sticky |= d != 0;
                    if !fraction {
                        exponent = exponent.saturating_add(4);
                    }
                }
            }
        }
    }
    if digits == 0 {
        return None;
    }
    // Up to 63 bits: the odd last bit stands for everything cut off, so that the one rounding below is right.
    let bits = bits << 1 | u64::from(sticky);
    let exponent = i32::try_from(exponent.clamp(-5000, 5000) - 1).expect("clamped");
    Some(scale(bits, exponent))
}

/// `bits * 2^exponent`, rounded once to nearest even.
fn scale(bits: u64, exponent: i32) -> f64 {
    if bits == 0 {
        return 0.0;
    }
    let width = 64 - i32::try_from(bits.leading_zeros()).expect("at most 64");
    // The result's unit in the last place: 53 bits, fewer for subnormals.
    let ulp = (exponent + width - 53).max(-1074);
    let shift = ulp - exponent;
    let rounded = match shift {
        i32::MIN..=0 => return bits as f64 * 2f64.powi(exponent.max(-1074)),
        1..=63 => {
            let (kept, cut) = (bits >> shift, bits & ((1 << shift) - 1));
            let half = 1_u64 << (shift - 1);
            kept + u64::from(cut > half || (cut == half && kept & 1 == 1))
        }
        _ => 0,
    };
    // Two exact steps: 2^ulp alone may be below the smallest normal.
    let (a, b) = (ulp / 2, ulp - ulp / 2);
    rounded as f64 * 2f64.powi(a) * 2f64.powi(b)
}

/// The API's form of a sample value: shortest digits that read back equal, without exponent unless `|v| < 1e-6`
/// or `|v| >= 1e21`; `NaN`, `+Inf`, `-Inf` (upstream `util/jsonutil/marshal.go`).
#[must_use]
pub fn format_api(v: f64) -> String {
    let abs = v.abs();
    if v.is_finite() && abs != 0.0 && !(1e-6..1e21).contains(&abs) { exponent_form(v) } else { format_f(v) }
}

/// Go's `strconv.FormatFloat(v, 'f', -1, 64)`.
#[must_use]
pub fn format_f(v: f64) -> String {
    special(v).map_or_else(|| decimal_form(v), str::to_owned)
}

/// Go's `strconv.FormatFloat(v, 'e', -1, 64)`, as in the `value` of `/api/v1/alerts`: `1e+00`.
#[must_use]
pub fn format_e(v: f64) -> String {
    special(v).map_or_else(|| exponent_form(v), str::to_owned)
}

/// Go's `%v` and `strconv.FormatFloat(v, 'g', -1, 64)`: exponent form below 1e-4 and from 1e6 on, so that
/// 1234567 is `1.234567e+06`.
#[must_use]
pub fn format_g(v: f64) -> String {
    let abs = v.abs();
    if let Some(s) = special(v) {
        s.to_owned()
    } else if abs != 0.0 && !(1e-4..1e6).contains(&abs) {
        exponent_form(v)
    } else {
        decimal_form(v)
    }
}

/// Go's `%.{precision}g`: at most `precision` significant digits, trailing zeros removed.
#[must_use]
pub fn format_g_precision(v: f64, precision: usize) -> String {
    if let Some(s) = special(v) {
        return s.to_owned();
    }
    let precision = precision.max(1);
    let rounded = format!("{v:.*e}", precision - 1);
    let (mantissa, exponent) = rounded.split_once('e').expect("Rust's e form has an exponent");
    let exponent: i32 = exponent.parse().expect("an integer");
    let trim = |s: &str| {
        if s.contains('.') { s.trim_end_matches('0').trim_end_matches('.').to_owned() } else { s.to_owned() }
    };
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= limit {
        format!("{}e{}{:02}", trim(mantissa), if exponent < 0 { '-' } else { '+' }, exponent.abs())
    } else {
        let decimals = usize::try_from(limit - 1 - exponent).unwrap_or(0);
        trim(&format!("{v:.decimals$}"))
    }
}

fn special(v: f64) -> Option<&'static str> {
    if v.is_nan() {
        Some("NaN")
    } else if v == f64::INFINITY {
        Some("+Inf")
    } else if v == f64::NEG_INFINITY {
        Some("-Inf")
    } else {
        None
    }
}

/// The shortest digits that read back equal, without exponent.
fn decimal_form(v: f64) -> String {
    let shortest = format!("{v}");
    let decimals = shortest.split_once('.').map_or(0, |(_, d)| d.len());
    if fraction_bits(v) != decimals as i32 + 1 {
        return shortest;
    }
    to_even(v, shortest, format!("{v:.decimals$}"))
}

/// Binary digits after the point. A number with `n` of them has as many decimals, the last of which is 5: with one decimal
/// less it lies just between two, where Go takes the even one and Rust's shortest form the upper one.
fn fraction_bits(v: f64) -> i32 {
    let bits = v.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let mantissa = bits & ((1 << 52) - 1) | u64::from(exponent > 0) << 52;
    1075 - exponent.max(1) - mantissa.trailing_zeros() as i32
}

fn to_even(v: f64, shortest: String, even: String) -> String {
    if even.parse() == Ok(v) { even } else { shortest }
}

/// Rust's `1e5` as Go's `1e+05`.
fn exponent_form(v: f64) -> String {
    let mut s = format!("{v:e}");
    let (mantissa, exponent) = s.split_once('e').expect("Rust's e form has an exponent");
    let decimals = mantissa.split_once('.').map_or(0, |(_, d)| d.len());
    let exponent: i32 = exponent.parse().expect("an integer");
    if fraction_bits(v) == decimals as i32 - exponent + 1 {
        let even = format!("{v:.decimals$e}");
        s = to_even(v, s, even);
    }
    let (mantissa, exponent) = s.split_once('e').expect("Rust's e form has an exponent");
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |d| ('-', d));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// A string in double quotes as Go's `strconv.Quote` writes it.
#[must_use]
pub fn go_quote(s: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(s.len() + 2);
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                write!(out, "\\x{:02x}", c as u32).expect("a String takes all");
            }
            c if c.is_control() => write!(out, "\\u{:04x}", c as u32).expect("a String takes all"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_go() {
        for (text, value) in [
            ("1", 1.0),
            ("+1.5e3", 1500.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("Inf", f64::INFINITY),
            ("-infinity", f64::NEG_INFINITY),
            ("0x1p-2", 0.25),
            ("0x1.8p1", 3.0),
            ("-0X.8p0", -0.5),
            ("0x1.fffffffffffff8p0", 2.0),
            ("0x1p-1074", 5e-324),
            ("0x1p-1075", 0.0),
            ("0x1.8p-1075", 5e-324),
            ("0x1p1024", f64::INFINITY),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("1e999", f64::INFINITY),
        ] {
            assert_eq!(parse_go_float(text), Some(value), "{text}");
        }
        for text in ["", "+", "-", "1_0", "0x1", "1e", "e1", "nanx", "--1", "+-1", "1 ", "0xp1", "-nan"] {
            assert_eq!(parse_go_float(text), None, "{text}");
        }
        assert_eq!(parse_go_float("NaN").map(f64::to_bits), Some(crate::NORMAL_NAN_BITS));
    }

    #[test]
    #[expect(clippy::excessive_precision, reason = "all digits show which side of the middle a number is on")]
    fn prints_as_go() {
        for (v, api, g, e) in [
            (0.0, "0", "0", "0e+00"),
            (-0.0, "-0", "-0", "-0e+00"),
            (1.0, "1", "1", "1e+00"),
            (1_234_567.0, "1234567", "1.234567e+06", "1.234567e+06"),
            (0.000_001, "0.000001", "1e-06", "1e-06"),
            (0.000_000_1, "1e-07", "1e-07", "1e-07"),
            (1e20, "100000000000000000000", "1e+20", "1e+20"),
            (1e21, "1e+21", "1e+21", "1e+21"),
            (0.1 + 0.2, "0.30000000000000004", "0.30000000000000004", "3.0000000000000004e-01"),
            // Just between two shortest forms; the even one.
            (
                154_514_545_742_521.125,
                "154514545742521.12",
                "1.5451454574252112e+14",
                "1.5451454574252112e+14",
            ),
            (
                154_514_545_742_521.375,
                "154514545742521.38",
                "1.5451454574252138e+14",
                "1.5451454574252138e+14",
            ),
            (
                -600_000_000_000_000.25,
                "-600000000000000.2",
                "-6.000000000000002e+14",
                "-6.000000000000002e+14",
            ),
            (2f64.powi(-25), "2.9802322387695312e-08", "2.9802322387695312e-08", "2.9802322387695312e-08"),
            (f64::INFINITY, "+Inf", "+Inf", "+Inf"),
            (f64::NAN, "NaN", "NaN", "NaN"),
        ] {
            assert_eq!(format_api(v), api);
            assert_eq!(format_e(v), e);
            assert_eq!(format_g(v), g);
        }
        for (v, n, text) in
            [(0.1234567, 4, "0.1235"), (12345.0, 4, "1.234e+04"), (100.0, 4, "100"), (0.00001, 4, "1e-05")]
        {
            assert_eq!(format_g_precision(v, n), text);
        }
        assert_eq!(go_quote("a\"b\\c\nd\u{1}é"), r#""a\"b\\c\nd\x01é""#);
    }
}
