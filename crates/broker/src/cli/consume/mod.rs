//! `highwater consume`: reads partitions directly. With a group it starts at the group's committed offsets and commits, but
//! takes no part in rebalances: all partitions come to this process.

mod filter;
mod format;
mod start;

use std::collections::BTreeMap;

use clap::Args;
use highwater_env::clock;
use highwater_records::split_batches;
use highwater_types::ErrorCode;

use filter::FilterArgs;
use format::{Placed, Template};
use start::{Start, parse_start};

use super::client::{ATTEMPTS, ClusterClient, Fetched, Offsets, Partition, RETRY_PAUSE, TopicPartition, is_retriable};
use super::json_record::to_json;
use super::output::{Reader, print_bytes};
use super::time::parse_time;
use super::{ClientArgs, Failure};

/// How long a broker waits for new records before it answers that there are none.
const WAIT_MS: i32 = 250;

const EXAMPLES: &str = "\
Examples:
  highwater consume orders                                       # follow what comes from now on
  highwater consume orders --from-beginning --exit               # all there is, then end
  highwater consume orders --from -10 -e                         # the last ten of each partition
  highwater consume orders --from-time '1h ago' --until-time '30m ago'
  highwater consume orders --json | jq -r .value
  highwater consume orders --format '%p/%o %D %k=%v\\n'
  highwater consume orders --from-beginning -e --key-matches '^user-4' --value-contains error
  highwater consume orders --group archive --from-beginning      # goes on where the group stopped, and commits

Format: %t topic, %p partition, %o offset, %T timestamp in ms, %D the same as a date, %k key, %K its length, %v or %s value,
%S its length, %h headers, %% a percent sign; \\n, \\t, \\r, \\0, \\\\ and \\xNN as in C.
With --group all partitions come to this process; it takes no part in the group's rebalances, and the group must have no members.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConsumeArgs {
    /// Topic to read.
    topic: String,
    /// Where to start: beginning, end, an offset, or -N for the last N of each partition. With --group: where partitions
    /// without a committed offset start.
    #[arg(long, short = 'f', default_value = "end", value_parser = parse_start, allow_hyphen_values = true)]
    from: Start,
    /// Short for --from beginning.
    #[arg(long, conflicts_with = "from")]
    from_beginning: bool,
    /// Start at the first record of this time or later: 2026-11-21T06:00:00Z, milliseconds since 1970, or '2h ago'.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["from", "from_beginning"], allow_hyphen_values = true)]
    from_time: Option<String>,
    /// Stop each partition at its first record after this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until_time: Option<String>,
    /// Read this partition only. May be repeated.
    #[arg(long, short = 'p')]
    partition: Vec<i32>,
    /// Stop after this many records.
    #[arg(long = "max-messages", short = 'n', visible_alias = "count", value_name = "COUNT")]
    count: Option<u64>,
    /// Stop at the end instead of waiting for more.
    #[arg(long, short = 'e', visible_alias = "until-end")]
    exit: bool,
    /// Start at the offsets that this consumer group has committed, and commit what was read.
    #[arg(long, short = 'g')]
    group: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Print keys too, with this text between key and value.
    #[arg(long, short = 'k', value_name = "SEPARATOR")]
    key_separator: Option<String>,
    /// Print each record like this; see below.
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["key_separator", "json"])]
    format: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

/// One partition being read.
#[derive(Debug)]
struct Position {
    leader: Option<i32>,
    next_offset: i64,
    /// As of the last answer; nothing is known before the first.
    high_watermark: Option<i64>,
    /// A record after the end of the time that was asked for has been seen.
    past_end: bool,
}

impl Position {
    fn is_at_end(&self) -> bool {
        self.past_end || self.high_watermark.is_some_and(|end| self.next_offset >= end)
    }
}

struct Consumer {
    args: ConsumeArgs,
    template: Option<Template>,
    /// Milliseconds since 1970.
    until_time: Option<i64>,
    client: ClusterClient,
    positions: BTreeMap<i32, Position>,
    printed: u64,
    /// Rounds in a row in which something failed that may pass.
    failures: u32,
    /// The last round brought nothing: brokers may wait for new records before they answer.
    idle: bool,
    /// Nobody reads what is printed any more.
    unread: bool,
}

pub(crate) async fn run(args: ConsumeArgs) -> Result<(), Failure> {
    let mut consumer = Consumer::start(args).await?;
    while !consumer.is_done() {
        consumer.round().await?;
    }
    Ok(())
}

impl Consumer {
    async fn start(args: ConsumeArgs) -> Result<Self, Failure> {
        let now = clock::wall_ms().0;
        let time = |text: &Option<String>| {
            text.as_deref().map(|text| parse_time(text, now)).transpose().map_err(Failure::usage)
        };
        let (from_time, until_time) = (time(&args.from_time)?, time(&args.until_time)?);
        let template = match (&args.format, args.client.json) {
            (_, true) => None,
            (Some(text), false) => Some(Template::parse(text).map_err(Failure::usage)?),
            (None, false) => Some(Template::of_values(args.key_separator.as_deref())),
        };
        let start = match (from_time, args.from_beginning) {
            (Some(time), _) => Start::Time(time),
            (None, true) => Start::Beginning,
            (None, false) => args.from,
        };
        let mut client = args.client.connect().await?;
        let partitions = partitions_with_leaders(&mut client, &args).await?;
        let committed = match &args.group {
            Some(group) => client.committed_offsets(group).await?,
            None => Offsets::new(),
        };
        let starts = start.offsets(&mut client, &partitions).await?;
        let position = |one: Partition| {
            let next_offset = committed.get(&one.id).or_else(|| starts.get(&one.id)).copied().unwrap_or(0);
            let position = Position { leader: one.leader, next_offset, high_watermark: None, past_end: false };
            (one.id.partition, position)
        };
        let positions = partitions.into_iter().map(position).collect();
        Ok(Self { args, template, until_time, client, positions, printed: 0, failures: 0, idle: false, unread: false })
    }

