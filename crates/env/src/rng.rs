//! Randomness: the operating system's by default, a seeded stream after [`install`].

use std::cell::RefCell;

use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};

thread_local! {
    /// The seeded stream of this thread. A simulation runs all its nodes on one thread, so they share one stream, and the
    /// order in which they draw from it is itself determined by the seed.
    static SEEDED: RefCell<Option<SmallRng>> = const { RefCell::new(None) };
}

/// Makes this thread draw from a stream seeded with `seed`; `None` restores the operating system's randomness.
pub fn install(seed: Option<u64>) {
    SEEDED.with_borrow_mut(|slot| *slot = seed.map(SmallRng::seed_from_u64));
}

/// The generator of this thread. Not tied to a moment: what [`install`] set when a number is drawn decides.
pub fn get() -> EnvRng {
    EnvRng(())
}

/// A generator that asks the seeded stream of the current thread, or the thread's cryptographic generator if none is installed.
#[derive(Debug, Clone, Copy)]
pub struct EnvRng(());

impl RngCore for EnvRng {
    fn next_u32(&mut self) -> u32 {
        draw(|rng| rng.next_u32())
    }

    fn next_u64(&mut self) -> u64 {
        draw(|rng| rng.next_u64())
    }

    fn fill_bytes(&mut self, destination: &mut [u8]) {
        draw(|rng| rng.fill_bytes(destination));
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that draws unseeded randomness")]
fn draw<R>(from: impl FnOnce(&mut dyn RngCore) -> R) -> R {
    SEEDED.with_borrow_mut(|slot| match slot {
        Some(seeded) => from(seeded),
        None => from(&mut rand::rng()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> [u64; 3] {
        std::array::from_fn(|_| get().next_u64())
    }

    #[test]
    fn a_seed_repeats_and_none_does_not() {
        install(Some(7));
        let first = three();
        install(Some(7));
        assert_eq!(three(), first);
        install(Some(8));
        assert_ne!(three(), first);
        install(None);
        assert_ne!(three(), three());
    }
}
