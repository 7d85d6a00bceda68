//! `listeners`, `advertised.listeners` and the security protocol of each.

use std::collections::BTreeMap;
use std::fmt;

use highwater_metadata::{Endpoint, HostPort, SecurityProtocol};

/// One entry of `listeners` or `advertised.listeners`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerAddress {
    /// Name, upper case.
    pub name: String,
    /// Host and port; an empty host is every interface.
    pub address: HostPort,
}

impl fmt::Display for ListenerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.name, self.address)
    }
}

impl ListenerAddress {
    /// The address as clients are told it.
    pub fn endpoint(&self, security_protocol: SecurityProtocol) -> Endpoint {
        let HostPort { host, port } = self.address.clone();
        Endpoint { name: self.name.clone(), host, port, security_protocol }
    }
}

/// Parses `NAME://host:port,NAME://:port`. `key` is the property, for messages.
pub(super) fn parse_listeners(key: &str, text: &str) -> Result<Vec<ListenerAddress>, String> {
    let mut listeners: Vec<ListenerAddress> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let listener =
            parse_listener(part).ok_or_else(|| format!("{key}: {part:?} is not of the form NAME://host:port"))?;
        if listeners.iter().any(|other| other.name == listener.name) {
            return Err(format!("{key}: each listener must have a different name, {} is used twice", listener.name));
        }
        let same_port =
            |other: &&ListenerAddress| other.address.port == listener.address.port && listener.address.port != 0;
        if key == "listeners"
            && let Some(other) = listeners.iter().find(same_port)
            && other.address.host == listener.address.host
        {
            return Err(format!("{key}: {} and {} have the same address", other.name, listener.name));
        }
        listeners.push(listener);
    }
    Ok(listeners)
}

fn parse_listener(text: &str) -> Option<ListenerAddress> {
    let (name, address) = text.split_once("://")?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || !name.bytes().all(legal) {
        return None;
    }
    Some(ListenerAddress { name: name.to_ascii_uppercase(), address: parse_host_port(address)? })
}

/// Parses `host:port`, `[v6]:port` or `:port`. The host is returned without brackets.
pub(super) fn parse_host_port(text: &str) -> Option<HostPort> {
    let (host, port) = text.trim().rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    if bare.is_none() && host.contains(':') || host.contains('/') || host.contains(' ') {
        return None;
    }
    Some(HostPort { host: bare.unwrap_or(host).to_owned(), port: port.parse().ok()? })
}

/// True for addresses that mean "every interface" and that nobody can connect to.
pub(super) fn is_wildcard(host: &str) -> bool {
    matches!(host, "" | "0.0.0.0" | "::")
}

/// Security protocol by listener name.
pub(super) struct SecurityMap {
    protocols: BTreeMap<String, SecurityProtocol>,
    given: bool,
}

impl SecurityMap {
    /// Parses `listener.security.protocol.map`; `None` is Kafka's default, which names each protocol by itself.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, String> {
        let given = text.is_some();
        let text = text.unwrap_or("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT");
        let mut protocols = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, protocol) = part.split_once(':').ok_or_else(|| {
                format!("listener.security.protocol.map: {part:?} is not of the form LISTENER:PROTOCOL")
            })?;
            let protocol = SecurityProtocol::from_name(protocol.trim()).ok_or_else(|| {
                format!(
                    "listener.security.protocol.map: {protocol:?} is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"
                )
            })?;
            protocols.insert(name.trim().to_ascii_uppercase(), protocol);
        }
        Ok(Self { protocols, given })
    }

    /// The protocol of a listener. As in Kafka, a controller listener is PLAINTEXT when the map was not given.
    pub(super) fn protocol(&self, listener: &str, is_controller: bool) -> Result<SecurityProtocol, String> {
        match self.protocols.get(listener) {
            Some(protocol) => Ok(*protocol),
            None if is_controller && !self.given => Ok(SecurityProtocol::Plaintext),
            None => Err(format!(
                "listener {listener} has no security protocol: add {listener}:PLAINTEXT to listener.security.protocol.map"
            )),
        }
    }
}
