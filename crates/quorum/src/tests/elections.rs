//! The active controller changes: by death, by hand-over, by power loss.

use std::collections::BTreeSet;

use super::*;
use crate::finder::Finder;
use crate::raft_types::RaftId;

/// A controller that dies is replaced before any election time-out (at least a second) could have done it.
const QUICK: Duration = Duration::from_millis(800);

#[test]
fn a_killed_active_controller_is_replaced_at_once() {
    let mut cluster = Cluster::started([1, 2, 3]);
    let client = cluster.client();
    let mut times = Vec::new();
    for round in 0..4 {
        cluster.submit(&client, set_config(round)).unwrap();
        cluster.converged(MetadataOffset(5));
        // The watch on a new leader is opened within moments; a real one has led for hours.
        cluster.sleep(Duration::from_millis(300));
        let active = cluster.active();
        let started = Instant::now();
        cluster.kill(active);
        let next = cluster.active();
        times.push(started.elapsed());
        assert_ne!(next, active);
        cluster.submit(&client, set_config(100 + round)).unwrap();
        cluster.start(active.0).unwrap();
        let image = cluster.converged(MetadataOffset(6));
        assert_eq!(configured(&image), Some(100 + round));
    }
    println!("a new active controller after {times:?}");
    assert!(times.iter().all(|time| *time < QUICK), "{times:?}");
}

#[test]
fn the_active_controller_hands_over_when_it_stops() {
    let cluster = Cluster::started([1, 2, 3]);
    let client = cluster.client();
    cluster.submit(&client, set_config(1)).unwrap();
    let active = cluster.active();
    let started = Instant::now();
    cluster.processes[&active].runtime.block_on(cluster.controller(active).shutdown());
    let next = cluster.active();
    println!("handed over within {:?}", started.elapsed());
    assert_ne!(next, active);
    assert!(started.elapsed() < QUICK, "{:?}", started.elapsed());
    assert!(cluster.processes[&active].fatal.lock().is_none(), "stopping is no failure");
    cluster.submit(&client, set_config(2)).unwrap();
}

#[test]
fn a_follower_that_loses_its_leader_alone_changes_nothing() {
    let cluster = Cluster::started([1, 2, 3]);
    let client = cluster.client();
    cluster.submit(&client, set_config(1)).unwrap();
    let active = cluster.active();
    let follower = cluster.ids().into_iter().find(|&id| id != active).unwrap();
    let core = cluster.controller(follower).core().clone();
    let (_, term) = core.leader_hint();
    // What the watch does when the connection breaks and cannot be made again.
    cluster.processes[&follower].runtime.block_on(async {
        let vote = core.raft_metrics().vote;
        let to = openraft::raft::TransferLeaderRequest::new(vote, RaftId::founder(active), None);
        core.raft.handle_transfer_leader(to).await.unwrap().unwrap();
        for _ in 0..5 {
            core.raft.trigger().elect(true).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(cluster.active(), active);
    assert_eq!(cluster.controller(active).core().leader_hint().1, term);
    cluster.submit(&client, set_config(2)).unwrap();
}

#[test]
fn nothing_committed_is_lost_when_all_lose_power() {
    let mut cluster = Cluster::started([1, 2, 3]);
    let client = cluster.client();
    for number in 1..=20 {
        cluster.submit(&client, set_config(number)).unwrap();
    }
    let before = cluster.converged(MetadataOffset(10));
    cluster.lose_power();
    let started = Instant::now();
    for id in [1, 2, 3] {
        cluster.start(id).unwrap();
    }
    cluster.active();
    println!("active again {:?} after the start of all", started.elapsed());
    let after = cluster.converged(before.offset());
    assert_eq!(configured(&after), Some(20));
    assert_eq!(after.cluster_id(), before.cluster_id());
}

#[test]
fn a_voter_far_behind_gets_a_snapshot() {
    let mut cluster = Cluster::started([1, 2, 3]);
    let client = cluster.client();
    let active = cluster.active();
    let late = cluster.ids().into_iter().find(|&id| id != active).unwrap();
    cluster.kill(late);
    for number in 1..=30 {
        cluster.submit(&client, set_config(number)).unwrap();
    }
    for id in cluster.ids().into_iter().filter(|&id| id != late) {
        let core = cluster.controller(id).core().clone();
        let upto = core.raft_metrics().last_applied.unwrap().index();
        cluster.processes[&id].runtime.block_on(async { core.raft.trigger().snapshot().await.unwrap() });
        cluster.eventually("a snapshot", || core.raft_metrics().snapshot.map(|_| ()));
        cluster.processes[&id].runtime.block_on(async { core.raft.trigger().purge_log(upto).await.unwrap() });
        cluster.eventually("a purge", || core.raft_metrics().purged.map(|_| ()));
    }
    cluster.start(late.0).unwrap();
    cluster.submit(&client, set_config(31)).unwrap();
    let image = cluster.converged(MetadataOffset(30));
    assert_eq!(configured(&image), Some(31));
    assert!(cluster.controller(late).core().raft_metrics().snapshot.is_some(), "it came by snapshot");
    cluster.lose_power();
    for id in cluster.ids() {
        cluster.start(id.0).unwrap();
    }
    cluster.active();
    assert_eq!(configured(&cluster.converged(image.offset())), Some(31));
}

#[test]
fn a_controller_whose_disk_fails_stops_and_the_others_go_on() {
    let cluster = Cluster::started([1, 2, 3]);
    let client = cluster.client();
    let active = cluster.active();
    cluster.submit(&client, set_config(1)).unwrap();
    cluster.machines[&active].kv.fail_writes(true);
    let limit = Duration::from_millis(500);
    let _ = cluster.runtime.block_on(client.submit_within(set_config(2), limit));
    cluster.eventually("the failure", || cluster.processes[&active].fatal.lock().clone());
    assert_ne!(cluster.active(), active);
    cluster.submit(&client, set_config(3)).unwrap();
}

#[test]
fn figures_tell_who_is_active() {
    let cluster = Cluster::started([1, 2, 3]);
    let sum: f64 = cluster
        .processes
        .values()
        .map(|process| {
            let registry = prometheus::Registry::new();
            registry.register(Box::new(process.controller.metrics())).unwrap();
            let families = registry.gather();
            assert!(families.iter().any(|family| family.name() == "highwater_raft_commit_lag"));
            let name = "kafka_controller_kafkacontroller_activecontrollercount";
            let active = families.iter().find(|family| family.name() == name).unwrap();
            active.get_metric()[0].get_gauge().get_value()
        })
        .sum();
    assert_eq!(sum, 1.0);
}

#[test]
fn a_node_that_starts_looks_for_the_active_controller_everywhere() {
    let mut cluster = Cluster::started([1, 2, 3]);
    let all: BTreeSet<BrokerId> = cluster.ids().into_iter().collect();
    cluster.submit(&cluster.client(), set_config(1)).unwrap();
    all.iter().for_each(|&id| cluster.kill(id));
    // Alone, it learns nothing: it remembers whom it followed, or that it led itself.
    for &id in &all {
        cluster.start(id.0).unwrap();
        let controller = cluster.controller(id);
        cluster.within_patience(controller.joined());
        let finder = {
            let _context = cluster.runtime.enter();
            Finder::new(Net::Tcp, &cluster.voters(), Some(controller.core().clone()))
        };
        let ask = |_| {
            let target = finder.target();
            finder.not_active(target);
            target
        };
        assert_eq!((0..6).map(ask).collect::<BTreeSet<BrokerId>>(), all, "node {id}");
        cluster.kill(id);
    }
}