    fn is_done(&self) -> bool {
        let enough = self.args.count.is_some_and(|count| self.printed >= count);
        let all = |done: fn(&Position) -> bool| self.positions.values().all(done);
        enough || self.unread || all(|position| position.past_end) || self.args.exit && all(Position::is_at_end)
    }

    /// Asks each leader once for its partitions.
    async fn round(&mut self) -> Result<(), Failure> {
        let mut by_leader: BTreeMap<i32, Vec<(i32, i64)>> = BTreeMap::new();
        let mut trouble = None;
        for (&partition, position) in self.positions.iter().filter(|(_, position)| !position.past_end) {
            match position.leader {
                Some(leader) => by_leader.entry(leader).or_default().push((partition, position.next_offset)),
                None => trouble = Some(self.failure(partition, ErrorCode::LeaderNotAvailable as i16)),
            }
        }
        let before: i64 = self.positions.values().map(|position| position.next_offset).sum();
        let wait_ms = if self.idle { WAIT_MS } else { 0 };
        for (leader, partitions) in by_leader {
            if self.is_done() {
                break;
            }
            match self.client.fetch(leader, &self.args.topic, &partitions, wait_ms).await {
                Ok(answers) => {
                    for answer in answers {
                        trouble = self.take(answer)?.or(trouble);
                    }
                }
                Err(failure) => trouble = Some(failure),
            }
        }
        self.idle = self.positions.values().map(|position| position.next_offset).sum::<i64>() == before;
        if !self.idle
            && !self.unread
            && let Some(group) = &self.args.group
        {
            let offsets = self.positions.iter();
            let offsets =
                offsets.map(|(one, position)| (TopicPartition::new(&self.args.topic, *one), position.next_offset));
            self.client.commit_offsets(group, &offsets.collect()).await?;
        }
        self.recover(trouble).await
    }

    async fn recover(&mut self, trouble: Option<Failure>) -> Result<(), Failure> {
        let Some(failure) = trouble else {
            self.failures = 0;
            return Ok(());
        };
        self.failures += 1;
        if self.failures >= ATTEMPTS {
            return Err(failure);
        }
        tokio::time::sleep(RETRY_PAUSE).await;
        if let Ok(topic) = self.client.topic(&self.args.topic).await {
            for partition in topic.partitions {
                if let Some(position) = self.positions.get_mut(&partition.id.partition) {
                    position.leader = partition.leader;
                }
            }
        }
        Ok(())
    }

    fn failure(&self, partition: i32, code: i16) -> Failure {
        Failure::refused(&format!("topic {} partition {partition}", self.args.topic), code, None)
    }

    /// Prints the records of one partition. Gives back an error that may pass.
    fn take(&mut self, answer: Fetched) -> Result<Option<Failure>, Failure> {
        if answer.error_code != 0 {
            let failure = self.failure(answer.partition, answer.error_code);
            let passes = is_retriable(answer.error_code) && answer.error_code != ErrorCode::OffsetOutOfRange as i16;
            return if passes { Ok(Some(failure)) } else { Err(failure) };
        }
        let what = format!("topic {} partition {}", self.args.topic, answer.partition);
        let Some(position) = self.positions.get_mut(&answer.partition) else { return Ok(None) };
        position.high_watermark = Some(answer.high_watermark);
        let remaining = self.args.count.map_or(u64::MAX, |count| count - self.printed);
        let mut output = Vec::new();
        let mut printed = 0;
        // Bytes that are no batch at the end are the start of one that did not fit.
        'batches: for batch in split_batches(&answer.records).map_while(Result::ok) {
            let records = batch.records().map_err(|error| Failure::new(format!("{what}: {error}")))?;
            for record in &records {
                let record = record.map_err(|error| Failure::new(format!("{what}: {error}")))?;
                if record.offset.0 < position.next_offset || batch.header().attributes.is_control() {
                    continue;
                }
                if printed == remaining {
                    break 'batches;
                }
                if self.until_time.is_some_and(|end| record.timestamp.0 > end) {
                    position.past_end = true;
                    break 'batches;
                }
                position.next_offset = record.offset.0 + 1;
                if self.args.filter.wants(&record) {
                    printed += 1;
                    match &self.template {
                        Some(template) => {
                            let placed =
                                Placed { topic: &self.args.topic, partition: answer.partition, record: &record };
                            template.write(&mut output, &placed);
                        }
                        None => {
                            let line = to_json(&self.args.topic, answer.partition, &record);
                            output.extend_from_slice(line.to_string().as_bytes());
                            output.push(b'\n');
                        }
                    }
                }
            }
            position.next_offset = position.next_offset.max(batch.header().last_offset().0 + 1);
        }
        self.printed += printed;
        self.unread = print_bytes(&output)? == Reader::Gone;
        Ok(None)
    }
}

/// The partitions to read, once each has a leader that can say its offsets.
async fn partitions_with_leaders(client: &mut ClusterClient, args: &ConsumeArgs) -> Result<Vec<Partition>, Failure> {
    for attempt in 1.. {
        let partitions = client.topic(&args.topic).await?.select(&args.partition)?;
        match partitions.iter().find(|one| one.is_offline()) {
            None => return Ok(partitions),
            Some(offline) if attempt >= ATTEMPTS => {
                return Err(Failure::refused(&offline.id.to_string(), ErrorCode::LeaderNotAvailable as i16, None));
            }
            Some(_) => tokio::time::sleep(RETRY_PAUSE).await,
        }
    }
    unreachable!("the loop ends by returning")
}
