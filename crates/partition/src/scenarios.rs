//! Single replicas under short scripts: rules whose violation needs several rare things at once in the ring.

use std::time::Duration;

use highwater_types::{BrokerEpoch, BrokerId, LeaderEpoch, MonoMs, Offset, PartitionEpoch};

use crate::{
    Action, Actions, Assignment, Durability, EpochEnd, Event, IsrAnswer, IsrState, LogCursors, Mutation,
    OpenedFollower, Replica, SessionId, Settings,
};

const STRICT: Settings = Settings { durability: Durability::Strict, min_isr: 1, lag_max: Duration::from_millis(300) };

/// A replica on broker 0 and the time.
struct Script {
    replica: Replica,
    now: MonoMs,
}

impl Script {
    fn new(mutation: Option<Mutation>) -> Self {
        Self::at(Settings { ..STRICT }, LogCursors::default(), 0, mutation)
    }

    fn at(settings: Settings, cursors: LogCursors, checkpoint: i64, mutation: Option<Mutation>) -> Self {
        let replica = Replica::new(BrokerId(0), settings, cursors, Offset(checkpoint)).with_mutation(mutation);
        let mut script = Self { replica, now: MonoMs(0) };
        script.step(Event::ActiveBrokers((0..3).map(|id| (BrokerId(id), BrokerEpoch(10 + i64::from(id)))).collect()));
        script
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Actions::new();
        self.replica.step(self.now, event, &mut actions);
        actions.into_vec()
    }

    fn assign(&mut self, leader: i32, epochs: (i32, i32), isr: &[i32]) -> Vec<Action> {
        self.step(Event::Assigned(Assignment {
            leader: BrokerId(leader),
            leader_epoch: LeaderEpoch(epochs.0),
            partition_epoch: PartitionEpoch(epochs.1),
            replicas: (0..3).map(BrokerId).collect(),
            isr: isr.iter().copied().map(BrokerId).collect(),
            elr: Vec::new(),
            unclean: false,
        }))
    }

    fn open(&mut self, follower: i32, session: u64, log_end: i64) -> Vec<Action> {
        self.open_as(BrokerEpoch(10 + i64::from(follower)), follower, session, log_end)
    }

    fn open_as(&mut self, broker_epoch: BrokerEpoch, follower: i32, session: u64, log_end: i64) -> Vec<Action> {
        let follower = OpenedFollower {
            replica: BrokerId(follower),
            broker_epoch,
            session: SessionId(session),
            log_end: Offset(log_end),
            flushed: Offset(log_end),
        };
        self.step(Event::FollowerOpened { leader_epoch: self.replica.leader_epoch(), follower })
    }

    fn ack(&mut self, follower: i32, session: u64, epoch: i32, log_end: i64, flushed: i64) -> Vec<Action> {
        self.step(Event::FollowerAcked {
            replica: BrokerId(follower),
            session: SessionId(session),
            leader_epoch: LeaderEpoch(epoch),
            log_end: Offset(log_end),
            flushed: Offset(flushed),
        })
    }

    fn append_and_flush(&mut self, log_end: i64) {
        self.step(Event::Appended { log_end: Offset(log_end) });
        self.step(Event::Flushed { flushed: Offset(log_end) });
    }

    fn answer(&mut self, partition_epoch: i32, answer: IsrAnswer) -> Vec<Action> {
        let (leader_epoch, partition_epoch) = (self.replica.leader_epoch(), PartitionEpoch(partition_epoch));
        self.step(Event::IsrAnswered { leader_epoch, partition_epoch, answer })
    }

    fn high_watermark(&self) -> i64 {
        self.replica.high_watermark().get()
    }
}

/// The ISR that was proposed, if one was.
fn proposed(actions: &[Action]) -> Option<Vec<i32>> {
    actions.iter().find_map(|action| match action {
        Action::ProposeIsr(change) => Some(change.isr.iter().map(|(id, _)| id.get()).collect()),
        _ => None,
    })
}

