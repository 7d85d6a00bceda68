//! `highwater broker decommission` and `highwater broker unregister`.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::drain::{plan, stuck_failure};
use crate::cli::client::{ATTEMPTS, ClusterClient, RETRY_PAUSE};
use crate::cli::output::count;
use crate::cli::{ClientArgs, Failure};

/// Pause between two looks at whether the broker is stopped.
const POLL_PAUSE: Duration = Duration::from_millis(500);

const DECOMMISSION_EXAMPLES: &str = "\
Examples:
  highwater broker decommission 3                    # moves everything away, waits until you have stopped the node, forgets it
  highwater broker decommission 3 --stop-within 3600
  highwater broker decommission 3 --to 4,5 --at-once 5";

const UNREGISTER_EXAMPLES: &str = "\
Examples:
  highwater broker unregister 3";

#[derive(Debug, Args)]
#[command(after_help = DECOMMISSION_EXAMPLES)]
pub(crate) struct DecommissionArgs {
    /// Id of the broker.
    id: i32,
    /// Brokers that take over; all others that are up by default.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    to: Vec<i32>,
    /// Move this many partitions at a time.
    #[arg(long, default_value = "20", value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    at_once: u16,
    /// How long to wait for the node to be stopped, once it holds nothing.
    #[arg(long, default_value = "300", value_name = "SECONDS")]
    stop_within: u64,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
#[command(after_help = UNREGISTER_EXAMPLES)]
pub(crate) struct UnregisterArgs {
    /// Id of the broker.
    id: i32,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: DecommissionArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    client.broker(args.id).await?;
    let (moves, stuck) = plan(&mut client, args.id, &args.to).await?;
    // Half a removal would help nobody.
    if let Some(failure) = stuck_failure(args.id, &stuck) {
        return Err(failure);
    }
    eprintln!("moving {} away from broker {}", count(moves.len(), "partition"), args.id);
    moves.carry_out(&mut client, usize::from(args.at_once)).await?;
    wait_until_stopped(&mut client, &args).await?;
    unregister(&mut client, args.id).await?;
    args.client.print(
        || json!({"broker": args.id, "unregistered": true, "moves": moves.json()}),
        || format!("broker {} is gone: {} moved, registration removed", args.id, count(moves.len(), "partition")),
    )
}

async fn wait_until_stopped(client: &mut ClusterClient, args: &DecommissionArgs) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_secs(args.stop_within);
    let mut told = false;
    while !client.broker(args.id).await?.fenced {
        if !told {
            eprintln!("broker {} holds nothing any more: stop it now (waiting up to {} s)", args.id, args.stop_within);
            told = true;
        }
        if Instant::now() >= deadline {
            let failure = Failure::new(format!("broker {} holds nothing, but still runs", args.id));
            return Err(failure.hint(format!("stop it, then `highwater broker unregister {}`", args.id)));
        }
        sleep(POLL_PAUSE).await;
    }
    Ok(())
}

pub(crate) async fn run_unregister(args: UnregisterArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    unregister(&mut client, args.id).await?;
    args.client.print(
        || json!({"broker": args.id, "unregistered": true}),
        || format!("broker {} is no longer registered", args.id),
    )
}

/// Refuses what the cluster would allow, but nobody wants: a broker that runs registers again, replicas on one that is
/// forgotten never come back in sync.
async fn unregister(client: &mut ClusterClient, id: i32) -> Result<(), Failure> {
    if !client.broker(id).await?.fenced {
        return Err(Failure::new(format!("broker {id} is up: it would register again at once")).hint("stop it first"));
    }
    let topics = client.all_topics().await?;
    let held = topics.iter().flat_map(|topic| &topic.partitions).filter(|one| one.replicas.contains(&id)).count();
    if held > 0 {
        let failure = Failure::new(format!("broker {id} still holds {}", count(held, "replica")));
        return Err(failure.hint(format!("`highwater broker drain {id}` moves them to other brokers")));
    }
    client.unregister_broker(id).await?;
    // Until the broker that we ask has heard of it, so that the next command does not see it any more.
    for _ in 0..ATTEMPTS {
        if client.describe_cluster().await?.brokers.iter().all(|broker| broker.id != id) {
            break;
        }
        sleep(RETRY_PAUSE).await;
    }
    Ok(())
}
