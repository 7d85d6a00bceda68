//! Whole nodes, simulated: three brokers that are also controllers, sometimes with a controller that joins them, or three of
//! each, two producers, a consumer and sometimes administrators run in one thread on virtual time, over a simulated network and
//! disks that forget what was not flushed.
//!
//! In: a seed. Out: what happened, or the first invariant that broke, with the command that replays it.
//! Safety is checked after every tick while faults are active. Then the faults stop, liveness is demanded, and the replicas'
//! files are compared. It knows the broker only as `Broker::start` and what its inspector shows.

mod administrator;
mod checks;
mod client;
mod cluster;
mod disk_trouble;
mod disks;
mod doubt;
mod elections;
mod faults;
mod history;
mod plan;
mod run;
mod voters;
mod workload;

pub use elections::{Moment, measure as measure_elections};
pub use plan::{Durability, Plan};
pub use run::{Outcome, run};
