//! UpdateFeatures (KIP-584): all updates of a request happen, or none. A level is finalized only when every node that is registered,
//! whether it runs or not, knows it.

use std::collections::{BTreeMap, BTreeSet};

use highwater_metadata::{MetadataImage, MetadataRecord, NodeSoftware, SupportedFeature};
use highwater_types::{BrokerId, ErrorCode};

use crate::scratch::Scratch;
use crate::{CommandError, CommandResponse, Decision, FeatureUpdate, UpdateFeatures, UpgradeType};

pub(crate) fn decide(mut scratch: Scratch, request: &UpdateFeatures) -> Decision {
    let mut records = Vec::new();
    let mut results = Vec::new();
    let mut named = BTreeSet::new();
    for update in &request.updates {
        let result = if !named.insert(update.name.as_str()) {
            Err(CommandError::new(ErrorCode::InvalidRequest, format!("Feature {} is named twice.", update.name)))
        } else {
            check(scratch.image(), &request.controllers, update)
        };
        if matches!(result, Ok(true)) {
            records.push(MetadataRecord::FeatureLevel { name: update.name.clone(), level: update.level });
        }
        results.push((update.name.clone(), result.map(|_| ())));
    }
    let refused = results.iter().any(|(_, result)| result.is_err());
    let response = CommandResponse::UpdateFeatures(results);
    if refused || request.validate_only {
        return Scratch::only_validate(response);
    }
    scratch.extend(records);
    scratch.accept(response)
}

/// Whether the update changes something.
fn check(
    image: &MetadataImage,
    controllers: &BTreeMap<BrokerId, NodeSoftware>,
    update: &FeatureUpdate,
) -> Result<bool, CommandError> {
    let FeatureUpdate { name, level, upgrade_type } = update;
    let refuse = |reason: String| {
        let message = format!("Invalid update version {level} for feature {name}. {reason}");
        Err(CommandError::new(ErrorCode::InvalidUpdateVersion, message))
    };
    if *level < 0 {
        return refuse("A feature version cannot be less than 0.".to_owned());
    }
    let Some(feature) = SupportedFeature::find(name) else {
        return refuse("The controllers do not support this feature.".to_owned());
    };
    if *level < feature.min || *level > feature.max {
        return refuse(format!("The controllers only support versions {}-{}.", feature.min, feature.max));
    }
    let present = feature.level(image);
    match upgrade_type {
        UpgradeType::Upgrade if *level < present => refuse(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe \
             downgrade."
                .to_owned(),
        ),
        UpgradeType::SafeDowngrade | UpgradeType::UnsafeDowngrade if *level > present => {
            refuse("Can't downgrade to a newer version.".to_owned())
        }
        _ if *level == present => Ok(false),
        _ if *level < present && !feature.can_be_lowered => refuse(format!(
            "It is {present}, and what was written at that version stays in the metadata log, which older software cannot read."
        )),
        _ => match node_without(image, controllers, name, *level) {
            Some(reason) => refuse(reason),
            None => Ok(true),
        },
    }
}

/// The first node that does not know the level, in a sentence.
fn node_without(
    image: &MetadataImage,
    controllers: &BTreeMap<BrokerId, NodeSoftware>,
    name: &str,
    level: i16,
) -> Option<String> {
    let reason = |node: String, software: &NodeSoftware| match software.range(name) {
        _ if software.supports(name, level) => None,
        Some(range) => {
            Some(format!("{node} only supports versions {range}. Upgrade it, or unregister it if it is gone."))
        }
        None => Some(format!("{node} does not support this feature. Upgrade it, or unregister it if it is gone.")),
    };
    let of_controller = |id: BrokerId| match controllers.get(&id) {
        Some(software) => reason(format!("Controller {id}"), software),
        None => Some(format!("Controller {id} is not connected, so that nobody knows what it supports. Start it.")),
    };
    let of_brokers = image.brokers().find_map(|broker| reason(format!("Broker {}", broker.id), &broker.software));
    of_brokers.or_else(|| image.controllers().find_map(|controller| of_controller(controller.id)))
}

#[cfg(test)]
mod tests {
    use highwater_metadata::{BrokerRegistration, ControllerRegistration, FeatureRange, HostPort, METADATA_VERSION};
    use highwater_types::{BrokerEpoch, DirectoryId, IncarnationId, MetadataOffset};

    use super::*;

    fn software(max: i16) -> NodeSoftware {
        let features = BTreeMap::from([(METADATA_VERSION.to_owned(), FeatureRange { min: 1, max })]);
        NodeSoftware { version: "0.0.1".to_owned(), features }
    }

