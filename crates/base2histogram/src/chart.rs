//! Histograms drawn with characters.

use std::fmt;

use crate::Histogram;

/// The longest bar.
const WIDTH: u64 = 40;

/// Named histograms below each other: a line for each bucket that has samples, with a bar.
#[derive(Debug, Clone, Default)]
pub struct AsciiChart {
    series: Vec<(String, Histogram)>,
}

impl AsciiChart {
    /// Nothing to draw.
    pub fn new() -> Self {
        Self::default()
    }

    /// Draws another one below those that are there.
    #[must_use]
    pub fn add(mut self, name: &str, histogram: Histogram) -> Self {
        self.series.push((name.to_owned(), histogram));
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, histogram) in &self.series {
            writeln!(f, "{name}: {} samples", histogram.total())?;
            let fullest = histogram.filled().map(|(_, count)| count).max().unwrap_or(1);
            for ((least, greatest), count) in histogram.filled() {
                writeln!(f, "{least:>20} to {greatest:<20} {count:>10} {}", "#".repeat(bar(count, fullest)))?;
            }
        }
        Ok(())
    }
}

/// The length of the bar of a bucket beside the fullest one.
fn bar(count: u64, fullest: u64) -> usize {
    (u128::from(count) * u128::from(WIDTH)).div_ceil(u128::from(fullest)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_the_counts_say() {
        let mut histogram = Histogram::new();
        [3, 3, 3, 3, 100].into_iter().for_each(|sample| histogram.record(sample));
        let chart = AsciiChart::new().add("steps", histogram).add("none", Histogram::new()).to_string();
        let lines: Vec<&str> = chart.lines().collect();
        assert_eq!(lines.len(), 4, "{chart}");
        assert_eq!((lines[0], lines[3]), ("steps: 5 samples", "none: 0 samples"));
        assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["3", "to", "3", "4", &*"#".repeat(40)]);
        assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["96", "to", "111", "1", &*"#".repeat(10)]);
    }

    #[test]
    fn a_single_sample_beside_many_is_seen() {
        assert_eq!((bar(1, u64::MAX), bar(u64::MAX, u64::MAX)), (1, 40));
    }
}
