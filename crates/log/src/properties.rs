//! Small `key=value` files with Kafka's content: `meta.properties`, `partition.metadata`, and the JSON of
//! `.kafka_cleanshutdown`.

use std::collections::BTreeMap;

use highwater_types::{BrokerEpoch, BrokerId, DirectoryId, TopicId};

use crate::text_file::Malformed;

/// `meta.properties` (version 1): whose log directory this is (KIP-631, KIP-858).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetaProperties {
    pub(crate) node_id: BrokerId,
    pub(crate) directory_id: DirectoryId,
    /// `None` until the node has joined a cluster.
    pub(crate) cluster_id: Option<String>,
}

impl MetaProperties {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let values = parse_pairs(text, '=')?;
        let get = |key: &str| values.get(key).copied();
        match get("version") {
            Some("1") => {}
            version => return Err(Malformed::new(format!("version is {version:?}, not 1"))),
        }
        let number = |key: &str| get(key).and_then(|value| value.parse().ok());
        Ok(Self {
            node_id: BrokerId(number("node.id").ok_or_else(|| Malformed::new("node.id is missing or no number"))?),
            directory_id: get("directory.id")
                .and_then(|id| id.parse().ok())
                .ok_or_else(|| Malformed::new("directory.id is missing or no id"))?,
            cluster_id: get("cluster.id").map(str::to_owned),
        })
    }

    pub(crate) fn encode(&self) -> String {
        let cluster_id = self.cluster_id.as_ref().map(|id| format!("cluster.id={id}\n")).unwrap_or_default();
        format!("{cluster_id}directory.id={}\nnode.id={}\nversion=1\n", self.directory_id, self.node_id)
    }
}

/// The topic id in a `partition.metadata` file (KIP-516).
pub(crate) fn parse_partition_metadata(text: &[u8]) -> Result<TopicId, Malformed> {
    let values = parse_pairs(text, ':')?;
    match values.get("version") {
        Some(&"0") => {}
        version => return Err(Malformed::new(format!("version is {version:?}, not 0"))),
    }
    let id = values.get("topic_id").ok_or_else(|| Malformed::new("topic_id is missing"))?;
    id.parse().map_err(|_| Malformed::new(format!("topic_id {id:?} is no id")))
}

pub(crate) fn encode_partition_metadata(topic_id: TopicId) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

/// The broker epoch in a `.kafka_cleanshutdown` file (KIP-966); -1 where it has none.
pub(crate) fn parse_clean_shutdown(text: &[u8]) -> BrokerEpoch {
    let text = String::from_utf8_lossy(text);
    let number = text
        .split_once("\"brokerEpoch\"")
        .and_then(|(_, rest)| rest.split_once(':'))
        .map(|(_, rest)| rest.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect::<String>());
    number.and_then(|digits| digits.parse().ok()).map_or(BrokerEpoch::NONE, BrokerEpoch)
}

pub(crate) fn encode_clean_shutdown(broker_epoch: BrokerEpoch) -> String {
    format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}")
}

fn parse_pairs(text: &[u8], separator: char) -> Result<BTreeMap<&str, &str>, Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| Malformed::new("not UTF-8"))?;
    let mut values = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let pair = line.split_once(separator).ok_or_else(|| Malformed::new(format!("no {separator:?} in {line:?}")))?;
        values.insert(pair.0.trim(), pair.1.trim());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_properties_as_kafka_writes_them() {
        let text = "#\n#Fri Nov 20 12:00:00 UTC 2026\ncluster.id=MkU3OEVBNTcwNTJENDM2Qk\ndirectory.id=DMF3TiLi6dy5bf3C4lJ5Zw\nnode.id=3\nversion=1\n";
        let properties = MetaProperties::parse(text.as_bytes()).unwrap();
        assert_eq!(properties.node_id, BrokerId(3));
        assert_eq!(properties.cluster_id.as_deref(), Some("MkU3OEVBNTcwNTJENDM2Qk"));
        assert!(text.ends_with(&properties.encode()));
        let young = MetaProperties { cluster_id: None, ..properties };
        assert_eq!(MetaProperties::parse(young.encode().as_bytes()).as_ref(), Ok(&young));
        for broken in [
            "",
            "version=0\nnode.id=1\n",
            "version=1\nnode.id=x\ndirectory.id=DMF3TiLi6dy5bf3C4lJ5Zw\n",
            "version=1\nnode.id=1\n",
            "x",
        ] {
            assert!(MetaProperties::parse(broken.as_bytes()).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn partition_metadata_as_kafka_writes_it() {
        let text = "version: 0\ntopic_id: DMF3TiLi6dy5bf3C4lJ5Zw";
        let id = parse_partition_metadata(text.as_bytes()).unwrap();
        assert_eq!(encode_partition_metadata(id), text);
        assert!(parse_partition_metadata(b"version: 1\ntopic_id: DMF3TiLi6dy5bf3C4lJ5Zw").is_err());
        assert!(parse_partition_metadata(b"version: 0\n").is_err());
    }

    #[test]
    fn clean_shutdown_marker() {
        assert_eq!(encode_clean_shutdown(BrokerEpoch(42)), "{\"version\":0,\"brokerEpoch\":42}");
        assert_eq!(parse_clean_shutdown(b"{\"version\":0,\"brokerEpoch\":42}"), BrokerEpoch(42));
        assert_eq!(parse_clean_shutdown(b"{ \"brokerEpoch\" : -1 }"), BrokerEpoch::NONE);
        assert_eq!(parse_clean_shutdown(b""), BrokerEpoch::NONE);
    }
}
