//! Feature levels with nodes of two versions: one of them says that it knows less.

use highwater_metadata::{FeatureRange, METADATA_VERSION};
use highwater_protocol::messages::update_features_request::FeatureUpdateKey;
use highwater_protocol::messages::{ApiVersionsRequest, UpdateFeaturesRequest};
use highwater_types::ErrorCode;

use super::*;
use crate::pair::{PATIENCE, Pair};

/// A release before the one that has level 2.
fn earlier(mut config: BrokerConfig) -> BrokerConfig {
    config.software.version = "0.0.1".to_owned();
    config.software.features.insert(METADATA_VERSION.to_owned(), FeatureRange { min: 1, max: 1 });
    config
}

/// Asks for level 2: the error, and its message.
async fn raise(node: &RunningBroker) -> (i16, String) {
    let update = FeatureUpdateKey::default()
        .with_feature(StrBytes::from_static_str(METADATA_VERSION))
        .with_max_version_level(2)
        .with_upgrade_type(1);
    let request = UpdateFeaturesRequest::default().with_timeout_ms(30_000).with_feature_updates(vec![update]);
    let response = call(&mut client(node).await, &request, 2).await;
    (response.error_code, response.error_message.map(|message| message.to_string()).unwrap_or_default())
}

/// The finalized level as a client is told.
async fn level(node: &RunningBroker) -> i16 {
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("test"))
        .with_client_software_version(StrBytes::from_static_str("1"));
    let response = call(&mut client(node).await, &request, 3).await;
    let feature = response.finalized_features.iter().find(|feature| feature.name.as_str() == METADATA_VERSION);
    feature.unwrap().max_version_level
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_is_raised_once_the_last_node_knows_it_and_then_nodes_that_do_not_are_kept_out() {
    let pair = Pair::new().await;
    let first = pair.start(1, earlier(pair.config(1, &[]))).await;
    let second = pair.start(2, earlier(pair.config(2, &[]))).await;
    assert_eq!(level(&first).await, 1, "a cluster of earlier nodes begins at their level");
    stop(first).await;
    let first = pair.start(1, pair.config(1, &[])).await;

    let (code, message) = raise(&first).await;
    assert_eq!(code, ErrorCode::InvalidUpdateVersion.code());
    assert!(message.contains("Broker 2 only supports versions 1-1"), "{message}");
    stop(second).await;
    let (_, message) = raise(&first).await;
    assert!(message.contains("Broker 2 only supports versions 1-1"), "also while it is down: {message}");
    let second = pair.start(2, pair.config(2, &[])).await;
    assert_eq!(raise(&first).await, (0, String::new()));
    assert_eq!(level(&first).await, 2);

    stop(second).await;
    let second = pair.try_start(2, earlier(pair.config(2, &[]))).await.unwrap();
    let refused = async {
        loop {
            if let Some(problem) =
                second.problem().filter(|problem| problem.contains("does not support finalized version 2"))
            {
                return problem;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, refused).await.expect("the broker is refused, and says why");
    stop(second).await;
    stop(first).await;
    let refused = pair.try_start(1, earlier(pair.config(1, &[]))).await.err().unwrap();
    assert!(refused.contains("has finalized version 2 of feature highwater.metadata.version"), "{refused}");
}
