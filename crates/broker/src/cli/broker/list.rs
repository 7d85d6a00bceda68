//! `highwater broker list`, and the table of brokers that `cluster describe` shows too.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::client::{BrokerInfo, Partition};
use crate::cli::output::{Column, Mood, Row, or_dash, table};
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater broker list
  highwater broker list --json | jq '.[] | select(.fenced) | .id'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    client: ClientArgs,
}

/// A broker with what it leads and holds.
pub(crate) struct BrokerLine {
    broker: BrokerInfo,
    leaders: usize,
    preferred: usize,
    replicas: usize,
}

impl BrokerLine {
    /// `brokers` with what `partitions` say of them.
    pub(crate) fn of(brokers: Vec<BrokerInfo>, partitions: &[&Partition]) -> Vec<Self> {
        let line = |broker: BrokerInfo| Self {
            leaders: partitions.iter().filter(|one| one.leader == Some(broker.id)).count(),
            preferred: partitions.iter().filter(|one| one.replicas.first() == Some(&broker.id)).count(),
            replicas: partitions.iter().filter(|one| one.replicas.contains(&broker.id)).count(),
            broker,
        };
        brokers.into_iter().map(line).collect()
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.broker.id,
            "host": self.broker.host,
            "port": self.broker.port,
            "rack": self.broker.rack,
            "fenced": self.broker.fenced,
            "leaders": self.leaders,
            "preferred_leaders": self.preferred,
            "replicas": self.replicas,
        })
    }
}

pub(crate) fn broker_table(lines: &[BrokerLine]) -> String {
    let columns = [
        Column::Number("BROKER"),
        Column::Text("ADDRESS"),
        Column::Text("RACK"),
        Column::Text("STATE"),
        Column::Number("LEADERS"),
        Column::Number("PREFERRED"),
        Column::Number("REPLICAS"),
    ];
    let row = |line: &BrokerLine| {
        let broker = &line.broker;
        let cells = vec![
            broker.id.to_string(),
            broker.address(),
            or_dash(broker.rack.as_ref()),
            if broker.fenced { "fenced" } else { "up" }.to_owned(),
            line.leaders.to_string(),
            line.preferred.to_string(),
            line.replicas.to_string(),
        ];
        Row::new(cells, if broker.fenced { Mood::Alarm } else { Mood::Fine })
    };
    table(&columns, lines.iter().map(row))
}

pub(crate) async fn run(args: ListArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let brokers = client.describe_cluster().await?.brokers;
    let topics = client.all_topics().await?;
    let partitions: Vec<&Partition> = topics.iter().flat_map(|topic| &topic.partitions).collect();
    let lines = BrokerLine::of(brokers, &partitions);
    args.client.print(|| lines.iter().map(BrokerLine::json).collect(), || broker_table(&lines))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::TopicPartition;
    use crate::cli::output::plain;

    #[test]
    fn brokers_are_shown_with_what_they_hold() {
        let broker = |id, rack: Option<&str>, fenced| BrokerInfo {
            id,
            host: if id == 1 { "a.example".into() } else { "::1".into() },
            port: 9092,
            rack: rack.map(str::to_owned),
            fenced,
        };
        let partition = Partition {
            id: TopicPartition::new("t", 0),
            leader: Some(1),
            leader_epoch: 0,
            replicas: vec![2, 1],
            isr: vec![1],
            offline: vec![2],
        };
        let lines = BrokerLine::of(vec![broker(1, Some("r1"), false), broker(2, None, true)], &[&partition]);
        let expected = "\
BROKER  ADDRESS         RACK  STATE   LEADERS  PREFERRED  REPLICAS
     1  a.example:9092  r1    up            1          0         1
     2  [::1]:9092      -     fenced        0          1         1";
        assert_eq!(plain(&broker_table(&lines)), expected);
    }
}
