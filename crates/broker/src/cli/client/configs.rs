//! Settings of topics, brokers and the cluster's defaults for brokers.

use highwater_protocol::messages::describe_configs_request::DescribeConfigsResource;
use highwater_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use highwater_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use highwater_protocol::messages::{
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest,
};

use super::{ClusterClient, message_of, wire};
use crate::cli::Failure;

const TOPIC_RESOURCE: i8 = 2;
const BROKER_RESOURCE: i8 = 4;

/// What settings belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resource {
    Topic(String),
    Broker(i32),
    /// What brokers have that were not told otherwise.
    BrokerDefaults,
}

impl Resource {
    fn kind(&self) -> i8 {
        match self {
            Self::Topic(_) => TOPIC_RESOURCE,
            Self::Broker(_) | Self::BrokerDefaults => BROKER_RESOURCE,
        }
    }

    /// The name that requests carry.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Topic(name) => name.clone(),
            Self::Broker(id) => id.to_string(),
            Self::BrokerDefaults => String::new(),
        }
    }

    /// How people call it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Topic(name) => format!("topic {name}"),
            Self::Broker(id) => format!("broker {id}"),
            Self::BrokerDefaults => "the cluster's broker defaults".to_owned(),
        }
    }

    /// Its kind in one word, for programs.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Topic(_) => "topic",
            Self::Broker(_) => "broker",
            Self::BrokerDefaults => "broker-default",
        }
    }
}

/// One setting in force, and where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct ConfigEntry {
    pub(crate) name: String,
    /// `None` when it has none, or is not shown because it is secret.
    pub(crate) value: Option<String>,
    /// Kafka's name of where the value comes from, e.g. `DYNAMIC_TOPIC_CONFIG`.
    pub(crate) source: &'static str,
    /// Kafka's name of its type, e.g. `LONG`.
    pub(crate) kind: &'static str,
    pub(crate) read_only: bool,
    pub(crate) sensitive: bool,
    /// All places that give a value, the strongest first: key, value, source.
    pub(crate) synonyms: Vec<(String, Option<String>, &'static str)>,
    pub(crate) documentation: Option<String>,
}

impl ConfigEntry {
    fn from_wire(config: DescribeConfigsResourceResult) -> Self {
        let synonym = |one: highwater_protocol::messages::describe_configs_response::DescribeConfigsSynonym| {
            (one.name.to_string(), one.value.map(|value| value.to_string()), source_name(one.source))
        };
        Self {
            name: config.name.to_string(),
            value: config.value.map(|value| value.to_string()),
            source: source_name(config.config_source),
            kind: type_name(config.config_type),
            read_only: config.read_only,
            sensitive: config.is_sensitive,
            synonyms: config.synonyms.into_iter().map(synonym).collect(),
            documentation: config.documentation.map(|text| text.to_string()).filter(|text| !text.is_empty()),
        }
    }

    /// Whether anybody set it.
    pub(crate) fn is_set(&self) -> bool {
        self.source != source_name(DEFAULT_SOURCE)
    }

    /// Whether it was set on the resource itself rather than inherited.
    pub(crate) fn is_own(&self, resource: &Resource) -> bool {
        let own = match resource {
            Resource::Topic(_) => 1,
            Resource::Broker(_) => 2,
            Resource::BrokerDefaults => 3,
        };
        self.source == source_name(own)
    }

    /// What it would be if nobody had set it, as far as the broker says.
    pub(crate) fn default(&self) -> Option<&str> {
        let default = self.synonyms.iter().find(|(_, _, source)| *source == source_name(DEFAULT_SOURCE));
        default.and_then(|(_, value, _)| value.as_deref())
    }
}

const DEFAULT_SOURCE: i8 = 5;

/// Kafka's names of `ConfigSource`.
fn source_name(code: i8) -> &'static str {
    match code {
        1 => "DYNAMIC_TOPIC_CONFIG",
        2 => "DYNAMIC_BROKER_CONFIG",
        3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        4 => "STATIC_BROKER_CONFIG",
        DEFAULT_SOURCE => "DEFAULT_CONFIG",
        6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
        7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
        8 => "DYNAMIC_GROUP_CONFIG",
        _ => "UNKNOWN",
    }
}

/// Kafka's names of `ConfigType`.
fn type_name(code: i8) -> &'static str {
    match code {
        1 => "BOOLEAN",
        2 => "STRING",
        3 => "INT",
        4 => "SHORT",
        5 => "LONG",
        6 => "DOUBLE",
        7 => "LIST",
        8 => "CLASS",
        9 => "PASSWORD",
        _ => "UNKNOWN",
    }
}

