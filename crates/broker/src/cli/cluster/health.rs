//! `highwater cluster health`.

use clap::Args;
use serde_json::json;

use crate::cli::output::{count, facts};
use crate::cli::partition::{State, count_states, judge};
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater cluster health
  until highwater cluster health >/dev/null 2>&1; do sleep 1; done     # wait after a restart, before the next one
  highwater doctor                                                      # looks further, and says what to do";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct HealthArgs {
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: HealthArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let brokers = client.describe_cluster().await?.brokers;
    let fenced: Vec<i32> = brokers.iter().filter(|broker| broker.fenced).map(|broker| broker.id).collect();
    let topics = client.all_topics().await?;
    let partitions = judge(&mut client, topics).await?;
    let moving = client.reassignments().await?.len();
    let states = count_states(&partitions);
    let of = |state: State| states.get(&state).copied().unwrap_or(0);
    let healthy = fenced.is_empty() && of(State::Healthy) == partitions.len();
    args.client.print(
        || {
            json!({
                "healthy": healthy,
                "brokers": brokers.len(),
                "fenced_brokers": fenced,
                "partitions": partitions.len(),
                "offline_partitions": of(State::Offline),
                "under_min_isr_partitions": of(State::UnderMinIsr),
                "under_replicated_partitions": of(State::UnderReplicated),
                "reassignments": moving,
            })
        },
        || {
            let down = if fenced.is_empty() { "all up".to_owned() } else { format!("not up: {fenced:?}") };
            facts([
                ("health", if healthy { "all is well" } else { "something is wrong" }.to_owned()),
                ("brokers", format!("{} ({down})", brokers.len())),
                ("partitions", partitions.len().to_string()),
                ("  offline", of(State::Offline).to_string()),
                ("  under min ISR", of(State::UnderMinIsr).to_string()),
                ("  under-replicated", of(State::UnderReplicated).to_string()),
                ("reassignments", moving.to_string()),
            ])
        },
    )?;
    if healthy {
        return Ok(());
    }
    let unwell = partitions.len() - of(State::Healthy);
    let (brokers, partitions) = (count(fenced.len(), "broker"), count(unwell, "partition"));
    Err(Failure::new(format!("{brokers} not up, {partitions} unwell")).hint("`highwater doctor` says what to do"))
}