/// P5: what was acknowledged in another epoch or an earlier opening says nothing about this one.
fn stale_acknowledgements_do_not_count(mutation: Option<Mutation>) -> bool {
    let mut script = Script::new(mutation);
    script.assign(0, (1, 1), &[0, 1]);
    script.open(1, 5, 0);
    script.append_and_flush(10);
    script.ack(1, 4, 1, 10, 10);
    let earlier_session = script.high_watermark();
    script.ack(1, 5, 0, 10, 10);
    let earlier_epoch = script.high_watermark();
    script.ack(1, 5, 1, 10, 10);
    (earlier_session, earlier_epoch, script.high_watermark()) == (0, 0, 10)
}

/// P8: of two processes with one id, the one that registered first does not count any more, whichever stream is newer.
fn an_outdated_process_does_not_count(mutation: Option<Mutation>) -> bool {
    let mut script = Script::new(mutation);
    script.assign(0, (1, 1), &[0, 1]);
    script.open_as(BrokerEpoch(20), 1, 5, 0);
    script.append_and_flush(10);
    script.open(1, 6, 10);
    let of_the_stream = script.high_watermark();
    // A new leader has met neither, and knows of the second one from the metadata.
    let cursors = LogCursors { log_start: Offset(0), flushed: Offset(10), log_end: Offset(10) };
    let mut script = Script::at(STRICT, cursors, 0, mutation);
    script.assign(0, (2, 2), &[0, 1]);
    script.open_as(BrokerEpoch(9), 1, 7, 10);
    let of_the_metadata = script.high_watermark();
    script.open(1, 8, 10);
    (of_the_stream, of_the_metadata, script.high_watermark()) == (0, 0, 10)
}

/// P4: a replica whose addition is in flight counts, because the controller may have agreed already.
fn a_joining_replica_counts(mutation: Option<Mutation>) -> bool {
    let mut script = Script::new(mutation);
    script.assign(0, (1, 1), &[0, 1]);
    script.open(1, 5, 0);
    assert_eq!(proposed(&script.open(2, 6, 0)), Some(vec![0, 1, 2]));
    script.append_and_flush(5);
    script.ack(1, 5, 1, 5, 5);
    let without = script.high_watermark();
    script.ack(2, 6, 1, 5, 5);
    (without, script.high_watermark()) == (0, 5)
}

/// P4: an expansion in doubt that is refused once may still take effect, until the partition epoch is used up.
fn a_refused_expansion_in_doubt_is_settled(mutation: Option<Mutation>) -> bool {
    let mut script = Script::new(mutation);
    script.assign(0, (1, 1), &[0]);
    assert_eq!(proposed(&script.open(1, 5, 0)), Some(vec![0, 1]));
    assert_eq!(proposed(&script.answer(1, IsrAnswer::Unknown)), Some(vec![0, 1]), "asked again");
    let settling = proposed(&script.answer(1, IsrAnswer::Refused));
    script.append_and_flush(5);
    let in_doubt = script.high_watermark();
    let (isr, leader_epoch, partition_epoch) = (vec![BrokerId(0)], LeaderEpoch(1), PartitionEpoch(2));
    script.answer(1, IsrAnswer::Accepted { isr, elr: Vec::new(), leader_epoch, partition_epoch });
    settling == Some(vec![0]) && in_doubt == 0 && script.high_watermark() == 5
}

/// KIP-966: below the minimum the high watermark stands still, though the leader alone is in sync.
fn nothing_is_committed_below_the_minimum(mutation: Option<Mutation>) -> bool {
    let mut script = Script::at(Settings { min_isr: 2, ..STRICT }, LogCursors::default(), 0, mutation);
    script.assign(0, (1, 1), &[0]);
    script.append_and_flush(5);
    script.high_watermark() == 0
}

