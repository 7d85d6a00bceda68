//! Fields that many messages have.

use bytes::Bytes;
use highwater_metadata::{
    ConfigResource, Endpoint, FeatureRange, HostPort, LeaderRecoveryState, NodeSoftware, SecurityProtocol,
};
use highwater_types::{BrokerId, DirectoryId, IncarnationId, TopicId, TopicName};

use crate::ConversionError;
use crate::pb::metadata as pb;

/// Where a field is, for messages about it.
#[derive(Clone, Copy)]
pub(crate) struct At(pub &'static str, pub &'static str);

impl At {
    pub(crate) fn required<T>(self, value: Option<T>) -> Result<T, ConversionError> {
        value.ok_or_else(|| ConversionError::missing(self.0, self.1))
    }

    pub(crate) fn invalid(self, reason: impl std::fmt::Display) -> ConversionError {
        ConversionError::invalid(self.0, self.1, reason)
    }

    pub(crate) fn narrow<T: TryFrom<V>, V: Copy + std::fmt::Display>(self, value: V) -> Result<T, ConversionError> {
        T::try_from(value).map_err(|_| self.invalid(format_args!("{value} is out of range")))
    }

    fn id_bytes(self, bytes: &Bytes) -> Result<[u8; 16], ConversionError> {
        <[u8; 16]>::try_from(&bytes[..]).map_err(|_| self.invalid(format_args!("an id of {} bytes", bytes.len())))
    }

    pub(crate) fn topic_id(self, bytes: &Bytes) -> Result<TopicId, ConversionError> {
        self.id_bytes(bytes).map(TopicId::from_bytes)
    }

    pub(crate) fn directory_id(self, bytes: &Bytes) -> Result<DirectoryId, ConversionError> {
        self.id_bytes(bytes).map(DirectoryId::from_bytes)
    }

    pub(crate) fn directory_ids(self, ids: &[Bytes]) -> Result<Vec<DirectoryId>, ConversionError> {
        ids.iter().map(|id| self.directory_id(id)).collect()
    }

    pub(crate) fn incarnation(self, bytes: &Bytes) -> Result<IncarnationId, ConversionError> {
        self.id_bytes(bytes).map(IncarnationId::from_bytes)
    }

    pub(crate) fn leader_recovery(self, code: i32) -> Result<LeaderRecoveryState, ConversionError> {
        let state = i8::try_from(code).ok().and_then(LeaderRecoveryState::from_code);
        state.ok_or_else(|| self.invalid(format_args!("unknown state {code}")))
    }

    pub(crate) fn resource(self, resource: Option<pb::ConfigResource>) -> Result<ConfigResource, ConversionError> {
        use pb::config_resource::Kind;
        Ok(match self.required(resource.and_then(|resource| resource.kind))? {
            Kind::Topic(name) => ConfigResource::Topic(TopicName::new(&name).map_err(|error| self.invalid(error))?),
            Kind::Broker(id) => ConfigResource::Broker(BrokerId(id)),
            Kind::DefaultBroker(_) => ConfigResource::DefaultBroker,
        })
    }

    pub(crate) fn host_port(self, value: Option<pb::HostPort>) -> Result<HostPort, ConversionError> {
        let value = self.required(value)?;
        Ok(HostPort { host: value.host, port: self.narrow(value.port)? })
    }

    pub(crate) fn endpoint(self, value: pb::Endpoint) -> Result<Endpoint, ConversionError> {
        let code = value.security_protocol;
        let protocol = i16::try_from(code).ok().and_then(SecurityProtocol::from_code);
        Ok(Endpoint {
            name: value.name,
            host: value.host,
            port: self.narrow(value.port)?,
            security_protocol: protocol
                .ok_or_else(|| self.invalid(format_args!("unknown security protocol {code}")))?,
        })
    }

    /// Absent of nodes that do not tell.
    pub(crate) fn software(self, value: Option<pb::NodeSoftware>) -> Result<NodeSoftware, ConversionError> {
        let value = value.unwrap_or_default();
        let range = |range: pb::FeatureRange| {
            let levels = FeatureRange { min: self.narrow(range.min)?, max: self.narrow(range.max)? };
            Ok((range.name, levels))
        };
        let features = value.features.into_iter().map(range).collect::<Result<_, ConversionError>>()?;
        Ok(NodeSoftware { version: value.version, features })
    }

    pub(crate) fn endpoints(self, values: Vec<pb::Endpoint>) -> Result<Vec<Endpoint>, ConversionError> {
        values.into_iter().map(|value| self.endpoint(value)).collect()
    }
}

pub(crate) fn bytes_of(id: [u8; 16]) -> Bytes {
    Bytes::copy_from_slice(&id)
}

pub(crate) fn bytes_of_directories(ids: &[DirectoryId]) -> Vec<Bytes> {
    ids.iter().map(|id| bytes_of(id.to_bytes())).collect()
}

pub(crate) fn broker_ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

pub(crate) fn numbers_of(ids: &[BrokerId]) -> Vec<i32> {
    ids.iter().map(|id| id.get()).collect()
}

pub(crate) fn resource_to_pb(resource: &ConfigResource) -> pb::ConfigResource {
    use pb::config_resource::Kind;
    let kind = match resource {
        ConfigResource::Topic(name) => Kind::Topic(name.as_str().to_owned()),
        ConfigResource::Broker(id) => Kind::Broker(id.get()),
        ConfigResource::DefaultBroker => Kind::DefaultBroker(pb::NoOp {}),
    };
    pb::ConfigResource { kind: Some(kind) }
}

pub(crate) fn software_to_pb(software: &NodeSoftware) -> Option<pb::NodeSoftware> {
    let features = software.features.iter();
    let features = features.map(|(name, range)| pb::FeatureRange {
        name: name.clone(),
        min: i32::from(range.min),
        max: i32::from(range.max),
    });
    let message = pb::NodeSoftware { version: software.version.clone(), features: features.collect() };
    (*software != NodeSoftware::default()).then_some(message)
}

pub(crate) fn host_port_to_pb(value: &HostPort) -> pb::HostPort {
    pb::HostPort { host: value.host.clone(), port: u32::from(value.port) }
}

pub(crate) fn endpoints_to_pb(values: &[Endpoint]) -> Vec<pb::Endpoint> {
    let one = |value: &Endpoint| pb::Endpoint {
        name: value.name.clone(),
        host: value.host.clone(),
        port: u32::from(value.port),
        security_protocol: i32::from(value.security_protocol.code()),
    };
    values.iter().map(one).collect()
}
