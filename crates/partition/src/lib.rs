//! One replica's state machine: who leads, who is in sync, how far the log is committed, where it must be cut.
//!
//! In: [`Event`]s (metadata, appends, flushes, what followers acknowledge, what the leader says, the controller's answers,
//! the time). Out: [`Action`]s for the shell to carry out in order, and a few questions it may ask ([`Replica`]).
//! This crate does not know what records are, where logs live, how replicas talk, or how the controller is reached: it
//! sees numbers on a line and names of brokers.
//!
//! Architecture invariant: pure. No async, no I/O, no clock, no randomness; `now` is an argument.
//! Architecture invariant: state changes only in [`Replica::step`], and after every step
//! `log start <= high watermark <= flushed (strict) <= log end` holds.
//! Architecture invariant: the in-sync set shrinks or grows only by the controller's word; while a change is in flight the
//! high watermark counts the larger set.
//!
//! The invariants P1 to P9 named in comments: P1 logs match; P2 each in-sync replica holds all that is committed; P3 the
//! exposed high watermark never goes back; P4 the leader counts at least the controller's in-sync replicas; P5 only what
//! followers of this epoch have flushed counts; P6 acks=all means enough in-sync replicas have it; P7 one leader per
//! epoch; P8 in-sync changes are compare-and-set; P9 truncation never cuts what is committed.

mod action;
mod cursors;
mod divergence;
mod event;
mod follower;
mod isr;
mod leader;
mod mutation;
mod progress;
mod replica;
#[cfg(test)]
mod ring;
#[cfg(test)]
mod scenarios;

pub use action::{Action, Actions, IsrChange};
pub use cursors::{Durability, LogCursors};
pub use divergence::{OpenCheck, check_open};
pub use event::{Assignment, EpochEnd, Event, IsrAnswer, OpenedFollower, SessionId, Settings};
pub use isr::IsrState;
pub use mutation::Mutation;
pub use replica::{AppendRefusal, Replica, RoleKind};
