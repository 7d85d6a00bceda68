//! The cluster as a whole: its brokers and its feature levels.

use std::collections::BTreeMap;

use highwater_protocol::messages::update_features_request::FeatureUpdateKey;
use highwater_protocol::messages::{
    ApiVersionsRequest, BrokerId, DescribeClusterRequest, UnregisterBrokerRequest, UpdateFeaturesRequest,
};

use super::cluster_client::host_port;
use super::{CHANGE_TIMEOUT_MS, ClusterClient, message_of, wire};
use crate::cli::Failure;

/// A registered broker.
#[derive(Debug, Clone)]
pub(crate) struct BrokerInfo {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: i32,
    pub(crate) rack: Option<String>,
    pub(crate) fenced: bool,
}

impl BrokerInfo {
    /// `host:port`, with brackets where the host is an IPv6 address.
    pub(crate) fn address(&self) -> String {
        host_port(&self.host, self.port)
    }
}

/// What every broker says of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct ClusterInfo {
    pub(crate) id: String,
    /// A broker that passes requests on to the active controller.
    pub(crate) controller: i32,
    /// By id.
    pub(crate) brokers: Vec<BrokerInfo>,
}

/// A feature with its level now and the levels that the broker knows.
#[derive(Debug, Clone)]
pub(crate) struct Feature {
    pub(crate) name: String,
    /// `None` when the feature is off.
    pub(crate) level: Option<i16>,
    pub(crate) supported: Option<(i16, i16)>,
}

/// How a feature's level may go down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpgradeType {
    Upgrade,
    SafeDowngrade,
}

impl ClusterClient {
    /// The cluster and its brokers, those that are fenced among them.
    pub(crate) async fn describe_cluster(&mut self) -> Result<ClusterInfo, Failure> {
        let request = DescribeClusterRequest::default().with_endpoint_type(1).with_include_fenced_brokers(true);
        let cluster = self.call(&request, 2..=2).await?;
        if cluster.error_code != 0 {
            return Err(Failure::refused("the cluster", cluster.error_code, message_of(&cluster.error_message)));
        }
        let mut brokers: Vec<BrokerInfo> = cluster
            .brokers
            .into_iter()
            .map(|broker| BrokerInfo {
                id: broker.broker_id.0,
                host: broker.host.to_string(),
                port: broker.port,
                rack: broker.rack.map(|rack| rack.to_string()),
                fenced: broker.is_fenced,
            })
            .collect();
        brokers.sort_by_key(|broker| broker.id);
        Ok(ClusterInfo { id: cluster.cluster_id.to_string(), controller: cluster.controller_id.0, brokers })
    }

    /// One registered broker.
    pub(crate) async fn broker(&mut self, id: i32) -> Result<BrokerInfo, Failure> {
        let broker = self.describe_cluster().await?.brokers.into_iter().find(|broker| broker.id == id);
        broker.ok_or_else(|| {
            Failure::new(format!("broker {id} is not registered")).hint("`highwater broker list` shows those that are")
        })
    }

    /// Features by name, and the epoch of their levels.
    pub(crate) async fn features(&mut self) -> Result<(Vec<Feature>, i64), Failure> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(wire("highwater"))
            .with_client_software_version(wire(env!("CARGO_PKG_VERSION")));
        let response = self.call(&request, 3..=4).await?;
        if response.error_code != 0 {
            return Err(Failure::refused("features", response.error_code, None));
        }
        let mut features: BTreeMap<String, Feature> = BTreeMap::new();
        for one in response.supported_features {
            let name = one.name.to_string();
            let supported = Some((one.min_version, one.max_version));
            features.insert(name.clone(), Feature { name, level: None, supported });
        }
        for one in response.finalized_features {
            let name = one.name.to_string();
            let known = features.entry(name.clone()).or_insert(Feature { name, level: None, supported: None });
            known.level = Some(one.max_version_level);
        }
        Ok((features.into_values().collect(), response.finalized_features_epoch))
    }

    /// Sets the level of features, or only checks whether that would work.
    pub(crate) async fn update_features(
        &mut self,
        levels: &[(String, i16)],
        upgrade: UpgradeType,
        validate_only: bool,
    ) -> Result<(), Failure> {
        let update = |(name, level): &(String, i16)| {
            FeatureUpdateKey::default()
                .with_feature(wire(name))
                .with_max_version_level(*level)
                .with_upgrade_type(if upgrade == UpgradeType::Upgrade { 1 } else { 2 })
        };
        let request = UpdateFeaturesRequest::default()
            .with_timeout_ms(CHANGE_TIMEOUT_MS)
            .with_feature_updates(levels.iter().map(update).collect())
            .with_validate_only(validate_only);
        let response = self.call(&request, 1..=2).await?;
        let of_one = response.results.iter().find(|one| one.error_code != 0);
        match (response.error_code, of_one) {
            (_, Some(one)) => {
                let what = format!("feature {}", one.feature.as_str());
                Err(Failure::refused(&what, one.error_code, message_of(&one.error_message)))
            }
            (0, None) => Ok(()),
            (code, None) => Err(Failure::refused("features", code, message_of(&response.error_message))),
        }
    }

    /// Makes the cluster forget a broker.
    pub(crate) async fn unregister_broker(&mut self, id: i32) -> Result<(), Failure> {
        let request = UnregisterBrokerRequest::default().with_broker_id(BrokerId(id));
        let response = self.call(&request, 0..=0).await?;
        match response.error_code {
            0 => Ok(()),
            code => Err(Failure::refused(&format!("broker {id}"), code, message_of(&response.error_message))),
        }
    }
}
