//! What 2.42 and later releases make of the same samples, computed once more, so that a difference is excused only where it is
//! exactly the one that is meant.

/// Which release computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    /// 2.42
    Old,
    /// The current one.
    New,
}

/// The increase of a counter, over a window in milliseconds; NaN of less than two samples.
///
/// In seconds, in upstream's order of operations: whether the time to a counter's zero is below the threshold may hang on the last bit.
pub(super) fn extrapolate(
    name: &str,
    samples: &[(String, f64)],
    (start, end): (i64, i64),
    release: Release,
) -> f64 {
    let [(_, first), .., (_, last)] = samples else { return f64::NAN };
    let time =
        |i: usize| samples[i].0.parse::<f64>().map_or(i64::MIN, |seconds| (seconds * 1000.0).round() as i64);
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
    let (first_time, last_time) = (time(0), time(samples.len() - 1));
    let growth = samples.windows(2).filter(|w| w[1].1 < w[0].1).fold(last - first, |sum, w| sum + w[0].1);
    let sampled = seconds(first_time, last_time);
    let mean = sampled / (samples.len() - 1) as f64;
    let threshold = mean * 1.1;
    let (mut to_start, to_end) = (seconds(start, first_time), seconds(last_time, end));
    if release == Release::New && to_start >= threshold {
        to_start = mean / 2.0;
    }
    if growth > 0.0 && *first >= 0.0 {
        to_start = to_start.min(sampled * (first / growth));
    }
    let limit = |duration: f64| if duration < threshold { duration } else { mean / 2.0 };
    let interval = sampled + limit(to_start) + limit(to_end);
    let increase = growth * (interval / sampled);
    if name == "rate" { increase / seconds(start, end) } else { increase }
}

/// `base ^ exponent` of a positive subnormal base as Go computes it on amd64: by squaring for the whole part of the exponent, which is right, and by
/// its logarithm for the rest. That takes the base's exponent for that of the smallest normal number, and its fraction for a normal one's.
pub(super) fn subnormal_power(base: f64, exponent: f64) -> f64 {
    let fraction = exponent.abs().fract();
    // The nearer whole number is split off, so that what is left lies within a half.
    let by_logarithm = if fraction > 0.5 { fraction - 1.0 } else { fraction };
    if base <= 0.0 || !base.is_subnormal() || by_logarithm == 0.0 || fraction == 0.5 && exponent.abs() < 1.0 {
        return base.powf(exponent);
    }
    let taken = f64::from_bits(base.to_bits() | 0.5f64.to_bits()).ln() - 1022.0 * std::f64::consts::LN_2;
    let too_much = (taken - base.ln()) * by_logarithm;
    base.powf(exponent) * (too_much * exponent.signum()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::answer::near;

    fn samples(times: &[f64], values: &[f64]) -> Vec<(String, f64)> {
        times.iter().map(f64::to_string).zip(values.iter().copied()).collect()
    }

    #[test]
    fn extrapolation_of_a_young_counter() {
        let samples = samples(&[100.0, 110.0, 120.0, 130.0, 140.0], &[1.0, 2.0, 3.0, 4.0, 5.0]);
        // Half an interval before the first sample, or one whole up to its zero.
        assert_eq!(extrapolate("increase", &samples, (0, 140_000), Release::New), 4.5);
        assert_eq!(extrapolate("increase", &samples, (0, 140_000), Release::Old), 5.0);
    }

    /// Seed 765654140, query 1833: the zero of this counter lies 1.1 intervals before its first sample, but for the last bit.
    #[test]
    fn extrapolation_at_the_threshold() {
        let times = [
            204.902, 219.902, 234.902, 249.905, 264.902, 279.903, 294.905, 309.902, 324.913, 339.9, 354.905,
            369.903,
        ];
        let values = [9.0, 11.0, 21.0, 33.0, 35.0, 46.0, 57.0, 63.0, 70.0, 85.0, 90.0, 99.0];
        let samples = samples(&times, &values);
        assert!(near(extrapolate("increase", &samples, (73_000, 380_000), Release::New), 99.59833025805354));
        assert!(near(extrapolate("increase", &samples, (73_000, 380_000), Release::Old), 104.50742116714446));
    }

    /// Seed 624497681, query 40361, and what Go makes of others.
    #[test]
    fn powers_of_subnormal_numbers() {
        assert!(near(5e-324f64.powf(0.1), 0.0000000000000000000000000000000046706622762338734));
        assert!(near(subnormal_power(5e-324, 0.1), 0.00000000000000000000000000000016018854016437714));
        for (base, exponent) in [(5e-324, 2.0), (5e-324, 0.5), (5e-324, -0.5), (0.3, 0.1), (2.0, -3.25)] {
            assert_eq!(subnormal_power(base, exponent), base.powf(exponent), "{base} ^ {exponent}");
        }
    }
}
