//! Consumer groups: those that do not commit, do not keep up, or do not settle.

use super::finding::{Finding, some_of};
use crate::cli::Failure;
use crate::cli::client::{ClusterClient, Group};
use crate::cli::group::{PartitionLag, lags};
use crate::cli::output::count;

/// How a group is.
struct Judged {
    group: Group,
    lags: Vec<PartitionLag>,
}

pub(super) async fn check(client: &mut ClusterClient, max_lag: i64) -> Result<Vec<Finding>, Failure> {
    let mut judged = Vec::new();
    for listed in client.groups().await? {
        // Groups of other protocols than that of classic consumers cannot be described this way.
        if listed.protocol_type != "consumer" && !listed.protocol_type.is_empty() {
            continue;
        }
        let Ok(group) = client.describe_group(&listed.id).await else { continue };
        judged.push(Judged { lags: lags(client, &group).await?, group });
    }
    Ok(judge(&judged, max_lag))
}

fn judge(groups: &[Judged], max_lag: i64) -> Vec<Finding> {
    let total = |judged: &Judged| judged.lags.iter().filter_map(PartitionLag::lag).sum::<i64>();
    let which = |is: &dyn Fn(&Judged) -> bool, name: &dyn Fn(&Judged) -> String| -> Vec<String> {
        groups.iter().filter(|judged| is(judged)).map(name).collect()
    };
    let id = |judged: &Judged| judged.group.id.clone();
    let with_lag = |judged: &Judged| format!("{} ({})", judged.group.id, total(judged));
    let reading = |judged: &Judged| !judged.group.members.is_empty();
    let uncommitted = |judged: &Judged| judged.lags.iter().all(|lag| lag.committed.is_none());
    let checks: [(Vec<String>, &str, &str); 3] = [
        (
            which(&|judged| reading(judged) && uncommitted(judged), &id),
            "with members but without any committed offset",
            "do the consumers commit (enable.auto.commit, or commitSync)? without it they start over after a restart",
        ),
        (
            which(&|judged| total(judged) > max_lag, &with_lag),
            "lagging far behind",
            "more consumers up to the number of partitions, or faster ones; `highwater group describe GROUP` shows where. A group \
             that nobody needs any more: `highwater group delete GROUP`",
        ),
        (
            which(&|judged| judged.group.state.ends_with("Rebalance"), &id),
            "rebalancing now",
            "if that lasts: consumers that take longer than max.poll.interval.ms between polls are thrown out and join again",
        ),
    ];
    let finding = |(names, what, advice): &(Vec<String>, &str, &str)| {
        Finding::warning("groups", format!("{} {what}: {}", count(names.len(), "group"), some_of(names)), *advice)
    };
    let mut findings: Vec<Finding> = checks.iter().filter(|(names, ..)| !names.is_empty()).map(finding).collect();
    if findings.is_empty() {
        findings.push(Finding::fine("groups", format!("{}, all keep up", count(groups.len(), "group"))));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::{Member, TopicPartition};

    #[test]
    fn groups_are_judged() {
        let member = Member {
            id: "m".into(),
            instance_id: None,
            client_id: "c".into(),
            host: "h".into(),
            partitions: vec![TopicPartition::new("t", 0)],
        };
        let judged = |id: &str, state: &str, members: usize, committed: Option<i64>| Judged {
            group: Group {
                id: id.into(),
                state: state.into(),
                protocol_type: "consumer".into(),
                protocol: "range".into(),
                coordinator: 1,
                members: vec![member.clone(); members],
            },
            lags: vec![PartitionLag { id: TopicPartition::new("t", 0), committed, end: Some(100), member: None }],
        };
        let groups = [
            judged("fine", "Stable", 1, Some(95)),
            judged("forgetful", "Stable", 1, None),
            judged("slow", "Stable", 1, Some(0)),
            judged("old", "Empty", 0, Some(1)),
            judged("restless", "PreparingRebalance", 2, Some(100)),
        ];
        let messages: Vec<String> = judge(&groups, 50).into_iter().map(|finding| finding.message).collect();
        assert_eq!(
            messages,
            [
                "1 group with members but without any committed offset: forgetful",
                "2 groups lagging far behind: slow (100), old (99)",
                "1 group rebalancing now: restless",
            ]
        );
        assert_eq!(judge(&groups[..1], 50)[0].message, "1 group, all keep up");
    }
}