    /// Broker 1 and controller 2, of which the broker runs what is given.
    fn two_nodes(broker: NodeSoftware) -> MetadataImage {
        let address = HostPort { host: "n".to_owned(), port: 1 };
        let records = [
            MetadataRecord::RegisterBroker(BrokerRegistration {
                id: BrokerId(1),
                epoch: BrokerEpoch(0),
                incarnation: IncarnationId::from_random(1),
                listeners: Vec::new(),
                internal: address.clone(),
                rack: None,
                log_dirs: Vec::new(),
                fenced: true,
                in_controlled_shutdown: false,
                software: broker,
            }),
            MetadataRecord::RegisterController(ControllerRegistration {
                id: BrokerId(2),
                endpoint: address,
                directory_id: DirectoryId::from_random(2),
            }),
        ];
        MetadataImage::empty().apply(&records, MetadataOffset(2)).0
    }

    fn raised(image: &MetadataImage, controllers: BTreeMap<BrokerId, NodeSoftware>) -> Result<(), String> {
        let updates = vec![update(METADATA_VERSION, 2, UpgradeType::Upgrade)];
        let request = UpdateFeatures { updates, validate_only: false, controllers };
        match decide(Scratch::new(image, None), &request).response {
            Ok(CommandResponse::UpdateFeatures(mut results)) => results.remove(0).1.map_err(|error| error.message),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_level_is_finalized_once_every_registered_node_knows_it() {
        let controllers = |max| BTreeMap::from([(BrokerId(2), software(max))]);
        let refused = |image: &MetadataImage, controllers| raised(image, controllers).unwrap_err();
        // A fenced broker counts too: it may come back.
        assert!(refused(&two_nodes(software(1)), controllers(2)).contains("Broker 1 only supports versions 1-1."));
        assert!(refused(&two_nodes(NodeSoftware::default()), controllers(2)).contains("Broker 1 only supports"));
        let ready = two_nodes(software(2));
        assert!(refused(&ready, controllers(1)).contains("Controller 2 only supports versions 1-1."));
        assert!(refused(&ready, BTreeMap::new()).contains("Controller 2 is not connected"));
        assert_eq!(raised(&ready, controllers(2)), Ok(()));
    }

    #[test]
    fn a_level_at_which_records_were_written_is_not_lowered() {
        let level = MetadataRecord::FeatureLevel { name: METADATA_VERSION.to_owned(), level: 2 };
        let image = MetadataImage::empty().apply(&[level], MetadataOffset(1)).0;
        for upgrade_type in [UpgradeType::SafeDowngrade, UpgradeType::UnsafeDowngrade] {
            let refused = check(&image, &BTreeMap::new(), &update(METADATA_VERSION, 1, upgrade_type)).unwrap_err();
            assert_eq!(refused.code, ErrorCode::InvalidUpdateVersion);
        }
    }

    fn update(name: &str, level: i16, upgrade_type: UpgradeType) -> FeatureUpdate {
        FeatureUpdate { name: name.to_owned(), level, upgrade_type }
    }

    #[test]
    fn only_supported_levels_are_taken_and_nothing_happens_by_halves() {
        let elr = "eligible.leader.replicas.version";
        let image = MetadataImage::empty();
        let decide = |updates| {
            let request = UpdateFeatures { updates, validate_only: false, controllers: BTreeMap::new() };
            decide(Scratch::new(&image, None), &request)
        };
        let codes = |decision: &Decision| match &decision.response {
            Ok(CommandResponse::UpdateFeatures(results)) => {
                let code = |result: &Result<(), CommandError>| result.as_ref().err().map(|error| error.code);
                results.iter().map(|(_, result)| code(result)).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        let invalid = Some(ErrorCode::InvalidUpdateVersion);
        let decision = decide(vec![
            update(elr, 1, UpgradeType::Upgrade),
            update("transaction.version", 2, UpgradeType::Upgrade),
            update(elr, 1, UpgradeType::Upgrade),
        ]);
        assert_eq!(codes(&decision), [None, invalid, Some(ErrorCode::InvalidRequest)]);
        assert_eq!(decision.records, []);
        for level in [-1, 0, 2] {
            assert_eq!(codes(&decide(vec![update(elr, level, UpgradeType::UnsafeDowngrade)])), [invalid]);
        }
        assert_eq!(codes(&decide(vec![update(elr, 1, UpgradeType::SafeDowngrade)])), [None]);
    }
}
