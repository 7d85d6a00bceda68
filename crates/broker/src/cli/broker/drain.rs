//! `highwater broker drain`.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;

use crate::cli::client::{ATTEMPTS, ClusterClient, ElectionType, Partition, RETRY_PAUSE, TopicPartition};
use crate::cli::output::count;
use crate::cli::partition::{MoveArgs, Moves, Spread, empty_broker};
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater broker drain 3 --dry-run               # what would move where
  highwater broker drain 3 --at-once 10            # replicas and leadership; shows progress, ends when all is moved
  highwater broker drain 3 --to 4,5
  highwater broker drain 3 --leaders-only          # before maintenance: replicas stay, others lead

Replicas go where fewest are, in racks that have none of the partition. `--leaders-only` puts the broker last among the
replicas and elects the new first one; `highwater partition rebalance` evens leaders out again.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DrainArgs {
    /// Id of the broker.
    id: i32,
    /// Brokers that take over; all others that are up by default.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    to: Vec<i32>,
    /// Move leadership only; replicas stay.
    #[arg(long, conflicts_with = "to")]
    leaders_only: bool,
    #[command(flatten)]
    moves: MoveArgs,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: DrainArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    client.broker(args.id).await?;
    if args.leaders_only {
        return drain_leaders(&args, &mut client).await;
    }
    let (moves, stuck) = plan(&mut client, args.id, &args.to).await?;
    args.moves.run(&mut client, moves, &args.client).await?;
    stuck_failure(args.id, &stuck).map_or(Ok(()), Err)
}

/// What has to move so that `broker` holds nothing, and the partitions for which there is no other place.
pub(crate) async fn plan(
    client: &mut ClusterClient,
    broker: i32,
    to: &[i32],
) -> Result<(Moves, Vec<TopicPartition>), Failure> {
    let cluster = client.describe_cluster().await?;
    let up: BTreeSet<i32> = cluster.brokers.iter().filter(|one| !one.fenced).map(|one| one.id).collect();
    let mut targets: BTreeSet<i32> = if to.is_empty() { up.clone() } else { to.iter().copied().collect() };
    if let Some(down) = targets.difference(&up).next() {
        return Err(Failure::usage(format!("broker {down} is not up, nothing can be moved to it")));
    }
    targets.remove(&broker);
    let partitions = all_partitions(client).await?;
    let mut spread = Spread::new(&cluster.brokers, &targets, &partitions);
    let (targets, stuck) = empty_broker(broker, &mut spread, &partitions);
    Ok((Moves::new(targets, &partitions), stuck))
}

/// Why a broker cannot be emptied.
pub(crate) fn stuck_failure(broker: i32, stuck: &[TopicPartition]) -> Option<Failure> {
    let first = stuck.first()?;
    let failure = Failure::new(format!(
        "{} cannot leave broker {broker} ({first} among them): every other broker holds a replica already",
        count(stuck.len(), "partition"),
    ));
    Some(failure.hint(
        "add a broker, or give these partitions fewer replicas with `highwater partition reassign`; to lead elsewhere, \
         `--leaders-only` is enough",
    ))
}

async fn all_partitions(client: &mut ClusterClient) -> Result<Vec<Partition>, Failure> {
    Ok(client.all_topics().await?.into_iter().flat_map(|topic| topic.partitions).collect())
}

async fn drain_leaders(args: &DrainArgs, client: &mut ClusterClient) -> Result<(), Failure> {
    let partitions = all_partitions(client).await?;
    let (targets, alone) = lead_elsewhere(args.id, &partitions);
    let led: Vec<TopicPartition> = partitions
        .iter()
        .filter(|one| one.leader == Some(args.id) && one.replicas.len() > 1)
        .map(|one| one.id.clone())
        .collect();
    let moves = Moves::new(targets, &partitions);
    args.moves.perform(client, &moves).await?;
    if args.moves.waits() && !led.is_empty() {
        let outcomes = client.elect_leaders(ElectionType::Preferred, Some(&led)).await?;
        if let Some(failure) = Failure::all(outcomes.into_values().filter_map(Result::err).collect()) {
            return Err(failure);
        }
    }
    let expected = if args.moves.waits() { alone.len() } else { usize::MAX };
    let left = leaders_left(client, args.id, expected).await?;
    args.client.print(
        || {
            let mut json = args.moves.json(&moves);
            json["leaders_left"] = left.into();
            json
        },
        || format!("{}\nbroker {} leads {} now", args.moves.text(&moves), args.id, count(left, "partition")),
    )?;
    let failure = |first: &TopicPartition| {
        Failure::new(format!("{} on broker {} alone ({first} among them)", count(alone.len(), "partition"), args.id))
            .hint("they will be offline while it is down: give them more replicas with `highwater partition reassign`")
    };
    alone.first().map_or(Ok(()), |first| Err(failure(first)))
}

/// How many partitions `broker` leads; waits until there are no more than `expected`, because brokers learn of elections one after
/// the other.
async fn leaders_left(client: &mut ClusterClient, broker: i32, expected: usize) -> Result<usize, Failure> {
    for attempt in 1.. {
        let left = all_partitions(client).await?.iter().filter(|one| one.leader == Some(broker)).count();
        if left <= expected || attempt >= ATTEMPTS {
            return Ok(left);
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
    unreachable!("the loop ends by returning")
}

/// The partitions that `broker` would lead, with it as the last replica; and those that it holds alone.
fn lead_elsewhere(broker: i32, partitions: &[Partition]) -> (BTreeMap<TopicPartition, Vec<i32>>, Vec<TopicPartition>) {
    let mut targets = BTreeMap::new();
    let mut alone = Vec::new();
    for partition in partitions.iter().filter(|one| one.replicas.first() == Some(&broker)) {
        if partition.replicas.len() == 1 {
            alone.push(partition.id.clone());
            continue;
        }
        let mut replicas = partition.replicas.clone();
        replicas.rotate_left(1);
        // A replica that is not in sync could not lead.
        if let Some(place) = replicas.iter().position(|id| *id != broker && partition.isr.contains(id)) {
            replicas[..=place].rotate_right(1);
        }
        targets.insert(partition.id.clone(), replicas);
    }
    (targets, alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: i32, replicas: &[i32], isr: &[i32]) -> Partition {
        Partition {
            id: TopicPartition::new("t", number),
            leader: replicas.first().copied(),
            leader_epoch: 0,
            replicas: replicas.to_vec(),
            isr: isr.to_vec(),
            offline: Vec::new(),
        }
    }

    #[test]
    fn another_in_sync_replica_leads() {
        let partitions = [
            partition(0, &[1, 2, 3], &[1, 2, 3]),
            partition(1, &[1, 2, 3], &[1, 3]),
            partition(2, &[2, 1, 3], &[1, 2, 3]),
            partition(3, &[1], &[1]),
        ];
        let (targets, alone) = lead_elsewhere(1, &partitions);
        assert_eq!(targets.into_values().collect::<Vec<_>>(), [vec![2, 3, 1], vec![3, 2, 1]]);
        assert_eq!(alone, [TopicPartition::new("t", 3)]);
    }
}