/// P2: the controller has an eligible leader replica, so nothing is committed, although the minimum that this broker knows is
/// met. Once the ISR is large enough for the controller, the ELR is empty and commits go on.
fn nothing_is_committed_without_the_elr(mutation: Option<Mutation>) -> bool {
    let mut script = Script::new(mutation);
    script.assign(0, (1, 1), &[0, 1]);
    script.open(1, 5, 0);
    let shrunk = Assignment {
        leader: BrokerId(0),
        leader_epoch: LeaderEpoch(1),
        partition_epoch: PartitionEpoch(2),
        replicas: (0..3).map(BrokerId).collect(),
        isr: vec![BrokerId(0)],
        elr: vec![BrokerId(1)],
        unclean: false,
    };
    script.step(Event::Assigned(shrunk.clone()));
    script.append_and_flush(5);
    let with_elr = (script.high_watermark(), script.replica.check_append(true).is_err());
    script.step(Event::Assigned(Assignment { elr: Vec::new(), partition_epoch: PartitionEpoch(3), ..shrunk }));
    with_elr == (0, true) && script.high_watermark() == 5
}

/// Scripts that tell whether their rule held.
const RULES: &[fn(Option<Mutation>) -> bool] = &[
    stale_acknowledgements_do_not_count,
    an_outdated_process_does_not_count,
    a_joining_replica_counts,
    a_refused_expansion_in_doubt_is_settled,
    nothing_is_committed_below_the_minimum,
    nothing_is_committed_without_the_elr,
];

/// Whether a script catches that defect.
pub(crate) fn catches(mutation: Mutation) -> bool {
    RULES.iter().any(|rule| !rule(Some(mutation)))
}

#[test]
fn rules_hold() {
    for (number, rule) in RULES.iter().enumerate() {
        assert!(rule(None), "rule {number}");
    }
}

/// A plain refusal leaves the ISR as it is, and is not asked again at once.
#[test]
fn a_refused_expansion_waits() {
    let mut script = Script::new(None);
    script.assign(0, (1, 1), &[0]);
    assert_eq!(proposed(&script.open(1, 5, 0)), Some(vec![0, 1]));
    assert_eq!(proposed(&script.answer(1, IsrAnswer::Refused)), None);
    script.append_and_flush(5);
    assert_eq!(script.high_watermark(), 5, "alone in sync");
    script.ack(1, 5, 1, 5, 5);
    assert_eq!(proposed(&script.step(Event::Tick)), None);
    script.now = MonoMs(10_000);
    assert_eq!(proposed(&script.step(Event::Tick)), Some(vec![0, 1]));
}

/// P8: an expansion that is asked for again is about the registration that held what is committed, not about a later one.
#[test]
fn an_expansion_in_doubt_is_about_one_registration() {
    let registration = |actions: &[Action]| {
        actions.iter().find_map(|action| match action {
            Action::ProposeIsr(change) => change.isr.iter().find(|(id, _)| *id == BrokerId(1)).map(|&(_, epoch)| epoch),
            _ => None,
        })
    };
    let (before, after) = (BrokerEpoch(11), BrokerEpoch(20));
    let mut script = Script::new(None);
    script.assign(0, (1, 1), &[0]);
    script.append_and_flush(5);
    assert_eq!(registration(&script.open(1, 5, 5)), Some(before));
    script.step(Event::FollowerClosed { replica: BrokerId(1), session: SessionId(5) });
    script.step(Event::ActiveBrokers([(BrokerId(0), BrokerEpoch(10)), (BrokerId(1), after)].into()));
    assert_eq!(registration(&script.answer(1, IsrAnswer::Unknown)), Some(before), "it has registered anew");
    script.open_as(after, 1, 6, 0);
    assert_eq!(registration(&script.answer(1, IsrAnswer::Unknown)), Some(before), "it came with an empty disk");
    assert_eq!(proposed(&script.answer(1, IsrAnswer::Refused)), Some(vec![0]), "then the doubt is settled");
}

