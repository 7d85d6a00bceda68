//! Topics: partitions that are unwell, and settings that will hurt one day.

use highwater_metadata::config::DURABILITY;

use super::finding::{Finding, some_of};
use crate::cli::Failure;
use crate::cli::client::{ClusterClient, Partition, Resource, Topic};
use crate::cli::output::count;

const MIN_ISR: &str = "min.insync.replicas";
const UNCLEAN: &str = "unclean.leader.election.enable";

/// A topic with the settings that decide whether it is safe.
struct Judged {
    topic: Topic,
    min_isr: usize,
    unclean: bool,
    relaxed: bool,
}

pub(super) async fn check(client: &mut ClusterClient, brokers: usize) -> Result<Vec<Finding>, Failure> {
    let topics = client.all_topics().await?;
    if topics.is_empty() {
        return Ok(vec![Finding::fine("topics", "there are none yet")]);
    }
    let resources: Vec<Resource> = topics.iter().map(|topic| Resource::Topic(topic.name.clone())).collect();
    let keys = [MIN_ISR, UNCLEAN, DURABILITY].map(str::to_owned);
    let configs = client.describe_all_configs(&resources, Some(&keys)).await?;
    let judged: Vec<Judged> = topics
        .into_iter()
        .zip(configs)
        .map(|(topic, entries)| {
            let value = |key: &str| entries.iter().find(|entry| entry.name == key)?.value.clone();
            Judged {
                min_isr: value(MIN_ISR).and_then(|value| value.parse().ok()).unwrap_or(1),
                unclean: value(UNCLEAN).is_some_and(|value| value == "true"),
                relaxed: value(DURABILITY).is_some_and(|value| value == "relaxed"),
                topic,
            }
        })
        .collect();
    Ok(partitions(&judged).into_iter().chain(settings(&judged, brokers)).collect())
}

/// What is wrong now.
fn partitions(topics: &[Judged]) -> Vec<Finding> {
    let all: Vec<(&Judged, &Partition)> =
        topics.iter().flat_map(|judged| judged.topic.partitions.iter().map(move |one| (judged, one))).collect();
    let which = |is: &dyn Fn(&Judged, &Partition) -> bool| -> Vec<String> {
        all.iter().filter(|(judged, one)| is(judged, one)).map(|(_, one)| one.id.to_string()).collect()
    };
    let offline = which(&|_, one| one.is_offline());
    let under_min =
        which(&|judged, one| !one.is_offline() && one.isr.len() < judged.min_isr.min(one.replicas.len().max(1)));
    let lacking = which(&|_, one| one.is_under_replicated());
    let elsewhere = which(&|_, one| one.leader.is_some() && !one.has_preferred_leader());
    let mut findings = Vec::new();
    let mut add = |names: &[String], make: fn(&'static str, String, &'static str) -> Finding, state: &str, advice| {
        if !names.is_empty() {
            let message = format!("{} {state}: {}", count(names.len(), "partition"), some_of(names));
            findings.push(make("partitions", message, advice));
        }
    };
    add(
        &offline,
        Finding::error,
        "without a leader",
        "start the brokers that hold them (`highwater partition list --offline`); if they are lost for good, `highwater \
         partition elect-leader --type unclean` serves what another replica has",
    );
    add(
        &under_min,
        Finding::error,
        "below min.insync.replicas, acks=all is refused",
        "start the brokers that are missing from the ISR (`highwater partition list --under-min-isr`)",
    );
    add(
        &lacking,
        Finding::warning,
        "under-replicated",
        "start the brokers that are missing from the ISR; if all are up, look at their disks and network",
    );
    add(
        &elsewhere,
        Finding::warning,
        "not led by the first replica, so load is uneven",
        "`highwater partition elect-leader --all`; it happens by itself after leader.imbalance.check.interval.seconds",
    );
    if offline.is_empty() && under_min.is_empty() && lacking.is_empty() {
        findings.push(Finding::fine("partitions", format!("{}, all in sync", count(all.len(), "partition"))));
    }
    findings
}

