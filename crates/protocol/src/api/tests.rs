use kafka_protocol::messages::*;
use kafka_protocol::protocol::{HeaderVersion, Message, Request};

use super::*;

#[test]
fn keys_ascend_and_are_found() {
    assert!(APIS.is_sorted_by(|a, b| a.key < b.key));
    for api in APIS {
        assert_eq!(find_api(api.key), Some(api));
        assert!(api.min <= api.served_min && api.served_min <= api.max, "{}", api.name);
    }
    assert_eq!(find_api(4), None);
    assert_eq!(find_api(-1), None);
}

#[test]
fn only_produce_lists_more_than_it_serves() {
    let listed_more: Vec<_> = APIS.iter().filter(|api| api.min != api.served_min).map(|api| api.name).collect();
    assert_eq!(listed_more, ["Produce"]);
}

/// The clients' rule: no version with topic ids without Metadata 10, which is where they learn them.
#[test]
fn topic_ids_come_with_metadata() {
    assert!(find_api(3).is_some_and(|metadata| metadata.max >= 10));
}

macro_rules! check_against_kafka_protocol {
    ($($name:ident = $key:literal, $listed_min:literal, $min:literal ..= $max:literal, flexible $flexible:literal,
       $request:ident => $response:ident, $layout:ident;)*) => {
        #[test]
        fn kafka_protocol_carries_every_served_version() {
            $({
                type Response = <$request as Request>::Response;
                let api = find_api($key).unwrap();
                assert_eq!(<$request as Request>::KEY, api.key);
                for versions in [<$request as Message>::VERSIONS, <Response as Message>::VERSIONS] {
                    assert!(versions.min <= api.served_min && api.max <= versions.max, "{}: {versions}", api.name);
                }
                for version in api.served_min..=api.max {
                    let flexible = api.is_flexible(version);
                    assert_eq!(<$request as HeaderVersion>::header_version(version) == 2, flexible, "{} {version}", api.name);
                    assert_eq!(
                        <Response as HeaderVersion>::header_version(version),
                        api.response_header_version(version),
                        "{} {version}",
                        api.name
                    );
                }
            })*
        }
    };
}
for_each_api!(check_against_kafka_protocol);
