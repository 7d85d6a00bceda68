//! Commands from anywhere reach the active controller, once.

use highwater_controller::{AlterPartition, BrokerSession, UnregisterBroker};
use highwater_types::{BrokerEpoch, ErrorCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

use super::*;
use crate::dedup::CommandId;
use crate::submission::{Reply, Submission};

#[test]
fn commands_are_taken_from_any_node_and_reach_all() {
    let cluster = Cluster::started([1, 2, 3]);
    for (number, id) in (0..).zip(cluster.ids()) {
        let process = &cluster.processes[&id];
        let client = {
            let _context = process.runtime.enter();
            let env = cluster.machines[&id].env();
            ControllerClient::new(&env, &cluster.voters(), Some(process.controller.clone()))
        };
        let submitted = process.runtime.block_on(client.submit_within(set_config(number), PATIENCE));
        let (_, offset) = submitted.unwrap();
        assert_eq!(configured(&cluster.converged(offset)), Some(number));
    }
}

#[test]
fn followers_hear_of_a_commit_at_once() {
    let cluster = Cluster::started([1, 2, 3]);
    let client = cluster.client();
    cluster.submit(&client, set_config(0)).unwrap();
    let mut slowest = Duration::ZERO;
    for number in 1..=10 {
        cluster.submit(&client, set_config(number)).unwrap();
        let started = Instant::now();
        cluster.eventually("followers", || {
            let known = |process: &Process| configured(&process.controller.image()) == Some(number);
            cluster.processes.values().all(known).then_some(())
        });
        slowest = slowest.max(started.elapsed());
    }
    println!("a commit reached all followers within {slowest:?}");
    assert!(slowest < Duration::from_millis(150), "not only with the next heartbeat: {slowest:?}");
}

#[test]
fn a_refused_command_changes_nothing() {
    let cluster = Cluster::started([1]);
    let client = cluster.client();
    let before = cluster.converged(MetadataOffset(2)).offset();
    let session = highwater_controller::BrokerSession { id: BrokerId(9), epoch: highwater_types::BrokerEpoch(1) };
    assert!(cluster.submit(&client, Command::ControlledShutdown(session)).is_err());
    assert_eq!(cluster.controller(BrokerId(1)).image().offset(), before);
}

#[test]
fn a_repeated_command_is_answered_and_not_run_again() {
    let cluster = Cluster::started([1]);
    let core = cluster.controller(BrokerId(1)).core().clone();
    let submit = |number, sequence, sent_in_term| {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let id = Some(CommandId { client: 5, sequence });
        let submission = Submission { command: set_config(number), id, sent_in_term, queued_us: 0, reply };
        core.submit(submission, answer, PATIENCE)
    };
    let offset = |reply| match reply {
        Reply::Committed { outcome, term } => (outcome.offset, term),
        other => panic!("{other:?}"),
    };
    let (first, again, both) = cluster.runtime.block_on(async {
        let first = submit(1, 1, None).await;
        let again = submit(2, 1, None).await;
        (first, again, tokio::join!(submit(3, 2, None), submit(4, 2, None)))
    });
    let (first_offset, term) = offset(first);
    assert_eq!(offset(again), (first_offset, term));
    assert_eq!(offset(both.0), offset(both.1), "both in one batch, run once");
    assert_eq!(configured(&core.feed.image()), Some(3));
    let elsewhere = cluster.runtime.block_on(submit(5, 3, Some(term + 1)));
    assert!(matches!(elsewhere, Reply::Unknown(_)), "{elsewhere:?}");
}

#[test]
fn without_a_quorum_a_command_times_out() {
    let mut cluster = Cluster::started([1, 2, 3]);
    let client = cluster.client();
    cluster.submit(&client, set_config(1)).unwrap();
    let active = cluster.active();
    for id in cluster.ids().into_iter().filter(|&id| id != active) {
        cluster.kill(id);
    }
    let limit = Duration::from_millis(1500);
    let result = cluster.runtime.block_on(client.submit_within(set_config(2), limit));
    assert_eq!(result.unwrap_err().code, ErrorCode::RequestTimedOut);
}

#[test]
fn many_commands_at_once_share_entries() {
    let cluster = Cluster::started([1, 2, 3]);
    let client = cluster.client();
    let active = cluster.active();
    let log_index = || cluster.controller(active).core().raft_metrics().last_log_index.unwrap();
    cluster.submit(&client, set_config(0)).unwrap();
    let before = log_index();
    cluster.runtime.block_on(async {
        let submitted = (1..=300).map(|number| client.submit(set_config(number)));
        for result in futures::future::join_all(submitted).await {
            result.unwrap();
        }
    });
    let entries = log_index() - before;
    println!("300 commands in {entries} entries");
    assert!(entries < 150, "{entries}");
}

/// A voter that takes connections, reads something and hangs up. Counts the connections.
async fn hang_up_on_everybody(listener: Listener, taken: Arc<Mutex<usize>>) {
    loop {
        let Ok((mut connection, _)) = listener.accept().await else { return };
        *taken.lock() += 1;
        let _ = connection.read(&mut [0; 1024]).await;
    }
}

#[test]
fn an_isr_change_of_unknown_outcome_is_not_asked_for_again() {
    let cluster = Cluster::new([]);
    let (taken, limit) = (Arc::new(Mutex::new(0)), Duration::from_millis(500));
    let client = cluster.runtime.block_on(async {
        let listener = bind("127.0.0.3:0").await;
        let port = listener.local_addr().unwrap().port();
        let voter = Voter { id: BrokerId(1), endpoint: HostPort { host: "127.0.0.3".to_owned(), port } };
        tokio::spawn(hang_up_on_everybody(listener, taken.clone()));
        ControllerClient::new(&Env::in_memory(SimFs::new(), SimKv::new()), &[voter], None)
    });
    let session = BrokerSession { id: BrokerId(1), epoch: BrokerEpoch(1) };
    let change = Command::AlterPartition(AlterPartition { session, partitions: Vec::new() });
    let refused = cluster.runtime.block_on(client.submit_within(change, limit)).unwrap_err();
    assert_eq!((refused.code, *taken.lock()), (ErrorCode::RequestTimedOut, 1));
    let repeated = cluster.runtime.block_on(client.submit_within(set_config(1), limit)).unwrap_err();
    assert_eq!(repeated.code, ErrorCode::RequestTimedOut);
    assert!(*taken.lock() > 2, "a change of the configuration is asked for again");
}

/// Takes the place of a voter towards a client. Once `false` is sent, answers go nowhere.
fn stand_before(voter: &mut Voter, runtime: &Runtime) -> watch::Sender<bool> {
    let inside = voter.endpoint.to_string();
    let outside = runtime.block_on(bind("127.0.0.3:0"));
    voter.endpoint.port = outside.local_addr().unwrap().port();
    let (answers, answered) = watch::channel(true);
    runtime.spawn(async move {
        while let Ok((client, _)) = outside.accept().await {
            let Ok(server) = Net::Tcp.connect(&inside).await else { continue };
            let ((mut asks, mut hears), (mut says, mut takes)) = (tokio::io::split(client), tokio::io::split(server));
            let answered = answered.clone();
            tokio::spawn(async move {
                let there = tokio::io::copy(&mut asks, &mut takes);
                let back = async {
                    let mut bytes = [0; 4096];
                    while let Ok(read @ 1..) = says.read(&mut bytes).await {
                        if *answered.borrow() && hears.write_all(&bytes[..read]).await.is_err() {
                            return;
                        }
                    }
                };
                tokio::select! {
                    _ = there => {}
                    () = back => {}
                }
            });
        }
    });
    answers
}

/// The next controller finds nothing left to do.
#[test]
fn a_removal_whose_answer_was_lost_with_its_controller_is_no_failure() {
    let mut cluster = Cluster::started([1, 2, 3]);
    let active = cluster.active();
    let mut voters = cluster.voters();
    let answers = stand_before(voters.iter_mut().find(|voter| voter.id == active).unwrap(), &cluster.runtime);
    let client = {
        let _context = cluster.runtime.enter();
        ControllerClient::new(&Env::in_memory(SimFs::new(), SimKv::new()), &voters, None)
    };
    let id = BrokerId(10);
    cluster.submit(&client, Command::RegisterBroker(registration(10, 1, 1))).unwrap();
    let knows = |process: &Process| process.controller.image().broker(id).is_some();
    cluster.eventually("all know it", || cluster.processes.values().all(knows).then_some(()));
    answers.send_replace(false);
    let removal = Command::UnregisterBroker(UnregisterBroker { id });
    let removed = cluster.runtime.spawn(async move { client.submit_within(removal, PATIENCE).await });
    cluster.eventually("nobody knows it", || (!cluster.processes.values().any(knows)).then_some(()));
    assert!(!removed.is_finished(), "its answer was passed on");
    cluster.kill(active);
    let (response, _) = cluster.runtime.block_on(removed).unwrap().unwrap();
    assert_eq!(response, CommandResponse::UnregisterBroker);
}
