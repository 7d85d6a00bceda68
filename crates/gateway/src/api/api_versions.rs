//! ApiVersions (key 18): which APIs at which versions, and the cluster's finalized features (KIP-511, KIP-584).

use highwater_metadata::{SUPPORTED_FEATURES, SupportedFeature};
use highwater_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use highwater_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use highwater_protocol::{APIS, StrBytes};
use highwater_types::ErrorCode;

use crate::state::{GatewayState, RequestContext};

/// First version that carries the client's software name and the features.
const SOFTWARE_NAME_VERSION: i16 = 3;

pub(crate) fn handle(state: &GatewayState, context: &RequestContext, body: &ApiVersionsRequest) -> ApiVersionsResponse {
    let version = context.version;
    if version >= SOFTWARE_NAME_VERSION
        && !(is_software_token(&body.client_software_name) && is_software_token(&body.client_software_version))
    {
        return ApiVersionsResponse::default().with_error_code(ErrorCode::InvalidRequest.code());
    }
    context.connection.is_used_by(&body.client_software_name, &body.client_software_version);
    let response = ApiVersionsResponse::default().with_api_keys(api_keys());
    if version < SOFTWARE_NAME_VERSION {
        return response;
    }
    let image = state.image();
    let name = |feature: &SupportedFeature| StrBytes::from_static_str(feature.name);
    let finalized = SUPPORTED_FEATURES.iter().map(|feature| {
        let level = feature.level(&image);
        FinalizedFeatureKey::default()
            .with_name(name(feature))
            .with_min_version_level(level)
            .with_max_version_level(level)
    });
    let supported = SUPPORTED_FEATURES.iter().map(|feature| {
        SupportedFeatureKey::default()
            .with_name(name(feature))
            .with_min_version(feature.min)
            .with_max_version(feature.max)
    });
    response
        .with_supported_features(supported.collect())
        .with_finalized_features(finalized.collect())
        .with_finalized_features_epoch(image.offset().get())
}

/// The answer, in version 0, to a request of a version this broker does not know.
pub(crate) fn unsupported_version() -> ApiVersionsResponse {
    ApiVersionsResponse::default().with_error_code(ErrorCode::UnsupportedVersion.code()).with_api_keys(api_keys())
}

fn api_keys() -> Vec<ApiVersion> {
    let entry = |api: &highwater_protocol::ApiSpec| {
        ApiVersion::default().with_api_key(api.key).with_min_version(api.min).with_max_version(api.max)
    };
    APIS.iter().map(entry).collect()
}

/// `[a-zA-Z0-9]([a-zA-Z0-9\-.]*[a-zA-Z0-9])?`, as Kafka demands of both texts.
fn is_software_token(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let ends = bytes.first().zip(bytes.last());
    ends.is_some_and(|(first, last)| first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric())
        && bytes.iter().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_tokens_follow_kafkas_pattern() {
        for good in ["a", "apache-kafka-java", "4.3.1", "librdkafka", "0"] {
            assert!(is_software_token(good), "{good}");
        }
        for bad in ["", "-a", "a-", ".", "a b", "ä", "a_b"] {
            assert!(!is_software_token(bad), "{bad}");
        }
    }

    #[test]
    fn produce_is_listed_from_zero_so_that_librdkafka_compresses() {
        let produce = api_keys().into_iter().find(|api| api.api_key == 0).unwrap();
        assert_eq!(produce.min_version, 0);
    }
}
