//! Which samples are counted together: each number below eight by itself, above that the four quarters of every power of two.

/// Bits of a sample that choose the bucket: the leading one and two more, so a bucket is at most a quarter of its least sample wide.
const PRECISION: u32 = 3;
const QUARTERS: usize = 1 << (PRECISION - 1);
/// Samples below have buckets of their own.
const EXACT: u64 = 1 << PRECISION;

/// The bucket that counts `sample`.
pub(crate) fn index_of(sample: u64) -> usize {
    if sample < EXACT {
        return sample as usize;
    }
    let dropped = sample.ilog2() + 1 - PRECISION;
    dropped as usize * QUARTERS + (sample >> dropped) as usize
}

/// The least and the greatest sample of a bucket.
pub(crate) fn bounds(index: usize) -> (u64, u64) {
    let dropped = (index / QUARTERS).saturating_sub(1);
    let leading = (index - dropped * QUARTERS) as u64;
    let least = leading << dropped;
    (least, least + ((1 << dropped) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gap_from_zero_to_the_greatest_sample() {
        let mut next = Some(0);
        for index in 0..=index_of(u64::MAX) {
            let (least, greatest) = bounds(index);
            assert_eq!(Some(least), next, "bucket {index}");
            assert_eq!((index_of(least), index_of(greatest)), (index, index));
            next = greatest.checked_add(1);
        }
        assert_eq!(next, None);
    }

    #[test]
    fn a_bucket_is_no_wider_than_a_quarter_of_its_least_sample() {
        for index in 0..=index_of(u64::MAX) {
            let (least, greatest) = bounds(index);
            assert!(greatest - least <= least / 4, "bucket {index}: {least} to {greatest}");
        }
    }
}
