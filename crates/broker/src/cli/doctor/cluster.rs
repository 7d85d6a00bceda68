//! The cluster: its brokers, quorum, partitions, settings and groups.

use super::finding::{Finding, some_of};
use super::{groups, nodes, topics};
use crate::cli::Failure;
use crate::cli::client::{ClusterClient, Quorum};
use crate::cli::output::count;

/// Entries of the metadata log that a voter may lack while nothing is wrong.
const QUORUM_LAG: i64 = 1000;

/// All checks of the cluster.
pub(super) async fn check(client: &mut ClusterClient, max_lag: i64) -> Result<Vec<Finding>, Failure> {
    let cluster = client.describe_cluster().await?;
    let answering = client.address().to_owned();
    let mut findings = vec![Finding::fine("cluster", format!("{} answers at {answering}", cluster.id))];
    findings.extend(nodes::check(client, &cluster.brokers).await?);
    if client.describes_quorum() {
        findings.extend(judge_quorum(&client.quorum().await?, cluster.brokers.len()));
    }
    findings.extend(topics::check(client, cluster.brokers.len()).await?);
    let moving = client.reassignments().await?;
    if !moving.is_empty() {
        let names: Vec<String> = moving.iter().map(|one| one.id.to_string()).collect();
        let under_way = count(moving.len(), "reassignment");
        findings.push(Finding::fine("reassignments", format!("{under_way} under way: {}", some_of(&names))));
    }
    findings.extend(groups::check(client, max_lag).await?);
    Ok(findings)
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
        let replica = |id, log_end| QuorumReplica { id, log_end, last_caught_up_ms: None };
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
