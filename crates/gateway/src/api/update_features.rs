//! UpdateFeatures (key 57): finalizes feature levels (KIP-584, KIP-778).

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_controller::{Command, CommandError, CommandResponse, FeatureUpdate, UpdateFeatures, UpgradeType};
use highwater_protocol::messages::update_features_request::FeatureUpdateKey;
use highwater_protocol::messages::update_features_response::UpdatableFeatureResult;
use highwater_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use highwater_types::ErrorCode;

use crate::state::{GatewayState, RequestContext};
use crate::wire::{string, text};

/// First version that says which way a level may go, and whether it is only a question.
const UPGRADE_TYPE_VERSION: i16 = 1;
/// First version whose answer has no result for each feature.
const ONE_RESULT_VERSION: i16 = 2;

pub(crate) async fn handle(
    state: Arc<GatewayState>,
    context: RequestContext,
    body: UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    let parsed = body.feature_updates.iter().map(|update| parse(context.version, update));
    let updates = match parsed.collect::<Result<Vec<_>, _>>() {
        Ok(updates) => updates,
        Err(error) => return refused(&error),
    };
    let validate_only = context.version >= UPGRADE_TYPE_VERSION && body.validate_only;
    let controllers = BTreeMap::new();
    let command = Command::UpdateFeatures(UpdateFeatures { updates, validate_only, controllers });
    match state.services.controller.submit(command).await {
        Ok(CommandResponse::UpdateFeatures(results)) => answer(context.version, results),
        Ok(other) => unreachable!("UpdateFeatures was answered with {other:?}"),
        Err(error) => refused(&error),
    }
}

fn parse(version: i16, update: &FeatureUpdateKey) -> Result<FeatureUpdate, CommandError> {
    let upgrade_type = if version >= UPGRADE_TYPE_VERSION {
        UpgradeType::from_code(update.upgrade_type).ok_or_else(|| {
            let message = format!("The controller does not support the given upgrade type {}.", update.upgrade_type);
            CommandError::new(ErrorCode::InvalidRequest, message)
        })?
    } else if update.allow_downgrade {
        UpgradeType::SafeDowngrade
    } else {
        UpgradeType::Upgrade
    };
    Ok(FeatureUpdate { name: string(&update.feature), level: update.max_version_level, upgrade_type })
}

fn answer(version: i16, results: Vec<(String, Result<(), CommandError>)>) -> UpdateFeaturesResponse {
    if version >= ONE_RESULT_VERSION {
        let failure = results.into_iter().find_map(|(_, result)| result.err());
        return failure.map_or_else(success, |error| {
            let message = format!(
                "The update failed for all features since the following feature had an error: {}",
                error.message
            );
            refused(&CommandError::new(error.code, message))
        });
    }
    let results = results.into_iter().map(|(name, result)| {
        let response = UpdatableFeatureResult::default().with_feature(text(&name));
        match result {
            Ok(()) => response.with_error_message(None),
            Err(error) => response.with_error_code(error.code.code()).with_error_message(Some(error.message.into())),
        }
    });
    success().with_results(results.collect())
}

fn success() -> UpdateFeaturesResponse {
    UpdateFeaturesResponse::default().with_error_message(None)
}

fn refused(error: &CommandError) -> UpdateFeaturesResponse {
    UpdateFeaturesResponse::default().with_error_code(error.code.code()).with_error_message(Some(text(&error.message)))
}
