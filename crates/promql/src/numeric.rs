//! Functions of a number that the standard library lacks, or computes otherwise than Go's `math`.

use std::f64::consts::{LN_2, PI};

pub(crate) fn deg(v: f64) -> f64 {
    v * 180.0 / PI
}

pub(crate) fn rad(v: f64) -> f64 {
    v * PI / 180.0
}

/// The sign; zeros and NaN stay as they are.
pub(crate) fn sgn(v: f64) -> f64 {
    if v < 0.0 {
        -1.0
    } else if v > 0.0 {
        1.0
    } else {
        v
    }
}

/// Beyond this `exp(-x)` is nothing beside `exp(x)`.
const ONE_SIDED: f64 = 21.0;

/// As Go's, which overflows where `exp` does, a little before the result would.
pub(crate) fn sinh(v: f64) -> f64 {
    if v.abs() > ONE_SIDED { (v.abs().exp() * 0.5).copysign(v) } else { v.sinh() }
}

/// As [`sinh`].
pub(crate) fn cosh(v: f64) -> f64 {
    if v.abs() > ONE_SIDED { v.abs().exp() * 0.5 } else { v.cosh() }
}

/// From here on `x * x + 1` is `x * x`.
const LARGE: f64 = (1_u64 << 28) as f64;

/// As Go's, without the overflow of std's for the largest numbers.
pub(crate) fn asinh(v: f64) -> f64 {
    if v.abs() > LARGE { (v.abs().ln() + LN_2).copysign(v) } else { v.asinh() }
}

/// As [`asinh`].
pub(crate) fn acosh(v: f64) -> f64 {
    if v > LARGE { v.ln() + LN_2 } else { v.acosh() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyperbolic_functions_overflow_with_exp() {
        assert_eq!((sinh(-710.0), cosh(710.0)), (f64::NEG_INFINITY, f64::INFINITY));
        assert!(sinh(709.0).is_finite() && cosh(-709.0) == sinh(709.0));
        assert!(sinh(f64::NAN).is_nan() && sinh(-0.0).is_sign_negative() && cosh(0.0) == 1.0);
    }

    #[test]
    fn area_functions_do_not_overflow() {
        assert_eq!(asinh(-f64::MAX), -710.475_860_073_943_9);
        assert_eq!(acosh(f64::MAX), 710.475_860_073_943_9);
        assert_eq!((asinh(f64::INFINITY), acosh(1.0)), (f64::INFINITY, 0.0));
        assert!(asinh(f64::NAN).is_nan() && acosh(0.5).is_nan() && asinh(-0.0).is_sign_negative());
        let steady =
            [asinh(LARGE) - asinh(LARGE * (1.0 + 1e-15)), acosh(LARGE) - acosh(LARGE * (1.0 + 1e-15))];
        assert!(steady.iter().all(|d| d.abs() < 1e-13));
    }
}
