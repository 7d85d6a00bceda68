//! UpdateFeatures (KIP-584): all updates of a request happen, or none.

use highwater_metadata::{MetadataImage, MetadataRecord, SupportedFeature};
use highwater_types::ErrorCode;

use crate::scratch::Scratch;
use crate::{CommandError, CommandResponse, Decision, FeatureUpdate, UpdateFeatures, UpgradeType};

pub(crate) fn decide(mut scratch: Scratch, request: &UpdateFeatures) -> Decision {
    let mut records = Vec::new();
    let mut results = Vec::new();
    for (position, update) in request.updates.iter().enumerate() {
        let twice = request.updates[..position].iter().any(|other| other.name == update.name);
        let result = if twice {
            Err(CommandError::new(ErrorCode::InvalidRequest, format!("Feature {} is named twice.", update.name)))
        } else {
            check(scratch.image(), update)
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
fn check(image: &MetadataImage, update: &FeatureUpdate) -> Result<bool, CommandError> {
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
        _ => Ok(*level != present),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(name: &str, level: i16, upgrade_type: UpgradeType) -> FeatureUpdate {
        FeatureUpdate { name: name.to_owned(), level, upgrade_type }
    }

    #[test]
    fn only_supported_levels_are_taken_and_nothing_happens_by_halves() {
        let elr = "eligible.leader.replicas.version";
        let image = MetadataImage::empty();
        let decide = |updates| decide(Scratch::new(&image), &UpdateFeatures { updates, validate_only: false });
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
