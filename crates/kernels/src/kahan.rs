//! Compensated summation, as upstream's `util/kahansum` does it.

/// The NaN upstream's `math.NaN()` yields.
pub(crate) const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// Adds `inc` to the running sum `sum` with compensation `c` (Neumaier's improvement); returns both anew.
///
/// The total is `sum + c`. An infinite sum resets the compensation.
#[inline(always)]
#[must_use]
pub fn kahan_inc(inc: f64, sum: f64, c: f64) -> (f64, f64) {
    let t = sum + inc;
    let (big, small) = if sum.abs() >= inc.abs() { (sum, inc) } else { (inc, sum) };
    let next = c + ((big - t) + small);
    (t, if t.is_infinite() { 0.0 } else { next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_plain_sums_lose() {
        let (mut sum, mut c) = (0.0, 0.0);
        for v in [1.0, 1e100, 1.0, -1e100] {
            (sum, c) = kahan_inc(v, sum, c);
        }
        assert_eq!(sum + c, 2.0);
        assert_eq!(kahan_inc(f64::INFINITY, 1.0, 0.5), (f64::INFINITY, 0.0));
    }
}
