//! Where configuration values are set (KIP-226).

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigSource {
    /// Override of the topic.
    Topic,
    /// Dynamic configuration of one broker.
    DynamicBroker,
    /// Dynamic default of all brokers.
    DynamicDefaultBroker,
    /// `server.properties` of the node.
    StaticBroker,
    /// Built in.
    Default,
}

impl ConfigSource {
    /// The number that DescribeConfigs carries.
    pub const fn code(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::DynamicBroker => 2,
            Self::DynamicDefaultBroker => 3,
            Self::StaticBroker => 4,
            Self::Default => 5,
        }
    }

    /// The source of that number.
    pub const fn from_code(code: i8) -> Option<Self> {
        match code {
            1 => Some(Self::Topic),
            2 => Some(Self::DynamicBroker),
            3 => Some(Self::DynamicDefaultBroker),
            4 => Some(Self::StaticBroker),
            5 => Some(Self::Default),
            _ => None,
        }
    }
}
