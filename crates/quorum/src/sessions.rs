//! Which brokers are alive, as the active controller sees it. Pure: time is an argument.
//!
//! A session is *held* while heartbeats come. It is *ended*, for the broker to be fenced, when
//! - no heartbeat came for the session time-out (a hang, a cut link), or
//! - it has no stream, because it broke just after a heartbeat or because this controller is new, and its address refuses
//!   connections (a dead process), or
//! - the broker said goodbye.
//!
//! From then on no lease is granted until the fencing is committed; a broker that still heartbeats is unfenced afterwards,
//! like any other that has caught up.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_controller::RegisterBroker;
use highwater_metadata::BrokerRegistration;
use highwater_types::{BrokerEpoch, BrokerId, MetadataOffset, MonoMs};

/// A broker without a stream is dialled after this time, and again after pauses that double: a dying process may close its
/// connections before its listener, and one that lives on may die later.
const FIRST_PROBE: Duration = Duration::from_millis(5);
/// Longest pause between two such attempts.
const PROBE_PAUSE_MAX: Duration = Duration::from_millis(300);

/// A stream that breaks so long after its last heartbeat broke because the link was cut, not because the process died: the
/// keepalive of a connection needs longer than this to find out. Then a refused connection proves nothing, and the broker's
/// lease must be waited for.
const FRESH: Duration = Duration::from_secs(3);

/// Sessions of all brokers that are not known to be gone.
#[derive(Debug)]
pub(crate) struct Sessions {
    timeout: Duration,
    brokers: BTreeMap<BrokerId, Session>,
    /// Number of the next stream.
    next_stream: u64,
}

#[derive(Debug)]
struct Session {
    epoch: BrokerEpoch,
    /// The stream that carries it; `None` while the broker is expected to open one.
    stream: Option<u64>,
    /// When a heartbeat came last, or the stream was opened.
    heard: MonoMs,
    /// How far the broker had applied the metadata then; `None` before its first heartbeat.
    offset: Option<MetadataOffset>,
    /// Ended at this time unless a heartbeat comes.
    deadline: MonoMs,
    /// When to dial the broker, to find out whether it is dead. `None` while it has a stream, while it is being dialled, and
    /// when a refusal would prove nothing.
    probe: Option<MonoMs>,
    /// Pause before the probe after that.
    pause: Duration,
    /// It has ended, and the fencing is on its way.
    ended: bool,
}

/// The process that holds a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// It is connected, and its silence has not lasted for the session time-out.
    Alive,
    /// It has no stream, as after a change of the active controller, and its lease may last yet.
    MayLive,
    /// It is dead, or its lease has lapsed.
    Gone,
}

impl Holder {
    /// Whether it may be alive when another run of the broker wants to register. Where it may, that run proves that it is not: only
    /// one process at a time can listen at an address, or have a log directory open.
    pub(crate) fn may_live_beside(self, present: &BrokerRegistration, new: &RegisterBroker) -> bool {
        let same_place = present.internal == new.internal
            || new.log_dirs.iter().any(|directory| present.log_dirs.contains(directory));
        match self {
            Self::Alive => true,
            Self::MayLive => !same_place,
            Self::Gone => false,
        }
    }
}

/// One registration of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) id: BrokerId,
    pub(crate) epoch: BrokerEpoch,
}

