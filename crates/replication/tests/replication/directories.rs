//! Several log directories: placement, failures of one of them, damage of single replicas.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater_env::{CrashMode, DiskFault, Fs};
use highwater_replication::{Acks, PartitionRole};
use highwater_types::*;

use crate::cluster::{Cluster, directory_id};

const TWO: [&str; 2] = ["data", "other"];
const LAG_MAX: Duration = Duration::from_secs(30);

/// In which directory each replica of a node is.
fn places(cluster: &Cluster, node: usize) -> BTreeMap<TopicIdPartition, PathBuf> {
    let directories = cluster.node(node).replicas.log_directories();
    let of_one = |status: &highwater_replication::LogDirectoryStatus| {
        status.replicas.iter().map(|replica| (replica.id, status.path.clone())).collect::<Vec<_>>()
    };
    directories.iter().flat_map(of_one).collect()
}

fn assigned(cluster: &Cluster, node: usize, id: TopicIdPartition) -> DirectoryId {
    cluster.controller.partition(id).directories[node]
}

fn names(cluster: &Cluster, node: usize, path: &str) -> Vec<String> {
    let entries = Fs::Sim(cluster.disks[node].clone()).read_dir(Path::new(path)).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

#[tokio::test]
async fn replicas_go_where_the_fewest_are_and_the_controller_learns_where() {
    let mut cluster = Cluster::start_in(1, LAG_MAX, &["a", "b", "c"]).await;
    let ids: Vec<_> = (0..7).map(|number| cluster.create_topic(&format!("t{number}"), &[])).collect();
    let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
    places(&cluster, 0).into_values().for_each(|path| *counts.entry(path).or_default() += 1);
    assert_eq!(counts.values().copied().collect::<Vec<_>>(), [3, 2, 2]);
    cluster.until("all told", |cluster| ids.iter().all(|&id| !assigned(cluster, 0, id).is_zero())).await;
    let before = places(&cluster, 0);
    for (&id, path) in &before {
        let number = cluster.log_dirs.iter().position(|log_dir| Path::new(log_dir) == path).unwrap();
        assert_eq!(assigned(&cluster, 0, id), directory_id(0, number));
    }
    cluster.stop(0).await;
    cluster.run(0).await;
    assert_eq!(places(&cluster, 0), before, "they are found where they were");
}

#[tokio::test]
async fn a_directory_that_fails_takes_its_replicas_along_and_nothing_else() {
    for fault in [DiskFault::Sync, DiskFault::Write] {
        let mut cluster = Cluster::start_in(3, LAG_MAX, &TWO).await;
        let ids: Vec<_> = (0..4).map(|n| cluster.create_topic_led_by(n % 2, &format!("t{n}"), &[])).collect();
        for (number, &id) in ids.iter().enumerate() {
            cluster.produce(number % 2, id).await;
            cluster.until_in_sync(id).await;
        }
        let places = places(&cluster, 0);
        cluster.disks[0].inject("other", fault);
        for &id in &ids {
            let leader = cluster.controller.partition(id).leader.get() as usize;
            let appended = cluster.append(leader, id, Acks::All);
            if leader == 0 && places[&id] == Path::new("other") {
                let refused = match appended {
                    Ok(appended) => appended.wait.unwrap().await.unwrap_err(),
                    Err(refused) => refused.code,
                };
                assert_eq!(
                    refused,
                    ErrorCode::KafkaStorageError,
                    "told at once, so that the client looks for the new leader"
                );
            }
        }
        let gone = |id: &TopicIdPartition| places[id] == Path::new("other");
        cluster
            .until("leaders moved, ISRs shrunk", |cluster| {
                ids.iter().filter(|id| gone(id)).all(|&id| {
                    let partition = cluster.controller.partition(id);
                    partition.leader != BrokerId(0) && !partition.isr.contains(&BrokerId(0))
                })
            })
            .await;
        assert_eq!(cluster.controller.failures(), [(BrokerId(0), 1)]);
        for &id in &ids {
            let partition = cluster.controller.partition(id);
            assert_eq!(partition.isr.len(), if gone(&id) { 2 } else { 3 }, "{fault:?}");
            let leader = partition.leader.get() as usize;
            cluster.produce(leader, id).await;
            let status = cluster.status(0, id);
            assert_eq!(status.role == PartitionRole::Offline, gone(&id), "{status:?}");
        }
        // Restarted with the directory still broken, then healthy.
        cluster.kill(0, true).await;
        cluster.controller.fence(BrokerId(0), &ids);
        cluster.unreadable = vec!["other"];
        cluster.run(0).await;
        for id in ids.iter().filter(|id| gone(id)) {
            assert_eq!(cluster.node(0).replicas.partition_status(*id), None, "not made anew elsewhere");
        }
        cluster.kill(0, true).await;
        cluster.controller.fence(BrokerId(0), &ids);
        cluster.disks[0].heal();
        cluster.unreadable.clear();
        cluster.run(0).await;
        for &id in &ids {
            cluster.until_in_sync(id).await;
            assert_eq!(cluster.values(0, id), cluster.values(1, id), "nothing is missing");
        }
        assert_eq!(self::places(&cluster, 0), places);
    }
}

#[tokio::test]
async fn an_empty_disk_in_the_place_of_a_failed_one_is_filled_by_the_leader() {
    let mut cluster = Cluster::start_in(2, LAG_MAX, &TWO).await;
    let ids: Vec<_> = (0..2).map(|n| cluster.create_topic_led_by(1, &format!("t{n}"), &[])).collect();
    for &id in &ids {
        cluster.produce(1, id).await;
        cluster.until_in_sync(id).await;
    }
    let lost = *places(&cluster, 0).iter().find(|(_, path)| *path == Path::new("other")).unwrap().0;
    cluster.until("told", |cluster| !assigned(cluster, 0, lost).is_zero()).await;
    cluster.kill(0, false).await;
    // What the controller decides about a broker that comes with another directory (P10).
    cluster.controller.change(lost, |partition| partition.isr.retain(|id| *id != BrokerId(0)));
    cluster.log_dirs = vec!["data", "replaced"];
    cluster.run(0).await;
    cluster.produce(1, lost).await;
    cluster.until_in_sync(lost).await;
    assert_eq!(cluster.values(0, lost), cluster.values(1, lost));
    cluster.until("told", |cluster| assigned(cluster, 0, lost) == directory_id(0, 1)).await;
    assert_eq!(places(&cluster, 0)[&lost], Path::new("replaced"));
}

#[tokio::test]
async fn a_replica_whose_directory_is_missing_is_not_made_anew_while_the_cluster_counts_on_it() {
    let mut cluster = Cluster::start_in(1, LAG_MAX, &TWO).await;
    let ids: Vec<_> = (0..2).map(|n| cluster.create_topic(&format!("t{n}"), &[])).collect();
    for &id in &ids {
        cluster.produce(0, id).await;
        cluster.until("told", |cluster| !assigned(cluster, 0, id).is_zero()).await;
    }
    let places = places(&cluster, 0);
    cluster.stop(0).await;
    cluster.log_dirs = vec!["data"];
    cluster.run(0).await;
    for &id in &ids {
        let is_there = cluster.node(0).replicas.partition_status(id).is_some();
        assert_eq!(is_there, places[&id] == Path::new("data"), "P10");
    }
}

#[tokio::test]
async fn of_two_logs_of_a_partition_the_one_that_the_cluster_knows_counts() {
    let mut cluster = Cluster::start_in(1, LAG_MAX, &TWO).await;
    let id = cluster.create_topic("t", &[]);
    cluster.produce(0, id).await;
    cluster.until("told", |cluster| !assigned(cluster, 0, id).is_zero()).await;
    cluster.stop(0).await;
    // An operator's copy.
    let fs = Fs::Sim(cluster.disks[0].clone());
    fs.create_dir_all(Path::new("other/t-0")).unwrap();
    for name in names(&cluster, 0, "data/t-0") {
        let content = fs.read(&Path::new("data/t-0").join(&name)).unwrap();
        fs.write_atomic(&Path::new("other/t-0").join(&name), &content).unwrap();
    }
    cluster.run(0).await;
    assert_eq!(places(&cluster, 0)[&id], Path::new("data"));
    assert!(names(&cluster, 0, "other").iter().any(|name| name.starts_with("t-0.") && name.ends_with("-stray")));
    cluster.produce(0, id).await;
    // Nobody knows: nothing is touched.
    cluster.stop(0).await;
    fs.create_dir_all(Path::new("other/t-0")).unwrap();
    fs.write_atomic(
        Path::new("other/t-0/partition.metadata"),
        &fs.read(Path::new("data/t-0/partition.metadata")).unwrap(),
    )
    .unwrap();
    cluster.controller.assign(id, 0, DirectoryId::UNASSIGNED);
    cluster.run(0).await;
    assert_eq!(cluster.node(0).replicas.partition_status(id), None);
    assert!(names(&cluster, 0, "data").contains(&"t-0".to_owned()));
    assert!(names(&cluster, 0, "other").contains(&"t-0".to_owned()));
}

/// As after a power loss that took back the deletion of what an earlier replica had here.
#[tokio::test]
async fn of_two_logs_on_which_nobody_counts_one_is_used() {
    let mut cluster = Cluster::start_in(2, LAG_MAX, &TWO).await;
    let id = cluster.create_topic("t", &[]);
    cluster.produce(0, id).await;
    cluster.until_in_sync(id).await;
    cluster.kill(1, false).await;
    cluster.controller.fence(BrokerId(1), &[id]);
    cluster.produce(0, id).await;
    let fs = Fs::Sim(cluster.disks[1].clone());
    fs.create_dir_all(Path::new("other/t-0")).unwrap();
    let topic_id = fs.read(Path::new("data/t-0/partition.metadata")).unwrap();
    fs.write_atomic(Path::new("other/t-0/partition.metadata"), &topic_id).unwrap();
    cluster.controller.assign(id, 1, DirectoryId::UNASSIGNED);
    cluster.run(1).await;
    cluster.until_in_sync(id).await;
    assert_eq!(cluster.values(1, id), cluster.values(0, id));
    let set_aside = |path| names(&cluster, 1, path).iter().any(|name| name.ends_with("-stray"));
    assert_eq!([set_aside("data"), set_aside("other")].iter().filter(|set_aside| **set_aside).count(), 1);
}

#[tokio::test]
async fn a_damaged_replica_of_an_idle_partition_leaves_the_isr_at_once() {
    let mut cluster = Cluster::start_in(3, LAG_MAX, &TWO).await;
    let ids: Vec<_> = (0..3).map(|n| cluster.create_topic(&format!("t{n}"), &[])).collect();
    for &id in &ids {
        for _ in 0..5 {
            cluster.produce(0, id).await;
        }
        cluster.until_in_sync(id).await;
    }
    let is_marked = |cluster: &Cluster, log_dir: &str| {
        let checkpoint = format!("{log_dir}/recovery-point-offset-checkpoint");
        let text = Fs::Sim(cluster.disks[2].clone()).read(Path::new(&checkpoint)).unwrap_or_default();
        let text = String::from_utf8(text).unwrap();
        !text.is_empty() && text.lines().skip(2).all(|line| line.ends_with(" 5"))
    };
    cluster.until("durable marks", |cluster| TWO.iter().all(|log_dir| is_marked(cluster, log_dir))).await;
    let places = places(&cluster, 2);
    cluster.kill(2, false).await;
    // Two of three, in different directories or not.
    for id in &ids[..2] {
        let name = cluster.status(0, *id).topic;
        let segment = places[id].join(format!("{name}-0/00000000000000000000.log"));
        cluster.disks[2].decay(&segment, 70).unwrap();
    }
    cluster.run(2).await;
    for &id in &ids {
        // Nobody produces: only the replica itself can have told.
        cluster.until_in_sync(id).await;
        assert_eq!(cluster.values(2, id), cluster.values(0, id));
    }
    let put_aside: Vec<String> = TWO.iter().flat_map(|log_dir| names(&cluster, 2, log_dir)).collect();
    assert_eq!(put_aside.iter().filter(|name| name.ends_with("-quarantined")).count(), 2, "{put_aside:?}");
    for &id in &ids {
        cluster.until("told", |cluster| !assigned(cluster, 2, id).is_reserved()).await;
    }
}

#[tokio::test]
async fn a_leader_that_meets_damage_hands_over_once_another_replica_is_in_sync() {
    let mut cluster = Cluster::start(2).await;
    let id = cluster.create_topic("t", &[("segment.bytes", "300"), ("min.insync.replicas", "1")]);
    cluster.kill(1, false).await;
    cluster.controller.fence(BrokerId(1), &[id]);
    for _ in 0..20 {
        cluster.produce(0, id).await;
    }
    cluster.stop(0).await;
    cluster.run(0).await;
    // A length that leads nowhere, in the first segment.
    cluster.disks[0].decay(Path::new("data/t-0/00000000000000000000.log"), 9).unwrap();
    let read = |cluster: &Cluster| cluster.try_fetch(0, id, 0).map(|_| ());
    assert_eq!(read(&cluster), Err(ErrorCode::CorruptMessage));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(cluster.status(0, id).role, PartitionRole::Leader, "nobody else has the rest");
    assert_ne!(assigned(&cluster, 0, id), DirectoryId::LOST);
    // A replica that holds all comes into the ISR: here, one that has the records from before the damage.
    let whole = cluster.disks[0].durable_content(Path::new("data/t-0/00000000000000000000.log")).unwrap().unwrap();
    cluster.disks[0].decay(Path::new("data/t-0/00000000000000000000.log"), 9).unwrap();
    cluster.run(1).await;
    cluster.until("handed over", |cluster| cluster.controller.partition(id).leader == BrokerId(1)).await;
    cluster.until_in_sync(id).await;
    assert!(whole.len() > 100);
    assert_eq!(cluster.values(0, id), cluster.values(1, id));
    assert!(names(&cluster, 0, "data").iter().any(|name| name.ends_with("-quarantined")));
}

/// S3.
#[tokio::test]
async fn a_leader_that_has_damaged_records_for_a_follower_hands_over() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("t", &[("min.insync.replicas", "1")]);
    cluster.kill(2, false).await;
    cluster.controller.fence(BrokerId(2), &[id]);
    for _ in 0..20 {
        cluster.produce(0, id).await;
    }
    // It forgets what it had in memory. The damage is in a record, so the headers do not tell.
    cluster.stop(0).await;
    cluster.run(0).await;
    cluster.disks[0].decay(Path::new("data/t-0/00000000000000000000.log"), 70).unwrap();
    cluster.run(2).await;
    cluster.until("handed over", |cluster| cluster.controller.partition(id).leader == BrokerId(1)).await;
    cluster.until_in_sync(id).await;
    assert_eq!(cluster.values(0, id), cluster.values(1, id));
    assert_eq!(cluster.values(2, id), cluster.values(1, id));
}

