//! Controllers that are cut off for a while, and what happens without them meanwhile.

use std::sync::mpsc;

use highwater_controller::VoterChange;
use tokio::io::copy_bidirectional;
use tokio::sync::watch;

use super::*;

/// What stands between a machine and the others that dial it.
pub(super) struct Door {
    /// Where the process listens.
    pub(super) inside: String,
    open: watch::Sender<bool>,
}

/// A process that is cut off: it hears nobody, and does nothing. Ends when it is dropped.
struct CutOff {
    open: watch::Sender<bool>,
    _hangs: mpsc::Sender<()>,
}

impl Door {
    /// Passes on to another port what arrives at the machine's address.
    fn before(machine: &mut Machine, runtime: &Runtime) -> Self {
        let outside = machine.listener.take().expect("the machine has not run");
        let inside = runtime.block_on(async {
            let port = bind("127.0.0.3:0").await.local_addr().unwrap().port();
            format!("127.0.0.3:{port}")
        });
        let (open, is_open) = watch::channel(true);
        let to = inside.clone();
        runtime.spawn(async move {
            loop {
                let Ok((mut from, _)) = outside.accept().await else { continue };
                let (to, mut is_open) = (to.clone(), is_open.clone());
                tokio::spawn(async move {
                    if !*is_open.borrow_and_update() {
                        return;
                    }
                    let Ok(mut to) = Net::Tcp.connect(&to).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut from, &mut to) => {}
                        _ = is_open.changed() => {}
                    }
                });
            }
        });
        Self { inside, open }
    }
}

impl Cluster {
    fn join_behind_a_door(&mut self, id: i32) {
        let mut machine = Machine::new(id, &self.runtime);
        machine.joins = true;
        machine.door = Some(Door::before(&mut machine, &self.runtime));
        self.machines.insert(BrokerId(id), machine);
        self.start(id).unwrap();
    }

    /// The process hangs first, so that it learns nothing of how the others take leave.
    fn cut_off(&self, id: i32) -> CutOff {
        let (hangs, hang) = mpsc::channel();
        self.processes[&BrokerId(id)].runtime.spawn(async move { hang.recv() });
        let open = self.machines[&BrokerId(id)].door.as_ref().expect("a door").open.clone();
        open.send_replace(false);
        CutOff { open, _hangs: hangs }
    }
}

impl Drop for CutOff {
    fn drop(&mut self) {
        self.open.send_replace(true);
    }
}

#[test]
fn an_active_controller_that_lost_its_vote_while_it_was_cut_off_finds_out() {
    let mut cluster = Cluster::started([1, 2, 3]);
    cluster.join_behind_a_door(4);
    cluster.add(4).unwrap();
    cluster.voters_are(&[1, 2, 3, 4]);
    cluster.hand_over_to(4);
    cluster.works(1);
    let lost = cluster.key(4);
    let cut_off = cluster.cut_off(4);
    let others = || (1..=3).any(|id| cluster.controller(BrokerId(id)).is_active()).then_some(());
    cluster.eventually("another active controller", others);
    // So long that it counts as dead and is forgotten: nobody sends it anything any more.
    cluster.sleep(Duration::from_millis(2500));
    cluster.change(VoterChange::Remove(lost)).unwrap();
    assert!(cluster.described().observers.is_empty());
    cluster.works(2);
    drop(cut_off);
    let fourth = cluster.controller(BrokerId(4));
    assert!(fourth.is_active(), "it knows nothing of that yet");
    cluster.eventually("it finds out", || (!fourth.is_active()).then_some(()));
    cluster.observer(4);
    cluster.voters_are(&[1, 2, 3]);
    assert!(!fourth.is_voter());
    cluster.works(3);
}
