//! Properties that are known but not honoured: warnings, or errors where going on would be less safe than it looks.

use highwater_metadata::config::{DURABILITY, broker_key};

use super::Properties;

/// What a property that is not honoured would have protected.
struct Refusal {
    key: &'static str,
    /// Whether this value asks for the protection.
    applies: fn(&str) -> bool,
    why: &'static str,
}

const REFUSALS: &[Refusal] = &[
    Refusal {
        key: "authorizer.class.name",
        applies: |_| true,
        why: "there is no authorizer yet, everyone could do everything; remove it to accept that",
    },
    Refusal {
        key: "security.inter.broker.protocol",
        applies: |value| !value.eq_ignore_ascii_case("PLAINTEXT"),
        why: "nodes talk to each other unencrypted; set it to PLAINTEXT to accept that",
    },
    Refusal {
        key: "config.providers",
        applies: |_| true,
        why: "values of the form ${provider:...} would not be replaced; write the values out",
    },
    Refusal {
        key: "create.topic.policy.class.name",
        applies: |_| true,
        why: "Java policies cannot run here, so topics the policy forbids could be created; remove it to accept that",
    },
    Refusal {
        key: "alter.config.policy.class.name",
        applies: |_| true,
        why: "Java policies cannot run here, so changes the policy forbids would be possible; remove it to accept that",
    },
    Refusal {
        key: "zookeeper.connect",
        applies: |_| true,
        why: "there is no ZooKeeper mode; list the controllers in controller.quorum.voters and remove it",
    },
];

/// Keys that ask for flushes while `relaxed` durability makes acknowledgements not wait for any.
const FLUSH_KEYS: &[&str] = &["log.flush.interval.messages", "log.flush.interval.ms"];

/// The problems of properties that would be silently unsafe.
pub(super) fn refusals(properties: &Properties) -> Vec<String> {
    let refused = |refusal: &Refusal| {
        let value = properties.get(refusal.key).filter(|value| (refusal.applies)(value))?;
        Some(format!("{}={value} is not supported: {}", refusal.key, refusal.why))
    };
    let mut problems: Vec<String> = REFUSALS.iter().filter_map(refused).collect();
    if properties.get(DURABILITY) == Some("relaxed") {
        let flushes = FLUSH_KEYS.iter().filter(|key| properties.get(key).is_some());
        problems.extend(flushes.map(|key| {
            format!("{key} has no effect with {DURABILITY}=relaxed: remove it, or use {DURABILITY}=strict, which flushes before every acknowledgement")
        }));
    }
    problems
}

/// One sentence for each property that changes nothing.
pub(super) fn warnings(properties: &Properties) -> Vec<String> {
    let warning = |(key, value): (&str, &str)| match broker_key(key) {
        None => Some(format!("unknown property {key}, ignored")),
        // A value that is the default asks for nothing.
        Some(known) if known.honoured || known.default == Some(value) || is_a_hint(key) => None,
        Some(_) => Some(format!("property {key} is not honoured by this version, ignored")),
    };
    properties.iter().filter_map(warning).collect()
}

/// Sizes of Kafka's thread pools, buffers and purgatories, which have no counterpart here: nobody loses anything.
fn is_a_hint(key: &str) -> bool {
    key.ends_with(".threads")
        || key.ends_with(".buffer.bytes")
        || key.contains("purgatory")
        || key == "num.replica.fetchers"
        || key == "inter.broker.listener.name"
}
