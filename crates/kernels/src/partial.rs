//! Partial aggregates over series: one cell of state per group and step.
//!
//! `add` takes the samples in a fixed order, `merge` joins the state of a later shard to that of an earlier one.
//! Sums are compensated, so that the result depends on that order only in the last place, and not at all on how many
//! threads computed the parts.

use crate::kahan::{NAN, kahan_inc};

/// `sum`
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sum {
    sum: f64,
    c: f64,
}

impl Default for Sum {
    fn default() -> Self {
        // -0.0 is the neutral element of addition; 0.0 would turn a single -0.0 into 0.0.
        Self { sum: -0.0, c: 0.0 }
    }
}

impl Sum {
    /// Adds a sample.
    #[inline(always)]
    pub fn add(&mut self, v: f64) {
        (self.sum, self.c) = kahan_inc(v, self.sum, self.c);
    }

    /// Adds the samples of a later shard.
    pub fn merge(&mut self, later: &Self) {
        self.add(later.sum);
        if !self.sum.is_infinite() {
            self.c += later.c;
        }
    }

    /// The sum.
    #[inline]
    #[must_use]
    pub fn value(&self) -> f64 {
        self.sum + self.c
    }
}

/// `avg`: the mean of a compensated sum, or an incremental mean from where the sum would overflow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Avg {
    /// The sum, or the mean once `incremental`.
    value: f64,
    c: f64,
    count: f64,
    incremental: bool,
}

impl Default for Avg {
    fn default() -> Self {
        Self { value: -0.0, c: 0.0, count: 0.0, incremental: false }
    }
}

impl Avg {
    /// Adds a sample.
    #[inline(always)]
    pub fn add(&mut self, v: f64) {
        self.count += 1.0;
        if !self.incremental {
            let (sum, c) = kahan_inc(v, self.value, self.c);
            // A first infinite sample is taken as it is.
            if !sum.is_infinite() || self.count == 1.0 {
                (self.value, self.c) = (sum, c);
                return;
            }
            self.turn_incremental(self.count - 1.0);
        }
        let q = (self.count - 1.0) / self.count;
        (self.value, self.c) = kahan_inc(v / self.count, q * self.value, q * self.c);
    }

    #[cold]
    fn turn_incremental(&mut self, count: f64) {
        self.incremental = true;
        self.value /= count;
        self.c /= count;
    }

    /// Adds the samples of a later shard.
    pub fn merge(&mut self, later: &Self) {
        if later.count == 0.0 {
            return;
        }
        if self.count == 0.0 {
            *self = *later;
            return;
        }
        if !self.incremental && !later.incremental {
            let (sum, c) = kahan_inc(later.value, self.value, self.c);
            if !sum.is_infinite() {
                (self.value, self.c) = (sum, c + later.c);
                self.count += later.count;
                return;
            }
        }
        if !self.incremental {
            self.turn_incremental(self.count);
        }
        let total = self.count + later.count;
        let (p, q) = (self.count / total, later.count / total);
        let mean = later.value();
        (self.value, self.c) = kahan_inc(q * mean, p * self.value, p * self.c);
        self.count = total;
    }

    /// The mean.
    #[inline]
    #[must_use]
    pub fn value(&self) -> f64 {
        if self.incremental { self.value + self.c } else { self.value / self.count + self.c / self.count }
    }
}

/// `max`: NaN only if all samples are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Max(f64);

impl Default for Max {
    fn default() -> Self {
        Self(NAN)
    }
}

impl Max {
    /// Adds a sample.
    #[inline(always)]
    pub fn add(&mut self, v: f64) {
        if self.0 < v || self.0.is_nan() {
            self.0 = v;
        }
    }

    /// Adds the samples of a later shard.
    pub fn merge(&mut self, later: &Self) {
        self.add(later.0);
    }

    /// The largest sample.
    #[inline]
    #[must_use]
    pub fn value(&self) -> f64 {
        self.0
    }
}

/// `min`: NaN only if all samples are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Min(f64);

impl Default for Min {
    fn default() -> Self {
        Self(NAN)
    }
}

impl Min {
    /// Adds a sample.
    #[inline(always)]
    pub fn add(&mut self, v: f64) {
        if self.0 > v || self.0.is_nan() {
            self.0 = v;
        }
    }