/// What to do with a key (KIP-339).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Set,
    Delete,
    /// Adds to a list.
    Append,
    /// Takes from a list.
    Subtract,
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alteration {
    pub(crate) key: String,
    pub(crate) operation: Operation,
    pub(crate) value: Option<String>,
}

impl ClusterClient {
    /// Settings of a resource, all or those of `keys`, by name. Synonyms and documentation come along.
    pub(crate) async fn describe_configs(
        &mut self,
        resource: &Resource,
        keys: Option<&[String]>,
    ) -> Result<Vec<ConfigEntry>, Failure> {
        let described = self.describe_all_configs(std::slice::from_ref(resource), keys).await?;
        described.into_iter().next().ok_or_else(|| Failure::new("the broker says nothing of these settings"))
    }

    /// Settings of several resources of one place: many topics, or one broker. In the order of `resources`.
    pub(crate) async fn describe_all_configs(
        &mut self,
        resources: &[Resource],
        keys: Option<&[String]>,
    ) -> Result<Vec<Vec<ConfigEntry>>, Failure> {
        let ask = |resource: &Resource| {
            DescribeConfigsResource::default()
                .with_resource_type(resource.kind())
                .with_resource_name(wire(&resource.name()))
                .with_configuration_keys(keys.map(|keys| keys.iter().map(|key| wire(key)).collect()))
        };
        let request = DescribeConfigsRequest::default()
            .with_resources(resources.iter().map(ask).collect())
            .with_include_synonyms(true)
            .with_include_documentation(true);
        let response = match resources.first() {
            // Only the broker itself knows its file.
            Some(Resource::Broker(id)) => {
                self.refresh().await?;
                self.call_broker(*id, &request, 3..=4).await?
            }
            _ => self.call(&request, 3..=4).await?,
        };
        let mut described = Vec::new();
        for resource in resources {
            let name = resource.name();
            let result = response.results.iter().find(|result| result.resource_name.as_str() == name);
            let result = result.ok_or_else(|| Failure::new(format!("{}: no answer", resource.describe())))?;
            if result.error_code != 0 {
                let message = message_of(&result.error_message);
                return Err(Failure::refused(&resource.describe(), result.error_code, message));
            }
            let mut entries: Vec<ConfigEntry> = result.configs.iter().cloned().map(ConfigEntry::from_wire).collect();
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            described.push(entries);
        }
        Ok(described)
    }

    /// Changes settings, all or none; with `validate_only` only says whether that would work.
    pub(crate) async fn alter_configs(
        &mut self,
        resource: &Resource,
        alterations: &[Alteration],
        validate_only: bool,
    ) -> Result<(), Failure> {
        let change = |alteration: &Alteration| {
            let operation = match alteration.operation {
                Operation::Set => 0,
                Operation::Delete => 1,
                Operation::Append => 2,
                Operation::Subtract => 3,
            };
            AlterableConfig::default()
                .with_name(wire(&alteration.key))
                .with_config_operation(operation)
                .with_value(alteration.value.as_deref().map(wire))
        };
        let changed = AlterConfigsResource::default()
            .with_resource_type(resource.kind())
            .with_resource_name(wire(&resource.name()))
            .with_configs(alterations.iter().map(change).collect());
        let request =
            IncrementalAlterConfigsRequest::default().with_resources(vec![changed]).with_validate_only(validate_only);
        self.refresh().await?;
        let response = match resource {
            Resource::Broker(id) if self.knows_broker(*id) => self.call_broker(*id, &request, 0..=1).await?,
            _ => self.call(&request, 0..=1).await?,
        };
        match response.responses.iter().find(|one| one.error_code != 0) {
            None => Ok(()),
            Some(one) => Err(Failure::refused(&resource.describe(), one.error_code, message_of(&one.error_message))),
        }
    }

    /// Topics and brokers that settings can belong to, topics first.
    pub(crate) async fn config_resources(&mut self) -> Result<Vec<Resource>, Failure> {
        let request = ListConfigResourcesRequest::default().with_resource_types(vec![TOPIC_RESOURCE, BROKER_RESOURCE]);
        let response = self.call(&request, 1..=1).await?;
        if response.error_code != 0 {
            return Err(Failure::refused("configuration resources", response.error_code, None));
        }
        let mut topics = Vec::new();
        let mut brokers = Vec::new();
        for one in response.config_resources {
            let name = one.resource_name.to_string();
            match (one.resource_type, name.parse()) {
                (TOPIC_RESOURCE, _) => topics.push(name),
                (BROKER_RESOURCE, Ok(id)) => brokers.push(id),
                _ => {}
            }
        }
        topics.sort();
        brokers.sort_unstable();
        let topics = topics.into_iter().map(Resource::Topic);
        Ok(topics.chain([Resource::BrokerDefaults]).chain(brokers.into_iter().map(Resource::Broker)).collect())
    }
}
