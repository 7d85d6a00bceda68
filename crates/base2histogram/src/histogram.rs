//! The histogram.

use std::marker::PhantomData;

use crate::bucket::{bounds, index_of};
use crate::percentiles::PercentileStats;

/// How often samples of each size were recorded, kept up to the greatest bucket that has any. `T` is there for the published
/// crate's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: Vec<u64>,
    kind: PhantomData<T>,
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Histogram<T> {
    /// No samples.
    pub fn new() -> Self {
        Self { counts: Vec::new(), kind: PhantomData }
    }

    /// Counts a sample.
    pub fn record(&mut self, sample: u64) {
        self.record_n(sample, 1);
    }

    /// Counts a sample that came `times` times.
    pub fn record_n(&mut self, sample: u64, times: u64) {
        let index = index_of(sample);
        if times > 0 && index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(index) {
            *count += times;
        }
    }

    /// How many samples were recorded.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Percentiles of what was recorded; zeros when nothing was.
    pub fn percentile_stats(&self) -> PercentileStats {
        let samples = self.total();
        let at = |permille| self.at_rank(rank(samples, permille));
        PercentileStats {
            samples,
            p0_1: at(1),
            p1: at(10),
            p5: at(50),
            p10: at(100),
            p50: at(500),
            p90: at(900),
            p99: at(990),
            p99_9: at(999),
        }
    }

    /// Buckets with samples: the least and the greatest sample of each, and how many there are.
    pub(crate) fn filled(&self) -> impl Iterator<Item = ((u64, u64), u64)> + '_ {
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(index, count)| (bounds(index), *count))
    }

    /// The middle of the bucket in which the sample of that rank is, the first being the least; zero beyond the last.
    fn at_rank(&self, rank: u64) -> u64 {
        let mut passed = 0;
        let bucket = self.filled().find(|(_, count)| {
            passed += count;
            passed >= rank
        });
        bucket.map_or(0, |((least, greatest), _)| least + (greatest - least) / 2)
    }
}

/// The rank that `permille` of all samples do not exceed.
fn rank(samples: u64, permille: u64) -> u64 {
    let rank = (u128::from(samples) * u128::from(permille)).div_ceil(1000).max(1);
    u64::try_from(rank).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(samples: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::new();
        samples.into_iter().for_each(|sample| histogram.record(sample));
        histogram
    }

    #[test]
    fn nothing_recorded_gives_zeros() {
        let stats = Histogram::<()>::default().percentile_stats();
        assert_eq!((stats.samples, stats.p0_1, stats.p50, stats.p99_9), (0, 0, 0, 0));
    }

    #[test]
    fn one_sample_is_every_percentile() {
        let stats = histogram([5]).percentile_stats();
        assert_eq!((stats.samples, stats.p0_1, stats.p50, stats.p99_9), (1, 5, 5, 5));
    }

    #[test]
    fn small_samples_are_told_exactly() {
        let stats = histogram((0..8).flat_map(|sample| [sample; 125])).percentile_stats();
        assert_eq!([stats.p0_1, stats.p1, stats.p5, stats.p10], [0, 0, 0, 0]);
        assert_eq!([stats.p50, stats.p90, stats.p99, stats.p99_9], [3, 7, 7, 7]);
    }

    #[test]
    fn percentiles_are_within_an_eighth_of_what_sorting_says() {
        let mut samples: Vec<u64> = (0..9_973u64).map(|i| (i * 7_919 % 9_973).pow(3)).collect();
        let stats = histogram(samples.iter().copied()).percentile_stats();
        samples.sort_unstable();
        assert_eq!(stats.samples, samples.len() as u64);
        for (permille, told) in
            [(1, stats.p0_1), (100, stats.p10), (500, stats.p50), (990, stats.p99), (999, stats.p99_9)]
        {
            let exact = samples[(samples.len() * permille).div_ceil(1000) - 1];
            assert!(told.abs_diff(exact) <= exact / 8 + 1, "{permille} permille: {told}, not {exact}");
        }
    }

    #[test]
    fn the_greatest_sample_is_counted() {
        let mut greatest = histogram([u64::MAX; 3]);
        greatest.record(0);
        assert_eq!(greatest.total(), 4);
        assert!(greatest.percentile_stats().p50 >= u64::MAX - u64::MAX / 8);
    }

    #[test]
    fn histograms_are_equal_by_what_they_counted() {
        let one = histogram([1, 700, 3]);
        assert_eq!(one, histogram([700, 3, 1]));
        assert_eq!(one, one.clone());
        assert_ne!(one, histogram([1, 3]));
        let mut at_once = histogram([2, 2, 2]);
        at_once.record_n(100, 0);
        assert_eq!(at_once, histogram([2; 3]));
        at_once.record_n(2, 4);
        assert_eq!(at_once, histogram([2; 7]));
    }

    #[test]
    fn memory_is_taken_for_what_was_recorded() {
        assert_eq!(Histogram::<()>::new().counts.capacity(), 0);
        assert_eq!(histogram([u64::MAX]).counts.len(), 252);
    }
}
