//! Deliberate defects of the controller that the checks must catch: a check that has never failed proves nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};

use highwater_controller::Command;
use highwater_metadata::{LeaderRecoveryState, MetadataImage, MetadataRecord, PartitionChange, PartitionImage};
use highwater_types::BrokerId;

use crate::cluster::Defect;
use crate::random;

/// No defect may need more seeds than this.
const SEEDS: u64 = 40;

const DEFECTS: &[(&str, Defect)] = &[
    ("a broker that lost records stays eligible", lost_stays_eligible),
    ("an election from outside ISR and ELR leaves no mark", unclean_without_mark),
    ("a fenced broker stays in the ISR", fenced_stays_in_isr),
    ("a reassignment ends before its replicas have caught up", reassigned_early),
    ("the ELR outlives the minimum and is added to", members_become_eligible_late),
    ("a leader from outside the ELR, though there is one", unclean_instead_of_eligible),
];

#[test]
fn every_defect_is_caught() {
    for (name, defect) in DEFECTS {
        let caught = (0..SEEDS).find_map(|seed| {
            let panic = catch_unwind(AssertUnwindSafe(|| random::run(seed, Some(*defect)))).err()?;
            let message = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            Some((seed, message))
        });
        let Some((seed, message)) = caught else { panic!("not caught: {name}") };
        println!("{name}: seed {seed}: {}", message.lines().next().unwrap_or_default());
    }
}

/// The changes of a decision, with the partition before.
fn changes<'a>(
    image: &'a MetadataImage,
    records: &'a mut [MetadataRecord],
) -> impl Iterator<Item = (&'a PartitionImage, &'a mut PartitionChange)> {
    records.iter_mut().filter_map(|record| match record {
        MetadataRecord::PartitionChange(change) => {
            let before = image.partition(change.topic_id, change.partition)?;
            Some((&**before, change))
        }
        _ => None,
    })
}

fn lost_stays_eligible(command: &Command, image: &MetadataImage, records: &mut [MetadataRecord]) {
    let Command::RegisterBroker(request) = command else { return };
    for (before, change) in changes(image, records) {
        if change.elr.as_ref().is_some_and(|elr| !elr.contains(&request.id)) && before.elr.contains(&request.id) {
            change.elr = None;
        }
    }
}

fn unclean_without_mark(_: &Command, image: &MetadataImage, records: &mut [MetadataRecord]) {
    for (_, change) in changes(image, records) {
        if change.leader_recovery == Some(LeaderRecoveryState::Recovering) {
            change.leader_recovery = None;
        }
    }
}

fn fenced_stays_in_isr(command: &Command, image: &MetadataImage, records: &mut [MetadataRecord]) {
    let Command::FenceBroker(request) = command else { return };
    for (before, change) in changes(image, records) {
        if change.elr.is_none() && before.leader != request.session.id {
            change.isr = None;
        }
    }
}

fn reassigned_early(command: &Command, image: &MetadataImage, records: &mut [MetadataRecord]) {
    if !matches!(command, Command::AlterPartitionReassignments(_)) {
        return;
    }
    for (before, change) in changes(image, records) {
        let adding: Option<BrokerId> = change.adding.as_ref().and_then(|adding| adding.first().copied());
        let replicas = change.replicas.as_ref().unwrap_or(&before.replicas);
        if let Some(added) = adding.filter(|added| replicas.contains(added) && before.has_leader()) {
            change.isr = Some(before.isr.iter().copied().chain([added]).filter(|id| replicas.contains(id)).collect());
            change.elr = Some(Vec::new());
            change.adding = None;
            change.removing = None;
        }
    }
}

fn members_become_eligible_late(command: &Command, image: &MetadataImage, records: &mut [MetadataRecord]) {
    if !matches!(command, Command::FenceBroker(_)) {
        return;
    }
    for (before, change) in changes(image, records) {
        let isr = change.isr.as_ref().unwrap_or(&before.isr);
        let outside = before.replicas.iter().copied().find(|id| !isr.contains(id) && !before.isr.contains(id));
        if let Some(elr) = &mut change.elr
            && let Some(outside) = outside.filter(|id| !elr.contains(id))
        {
            elr.push(outside);
        }
    }
}

fn unclean_instead_of_eligible(_: &Command, image: &MetadataImage, records: &mut [MetadataRecord]) {
    for (before, change) in changes(image, records) {
        let is_from_elr = change.leader.is_some_and(|leader| before.elr.contains(&leader));
        let other = before.replicas.iter().copied().find(|id| !before.elr.contains(id) && image.is_active(*id));
        if let Some(other) = other.filter(|_| is_from_elr && !before.has_leader()) {
            change.leader = Some(other);
            change.isr = Some(vec![other]);
            change.elr = Some(Vec::new());
        }
    }
}
