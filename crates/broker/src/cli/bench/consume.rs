//! `highwater bench consume`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use highwater_records::split_batches;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::figures::Figures;
use super::produce::collect;
use crate::cli::client::{ClusterClient, EARLIEST, Fetched, LATEST, Partition};
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater bench consume bench
  highwater bench consume bench --connections 8 --json

Reads from the first offset to what is the end when it starts, and checks the checksum of every batch. Latency is that of
each fetch.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConsumeArgs {
    /// Topic to read.
    topic: String,
    /// Connections; partitions are divided among them.
    #[arg(long, default_value = "4", value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    #[command(flatten)]
    client: ClientArgs,
}

/// What is left to read of a partition.
#[derive(Debug, Clone, Copy)]
struct Rest {
    leader: i32,
    next: i64,
    end: i64,
}

pub(crate) async fn run(args: ConsumeArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let partitions = client.topic(&args.topic).await?.partitions;
    let first = client.offsets_at(&partitions, EARLIEST).await?;
    let end = client.offsets_at(&partitions, LATEST).await?;
    let rest = |one: &Partition| {
        let rest = Rest { leader: one.leader?, next: first.get(&one.id)?.offset, end: end.get(&one.id)?.offset };
        (rest.next < rest.end).then_some((one.id.partition, rest))
    };
    let rests: Vec<(i32, Rest)> = partitions.iter().filter_map(rest).collect();
    let total: i64 = rests.iter().map(|(_, rest)| rest.end - rest.next).sum();
    let read = Arc::new(AtomicU64::new(0));
    let connections = usize::from(args.connections).min(rests.len());
    let mut shares = vec![BTreeMap::new(); connections];
    for (index, (partition, rest)) in rests.into_iter().enumerate() {
        shares[index % connections].insert(partition, rest);
    }
    let mut clients = Vec::new();
    for share in shares {
        clients.push((client.another().await?, share));
    }
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for (client, share) in clients {
        workers.spawn(read_all(client, args.topic.clone(), share, Arc::clone(&read)));
    }
    let figures = collect(workers, u64::try_from(total).unwrap_or(0), &read).await?;
    let elapsed = start.elapsed();
    args.client.print(|| figures.json(elapsed), || figures.text(elapsed, "fetch"))
}

/// Reads all of `rests`, one leader after the other.
async fn read_all(
    mut client: ClusterClient,
    topic: String,
    mut rests: BTreeMap<i32, Rest>,
    read: Arc<AtomicU64>,
) -> Result<Figures, Failure> {
    let mut figures = Figures::new()?;
    while let Some(leader) = rests.values().map(|rest| rest.leader).next() {
        let of_leader = rests.iter().filter(|(_, rest)| rest.leader == leader);
        let ask: Vec<(i32, i64)> = of_leader.map(|(partition, rest)| (*partition, rest.next)).collect();
        let begun = Instant::now();
        let answers = client.fetch(leader, &topic, &ask, 0).await?;
        figures.took(begun.elapsed(), 1);
        let before = figures.records;
        let left = |rests: &BTreeMap<i32, Rest>| rests.values().map(|rest| rest.end - rest.next).sum::<i64>();
        let left_before = left(&rests);
        for answer in answers {
            take(&topic, answer, &mut rests, &mut figures)?;
        }
        if left(&rests) == left_before {
            return Err(Failure::new(format!("topic {topic}: broker {leader} sent nothing of what it has")));
        }
        rests.retain(|_, rest| rest.next < rest.end);
        read.fetch_add(figures.records - before, Ordering::Relaxed);
    }
    Ok(figures)
}

fn take(topic: &str, answer: Fetched, rests: &mut BTreeMap<i32, Rest>, figures: &mut Figures) -> Result<(), Failure> {
    let what = format!("topic {topic} partition {}", answer.partition);
    if answer.error_code != 0 {
        return Err(Failure::refused(&what, answer.error_code, None));
    }
    let Some(rest) = rests.get_mut(&answer.partition) else { return Ok(()) };
    for batch in split_batches(&answer.records).map_while(Result::ok) {
        figures.records += u64::try_from(batch.header().record_count).unwrap_or(0);
        figures.bytes += batch.bytes().len() as u64;
        rest.next = rest.next.max(batch.header().last_offset().0 + 1);
    }
    Ok(())
}
