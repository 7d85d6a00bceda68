//! Which addresses of the simulation on this thread somebody listens at: tells a dead process from a cut link.

use std::cell::RefCell;
use std::collections::BTreeSet;

thread_local! {
    static BOUND: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// An address that is listened at for as long as this lives: a crash of the host drops it.
#[derive(Debug)]
pub struct Bound(String);

impl Bound {
    /// `address` as connections name it, `host:port`.
    pub(super) fn new(address: &str) -> Self {
        BOUND.with_borrow_mut(|bound| bound.insert(address.to_owned()));
        Self(address.to_owned())
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // At the end of the thread the set may be gone already.
        let _ = BOUND.try_with(|bound| bound.borrow_mut().remove(&self.0));
    }
}

/// Whether somebody listens at `address`.
pub(super) fn is_bound(address: &str) -> bool {
    BOUND.with_borrow(|bound| bound.contains(address))
}
