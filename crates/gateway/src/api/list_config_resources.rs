//! ListConfigResources (key 74): what has configuration (KIP-1142). Version 0 lists client metrics only (KIP-1000).

use highwater_metadata::MetadataImage;
use highwater_protocol::messages::list_config_resources_response::ConfigResource;
use highwater_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use highwater_types::ErrorCode;

use crate::config_resource::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use crate::state::{GatewayState, RequestContext};
use crate::wire::text;

/// First version that names the wanted types.
const TYPES_VERSION: i16 = 1;

pub(crate) fn handle(
    state: &GatewayState,
    context: &RequestContext,
    body: &ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let wanted: &[i8] = match body.resource_types.as_slice() {
        _ if context.version < TYPES_VERSION => &[CLIENT_METRICS],
        [] => &[TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP],
        types => types,
    };
    list(&state.image(), wanted)
}

/// Loggers, client metrics and groups have no configuration here, so there are none to list.
fn list(image: &MetadataImage, wanted: &[i8]) -> ListConfigResourcesResponse {
    let is_known = |kind: &i8| [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP].contains(kind);
    if !wanted.iter().all(is_known) {
        return ListConfigResourcesResponse::default().with_error_code(ErrorCode::UnsupportedVersion.code());
    }
    let resource =
        |kind: i8, name: &str| ConfigResource::default().with_resource_name(text(name)).with_resource_type(kind);
    let mut resources = Vec::new();
    if wanted.contains(&TOPIC) {
        resources.extend(image.topics_by_name().map(|topic| resource(TOPIC, topic.name.as_str())));
    }
    if wanted.contains(&BROKER) {
        let brokers = image.brokers().filter(|broker| !broker.fenced);
        resources.extend(brokers.map(|broker| resource(BROKER, &broker.id.to_string())));
    }
    ListConfigResourcesResponse::default().with_config_resources(resources)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::tests::image;
    use highwater_types::TopicId;

    fn listed(wanted: &[i8]) -> (i16, Vec<String>) {
        let image = image(&[("b", TopicId::from_random(1), &[1]), ("a", TopicId::from_random(2), &[2])]);
        let response = list(&image, wanted);
        let shown =
            response.config_resources.iter().map(|one| format!("{} {}", one.resource_type, &*one.resource_name));
        (response.error_code, shown.collect())
    }

    #[test]
    fn topics_and_brokers_are_listed_and_unknown_types_refused() {
        assert_eq!(listed(&[TOPIC]), (0, vec!["2 a".to_owned(), "2 b".to_owned()]));
        // Broker 3 is fenced.
        assert_eq!(listed(&[BROKER, GROUP]), (0, vec!["4 1".to_owned(), "4 2".to_owned()]));
        assert_eq!(listed(&[CLIENT_METRICS]), (0, vec![]));
        assert_eq!(listed(&[TOPIC, 77]), (35, vec![]));
    }
}