impl Sessions {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { timeout, brokers: BTreeMap::new(), next_stream: 0 }
    }

    /// A new active controller begins; no controller before it was confirmed by a quorum after `confirmed`, so that all their
    /// leases have lapsed when a session has passed since. Every unfenced broker gets half a session to find it in any case, unless
    /// it is found dead: the controller before may have died with it.
    pub(crate) fn begin(
        &mut self,
        unfenced: impl IntoIterator<Item = (BrokerId, BrokerEpoch)>,
        confirmed: MonoMs,
        now: MonoMs,
    ) {
        let deadline = (confirmed + self.timeout).max(now + self.timeout / 2);
        self.brokers = unfenced
            .into_iter()
            .map(|(id, epoch)| {
                let (probe, pause) = (Some(now + FIRST_PROBE), FIRST_PROBE);
                (id, Session { epoch, stream: None, heard: now, offset: None, deadline, probe, pause, ended: false })
            })
            .collect();
    }

    /// A number for a stream that was opened.
    pub(crate) fn new_stream(&mut self) -> u64 {
        self.next_stream += 1;
        self.next_stream
    }

    /// The broker's registration `epoch` is carried by `stream` from now on.
    pub(crate) fn open(&mut self, id: BrokerId, epoch: BrokerEpoch, stream: u64, now: MonoMs) {
        let deadline = now + self.timeout;
        let ended = self.brokers.get(&id).is_some_and(|session| session.epoch == epoch && session.ended);
        let (stream, pause) = (Some(stream), FIRST_PROBE);
        self.brokers
            .insert(id, Session { epoch, stream, heard: now, offset: None, deadline, probe: None, pause, ended });
    }

    /// A heartbeat came on `stream`, from a broker that has applied the metadata up to `offset`. True if the broker may be
    /// granted a lease.
    pub(crate) fn heartbeat(&mut self, id: BrokerId, stream: u64, offset: MetadataOffset, now: MonoMs) -> bool {
        let timeout = self.timeout;
        match self.brokers.get_mut(&id) {
            Some(session) if session.stream == Some(stream) => {
                session.heard = now;
                session.offset = Some(offset);
                session.deadline = session.deadline.max(now + timeout);
                !session.ended
            }
            _ => false,
        }
    }

    /// The stream broke. If it was the broker's, its process may have died.
    pub(crate) fn disconnected(&mut self, id: BrokerId, stream: u64, now: MonoMs) {
        if let Some(session) = self.brokers.get_mut(&id)
            && session.stream == Some(stream)
        {
            session.stream = None;
            session.probe = (now - session.heard <= FRESH).then_some(now + FIRST_PROBE);
            session.pause = FIRST_PROBE;
        }
    }

    /// Brokers to be dialled now. Each is named once until [`Self::dialled`].
    pub(crate) fn take_probes(&mut self, now: MonoMs) -> Vec<Registered> {
        let due = |session: &Session| !session.ended && session.probe.is_some_and(|at| at <= now);
        self.brokers
            .iter_mut()
            .filter(|(_, session)| due(session))
            .map(|(&id, session)| {
                session.probe = None;
                Registered { id, epoch: session.epoch }
            })
            .collect()
    }

    /// A broker was dialled. `refused` ends its session; otherwise it is dialled again later.
    pub(crate) fn dialled(&mut self, broker: Registered, refused: bool, now: MonoMs) {
        if refused {
            return self.gone(broker, now);
        }
        if let Some(session) = self.brokers.get_mut(&broker.id)
            && session.epoch == broker.epoch
            && session.stream.is_none()
        {
            session.pause = (session.pause * 2).min(PROBE_PAUSE_MAX);
            session.probe = Some(now + session.pause);
        }
    }

    /// The process is gone: nothing accepts connections at its address, or it said goodbye. Ends the session unless the
    /// broker came back on another stream meanwhile.
    pub(crate) fn gone(&mut self, broker: Registered, now: MonoMs) {
        if let Some(session) = self.brokers.get_mut(&broker.id)
            && session.epoch == broker.epoch
            && session.stream.is_none()
        {
            session.deadline = session.deadline.min(now);
        }
    }

    /// Sessions that ended and are to be fenced. Each is named once.
    pub(crate) fn take_ended(&mut self, now: MonoMs) -> Vec<Registered> {
        let due = |session: &Session| !session.ended && session.deadline <= now;
        self.brokers
            .iter_mut()
            .filter(|(_, session)| due(session))
            .map(|(&id, session)| {
                session.ended = true;
                Registered { id, epoch: session.epoch }
            })
            .collect()
    }

    /// The fencing of an ended session is committed, or could not be (then it is tried again).
    pub(crate) fn fenced(&mut self, ended: Registered, committed: bool, now: MonoMs) {
        let Some(session) = self.brokers.get_mut(&ended.id).filter(|session| session.epoch == ended.epoch) else {
            return;
        };
        if committed && session.stream.is_none() {
            self.brokers.remove(&ended.id);
        } else {
            session.ended = false;
            if committed {
                session.deadline = now + self.timeout;
            }
        }
    }

    /// When the next session ends, or the next broker is to be dialled, if nothing comes.
    pub(crate) fn next_event(&self) -> Option<MonoMs> {
        let running = self.brokers.values().filter(|session| !session.ended);
        running.map(|session| session.probe.map_or(session.deadline, |probe| probe.min(session.deadline))).min()
    }

    /// When each broker with a session was heard last, and how far it had applied the metadata then.
    pub(crate) fn heard(&self) -> impl Iterator<Item = (BrokerId, MonoMs, Option<MetadataOffset>)> {
        self.brokers.iter().map(|(&id, session)| (id, session.heard, session.offset))
    }

    /// What is known of the process that holds the present registration of the broker.
    pub(crate) fn holder(&self, id: BrokerId, now: MonoMs) -> Holder {
        match self.brokers.get(&id).filter(|session| session.deadline > now) {
            None => Holder::Gone,
            Some(session) if session.stream.is_some() => Holder::Alive,
            Some(_) => Holder::MayLive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LEASE_CONFIRMED_WITHIN, QuorumConfig};

    const TIMEOUT: Duration = Duration::from_secs(9);
    const ONE: BrokerId = BrokerId(1);
    const EPOCH: BrokerEpoch = BrokerEpoch(5);
    const END: MetadataOffset = MetadataOffset(9);
    const BROKER: Registered = Registered { id: ONE, epoch: EPOCH };

    fn opened() -> (Sessions, u64) {
        let mut sessions = Sessions::new(TIMEOUT);
        let stream = sessions.new_stream();
        sessions.open(ONE, EPOCH, stream, MonoMs(0));
        (sessions, stream)
    }

    #[test]
    fn silence_ends_a_session_and_heartbeats_keep_it() {
        let (mut sessions, stream) = opened();
        assert!(sessions.heartbeat(ONE, stream, END, MonoMs(5_000)));
        assert_eq!(sessions.take_ended(MonoMs(13_999)), []);
        let ended = BROKER;
        assert_eq!(sessions.take_ended(MonoMs(14_000)), [ended]);
        assert_eq!(sessions.take_ended(MonoMs(15_000)), [], "named once");
        assert!(!sessions.heartbeat(ONE, stream, END, MonoMs(15_000)), "no lease while it is being fenced");
        sessions.fenced(ended, true, MonoMs(15_100));
        assert!(sessions.heartbeat(ONE, stream, END, MonoMs(15_200)), "it lives after all");
    }

    #[test]
    fn a_broken_stream_alone_ends_nothing() {
        let (mut sessions, stream) = opened();
        sessions.disconnected(ONE, stream, MonoMs(5));
        assert_eq!(sessions.holder(ONE, MonoMs(10)), Holder::MayLive);
        assert_eq!(sessions.holder(ONE, MonoMs(9_000)), Holder::Gone);
        assert_eq!(sessions.take_ended(MonoMs(8_999)), []);
        assert_eq!(sessions.take_ended(MonoMs(9_000)).len(), 1);
    }

    #[test]
    fn a_dead_process_is_fenced_unless_it_came_back() {
        let (mut sessions, stream) = opened();
        sessions.disconnected(ONE, stream, MonoMs(5));
        assert_eq!(sessions.take_probes(MonoMs(9)), []);
        assert_eq!(sessions.take_probes(MonoMs(10)), [BROKER]);
        assert_eq!(sessions.take_probes(MonoMs(10)), [], "named once");
        sessions.dialled(BROKER, true, MonoMs(11));
        assert_eq!(sessions.take_ended(MonoMs(11)), [BROKER]);

        let (mut sessions, stream) = opened();
        sessions.disconnected(ONE, stream, MonoMs(5));
        let again = sessions.new_stream();
        sessions.open(ONE, EPOCH, again, MonoMs(100));
        assert_eq!(sessions.take_probes(MonoMs(300)), []);
        sessions.dialled(BROKER, true, MonoMs(300));
        assert_eq!(sessions.take_ended(MonoMs(300)), []);
        sessions.disconnected(ONE, stream, MonoMs(300));
        assert_eq!(sessions.next_event(), Some(MonoMs(9_100)), "the old stream says nothing any more");
    }

    #[test]
    fn a_broker_that_dies_later_is_found_out_later() {
        let (mut sessions, stream) = opened();
        sessions.disconnected(ONE, stream, MonoMs(5));
        assert_eq!(sessions.take_probes(MonoMs(10)), [BROKER]);
        sessions.dialled(BROKER, false, MonoMs(10));
        assert_eq!(sessions.take_ended(MonoMs(10)), []);
        let mut now = 10;
        for pause in [10, 20, 40, 80, 160, 300, 300] {
            now += pause;
            assert_eq!(sessions.next_event(), Some(MonoMs(now)));
            assert_eq!(sessions.take_probes(MonoMs(now)), [BROKER]);
            sessions.dialled(BROKER, now > 800, MonoMs(now));
        }
        assert_eq!(sessions.take_ended(MonoMs(now)), [BROKER]);
    }

    #[test]
    fn a_cut_link_is_no_dead_process() {
        let (mut sessions, stream) = opened();
        sessions.disconnected(ONE, stream, MonoMs(4_000));
        assert_eq!(sessions.next_event(), Some(MonoMs(9_000)), "it is not even dialled");
    }

    #[test]
    fn a_new_controller_waits_until_all_earlier_leases_have_lapsed() {
        let mut sessions = Sessions::new(TIMEOUT);
        sessions.begin([(ONE, EPOCH)], MonoMs(7_000), MonoMs(10_000));
        // The last lease that the controller before can have granted, by a clock that is a tenth slow.
        let granted = MonoMs(7_000) + LEASE_CONFIRMED_WITHIN * 10 / 9;
        let lapsed = granted + QuorumConfig::lease(TIMEOUT) * 10 / 9;
        assert_eq!(lapsed, MonoMs(15_999), "rounded down");
        assert_eq!(sessions.take_ended(lapsed), []);
        assert_eq!(sessions.take_ended(MonoMs(16_000)), [BROKER]);
    }

    #[test]
    fn a_controller_elected_late_leaves_brokers_time_to_find_it() {
        let mut sessions = Sessions::new(TIMEOUT);
        sessions.begin([(ONE, EPOCH)], MonoMs(0), MonoMs(60_000));
        assert_eq!(sessions.take_ended(MonoMs(64_499)), []);
        assert_eq!(sessions.take_ended(MonoMs(64_500)), [BROKER]);
    }

    #[test]
    fn a_new_controller_waits_a_whole_session() {
        let mut sessions = Sessions::new(TIMEOUT);
        let two = Registered { id: BrokerId(2), epoch: EPOCH };
        sessions.begin([(ONE, EPOCH), (two.id, EPOCH)], MonoMs(100), MonoMs(100));
        let stream = sessions.new_stream();
        sessions.open(ONE, EPOCH, stream, MonoMs(200));
        assert_eq!(sessions.take_probes(MonoMs(300)), [two], "it may have died with the controller before");
        sessions.heartbeat(ONE, stream, END, MonoMs(5_000));
        let holders = [ONE, two.id, BrokerId(3)].map(|id| sessions.holder(id, MonoMs(5_000)));
        assert_eq!(holders, [Holder::Alive, Holder::MayLive, Holder::Gone]);
        assert_eq!(sessions.next_event(), Some(MonoMs(9_100)));
        assert_eq!(sessions.take_ended(MonoMs(9_100)), [two]);
    }

    #[test]
    fn a_broker_that_died_with_the_controller_is_found_by_the_next_one() {
        let mut sessions = Sessions::new(TIMEOUT);
        sessions.begin([(ONE, EPOCH)], MonoMs(100), MonoMs(100));
        assert_eq!(sessions.next_event(), Some(MonoMs(105)));
        assert_eq!(sessions.take_probes(MonoMs(105)), [BROKER]);
        sessions.dialled(BROKER, true, MonoMs(106));
        assert_eq!(sessions.take_ended(MonoMs(106)), [BROKER]);
    }

    #[test]
    fn a_failed_fencing_is_tried_again() {
        let (mut sessions, _) = opened();
        let ended = sessions.take_ended(MonoMs(9_000))[0];
        sessions.fenced(ended, false, MonoMs(9_010));
        assert_eq!(sessions.take_ended(MonoMs(9_020)), [ended]);
    }

    #[test]
    fn the_fencing_of_an_old_registration_does_not_touch_the_new_one() {
        let (mut sessions, stream) = opened();
        sessions.disconnected(ONE, stream, MonoMs(5));
        sessions.gone(BROKER, MonoMs(200));
        let ended = sessions.take_ended(MonoMs(200))[0];
        let again = sessions.new_stream();
        sessions.open(ONE, BrokerEpoch(6), again, MonoMs(300));
        sessions.fenced(ended, true, MonoMs(400));
        assert!(sessions.heartbeat(ONE, again, END, MonoMs(500)));
    }
}