/// What will go wrong.
fn settings(topics: &[Judged], brokers: usize) -> Vec<Finding> {
    let which = |is: &dyn Fn(&Judged) -> bool| -> Vec<String> {
        topics.iter().filter(|judged| is(judged)).map(|judged| judged.topic.name.clone()).collect()
    };
    let replicas = |judged: &Judged| judged.topic.replication_factor();
    let checks: [(Vec<String>, &str, &str); 5] = [
        (
            which(&|judged| brokers > 1 && replicas(judged) == 1),
            "have one replica: offline while its broker is down, lost with its disk",
            "`highwater partition reassign TOPIC-0=1,2,3` for each partition; default.replication.factor=3 for new topics",
        ),
        (
            which(&|judged| replicas(judged) > 1 && judged.min_isr >= replicas(judged)),
            "have min.insync.replicas as high as the replication factor: acks=all is refused while any broker is down",
            "`highwater topic alter TOPIC --set min.insync.replicas=2` with three replicas",
        ),
        (
            which(&|judged| replicas(judged) > 2 && judged.min_isr == 1),
            "have min.insync.replicas=1: acks=all is acknowledged although one replica alone may have the record",
            "`highwater topic alter TOPIC --set min.insync.replicas=2`, or for all: `highwater config set --cluster`",
        ),
        (
            which(&|judged| judged.unclean),
            "allow unclean elections: acknowledged records are lost when the wrong broker comes back first",
            "`highwater topic alter TOPIC --set unclean.leader.election.enable=false`",
        ),
        (
            which(&|judged| judged.relaxed),
            "are of relaxed durability: a power loss of all nodes loses what was not yet written back",
            "`highwater topic alter TOPIC --set highwater.durability=strict`, unless that is meant",
        ),
    ];
    let finding = |(names, what, advice): &(Vec<String>, &str, &str)| {
        let topics = count(names.len(), "topic");
        Finding::warning("topic-settings", format!("{topics} {what}: {}", some_of(names)), *advice)
    };
    let mut findings: Vec<Finding> = checks.iter().filter(|(names, ..)| !names.is_empty()).map(finding).collect();
    if findings.is_empty() {
        findings.push(Finding::fine(
            "topic-settings",
            format!("{}, none with dangerous settings", count(topics.len(), "topic")),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use highwater_types::TopicId;

    use super::super::finding::Severity;
    use super::*;
    use crate::cli::client::TopicPartition;

    fn judged(name: &str, replicas: &[i32], isr: &[i32], min_isr: usize) -> Judged {
        let partition = Partition {
            id: TopicPartition::new(name, 0),
            leader: isr.first().copied(),
            leader_epoch: 0,
            replicas: replicas.to_vec(),
            isr: isr.to_vec(),
            offline: Vec::new(),
        };
        let topic = Topic {
            name: name.to_owned(),
            id: TopicId::from_bytes([1; 16]),
            internal: false,
            partitions: vec![partition],
        };
        Judged { topic, min_isr, unclean: false, relaxed: false }
    }

    fn texts(findings: &[Finding], severity: Severity) -> Vec<&str> {
        findings.iter().filter(|one| one.severity == severity).map(|one| one.message.as_str()).collect()
    }

    #[test]
    fn partitions_are_judged() {
        let topics = [
            judged("well", &[1, 2, 3], &[1, 2, 3], 2),
            judged("lacking", &[1, 2, 3], &[1, 2], 2),
            judged("low", &[1, 2, 3], &[1], 2),
            judged("gone", &[1, 2, 3], &[], 2),
            judged("moved", &[1, 2], &[2, 1], 1),
        ];
        let findings = partitions(&topics);
        assert_eq!(
            texts(&findings, Severity::Error),
            [
                "1 partition without a leader: gone-0",
                "1 partition below min.insync.replicas, acks=all is refused: low-0"
            ]
        );
        assert_eq!(
            texts(&findings, Severity::Warning),
            [
                "3 partitions under-replicated: lacking-0, low-0, gone-0",
                "1 partition not led by the first replica, so load is uneven: moved-0"
            ]
        );
        assert_eq!(texts(&partitions(&topics[..1]), Severity::Fine), ["1 partition, all in sync"]);
    }

    #[test]
    fn settings_are_judged() {
        let topics = [
            judged("single", &[1], &[1], 1),
            judged("stiff", &[1, 2], &[1, 2], 2),
            judged("loose", &[1, 2, 3], &[1, 2, 3], 1),
            Judged { unclean: true, ..judged("risky", &[1, 2, 3], &[1, 2, 3], 2) },
            Judged { relaxed: true, ..judged("fast", &[1, 2, 3], &[1, 2, 3], 2) },
        ];
        let findings = settings(&topics, 3);
        let named: Vec<&str> =
            findings.iter().map(|one| one.message.rsplit_once(": ").map_or("", |(_, name)| name)).collect();
        assert_eq!(named, ["single", "stiff", "loose", "risky", "fast"]);
        assert_eq!(
            texts(&settings(&topics[..1], 1), Severity::Warning),
            [""; 0],
            "one broker can hold one replica only"
        );
    }
}
