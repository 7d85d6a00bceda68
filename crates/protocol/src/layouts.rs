//! The field layouts of the advertised APIs, one constant each, cut to the versions in the table.

mod admin;
mod data;
mod group;

pub(crate) use admin::*;
pub(crate) use data::*;
pub(crate) use group::*;
