//! Which resource a `config` command is about.

use clap::Args;

use crate::cli::client::Resource;

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct TargetArgs {
    /// Settings of this topic.
    #[arg(long, short = 't', value_name = "NAME")]
    topic: Option<String>,
    /// Settings of this broker.
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i32).range(0..))]
    broker: Option<i32>,
    /// The cluster's defaults for all brokers.
    #[arg(long)]
    cluster: bool,
}

impl TargetArgs {
    pub(crate) fn resource(self) -> Resource {
        match (self.topic, self.broker) {
            (Some(topic), _) => Resource::Topic(topic),
            (None, Some(broker)) => Resource::Broker(broker),
            (None, None) => Resource::BrokerDefaults,
        }
    }
}
