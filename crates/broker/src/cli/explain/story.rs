//! A partition's history as sentences. Pure: a page in, text out.

use crate::cli::output::{Column, Row, facts, ids, or_dash, table};
use crate::cli::time::format_time;
use crate::history_page::{Broker, BrokerEvent, Change, Entry, Event, HistoryPage, PartitionChange, State};

/// The state, why it is so, and the last `count` events.
pub(super) fn tell(page: &HistoryPage, count: usize) -> String {
    let chapters = [heading(page), reasons(page), events(page, count), reach(page)];
    chapters.into_iter().filter(|chapter| !chapter.is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn heading(page: &HistoryPage) -> String {
    let State { leader, leader_epoch, partition_epoch, replicas, isr, elr, adding, removing, .. } = &page.state;
    let mut lines = vec![
        ("partition", format!("{}-{} (topic id {})", page.topic, page.partition, page.topic_id)),
        ("leader", format!("{} in leader epoch {leader_epoch}", or_dash(*leader))),
        ("ISR", format!("{} of replicas {}, at partition epoch {partition_epoch}", ids(isr), ids(replicas))),
    ];
    if !elr.is_empty() {
        lines.push(("ELR", format!("{}: out of the ISR, and known to hold all that is committed", ids(elr))));
    }
    if !adding.is_empty() || !removing.is_empty() {
        lines.push(("moving", format!("adding {}, removing {}", ids(adding), ids(removing))));
    }
    facts(lines)
}

/// Why the leader, the ISR and the state of each missing replica are what they are.
fn reasons(page: &HistoryPage) -> String {
    let mut lines = vec![why_leader(page), why_isr(page)];
    let missing = page.brokers.iter().filter(|broker| !page.state.isr.contains(&broker.id));
    lines.extend(missing.map(|broker| why_missing(page, broker)));
    if let Some(epoch) = page.state.unclean_epoch {
        lines.push(format!(
            "the leader of epoch {epoch} was in neither ISR nor ELR when it was elected: acknowledged records may have been lost then"
        ));
    }
    lines.join("\n")
}

fn why_leader(page: &HistoryPage) -> String {
    let subject = match page.state.leader {
        Some(leader) => format!("broker {leader} leads"),
        None => "nobody leads".to_owned(),
    };
    let changes = || partition_changes(page).filter(|(_, change)| change.leader.is_some());
    let Some((entry, change)) = changes().next_back() else { return unknown(page, &subject) };
    let before = changes().nth_back(1).and_then(|(_, change)| change.leader).filter(|leader| *leader >= 0);
    let mut why = format!(
        "{subject} {}, epoch {}: {}",
        since(entry),
        change.leader_epoch,
        cause_of_leader(entry, change, before)
    );
    if page.state.leader.is_none() {
        why.push_str(&format!("; {}", what_is_needed(&page.state)));
    }
    why
}

fn cause_of_leader(entry: &Entry, change: &PartitionChange, before: Option<i32>) -> String {
    if change.created {
        return "the partition was created with it".to_owned();
    }
    let Some(event) = &entry.event else { return unrecorded() };
    let broker = or_dash(event.broker);
    let which = if event.broker == before { ", which led," } else { "" };
    let cause = match event.kind.as_str() {
        "broker_fenced" => format!("broker {broker}{which} was fenced{}", detail(event)),
        "broker_stopping" => format!("broker {broker}{which} was told to stop, and gave its leaderships away"),
        "broker_unregistered" => format!("broker {broker}{which} was taken out of the cluster"),
        "broker_registered" => format!("the process of broker {broker}{which} was started again{}", detail(event)),
        "broker_unfenced" => format!("broker {broker} came back, and nobody led"),
        "log_dirs_failed" => format!("the log directory of broker {broker}{which} failed"),
        "preferred_election" => "the preferred leader was elected".to_owned(),
        "unclean_election" => "an operator wanted a leader even if it lacks records".to_owned(),
        "reassigned" => "the partition was given other replicas".to_owned(),
        "isr_proposed" => "a reassignment ended when the added replicas had caught up".to_owned(),
        "configured" => "the configuration changed".to_owned(),
        other => other.replace('_', " "),
    };
    match change.recovering {
        Some(true) => format!("{cause}; it was in neither ISR nor ELR"),
        _ => cause,
    }
}

fn what_is_needed(state: &State) -> String {
    match (state.elr.as_slice(), state.last_known_elr.as_slice()) {
        ([], []) => {
            "no replica is known to hold all records: `highwater partition elect-leader --type unclean` takes any"
                .to_owned()
        }
        ([], last) => format!("it waits for broker {}, which led last", ids(last)),
        (eligible, _) => format!("it waits for one of {}, which hold all that is committed", ids(eligible)),
    }
}

fn why_isr(page: &HistoryPage) -> String {
    let subject = format!("the ISR is {}", ids(&page.state.isr));
    let changes = || partition_changes(page).filter(|(_, change)| change.isr.is_some());
    let Some((entry, change)) = changes().next_back() else { return unknown(page, &subject) };
    let before = changes().nth_back(1).and_then(|(_, change)| change.isr.clone());
    let after = change.isr.clone().unwrap_or_default();
    format!(
        "{subject} {}, partition epoch {}: {}",
        since(entry),
        change.partition_epoch,
        cause_of_isr(entry, change, before, &after)
    )
}

fn cause_of_isr(entry: &Entry, change: &PartitionChange, before: Option<Vec<i32>>, after: &[i32]) -> String {
    if change.created {
        return "the partition was created with it".to_owned();
    }
    let Some(event) = &entry.event else { return unrecorded() };
    let broker = or_dash(event.broker);
    match (event.kind.as_str(), before) {
        ("isr_proposed", Some(before)) => {
            let gone: Vec<i32> = before.iter().copied().filter(|id| !after.contains(id)).collect();
            let come: Vec<i32> = after.iter().copied().filter(|id| !before.contains(id)).collect();
            match (come.as_slice(), gone.as_slice()) {
                ([], []) => format!("leader {broker} confirmed it"),
                (come, []) => format!("leader {broker} took {} in, which had caught up", ids(come)),
                ([], gone) => format!(
                    "leader {broker} took {} out, which had not caught up for replica.lag.time.max.ms",
                    ids(gone)
                ),
                (come, gone) => format!("leader {broker} took {} in and {} out", ids(come), ids(gone)),
            }
        }
        ("isr_proposed", None) => format!("leader {broker} proposed it"),
        _ => cause_of_leader(entry, change, None),
    }
}

/// Why a replica is not in the ISR now.
fn why_missing(page: &HistoryPage, broker: &Broker) -> String {
    let id = broker.id;
    let last = |wanted: BrokerEvent| {
        let of_broker = |entry: &&Entry| matches!(&entry.change, Change::Broker { broker, what } if *broker == id && *what == wanted);
        page.entries.iter().rfind(of_broker)
    };
    let at = |entry: Option<&Entry>| entry.map_or(String::new(), |entry| format!(" {}", since(entry)));
    let why = match broker {
        Broker { registered: false, .. } => {
            format!("it is no member of the cluster{}", at(last(BrokerEvent::Unregistered)))
        }
        Broker { stopping: true, fenced: false, .. } => format!("it is stopping{}", at(last(BrokerEvent::Stopping))),
        Broker { fenced: true, .. } => {
            let entry = last(BrokerEvent::Fenced);
            let reason = entry.and_then(|entry| entry.event.as_ref()).map_or(String::new(), detail);
            format!("it is fenced{}{reason}", at(entry))
        }
        Broker { directory_online: false, .. } => {
            format!("its log directory is out of service{}", at(last(BrokerEvent::LogDirsFailed)))
        }
        _ => format!("it is up{} and joins once it has caught up with the leader", at(last(BrokerEvent::Unfenced))),
    };
    format!("broker {id} is not in the ISR: {why}")
}

fn partition_changes(page: &HistoryPage) -> impl DoubleEndedIterator<Item = (&Entry, &PartitionChange)> {
    page.entries.iter().filter_map(|entry| match &entry.change {
        Change::Partition(change) => Some((entry, change)),
        Change::Broker { .. } => None,
    })
}

fn since(entry: &Entry) -> String {
    match &entry.event {
        Some(event) => format!("since {} (metadata offset {})", format_time(event.at), entry.offset),
        None => format!("since metadata offset {}", entry.offset),
    }
}

fn unknown(page: &HistoryPage, subject: &str) -> String {
    format!(
        "{subject} since before metadata offset {}: what was decided then is not in the log any more",
        page.complete_from
    )
}

fn unrecorded() -> String {
    "why was not recorded, because highwater.metadata.version was below 2".to_owned()
}

fn detail(event: &Event) -> String {
    if event.detail.is_empty() { String::new() } else { format!(" ({})", event.detail) }
}

fn events(page: &HistoryPage, count: usize) -> String {
    let columns = [
        Column::Number("OFFSET"),
        Column::Text("TIME"),
        Column::Text("EVENT"),
        Column::Number("LEADER"),
        Column::Number("EPOCH"),
        Column::Text("ISR"),
        Column::Text("ELR"),
    ];
    let row = |entry: &Entry| {
        let mut cells = vec![
            entry.offset.to_string(),
            or_dash(entry.event.as_ref().map(|event| format_time(event.at))),
            describe(entry),
        ];
        match &entry.change {
            Change::Broker { .. } => cells.resize(columns.len(), String::new()),
            Change::Partition(change) => {
                let leader =
                    change.leader.map(|leader| if leader < 0 { "none".to_owned() } else { leader.to_string() });
                cells.extend([leader.unwrap_or_default(), change.leader_epoch.to_string()]);
                cells.extend([&change.isr, &change.elr].map(|list| list.as_deref().map_or(String::new(), ids)));
            }
        }
        Row::from(cells)
    };
    let skipped = page.entries.len().saturating_sub(count);
    if skipped == page.entries.len() {
        return String::new();
    }
    table(&columns, page.entries.iter().skip(skipped).map(row))
}

fn describe(entry: &Entry) -> String {
    let broker_event = |broker: i32, what: BrokerEvent| {
        let what = match what {
            BrokerEvent::Registered => "registered",
            BrokerEvent::Unfenced => "unfenced",
            BrokerEvent::Fenced => "fenced",
            BrokerEvent::Stopping => "stopping",
            BrokerEvent::LogDirsFailed => "lost log directories",
            BrokerEvent::Unregistered => "unregistered",
            BrokerEvent::Other => "changed",
        };
        format!("broker {broker} {what}")
    };
    match (&entry.change, &entry.event) {
        (Change::Broker { broker, what }, event) => {
            broker_event(*broker, *what) + &event.as_ref().map_or(String::new(), detail)
        }
        (Change::Partition(change), _) if change.created => "created".to_owned(),
        (Change::Partition(_), None) => "changed".to_owned(),
        (Change::Partition(_), Some(event)) => match (event.kind.as_str(), event.broker) {
            ("isr_proposed", Some(broker)) => format!("leader {broker} proposed the ISR"),
            ("replicas_placed", Some(broker)) => format!("broker {broker} told its log directory"),
            ("preferred_election", _) => "preferred leader elected".to_owned(),
            (kind, Some(broker)) if kind.starts_with("broker_") => {
                format!("because broker {broker} was {}", kind.trim_start_matches("broker_"))
            }
            (kind, _) => kind.replace('_', " "),
        },
    }
}

/// How far back the answer goes.
fn reach(page: &HistoryPage) -> String {
    match page.whole {
        true => "nothing is missing: the log goes back to the partition's creation".to_owned(),
        false => format!(
            "complete from metadata offset {} on (it is {} now); older entries are not in the log any more",
            page.complete_from, page.metadata_offset
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::plain;

    fn event(kind: &str, broker: Option<i32>, detail: &str) -> Option<Event> {
        Some(Event { at: 1_795_240_800_000, kind: kind.to_owned(), broker, detail: detail.to_owned() })
    }

    fn change(leader: Option<i32>, isr: Option<&[i32]>, leader_epoch: i32, partition_epoch: i32) -> Change {
        let isr = isr.map(<[i32]>::to_vec);
        Change::Partition(PartitionChange { leader, isr, leader_epoch, partition_epoch, ..PartitionChange::default() })
    }

    fn page() -> HistoryPage {
        let up = |id| Broker { id, registered: true, fenced: false, stopping: false, directory_online: true };
        let created =
            PartitionChange { created: true, leader: Some(1), isr: Some(vec![1, 2, 3]), ..PartitionChange::default() };
        HistoryPage {
            topic: "orders".to_owned(),
            topic_id: "AAAAAAAAAAAAAAAAAAAABw".to_owned(),
            partition: 3,
            metadata_offset: 30,
            state: State {
                leader: Some(2),
                leader_epoch: 1,
                partition_epoch: 2,
                replicas: vec![1, 2, 3],
                isr: vec![2],
                elr: Vec::new(),
                last_known_elr: Vec::new(),
                adding: Vec::new(),
                removing: Vec::new(),
                unclean_epoch: None,
            },
            brokers: vec![Broker { fenced: true, ..up(1) }, up(2), up(3)],
            complete_from: 0,
            whole: true,
            entries: vec![
                Entry { offset: 7, event: event("topics_created", None, ""), change: Change::Partition(created) },
                Entry {
                    offset: 20,
                    event: event("broker_fenced", Some(1), "its process is gone"),
                    change: Change::Broker { broker: 1, what: BrokerEvent::Fenced },
                },
                Entry {
                    offset: 21,
                    event: event("broker_fenced", Some(1), "its process is gone"),
                    change: change(Some(2), Some(&[2, 3]), 1, 1),
                },
                Entry { offset: 25, event: event("isr_proposed", Some(2), ""), change: change(None, Some(&[2]), 1, 2) },
            ],
        }
    }

    #[test]
    fn leader_isr_and_missing_replicas_have_their_reasons() {
        let text = reasons(&page());
        let time = "2026-11-21T06:00:00.000Z";
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                format!(
                    "broker 2 leads since {time} (metadata offset 21), epoch 1: broker 1, which led, was fenced (its process is gone)"
                ),
                format!(
                    "the ISR is 2 since {time} (metadata offset 25), partition epoch 2: leader 2 took 3 out, which had not caught up \
                     for replica.lag.time.max.ms"
                ),
                format!(
                    "broker 1 is not in the ISR: it is fenced since {time} (metadata offset 20) (its process is gone)"
                ),
                "broker 3 is not in the ISR: it is up and joins once it has caught up with the leader".to_owned(),
            ]
        );
    }

    #[test]
    fn what_the_log_has_not_any_more_is_said() {
        let mut page = page();
        (page.entries, page.complete_from, page.whole) = (Vec::new(), 22, false);
        let text = tell(&page, 10);
        assert!(text.contains("broker 2 leads since before metadata offset 22"), "{text}");
        assert!(text.ends_with(
            "complete from metadata offset 22 on (it is 30 now); older entries are not in the log any more"
        ));
    }

    #[test]
    fn a_log_without_reasons_says_that_they_were_not_recorded() {
        let mut page = page();
        page.entries.iter_mut().for_each(|entry| entry.event = None);
        assert!(reasons(&page).contains("epoch 1: why was not recorded"), "{}", reasons(&page));
    }

    #[test]
    fn without_a_leader_it_says_who_is_waited_for() {
        let mut page = page();
        page.state.leader = None;
        page.state.elr = vec![1];
        let last = change(Some(-1), Some(&[]), 2, 3);
        page.entries.push(Entry { offset: 29, event: event("broker_fenced", Some(2), ""), change: last });
        let text = why_leader(&page);
        assert!(
            text.starts_with("nobody leads since")
                && text.ends_with("it waits for one of 1, which hold all that is committed")
        );
    }

    #[test]
    fn events_are_a_table() {
        let text = plain(&events(&page(), 2));
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "OFFSET  TIME                      EVENT                        LEADER  EPOCH  ISR  ELR",
                "    21  2026-11-21T06:00:00.000Z  because broker 1 was fenced       2      1  2,3",
                "    25  2026-11-21T06:00:00.000Z  leader 2 proposed the ISR                1  2",
            ]
        );
    }
}
