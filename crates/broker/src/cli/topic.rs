//! `highwater topic`.

use clap::{Args, Subcommand};
use highwater_protocol::StrBytes;
use highwater_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use highwater_protocol::messages::delete_topics_request::DeleteTopicState;
use highwater_protocol::messages::describe_configs_request::DescribeConfigsResource;
use highwater_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use highwater_protocol::messages::{BrokerId, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest};
use serde_json::{Value, json};

use super::cluster_client::{ClusterClient, topic_name};
use super::output::{Column, Format, print_json, print_line, table};
use super::{ClientArgs, Failure};

/// How long the cluster may take over a change.
const CHANGE_TIMEOUT_MS: i32 = 30_000;
/// Kafka's number for topics among configuration resources.
const TOPIC_RESOURCE: i8 = 2;
/// Kafka's number for values set on the topic itself.
const TOPIC_SOURCE: i8 = 1;
/// What a request says to get the cluster's default number of partitions or replicas.
const CLUSTER_DEFAULT: i32 = -1;

#[derive(Debug, Subcommand)]
pub(super) enum TopicCommand {
    /// Create a topic.
    Create(CreateArgs),
    /// List the topics.
    List(ListArgs),
    /// Show partitions, replicas and settings of topics.
    Describe(NamesArgs),
    /// Delete topics with all their records.
    Delete(NamesArgs),
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// Name of the topic.
    name: String,
    /// Partitions; the cluster's num.partitions by default.
    #[arg(long, short = 'p', value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Replicas of each partition; the cluster's default.replication.factor by default.
    #[arg(long, short = 'r', value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// A topic setting, such as retention.ms=3600000. May be repeated.
    #[arg(long, short = 'c', value_name = "KEY=VALUE")]
    config: Vec<String>,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Show internal topics too.
    #[arg(long)]
    internal: bool,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
pub(super) struct NamesArgs {
    /// Names of the topics.
    #[arg(required = true)]
    names: Vec<String>,
    #[command(flatten)]
    client: ClientArgs,
}

pub(super) async fn run(command: TopicCommand) -> Result<(), Failure> {
    match command {
        TopicCommand::Create(args) => create(args).await,
        TopicCommand::List(args) => list(args).await,
        TopicCommand::Describe(args) => describe(args).await,
        TopicCommand::Delete(args) => delete(args).await,
    }
}

async fn create(args: CreateArgs) -> Result<(), Failure> {
    let configs = args.config.iter().map(|text| parse_config(text)).collect::<Result<Vec<_>, _>>()?;
    let topic = CreatableTopic::default()
        .with_name(topic_name(&args.name))
        .with_num_partitions(args.partitions.unwrap_or(CLUSTER_DEFAULT))
        .with_replication_factor(args.replication_factor.unwrap_or(CLUSTER_DEFAULT as i16))
        .with_configs(configs);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(CHANGE_TIMEOUT_MS);
    let response = args.client.connect().await?.call(&request, 5..=7).await?;
    let result =
        response.topics.into_iter().next().ok_or_else(|| Failure::new("the broker says nothing of the topic"))?;
    if result.error_code != 0 {
        let message = result.error_message.as_ref().map(|message| message.as_str());
        return Err(Failure::refused(&format!("topic {}", args.name), result.error_code, message));
    }
    let (partitions, replicas) = (result.num_partitions, result.replication_factor);
    match args.client.format() {
        Format::Json => {
            print_json(&json!({"name": args.name, "partitions": partitions, "replication_factor": replicas}))
        }
        Format::Table => print_line(&format!(
            "created topic {} with {} and {}",
            args.name,
            count(partitions, "partition"),
            count(replicas.into(), "replica")
        )),
    }
}

fn parse_config(text: &str) -> Result<CreatableTopicConfig, Failure> {
    let (key, value) =
        text.split_once('=').ok_or_else(|| Failure::usage(format!("--config {text}: expected key=value")))?;
    Ok(CreatableTopicConfig::default()
        .with_name(StrBytes::from_string(key.trim().to_owned()))
        .with_value(Some(StrBytes::from_string(value.trim().to_owned()))))
}

fn count(number: i32, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let metadata = args.client.connect().await?.metadata(None).await?;
    let mut topics: Vec<_> = metadata.topics.into_iter().filter(|topic| args.internal || !topic.is_internal).collect();
    topics.sort_by(|a, b| name_of(a).cmp(name_of(b)));
    match args.client.format() {
        Format::Json => print_json(&topics.iter().map(summary_json).collect()),
        Format::Table => {
            let columns = [
                Column::Text("TOPIC"),
                Column::Number("PARTITIONS"),
                Column::Number("REPLICAS"),
                Column::Number("UNDER-REPLICATED"),
                Column::Number("OFFLINE"),
            ];
            let row = |topic: &MetadataResponseTopic| {
                let health = Health::of(topic);
                let numbers = [topic.partitions.len(), health.replicas, health.under_replicated, health.offline];
                [name_of(topic).to_owned()].into_iter().chain(numbers.map(|number| number.to_string())).collect()
            };
            print_line(&table(&columns, topics.iter().map(row).collect()))
        }
    }
}

fn name_of(topic: &MetadataResponseTopic) -> &str {
    topic.name.as_ref().map_or("", |name| name.0.as_str())
}

/// Figures of a topic's partitions.
pub(super) struct Health {
    replicas: usize,
    pub(super) under_replicated: usize,
    pub(super) offline: usize,
}

impl Health {
    pub(super) fn of(topic: &MetadataResponseTopic) -> Self {
        let partitions = &topic.partitions;
        Self {
            replicas: partitions.iter().map(|partition| partition.replica_nodes.len()).max().unwrap_or(0),
            under_replicated: partitions.iter().filter(|one| one.isr_nodes.len() < one.replica_nodes.len()).count(),
            offline: partitions.iter().filter(|partition| partition.leader_id.0 < 0).count(),
        }
    }
}

fn summary_json(topic: &MetadataResponseTopic) -> Value {
    let health = Health::of(topic);
    json!({
        "name": name_of(topic),
        "internal": topic.is_internal,
        "partitions": topic.partitions.len(),
        "replication_factor": health.replicas,
        "under_replicated_partitions": health.under_replicated,
        "offline_partitions": health.offline,
    })
}

async fn describe(args: NamesArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let mut described = Vec::new();
    for (index, name) in args.names.iter().enumerate() {
        let mut topic = client.topic(name).await?;
        topic.partitions.sort_by_key(|partition| partition.partition_index);
        let configs = own_configs(&mut client, name).await?;
        match args.client.format() {
            Format::Json => described.push(topic_json(&topic, &configs)),
            Format::Table if index > 0 => print_line(&format!("\n{}", topic_text(&topic, &configs)))?,
            Format::Table => print_line(&topic_text(&topic, &configs))?,
        }
    }
    if args.client.format() == Format::Json { print_json(&described.into()) } else { Ok(()) }
}

/// Settings that were set on the topic itself.
async fn own_configs(client: &mut ClusterClient, name: &str) -> Result<Vec<(String, String)>, Failure> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC_RESOURCE)
        .with_resource_name(StrBytes::from_string(name.to_owned()))
        .with_configuration_keys(None);
    let response = client.call(&DescribeConfigsRequest::default().with_resources(vec![resource]), 1..=4).await?;
    let Some(result) = response.results.into_iter().next() else { return Ok(Vec::new()) };
    if result.error_code != 0 {
        let message = result.error_message.as_ref().map(|message| message.as_str());
        return Err(Failure::refused(&format!("settings of topic {name}"), result.error_code, message));
    }
    let own = result.configs.into_iter().filter(|config| config.config_source == TOPIC_SOURCE);
    Ok(own
        .map(|config| (config.name.to_string(), config.value.map_or_else(String::new, |value| value.to_string())))
        .collect())
}

