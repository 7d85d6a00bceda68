//! What the cluster knows of one broker or controller process.

use std::fmt;
use std::hash::{Hash, Hasher};

use highwater_types::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId};

use crate::NodeSoftware;

/// `security.protocol` of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecurityProtocol {
    /// Neither authenticated nor encrypted.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL over an unencrypted connection.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// Kafka's number of the protocol, as registrations carry it.
    pub const fn code(self) -> i16 {
        match self {
            Self::Plaintext => 0,
            Self::Ssl => 1,
            Self::SaslPlaintext => 2,
            Self::SaslSsl => 3,
        }
    }

    /// The protocol of that number.
    pub const fn from_code(code: i16) -> Option<Self> {
        match code {
            0 => Some(Self::Plaintext),
            1 => Some(Self::Ssl),
            2 => Some(Self::SaslPlaintext),
            3 => Some(Self::SaslSsl),
            _ => None,
        }
    }

    /// The name as in `listener.security.protocol.map`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// The protocol of that name, in any case of letters.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl]
            .into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }
}

/// Where a process can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    /// `host:port`, with an IPv6 address in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// One advertised listener of a broker.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Listener name, upper case, unique within the broker.
    pub name: String,
    /// Advertised host.
    pub host: String,
    /// Advertised port.
    pub port: u16,
    /// What clients must speak there.
    pub security_protocol: SecurityProtocol,
}

/// A broker process as it registered itself (KIP-631).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerRegistration {
    /// `node.id`.
    pub id: BrokerId,
    /// Strictly increasing over all registrations of the cluster (M3).
    pub epoch: BrokerEpoch,
    /// The run of the process that registered.
    pub incarnation: IncarnationId,
    /// Advertised listeners, in the order of the configuration.
    pub listeners: Vec<Endpoint>,
    /// Where other nodes reach its gRPC services.
    pub internal: HostPort,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Ids of its log directories that are in service, sorted (KIP-858).
    pub log_dirs: Vec<DirectoryId>,
    /// A fenced broker leads nothing, is in no ISR, and is not shown to clients.
    pub fenced: bool,
    /// It asked to stop: it gets no leadership and joins no ISR any more.
    pub in_controlled_shutdown: bool,
    /// Which version it runs, and what that can do.
    pub software: NodeSoftware,
}

impl Hash for BrokerRegistration {
    /// All fields in order, but [`Self::software`]: during a rolling upgrade, nodes of the version before keep registrations
    /// without it, and their images have to have the hash of all others (M2).
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            id, epoch, incarnation, listeners, internal, rack, log_dirs, fenced, in_controlled_shutdown, ..
        } = self;
        (id, epoch, incarnation, listeners, internal, rack).hash(state);
        (log_dirs, fenced, in_controlled_shutdown).hash(state);
    }
}

impl BrokerRegistration {
    /// Whether the broker may become leader and join ISRs: neither fenced nor about to stop.
    pub const fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// The advertised listener of that name.
    pub fn listener(&self, name: &str) -> Option<&Endpoint> {
        self.listeners.iter().find(|listener| listener.name.eq_ignore_ascii_case(name))
    }
}

/// A voter of the metadata quorum, as it first appeared. Its directory id tells an emptied disk from the real one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ControllerRegistration {
    /// `node.id`.
    pub id: BrokerId,
    /// Where its gRPC services listen.
    pub endpoint: HostPort,
    /// Id of its metadata directory. A controller that comes with another one lost its vote and log, and is refused.
    pub directory_id: DirectoryId,
}
