//! One classic group: its members and the rebalance protocol.
//!
//! Members live in memory only and become durable with the record that the leader's SyncGroup writes. The files below
//! add behaviour to [`ClassicGroup`], one request or event each.

mod group;
mod heartbeat;
mod join;
mod leave;
mod offset_commit;
mod rebalance;
mod static_member;
mod sync;

pub(crate) use group::ClassicGroup;
pub(crate) use join::NewMemberId;
