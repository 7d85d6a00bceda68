//! The percentiles that openraft shows.

use std::fmt;

/// Percentiles of a histogram at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PercentileStats {
    /// How many samples there were.
    pub samples: u64,
    /// 0.1 % of the samples are not above it; and so on.
    pub p0_1: u64,
    /// 1 %.
    pub p1: u64,
    /// 5 %.
    pub p5: u64,
    /// 10 %.
    pub p10: u64,
    /// The median.
    pub p50: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, p0_1, p1, p5, p10, p50, p90, p99, p99_9 } = self;
        write!(f, "{samples} samples, 0.1 %: {p0_1}, 1 %: {p1}, 5 %: {p5}, 10 %: {p10}, ")?;
        write!(f, "50 %: {p50}, 90 %: {p90}, 99 %: {p99}, 99.9 %: {p99_9}")
    }
}

#[cfg(test)]
mod tests {
    use crate::Histogram;

    #[test]
    fn they_are_shown_in_one_line() {
        let mut histogram = Histogram::<()>::new();
        histogram.record(2);
        let shown = histogram.percentile_stats().to_string();
        assert_eq!(shown, "1 samples, 0.1 %: 2, 1 %: 2, 5 %: 2, 10 %: 2, 50 %: 2, 90 %: 2, 99 %: 2, 99.9 %: 2");
    }
}