/// Newer metadata settles what is in flight, whatever comes of the proposal.
#[test]
fn newer_metadata_settles_a_pending_change() {
    let mut script = Script::new(None);
    script.assign(0, (1, 1), &[0, 2]);
    script.open(1, 5, 0);
    assert_eq!(script.answer(1, IsrAnswer::Stale), [], "waits for the metadata");
    assert!(matches!(script.replica.isr(), Some(IsrState::PendingExpand { .. })));
    let actions = script.assign(0, (1, 2), &[0]);
    assert!(actions.contains(&Action::IsrCommitted { grown: false, shrunk: true }));
    assert_eq!(proposed(&actions), Some(vec![0, 1]), "proposed anew on the new epoch");
    assert_eq!(script.answer(1, IsrAnswer::Refused), [], "an answer to the old one");
}

/// The lag rule: not caught up for longer than `replica.lag.time.max.ms`, counted from when it began to lag.
#[test]
fn a_lagging_member_is_to_leave() {
    let mut script = Script::new(None);
    script.assign(0, (1, 1), &[0, 1, 2]);
    script.open(1, 5, 0);
    script.open(2, 6, 0);
    script.now = MonoMs(100_000);
    assert_eq!(proposed(&script.step(Event::Tick)), None, "an idle partition has no lag");
    assert!(!script.replica.needs_ticks(script.now));
    script.append_and_flush(5);
    script.ack(1, 5, 1, 5, 5);
    script.ack(2, 6, 1, 5, 0);
    assert!(script.replica.needs_ticks(script.now), "appended but not flushed is lag in strict mode");
    script.now = MonoMs(100_300);
    assert_eq!(proposed(&script.step(Event::Tick)), None);
    script.now = MonoMs(100_301);
    assert_eq!(proposed(&script.step(Event::Tick)), Some(vec![0, 1]));
    assert_eq!(script.high_watermark(), 0, "it counts until the controller agrees");
}

/// P6.
#[test]
fn acks_all_asks_for_the_minimum() {
    let mut script = Script::at(Settings { min_isr: 2, ..STRICT }, LogCursors::default(), 0, None);
    assert_eq!(script.replica.check_append(false), Err(crate::AppendRefusal::NotLeader));
    script.assign(0, (1, 1), &[0]);
    assert_eq!(
        script.replica.check_append(true),
        Err(crate::AppendRefusal::NotEnoughReplicas { in_sync: 1, required: 2 })
    );
    assert_eq!(script.replica.check_append(false), Ok(LeaderEpoch(1)));
    // More than there are replicas is all of them.
    script.step(Event::Configured(Settings { min_isr: 9, ..STRICT }));
    assert_eq!(script.replica.effective_min_isr(), Some(3));
}

/// P3.
#[test]
fn a_new_leader_exposes_its_high_watermark_late() {
    let cursors = LogCursors { log_start: Offset(0), flushed: Offset(10), log_end: Offset(10) };
    let mut script = Script::at(STRICT, cursors, 4, None);
    script.assign(0, (3, 7), &[0, 1]);
    assert_eq!((script.high_watermark(), script.replica.exposed_high_watermark()), (4, None));
    script.open(1, 5, 8);
    assert_eq!((script.high_watermark(), script.replica.exposed_high_watermark()), (8, None));
    script.ack(1, 5, 3, 10, 10);
    assert_eq!(script.replica.exposed_high_watermark(), Some(Offset(10)));
}

/// P9: a follower keeps what it knows to be committed, unless an unclean election or relaxed durability explains the loss.
#[test]
fn a_follower_refuses_to_cut_committed_records() {
    let cursors = LogCursors { log_start: Offset(0), flushed: Offset(10), log_end: Offset(10) };
    let diverged = |script: &mut Script| {
        script.assign(1, (2, 2), &[1]);
        let leader = EpochEnd { epoch: LeaderEpoch(1), end_offset: Offset(3) };
        script.step(Event::Diverged {
            leader_epoch: LeaderEpoch(2),
            leader,
            local: EpochEnd { end_offset: Offset(10), ..leader },
        })
    };
    let mut strict = Script::at(STRICT, cursors, 5, None);
    assert_eq!(diverged(&mut strict), [Action::RefuseTruncation { offset: Offset(3), high_watermark: Offset(5) }]);
    assert!(!strict.replica.wants_open());
    let mut relaxed = Script::at(Settings { durability: Durability::Relaxed, ..STRICT }, cursors, 5, None);
    assert_eq!(diverged(&mut relaxed), [Action::TruncateTo { offset: Offset(3) }]);
    let mut below = Script::at(STRICT, cursors, 2, None);
    assert_eq!(diverged(&mut below), [Action::TruncateTo { offset: Offset(3) }]);
}