#[tokio::test]
async fn a_leader_whose_retention_meets_damage_hands_over() {
    let mut cluster = Cluster::start(2).await;
    let id = cluster.create_topic("t", &[("segment.bytes", "300"), ("min.insync.replicas", "1")]);
    for _ in 0..40 {
        cluster.produce(0, id).await;
    }
    cluster.until_in_sync(id).await;
    // The newest timestamp of the first segment, and then, for it is looked up in the batches, a length that leads nowhere.
    cluster.disks[0].decay(Path::new("data/t-0/00000000000000000000.log"), 9).unwrap();
    cluster.disks[0].decay(Path::new("data/t-0/00000000000000000000.timeindex"), 0).unwrap();
    cluster.until("handed over", |cluster| cluster.controller.partition(id).leader == BrokerId(1)).await;
    cluster.produce(1, id).await;
    cluster.until_in_sync(id).await;
    assert_eq!(cluster.values(0, id), cluster.values(1, id));
}

#[tokio::test]
async fn a_read_that_the_disk_refuses_takes_the_directory_out_of_service() {
    let mut cluster = Cluster::start_in(2, LAG_MAX, &TWO).await;
    let id = cluster.create_topic("t", &[]);
    for _ in 0..5 {
        cluster.produce(0, id).await;
    }
    cluster.until_in_sync(id).await;
    cluster.stop(0).await;
    cluster.run(0).await;
    cluster.disks[0].inject(places(&cluster, 0)[&id].clone(), DiskFault::Read);
    assert_eq!(cluster.try_fetch(0, id, 0).map(|_| ()), Err(ErrorCode::KafkaStorageError));
    cluster.until("moved", |cluster| cluster.controller.partition(id).leader == BrokerId(1)).await;
    cluster.produce(1, id).await;
    assert_eq!(cluster.fetch(1, id, 0).len(), 6);
    cluster.disks[0].crash(CrashMode::Keep, 1);
}
