//! `controller.quorum.voters`.

use std::fmt;

use highwater_metadata::HostPort;
use highwater_types::BrokerId;

use super::listeners::parse_host_port;

/// One voter of the metadata quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// Its `node.id`.
    pub id: BrokerId,
    /// Its controller listener.
    pub endpoint: HostPort,
}

impl fmt::Display for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id.0, self.endpoint)
    }
}

/// Parses `1@host:port,2@host:port`, in any order; the result is sorted by id.
pub(super) fn parse_voters(text: &str) -> Result<Vec<Voter>, String> {
    let mut voters = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let voter = parse_voter(part)
            .ok_or_else(|| format!("controller.quorum.voters: {part:?} is not of the form id@host:port"))?;
        if voters.iter().any(|other: &Voter| other.id == voter.id) {
            return Err(format!("controller.quorum.voters: node {} is listed twice", voter.id.0));
        }
        if voters.iter().any(|other: &Voter| other.endpoint == voter.endpoint) {
            return Err(format!("controller.quorum.voters: {} is listed twice", voter.endpoint));
        }
        voters.push(voter);
    }
    voters.sort_by_key(|voter| voter.id);
    Ok(voters)
}

fn parse_voter(text: &str) -> Option<Voter> {
    let (id, endpoint) = text.split_once('@')?;
    let id = id.parse().ok().filter(|id| *id >= 0)?;
    let endpoint = parse_host_port(endpoint).filter(|endpoint| !endpoint.host.is_empty() && endpoint.port != 0)?;
    Some(Voter { id: BrokerId(id), endpoint })
}
