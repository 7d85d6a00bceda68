//! `highwater group reset-offsets`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use highwater_env::{Fs, clock};
use serde_json::json;

use super::plan::{Goal, Range, TopicChoice, parse_csv, parse_topic_choice, plan, to_csv};
use crate::cli::client::{ClusterClient, EARLIEST, LATEST, Offsets, Partition, TopicPartition};
use crate::cli::output::{Column, or_dash, print_line, table};
use crate::cli::time::{parse_duration, parse_time};
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater group reset-offsets counters --topic orders --to-earliest              # shows what would happen
  highwater group reset-offsets counters --topic orders --to-earliest --execute
  highwater group reset-offsets counters --topic orders:0,2 --to-offset 1000 --execute
  highwater group reset-offsets counters --all-topics --to-datetime 2026-11-21T06:00:00Z --execute
  highwater group reset-offsets counters --all-topics --by-duration PT2H --execute     # two hours back from now
  highwater group reset-offsets counters --topic orders --shift-by -100 --execute
  highwater group reset-offsets counters --all-topics --to-current --export > offsets.csv
  highwater group reset-offsets copy --from-file offsets.csv --execute

The group must have no members. A group that does not exist is created by its first offset. Offsets outside of what a
partition holds become its first or its next offset.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ResetOffsetsArgs {
    /// Id of the group.
    group: String,
    /// Topic, or some of its partitions as TOPIC:0,2. May be repeated.
    #[arg(long, short = 't', value_name = "TOPIC[:PARTITIONS]", value_parser = parse_topic_choice)]
    topic: Vec<TopicChoice>,
    /// All topics of which the group has committed offsets.
    #[arg(long, conflicts_with = "topic")]
    all_topics: bool,
    #[command(flatten)]
    goal: GoalArgs,
    /// Show what would happen and change nothing; the default.
    #[arg(long, conflicts_with_all = ["execute", "export"])]
    dry_run: bool,
    /// Do it.
    #[arg(long, conflicts_with = "export")]
    execute: bool,
    /// Print the new offsets as lines topic,partition,offset for --from-file, and change nothing.
    #[arg(long)]
    export: bool,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct GoalArgs {
    /// To the first offset.
    #[arg(long)]
    to_earliest: bool,
    /// To the end.
    #[arg(long)]
    to_latest: bool,
    /// To what is committed; the end where nothing is.
    #[arg(long)]
    to_current: bool,
    /// To this offset.
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    to_offset: Option<i64>,
    /// To the first record of this time or later: 2026-11-21T06:00:00.000, with a zone or in UTC.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to_datetime: Option<String>,
    /// To the first record within this time before now: PT1H30M, P7D, 90m.
    #[arg(long, value_name = "DURATION")]
    by_duration: Option<String>,
    /// Forward by so many records, or back if negative.
    #[arg(long, value_name = "RECORDS", allow_hyphen_values = true)]
    shift_by: Option<i64>,
    /// To the offsets in this file of lines topic,partition,offset.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["topic", "all_topics"])]
    from_file: Option<PathBuf>,
}

/// What the arguments say before anything is asked of the cluster.
enum Wanted {
    Known(Goal),
    /// Milliseconds since 1970.
    Time(i64),
}

impl GoalArgs {
    fn wanted(&self) -> Result<Wanted, Failure> {
        let now = clock::wall_ms().0;
        if let Some(text) = &self.to_datetime {
            return parse_time(text, now).map(Wanted::Time).map_err(Failure::usage);
        }
        if let Some(text) = &self.by_duration {
            return parse_duration(text).map(|length| Wanted::Time((now - length).max(0))).map_err(Failure::usage);
        }
        if let Some(path) = &self.from_file {
            let shown = path.display();
            let content =
                Fs::Real.read(path).map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
            let given = parse_csv(&String::from_utf8_lossy(&content));
            let given = given.map_err(|problem| Failure::usage(format!("{shown}: {problem}")))?;
            return Ok(Wanted::Known(Goal::Given(given)));
        }
        let goal = match (self.to_offset, self.shift_by) {
            (Some(offset), _) => Goal::Offset(offset),
            (_, Some(step)) => Goal::ShiftBy(step),
            _ if self.to_earliest => Goal::Earliest,
            _ if self.to_latest => Goal::Latest,
            _ => Goal::Current,
        };
        Ok(Wanted::Known(goal))
    }
}

pub(crate) async fn run(args: ResetOffsetsArgs) -> Result<(), Failure> {
    let wanted = args.goal.wanted()?;
    let mut client = args.client.connect().await?;
    let committed = client.committed_offsets(&args.group).await?;
    let partitions = chosen_partitions(&args, &wanted, &mut client, &committed).await?;
    let ranges = ranges(&mut client, &partitions, &committed).await?;
    let goal = match wanted {
        Wanted::Known(goal) => goal,
        Wanted::Time(time) => {
            let found = client.offsets_at(&partitions, time).await?;
            Goal::Found(found.into_iter().map(|(id, found)| (id, found.offset)).collect())
        }
    };
    let (offsets, without) = plan(&goal, &ranges);
    if let Some(first) = without.first() {
        let failure = Failure::new(format!("group {} has committed nothing for {first}", args.group));
        return Err(failure.hint("name the partitions with `--topic TOPIC:0,1`, or set an offset with `--to-offset`"));
    }
    if args.export {
        return print_line(&to_csv(&offsets));
    }
    if args.execute {
        refuse_members(&mut client, &args.group).await?;
        client.commit_offsets(&args.group, &offsets).await?;
    }
    report(&args, &ranges, &offsets)
}

async fn chosen_partitions(
    args: &ResetOffsetsArgs,
    wanted: &Wanted,
    client: &mut ClusterClient,
    committed: &Offsets,
) -> Result<Vec<Partition>, Failure> {
    let given = match wanted {
        Wanted::Known(Goal::Given(given)) => Some(given.keys().cloned().collect::<BTreeSet<TopicPartition>>()),
        _ if args.all_topics => None,
        _ if args.topic.is_empty() => {
            return Err(Failure::usage("which topics? `--topic NAME` or `--all-topics`"));
        }
        _ => {
            let mut partitions = Vec::new();
            for choice in &args.topic {
                partitions.extend(client.topic(&choice.topic).await?.select(&choice.partitions)?);
            }
            return Ok(partitions);
        }
    };
    let names: BTreeSet<String> = match &given {
        Some(given) => given.iter().map(|id| id.topic.clone()).collect(),
        None => committed.keys().map(|id| id.topic.clone()).collect(),
    };
    if names.is_empty() {
        return Err(
            Failure::new(format!("group {} has committed nothing", args.group)).hint("name topics with `--topic`")
        );
    }
    let topics = match &given {
        Some(_) => client.topics(&Vec::from_iter(names)).await?,
        None => client.existing_topics(&Vec::from_iter(names)).await?,
    };
    let all: Vec<Partition> = topics.into_iter().flat_map(|topic| topic.partitions).collect();
    let wanted = |id: &TopicPartition| given.as_ref().map_or(committed.contains_key(id), |given| given.contains(id));
    if let Some(unknown) = given.iter().flatten().find(|id| all.iter().all(|one| one.id != **id)) {
        return Err(Failure::usage(format!("there is no partition {unknown}")));
    }
    Ok(all.into_iter().filter(|one| wanted(&one.id)).collect())
}

async fn ranges(
    client: &mut ClusterClient,
    partitions: &[Partition],
    committed: &Offsets,
) -> Result<BTreeMap<TopicPartition, Range>, Failure> {
    if let Some(offline) = partitions.iter().find(|one| one.is_offline()) {
        return Err(Failure::new(format!("{} has no leader to ask for its offsets", offline.id))
            .hint("`highwater partition list --offline` shows which are missing"));
    }
    let first = client.offsets_at(partitions, EARLIEST).await?;
    let next = client.offsets_at(partitions, LATEST).await?;
    let range = |one: &Partition| {
        let range = Range {
            first: first.get(&one.id)?.offset,
            next: next.get(&one.id)?.offset,
            committed: committed.get(&one.id).copied(),
        };
        Some((one.id.clone(), range))
    };
    Ok(partitions.iter().filter_map(range).collect())
}

async fn refuse_members(client: &mut ClusterClient, group: &str) -> Result<(), Failure> {
    let group = client.describe_group(group).await?;
    if group.members.is_empty() {
        return Ok(());
    }
    let failure = Failure::new(format!(
        "group {} has members (state {}): they would go on from where they are",
        group.id, group.state
    ));
    Err(failure.hint(format!("stop its consumers first; `highwater group members {}` lists them", group.id)))
}

fn report(args: &ResetOffsetsArgs, ranges: &BTreeMap<TopicPartition, Range>, offsets: &Offsets) -> Result<(), Failure> {
    let before = |id: &TopicPartition| ranges.get(id).and_then(|range| range.committed);
    args.client.print(
        || {
            let one = |(id, offset): (&TopicPartition, &i64)| {
                json!({"topic": id.topic, "partition": id.partition, "before": before(id), "offset": offset})
            };
            let offsets: Vec<_> = offsets.iter().map(one).collect();
            json!({"group": args.group, "executed": args.execute, "offsets": offsets})
        },
        || {
            let columns =
                [Column::Text("TOPIC"), Column::Number("PARTITION"), Column::Number("COMMITTED"), Column::Number("NEW OFFSET")];
            let row = |(id, offset): (&TopicPartition, &i64)| {
                vec![id.topic.clone(), id.partition.to_string(), or_dash(before(id)), offset.to_string()]
            };
            let end = if args.execute { "done" } else { "nothing was changed: --execute does it" };
            format!("{}\n\n{end}", table(&columns, offsets.iter().map(row)))
        },
    )
}
