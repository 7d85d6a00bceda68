//! `highwater cluster`.

use clap::Subcommand;
use highwater_protocol::messages::DescribeClusterRequest;
use highwater_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use serde_json::{Value, json};

use super::output::{Column, Format, print_json, print_line, table};
use super::topic::Health;
use super::{ClientArgs, Failure};

#[derive(Debug, Subcommand)]
pub(super) enum ClusterCommand {
    /// Show the brokers and the health of all partitions.
    Describe {
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// A broker with what it leads and holds.
struct BrokerLine {
    broker: DescribeClusterBroker,
    leaders: usize,
    replicas: usize,
}

pub(super) async fn run(command: ClusterCommand) -> Result<(), Failure> {
    let ClusterCommand::Describe { client: args } = command;
    let mut client = args.connect().await?;
    let cluster = client.call(&DescribeClusterRequest::default().with_include_fenced_brokers(true), 0..=2).await?;
    if cluster.error_code != 0 {
        let message = cluster.error_message.as_ref().map(|message| message.as_str());
        return Err(Failure::refused("the cluster", cluster.error_code, message));
    }
    let topics = client.metadata(None).await?.topics;
    let partitions = || topics.iter().flat_map(|topic| &topic.partitions);
    let mut lines: Vec<BrokerLine> = cluster
        .brokers
        .into_iter()
        .map(|broker| BrokerLine {
            leaders: partitions().filter(|one| one.leader_id == broker.broker_id).count(),
            replicas: partitions().filter(|one| one.replica_nodes.contains(&broker.broker_id)).count(),
            broker,
        })
        .collect();
    lines.sort_by_key(|line| line.broker.broker_id.0);
    let health: Vec<Health> = topics.iter().map(Health::of).collect();
    let under_replicated: usize = health.iter().map(|health| health.under_replicated).sum();
    let offline: usize = health.iter().map(|health| health.offline).sum();
    match args.format() {
        Format::Json => print_json(&json!({
            "cluster_id": cluster.cluster_id.as_str(),
            "controller": cluster.controller_id.0,
            "topics": topics.len(),
            "partitions": partitions().count(),
            "under_replicated_partitions": under_replicated,
            "offline_partitions": offline,
            "brokers": lines.iter().map(broker_json).collect::<Vec<_>>(),
        })),
        Format::Table => {
            let head = format!(
                "cluster     {}\ncontroller  {}\ntopics      {}\npartitions  {} ({under_replicated} under-replicated, {offline} offline)",
                cluster.cluster_id.as_str(),
                cluster.controller_id.0,
                topics.len(),
                partitions().count(),
            );
            print_line(&format!("{head}\n\n{}", broker_table(&lines)))
        }
    }
}

fn broker_table(lines: &[BrokerLine]) -> String {
    let columns = [
        Column::Number("BROKER"),
        Column::Text("ADDRESS"),
        Column::Text("RACK"),
        Column::Text("STATE"),
        Column::Number("LEADERS"),
        Column::Number("REPLICAS"),
    ];
    let row = |line: &BrokerLine| {
        let broker = &line.broker;
        vec![
            broker.broker_id.0.to_string(),
            format!("{}:{}", broker.host.as_str(), broker.port),
            broker.rack.as_ref().map_or_else(|| "-".to_owned(), |rack| rack.to_string()),
            if broker.is_fenced { "fenced" } else { "up" }.to_owned(),
            line.leaders.to_string(),
            line.replicas.to_string(),
        ]
    };
    table(&columns, lines.iter().map(row).collect())
}

fn broker_json(line: &BrokerLine) -> Value {
    let broker = &line.broker;
    json!({
        "id": broker.broker_id.0,
        "host": broker.host.as_str(),
        "port": broker.port,
        "rack": broker.rack.as_ref().map(|rack| rack.as_str()),
        "fenced": broker.is_fenced,
        "leaders": line.leaders,
        "replicas": line.replicas,
    })
}
