//! Figures that belong to no single layer. Names follow what Kafka's JMX beans become in Prometheus.

mod controller;
mod groups;
mod process;

pub(crate) use controller::ControllerFigures;
pub(crate) use groups::GroupLag;
pub(crate) use process::ProcessFigures;
