//! `highwater topic describe`.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::client::{ConfigEntry, Partition, Resource, Topic};
use crate::cli::output::{Column, Mood, Row, facts, ids, table};
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater topic describe orders
  highwater topic describe orders users --json
  highwater config get --topic orders --all     # every setting, with where it comes from";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DescribeArgs {
    /// Names of the topics.
    #[arg(required = true)]
    names: Vec<String>,
    #[command(flatten)]
    client: ClientArgs,
}

/// A topic with the settings that were set on it.
struct Described {
    topic: Topic,
    settings: Vec<(String, String)>,
}

pub(crate) async fn run(args: DescribeArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let topics = client.topics(&args.names).await?;
    let resources: Vec<Resource> = topics.iter().map(|topic| Resource::Topic(topic.name.clone())).collect();
    let configs = client.describe_all_configs(&resources, None).await?;
    let described: Vec<Described> = topics
        .into_iter()
        .zip(configs)
        .map(|(topic, configs)| {
            let own = Resource::Topic(topic.name.clone());
            let setting = |config: ConfigEntry| (config.name, config.value.unwrap_or_default());
            Described {
                topic,
                settings: configs.into_iter().filter(|config| config.is_own(&own)).map(setting).collect(),
            }
        })
        .collect();
    args.client.print(
        || described.iter().map(topic_json).collect(),
        || described.iter().map(topic_text).collect::<Vec<_>>().join("\n\n"),
    )
}

fn topic_text(described: &Described) -> String {
    let Described { topic, settings } = described;
    let columns = [
        Column::Number("PARTITION"),
        Column::Number("LEADER"),
        Column::Number("EPOCH"),
        Column::Text("REPLICAS"),
        Column::Text("ISR"),
    ];
    let row = |partition: &Partition| {
        let cells = vec![
            partition.id.partition.to_string(),
            partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
            partition.leader_epoch.to_string(),
            ids(&partition.replicas),
            ids(&partition.isr),
        ];
        Row::new(cells, mood_of(partition))
    };
    let settings: Vec<String> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let settings = if settings.is_empty() { "the cluster's defaults".to_owned() } else { settings.join(" ") };
    let head = facts([("topic", topic.name.clone()), ("id", topic.id.to_string()), ("settings", settings)]);
    format!("{head}\n\n{}", table(&columns, topic.partitions.iter().map(row)))
}

/// What colour a partition has.
pub(crate) fn mood_of(partition: &Partition) -> Mood {
    match (partition.is_offline(), partition.is_under_replicated()) {
        (true, _) => Mood::Alarm,
        (false, true) => Mood::Attention,
        (false, false) => Mood::Fine,
    }
}

fn topic_json(described: &Described) -> Value {
    let partition = |partition: &Partition| {
        json!({
            "partition": partition.id.partition,
            "leader": partition.leader,
            "leader_epoch": partition.leader_epoch,
            "replicas": partition.replicas,
            "isr": partition.isr,
            "offline_replicas": partition.offline,
        })
    };
    let settings: serde_json::Map<String, Value> =
        described.settings.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    json!({
        "name": described.topic.name,
        "id": described.topic.id.to_string(),
        "internal": described.topic.internal,
        "settings": settings,
        "partitions": described.topic.partitions.iter().map(partition).collect::<Vec<_>>(),
    })
}
