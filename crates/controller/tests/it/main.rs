//! Tests of the controller's decisions: scripts with their expected records, random commands with invariants after each,
//! and properties of placement.

mod cluster;
mod defects;
mod invariants;
mod placement;
mod random;
mod records_held;
mod script;
