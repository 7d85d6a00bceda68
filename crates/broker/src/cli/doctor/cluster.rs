//! The cluster: its brokers, quorum, partitions, settings and groups.

use super::finding::{Finding, some_of};
use super::{groups, nodes, topics};
use crate::cli::Failure;
use crate::cli::client::{ClusterClient, Quorum, Reassignment};
use crate::cli::output::count;

/// Entries of the metadata log that a voter may lack while nothing is wrong.
const QUORUM_LAG: i64 = 1000;

/// All checks of the cluster. One that cannot be made is a finding too, and the others go on.
pub(super) async fn check(client: &mut ClusterClient, max_lag: i64) -> Vec<Finding> {
    let cluster = match client.describe_cluster().await {
        Ok(cluster) => cluster,
        Err(failure) => return vec![cannot_check("cluster", &failure)],
    };
    let answering = client.address().to_owned();
    let mut findings = vec![Finding::fine("cluster", format!("{} answers at {answering}", cluster.id))];
    let brokers = cluster.brokers.len();
    findings.extend(or_finding("brokers", nodes::check(client, &cluster.brokers).await));
    if client.describes_quorum() {
        let quorum = client.quorum().await;
        findings.extend(or_finding("quorum", quorum.map(|quorum| judge_quorum(&quorum, brokers))));
    }
    findings.extend(or_finding("topics", topics::check(client, brokers).await));
    findings.extend(or_finding("reassignments", client.reassignments().await.map(|moving| under_way(&moving))));
    findings.extend(or_finding("groups", groups::check(client, max_lag).await));
    findings
}

fn or_finding(check: &'static str, result: Result<Vec<Finding>, Failure>) -> Vec<Finding> {
    result.unwrap_or_else(|failure| vec![cannot_check(check, &failure)])
}

fn cannot_check(check: &'static str, failure: &Failure) -> Finding {
    Finding::error(check, format!("cannot be checked: {}", failure.message()), "try again once the rest is well")
}

fn under_way(moving: &[Reassignment]) -> Vec<Finding> {
    if moving.is_empty() {
        return Vec::new();
    }
    let names: Vec<String> = moving.iter().map(|one| one.id.to_string()).collect();
    let message = format!("{} under way: {}", count(moving.len(), "reassignment"), some_of(&names));
    vec![Finding::fine("reassignments", message)]
}

fn judge_quorum(quorum: &Quorum, brokers: usize) -> Vec<Finding> {
    let mut findings = Vec::new();
    let voters = quorum.voters.len();
    match quorum.leader {
        Some(leader) => {
            findings.push(Finding::fine("quorum", format!("node {leader} leads {}", count(voters, "voter"))))
        }
        None => findings.push(Finding::error(
            "quorum",
            "no controller is active: nothing can be changed, failed leaders are not replaced",
            format!("start controllers until {} of {voters} run", voters / 2 + 1),
        )),
    }
    if voters == 1 && brokers > 1 {
        let advice = "three controllers; see controller.quorum.voters";
        findings.push(Finding::warning("quorum", "one controller decides alone: its loss stops the cluster", advice));
    }
    let behind = quorum.voters.iter().filter(|one| quorum.high_watermark - one.log_end > QUORUM_LAG);
    let behind: Vec<String> = behind.map(|one| one.id.to_string()).collect();
    if !behind.is_empty() {
        findings.push(Finding::warning(
            "quorum",
            format!("controllers {} lag behind: the loss of another one may stop the cluster", some_of(&behind)),
            "start them if they are down; look at their logs and disks if not",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;
    use crate::cli::client::QuorumReplica;

    #[test]
    fn a_quorum_is_judged() {
        let replica = |id, log_end| QuorumReplica {
            id,
            log_end,
            last_caught_up_ms: None,
            last_heard_ms: None,
            directory: None,
            endpoint: None,
        };
        let quorum = |leader, ends: &[i64]| Quorum {
            leader,
            epoch: 1,
            high_watermark: 5000,
            voters: (1..).zip(ends).map(|(id, end)| replica(id, *end)).collect(),
            observers: Vec::new(),
        };
        let severities = |quorum: &Quorum, brokers| {
            judge_quorum(quorum, brokers).iter().map(|finding| finding.severity).collect::<Vec<_>>()
        };
        assert_eq!(severities(&quorum(Some(1), &[5000, 4999, 4100]), 3), [Severity::Fine]);
        assert_eq!(severities(&quorum(Some(1), &[5000, 10, -1]), 3), [Severity::Fine, Severity::Warning]);
        assert_eq!(severities(&quorum(None, &[5000, 5000, 5000]), 3), [Severity::Error]);
        assert_eq!(severities(&quorum(Some(1), &[5000]), 1), [Severity::Fine]);
        assert_eq!(severities(&quorum(Some(1), &[5000]), 2), [Severity::Fine, Severity::Warning]);
    }
}
