//! The settings of the active controller that decisions depend on.

use highwater_metadata::StaticBrokerConfig;

/// Settings of the deciding node. The records of a decision depend on them, their replay does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerConfig {
    /// The node's own properties: the defaults of topic configuration.
    pub static_config: StaticBrokerConfig,
    /// `default.replication.factor`: of topics that ask for -1.
    pub default_replication_factor: i16,
    /// `num.partitions`: of topics that ask for -1.
    pub num_partitions: i32,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
}

impl Default for ControllerConfig {
    fn default() -> Self {
        Self {
            static_config: StaticBrokerConfig::default(),
            default_replication_factor: 1,
            num_partitions: 1,
            delete_topic_enable: true,
        }
    }
}