fn topic_text(topic: &MetadataResponseTopic, configs: &[(String, String)]) -> String {
    let columns = [
        Column::Number("PARTITION"),
        Column::Number("LEADER"),
        Column::Number("EPOCH"),
        Column::Text("REPLICAS"),
        Column::Text("ISR"),
    ];
    let row = |partition: &MetadataResponsePartition| {
        let leader = if partition.leader_id.0 < 0 { "none".to_owned() } else { partition.leader_id.0.to_string() };
        vec![
            partition.partition_index.to_string(),
            leader,
            partition.leader_epoch.to_string(),
            ids(&partition.replica_nodes),
            ids(&partition.isr_nodes),
        ]
    };
    let settings: Vec<String> = configs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let settings = if settings.is_empty() { "the cluster's defaults".to_owned() } else { settings.join(" ") };
    let rows = topic.partitions.iter().map(row).collect();
    format!(
        "topic     {}\nid        {}\nsettings  {settings}\n\n{}",
        name_of(topic),
        topic_id(topic),
        table(&columns, rows)
    )
}

fn topic_id(topic: &MetadataResponseTopic) -> highwater_types::TopicId {
    highwater_types::TopicId::from_bytes(topic.topic_id.into_bytes())
}

fn topic_json(topic: &MetadataResponseTopic, configs: &[(String, String)]) -> Value {
    let numbers = |brokers: &[BrokerId]| brokers.iter().map(|broker| broker.0).collect::<Vec<_>>();
    let partition = |partition: &MetadataResponsePartition| {
        json!({
            "partition": partition.partition_index,
            "leader": (partition.leader_id.0 >= 0).then_some(partition.leader_id.0),
            "leader_epoch": partition.leader_epoch,
            "replicas": numbers(&partition.replica_nodes),
            "isr": numbers(&partition.isr_nodes),
        })
    };
    let settings: serde_json::Map<String, Value> =
        configs.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    json!({
        "name": name_of(topic),
        "id": topic_id(topic).to_string(),
        "internal": topic.is_internal,
        "settings": settings,
        "partitions": topic.partitions.iter().map(partition).collect::<Vec<_>>(),
    })
}

fn ids(brokers: &[BrokerId]) -> String {
    brokers.iter().map(|broker| broker.0.to_string()).collect::<Vec<_>>().join(",")
}

async fn delete(args: NamesArgs) -> Result<(), Failure> {
    let states = args.names.iter().map(|name| DeleteTopicState::default().with_name(Some(topic_name(name)))).collect();
    let request = DeleteTopicsRequest::default().with_topics(states).with_timeout_ms(CHANGE_TIMEOUT_MS);
    let response = args.client.connect().await?.call(&request, 6..=6).await?;
    let mut refused = None;
    let mut deleted = Vec::new();
    for result in response.responses {
        let name = result.name.as_ref().map_or("", |name| name.0.as_str()).to_owned();
        match result.error_code {
            0 => deleted.push(name),
            code => {
                let message = result.error_message.as_ref().map(|message| message.as_str());
                refused = refused.or(Some(Failure::refused(&format!("topic {name}"), code, message)));
            }
        }
    }
    match args.client.format() {
        Format::Json => print_json(&json!({ "deleted": deleted }))?,
        Format::Table => deleted.iter().try_for_each(|name| print_line(&format!("deleted topic {name}")))?,
    }
    refused.map_or(Ok(()), Err)
}
