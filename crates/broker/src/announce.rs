//! What a node says of itself at start: where it listens, what clients are told, and what durability means here.

use highwater_metadata::config::DURABILITY;

use crate::RunningBroker;
use crate::config::BrokerConfig;

/// The lines for the log. Addresses are those really bound.
pub(crate) fn lines(node: &RunningBroker) -> Vec<String> {
    let config = node.config();
    let mut lines = vec![roles_line(config)];
    for ((name, bound), told) in node.client_addresses().iter().zip(&config.advertised) {
        lines.push(format!("listener {name}: listening at {bound}, clients are told {}:{}", told.host, told.port));
        if let Some(warning) = reachability(&bound.ip(), &told.host) {
            lines.push(format!("listener {name}: {warning}"));
        }
    }
    lines.push(format!("other nodes reach this one at {} (gRPC)", config.internal_advertised));
    lines.push(quorum_line(config));
    if let Some(http) = node.http_address() {
        lines.push(format!("metrics and health: http://{http}/metrics, /healthz, /readyz"));
    }
    if config.roles.broker {
        let directories: Vec<String> =
            config.log_dirs.iter().map(|directory| directory.display().to_string()).collect();
        lines.push(format!("data in {}", directories.join(", ")));
        lines.push(durability_line(config));
    }
    lines
}

fn roles_line(config: &BrokerConfig) -> String {
    let roles = match (config.roles.broker, config.roles.controller) {
        (true, true) => "broker and controller",
        (true, false) => "broker",
        _ => "controller",
    };
    format!("highwater {} is node {}: {roles}", env!("CARGO_PKG_VERSION"), config.node_id.0)
}

fn quorum_line(config: &BrokerConfig) -> String {
    let voters: Vec<String> = config.voters.iter().map(ToString::to_string).collect();
    match voters.as_slice() {
        [_] if config.roles.controller => "this node alone is the metadata quorum: what it loses is lost".to_owned(),
        _ => format!("metadata quorum: {}", voters.join(", ")),
    }
}

/// The commonest reason why a client connects once and then never again.
fn reachability(bound: &std::net::IpAddr, told: &str) -> Option<&'static str> {
    let told_is_local =
        told == "localhost" || told.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    (told_is_local && !bound.is_loopback()).then_some(
        "clients on other machines will connect once and then fail, because they are told an address of their own machine; \
         set advertised.listeners to what they can reach",
    )
}

fn durability_line(config: &BrokerConfig) -> String {
    match config.value(DURABILITY) {
        Some("relaxed") => format!(
            "durability is relaxed: with acks=all a record is acknowledged once the in-sync replicas have it in memory; a power \
             loss of all of them at once can lose it ({DURABILITY}=strict flushes first)"
        ),
        _ => "durability is strict: with acks=all a record is acknowledged once the in-sync replicas have it on disk; a power \
              loss of all nodes loses nothing acknowledged"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_local_name_for_a_public_listener_is_warned_of() {
        let warned = |bound: &str, told: &str| reachability(&bound.parse().unwrap(), told).is_some();
        assert!(warned("0.0.0.0", "localhost") && warned("10.0.0.1", "127.0.0.1") && warned("::", "::1"));
        assert!(!warned("127.0.0.1", "localhost") && !warned("0.0.0.0", "broker-1.example"));
    }
}