/// A member that comes back without what it had acknowledged leaves the ISR at once.
#[test]
fn a_member_that_lost_records_leaves() {
    let relaxed = Settings { durability: Durability::Relaxed, ..STRICT };
    let mut script = Script::at(relaxed, LogCursors::default(), 0, None);
    script.assign(0, (1, 1), &[0, 1]);
    script.open(1, 5, 0);
    script.step(Event::Appended { log_end: Offset(5) });
    script.ack(1, 5, 1, 5, 0);
    assert_eq!(script.high_watermark(), 5);
    assert_eq!(proposed(&script.open(1, 6, 2)), Some(vec![0]));
    assert_eq!(script.high_watermark(), 5, "never back");
}

/// The same, if a change of the ISR is in flight at that moment: its own joining, or another one's.
#[test]
fn a_member_that_lost_records_amid_a_change_leaves_after_it() {
    let relaxed = Settings { durability: Durability::Relaxed, ..STRICT };
    let mut joining = Script::at(relaxed, LogCursors::default(), 0, None);
    joining.assign(0, (1, 1), &[0]);
    joining.step(Event::Appended { log_end: Offset(5) });
    assert_eq!(proposed(&joining.open(1, 5, 5)), Some(vec![0, 1]));
    assert_eq!(proposed(&joining.open(1, 6, 2)), None, "the answer comes first");
    let isr = [0, 1].map(BrokerId).to_vec();
    let (leader_epoch, partition_epoch) = (LeaderEpoch(1), PartitionEpoch(2));
    let accepted = IsrAnswer::Accepted { isr, elr: Vec::new(), leader_epoch, partition_epoch };
    assert_eq!(proposed(&joining.answer(1, accepted)), Some(vec![0]));

    let mut member = Script::at(relaxed, LogCursors::default(), 0, None);
    member.assign(0, (1, 1), &[0, 1]);
    member.open(1, 5, 0);
    member.step(Event::Appended { log_end: Offset(5) });
    member.ack(1, 5, 1, 5, 0);
    assert_eq!(proposed(&member.open(2, 6, 5)), Some(vec![0, 1, 2]));
    assert_eq!(proposed(&member.open(1, 7, 2)), None);
    assert_eq!(proposed(&member.answer(1, IsrAnswer::Refused)), Some(vec![0]));
}

#[test]
fn a_follower_deletes_what_its_leader_has_deleted_once_it_holds_it() {
    let cursors = LogCursors { log_start: Offset(0), flushed: Offset(10), log_end: Offset(20) };
    let mut script = Script::at(STRICT, cursors, 10, None);
    script.assign(1, (5, 1), &[0, 1]);
    let (high_watermark, log_start) = (Offset(20), Offset(15));
    let starts = |actions: Vec<Action>| {
        let start = |action: &Action| match action {
            Action::AdvanceLogStart { log_start } => Some(log_start.get()),
            _ => None,
        };
        actions.iter().filter_map(start).collect::<Vec<_>>()
    };
    let opened = script.step(Event::OpenAccepted { leader_epoch: LeaderEpoch(5), high_watermark, log_start });
    assert_eq!(starts(opened), [10], "no further than what is on disk");
    script.step(Event::LogStartMoved { log_start: Offset(10) });
    // The leader has nothing more to say.
    assert_eq!(starts(script.step(Event::Flushed { flushed: Offset(20) })), [15]);
    script.step(Event::LogStartMoved { log_start });
    script.append_and_flush(21);
    assert_eq!(script.replica.cursors().log_start, log_start);
}
