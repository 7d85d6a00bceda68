//! Figures that belong to no single layer, and the scrape of all of them.

mod broker;
mod controller;
mod group_series;
mod groups;
mod partition_series;
mod process;
mod runtime;
mod scrape;

pub(crate) use broker::BrokerFigures;
pub(crate) use controller::ControllerFigures;
pub(crate) use group_series::GroupSeries;
pub(crate) use groups::GroupTotals;
pub(crate) use process::ProcessFigures;
pub(crate) use runtime::RuntimeFigures;
pub(crate) use scrape::{BrokerSeries, Scrape};
