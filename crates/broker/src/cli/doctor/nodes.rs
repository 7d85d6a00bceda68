//! Every broker as a client on this machine meets it: registered, resolvable, answering, ready, on time, with room on its disks.

use std::time::Duration;

use highwater_metadata::config::HTTP_LISTENER;

use super::finding::Finding;
use super::probe;
use crate::cli::Failure;
use crate::cli::broker::free_share;
use crate::cli::client::{BrokerInfo, ClusterClient, http_address, http_get};
use crate::cli::output::{bytes, count};

/// Longest wait for a node to say whether it is ready.
const PATIENCE: Duration = Duration::from_secs(3);
/// Differences of clocks that are worth a warning and an error.
const SKEW_WARNING_MS: i64 = 1000;
const SKEW_ERROR_MS: i64 = 60_000;
/// Free shares of a volume that are worth a warning and an error.
const LOW_SHARE: f64 = 0.15;
const VERY_LOW_SHARE: f64 = 0.05;

pub(super) async fn check(client: &mut ClusterClient, brokers: &[BrokerInfo]) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let mut skews = Vec::new();
    client.live_brokers().await?;
    let asked_locally = is_loopback(client.address());
    for broker in brokers {
        if broker.fenced {
            findings.push(Finding::error(
                "brokers",
                format!("broker {} ({}) is not up", broker.id, broker.address()),
                format!(
                    "start it, or look into its log; if it will not come back: `highwater broker decommission {}`",
                    broker.id
                ),
            ));
            continue;
        }
        if let Some(finding) = check_address(broker, asked_locally).await {
            findings.push(finding);
            continue;
        }
        findings.extend(check_http(client, broker, &mut skews).await);
        findings.extend(check_disks(client, broker.id).await);
    }
    let up = brokers.iter().filter(|broker| !broker.fenced).count();
    findings.push(Finding::fine("brokers", format!("{up} of {} are up", count(brokers.len(), "broker"))));
    findings.extend(judge_skews(&skews));
    Ok(findings)
}

fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What clients are told must be what they can reach.
async fn check_address(broker: &BrokerInfo, asked_locally: bool) -> Option<Finding> {
    let address = broker.address();
    let advice = format!("advertised.listeners of broker {} must name what clients can resolve and reach", broker.id);
    if !asked_locally && is_loopback(&address) {
        let message = format!("broker {} tells clients {address}: their own machine", broker.id);
        return Some(Finding::error("listeners", message, advice));
    }
    let port = u16::try_from(broker.port).unwrap_or(0);
    if let Err(problem) = probe::resolves(&broker.host, port).await {
        return Some(Finding::error("listeners", format!("broker {}: {problem}", broker.id), advice));
    }
    let connected = probe::connects(&address).await;
    connected.err().map(|problem| {
        let advice = format!("{advice}; or a firewall stands between here and there");
        Finding::error("listeners", format!("broker {}: {problem}", broker.id), advice)
    })
}

async fn check_http(client: &mut ClusterClient, broker: &BrokerInfo, skews: &mut Vec<(i32, i64)>) -> Option<Finding> {
    let address = http_address(client, broker).await?;
    Some(match http_get(&address, "/readyz", PATIENCE).await {
        Ok(page) => {
            skews.extend(page.skew_ms.map(|skew| (broker.id, skew)));
            match page.status {
                200 => Finding::fine("readiness", format!("broker {} is ready (http://{address}/readyz)", broker.id)),
                status => Finding::error(
                    "readiness",
                    format!("broker {} is not ready: {} ({status})", broker.id, page.body),
                    "look into its log; `highwater cluster quorum` shows whether a controller is active",
                ),
            }
        }
        Err(problem) => Finding::warning(
            "readiness",
            format!("broker {}: {problem}", broker.id),
            format!("metrics cannot be read from here either: {HTTP_LISTENER} of that broker, or a firewall"),
        ),
    })
}

fn judge_skews(skews: &[(i32, i64)]) -> Vec<Finding> {
    let advice = "let chrony or systemd-timesyncd keep the clock: retention and timestamps go by it";
    let off = skews.iter().filter(|(_, skew)| skew.abs() >= SKEW_WARNING_MS);
    let mut findings: Vec<Finding> = off
        .map(|(broker, skew)| {
            let way = if *skew > 0 { "ahead of" } else { "behind" };
            let message =
                format!("the clock of broker {broker} is {:.1} s {way} this machine's", skew.abs() as f64 / 1000.0);
            match skew.abs() >= SKEW_ERROR_MS {
                true => Finding::error("clocks", message, advice),
                false => Finding::warning("clocks", message, advice),
            }
        })
        .collect();
    if findings.is_empty() && !skews.is_empty() {
        findings.push(Finding::fine(
            "clocks",
            format!("{} and this machine agree to a second", count(skews.len(), "broker")),
        ));
    }
    findings
}

async fn check_disks(client: &mut ClusterClient, broker: i32) -> Vec<Finding> {
    let dirs = match client.log_dirs(broker).await {
        Ok(dirs) => dirs,
        Err(failure) => {
            let advice = "look into its log";
            return vec![Finding::warning("disk-space", format!("broker {broker}: {}", failure.message()), advice)];
        }
    };
    let mut findings = Vec::new();
    for dir in &dirs {
        let place = format!("broker {broker}: {}", dir.path);
        if let Some(error) = dir.error {
            let advice = "replace the disk and start the node again: it fetches its replicas from the others";
            findings.push(Finding::error("disk", format!("{place} does not serve ({error})"), advice));
            continue;
        }
        let Some(share) = free_share(dir) else { continue };
        let free = bytes(dir.usable_bytes.unwrap_or(0) as f64);
        let message = format!("{place} has {free} free ({:.0} %)", share * 100.0);
        let advice = "shorten retention.ms of large topics (`highwater broker log-dirs --replicas` shows which), move replicas \
                      with `highwater partition rebalance`, or enlarge the disk";
        findings.push(match share {
            share if share < VERY_LOW_SHARE => Finding::error("disk-space", message, advice),
            share if share < LOW_SHARE => Finding::warning("disk-space", message, advice),
            _ => Finding::fine("disk-space", message),
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn loopback_has_several_names() {
        for address in ["localhost:9092", "127.0.0.1:1", "127.8.9.1:1", "[::1]:9092"] {
            assert!(is_loopback(address), "{address}");
        }
        assert!(!is_loopback("10.0.0.1:9092") && !is_loopback("broker-1:9092"));
    }

    #[test]
    fn clocks_are_judged() {
        let severities = |skews: &[(i32, i64)]| judge_skews(skews).iter().map(|one| one.severity).collect::<Vec<_>>();
        assert_eq!(severities(&[(1, 0), (2, -900)]), [Severity::Fine]);
        assert_eq!(severities(&[(1, 1500), (2, -70_000)]), [Severity::Warning, Severity::Error]);
        assert!(judge_skews(&[(1, -2500)])[0].message.contains("2.5 s behind"));
        assert!(judge_skews(&[]).is_empty());
    }
}