    /// Adds the samples of a later shard.
    pub fn merge(&mut self, later: &Self) {
        self.add(later.0);
    }

    /// The smallest sample.
    #[inline]
    #[must_use]
    pub fn value(&self) -> f64 {
        self.0
    }
}

/// `count`
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Count(f64);

impl Count {
    /// Counts a sample.
    #[inline(always)]
    pub fn add(&mut self, _: f64) {
        self.0 += 1.0;
    }

    /// Adds the samples of a later shard.
    pub fn merge(&mut self, later: &Self) {
        self.0 += later.0;
    }

    /// The number of samples.
    #[inline]
    #[must_use]
    pub fn value(&self) -> f64 {
        self.0
    }
}

/// `stdvar` and `stddev`: Welford's recurrence over the population. (`stdvar_over_time` compensates, this does not: so
/// does upstream.)
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Variance {
    count: f64,
    mean: f64,
    m2: f64,
}

impl Variance {
    /// Adds a sample.
    #[inline(always)]
    pub fn add(&mut self, v: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.mean = v;
            self.m2 = if v.is_finite() { 0.0 } else { NAN };
            return;
        }
        let delta = v - self.mean;
        self.mean += delta / self.count;
        self.m2 += delta * (v - self.mean);
    }

    /// Adds the samples of a later shard.
    pub fn merge(&mut self, later: &Self) {
        if self.count == 0.0 {
            *self = *later;
        } else if later.count > 0.0 {
            let total = self.count + later.count;
            let delta = later.mean - self.mean;
            self.mean += delta * (later.count / total);
            self.m2 += later.m2 + delta * delta * (self.count * later.count / total);
            self.count = total;
        }
    }

    /// The population's variance.
    #[inline]
    #[must_use]
    pub fn variance(&self) -> f64 {
        self.m2 / self.count
    }

    /// Its square root.
    #[inline]
    #[must_use]
    pub fn deviation(&self) -> f64 {
        self.variance().sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_negative_zero_or_infinity_survives() {
        let mut avg = Avg::default();
        avg.add(f64::INFINITY);
        assert_eq!(avg.value(), f64::INFINITY);
        avg.add(1.0);
        assert_eq!(avg.value(), f64::INFINITY);
        let mut sum = Sum::default();
        sum.add(-0.0);
        assert_eq!(sum.value(), 0.0);
    }

    #[test]
    fn averages_beyond_the_range_of_sums() {
        let mut avg = Avg::default();
        for _ in 0..3 {
            avg.add(f64::MAX);
        }
        assert!(avg.value() / f64::MAX > 1.0 - 1e-15);
        let mut later = Avg::default();
        later.add(f64::MAX);
        avg.merge(&later);
        assert!(avg.value() / f64::MAX > 1.0 - 1e-15);
    }

    #[test]
    fn nan_loses_unless_alone() {
        let (mut min, mut max) = (Min::default(), Max::default());
        for v in [f64::NAN, 3.0, f64::NAN, 1.0] {
            min.add(v);
            max.add(v);
        }
        assert_eq!((min.value(), max.value()), (1.0, 3.0));
        let mut all = Min::default();
        all.add(f64::NAN);
        assert!(all.value().is_nan());
    }

    #[test]
    fn merging_shards_equals_adding_all() {
        let samples: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17) + 1e9).collect();
        let (mut whole, mut left, mut right) =
            (Variance::default(), Variance::default(), Variance::default());
        let (mut sum, mut sum_left, mut sum_right) = (Sum::default(), Sum::default(), Sum::default());
        let (mut avg, mut avg_left, mut avg_right) = (Avg::default(), Avg::default(), Avg::default());
        for (i, &v) in samples.iter().enumerate() {
            whole.add(v);
            sum.add(v);
            avg.add(v);
            if i < 11 {
                left.add(v);
                sum_left.add(v);
                avg_left.add(v);
            } else {
                right.add(v);
                sum_right.add(v);
                avg_right.add(v);
            }
        }
        left.merge(&right);
        sum_left.merge(&sum_right);
        avg_left.merge(&avg_right);
        assert!((left.variance() / whole.variance() - 1.0).abs() < 1e-9);
        assert_eq!(sum_left.value(), sum.value());
        assert_eq!(avg_left.value(), avg.value());
    }
}
