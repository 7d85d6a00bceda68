//! Forming the quorum, and refusing a disk that was emptied (docs/adr/0002-bootstrap.md).

use super::*;

impl Cluster {
    /// Waits until the process gives up, and returns why.
    fn failure(&self, id: i32) -> String {
        self.eventually("a failure", || self.processes[&BrokerId(id)].fatal.lock().clone())
    }
}

#[test]
fn three_new_voters_form_one_quorum_and_know_each_other() {
    let cluster = Cluster::started([1, 2, 3]);
    let image = cluster.converged(MetadataOffset(4));
    assert!(image.cluster_id().is_some_and(|id| id.len() == 22));
    for id in cluster.ids() {
        assert_eq!(image.controller(id).unwrap().directory_id, cluster.controller(id).directory_id());
    }
    let properties = cluster.machines[&BrokerId(2)].fs.clone();
    let text = highwater_env::Fs::Sim(properties).read(&metadata_dir().join("meta.properties")).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("node.id=2") && text.contains(&cluster.controller(BrokerId(2)).directory_id().to_string()));
}

#[test]
fn a_single_voter_is_a_quorum() {
    let mut cluster = Cluster::new([7]);
    cluster.cluster_id = Some("MkU3OEVBNTcwNTJENDM2Qg".to_owned());
    cluster.start(7).unwrap();
    assert_eq!(cluster.active(), BrokerId(7));
    assert_eq!(cluster.converged(MetadataOffset(2)).cluster_id(), Some("MkU3OEVBNTcwNTJENDM2Qg"));
}

#[test]
fn no_quorum_is_formed_before_all_voters_are_there() {
    let mut cluster = Cluster::new([1, 2, 3]);
    cluster.start(1).unwrap();
    cluster.start(2).unwrap();
    cluster.sleep(Duration::from_millis(600));
    assert!(cluster.processes.values().all(|process| !process.controller.is_active()));
    cluster.start(3).unwrap();
    cluster.active();
}

#[test]
fn a_voter_that_died_while_the_quorum_was_formed_joins_it() {
    let mut cluster = Cluster::new([1, 2, 3]);
    for id in 1..=3 {
        cluster.start(id).unwrap();
    }
    // Dies at whatever point it has reached.
    cluster.kill(BrokerId(3));
    cluster.start(3).unwrap();
    cluster.active();
    let client = cluster.client();
    cluster.submit(&client, set_config(1)).unwrap();
    assert_eq!(configured(&cluster.converged(MetadataOffset(5))), Some(1));
}

#[test]
fn an_emptied_disk_is_refused() {
    let mut cluster = Cluster::started([1, 2, 3]);
    cluster.kill(BrokerId(2));
    cluster.machines.get_mut(&BrokerId(2)).unwrap().empty_disk();
    cluster.start(2).unwrap();
    let message = cluster.failure(2);
    assert!(message.contains("not readmitted") && message.contains("restore the metadata directory"), "{message}");
    // The others go on.
    let client = cluster.client();
    cluster.submit(&client, set_config(2)).unwrap();
}

#[test]
fn an_emptied_disk_waits_while_nobody_can_tell() {
    let mut cluster = Cluster::started([1, 2, 3]);
    cluster.converged(MetadataOffset(4));
    for id in [1, 2, 3] {
        cluster.kill(BrokerId(id));
    }
    for id in [1, 2] {
        cluster.machines.get_mut(&BrokerId(id)).unwrap().empty_disk();
        cluster.start(id).unwrap();
    }
    // Two of three voters are empty: a majority, and yet they must not form a new quorum.
    cluster.sleep(Duration::from_millis(600));
    assert!(cluster.processes.values().all(|process| !process.controller.is_active()));
    cluster.start(3).unwrap();
    assert!(cluster.failure(1).contains("not readmitted"));
    assert!(cluster.failure(2).contains("not readmitted"));
}

#[test]
fn a_database_that_vanished_beside_its_meta_properties_is_refused() {
    let mut cluster = Cluster::started([1]);
    cluster.converged(MetadataOffset(2));
    cluster.kill(BrokerId(1));
    cluster.machines.get_mut(&BrokerId(1)).unwrap().kv = SimKv::new();
    let error = cluster.start(1).unwrap_err();
    assert!(matches!(error, QuorumError::EmptiedDirectory { .. }), "{error}");
}

#[test]
fn another_nodes_directory_is_refused() {
    let mut cluster = Cluster::started([1]);
    cluster.kill(BrokerId(1));
    let disk = cluster.machines.remove(&BrokerId(1)).unwrap();
    let mut cluster = Cluster::new([2]);
    let machine = cluster.machines.get_mut(&BrokerId(2)).unwrap();
    (machine.kv, machine.fs) = (disk.kv, disk.fs);
    assert!(matches!(cluster.start(2).unwrap_err(), QuorumError::WrongNode { .. }));
}

#[test]
fn the_voters_are_what_they_were_whatever_the_list_says() {
    let mut cluster = Cluster::started([1, 2, 3]);
    cluster.kill(BrokerId(1));
    cluster.machines.insert(BrokerId(4), Machine::new(4, &cluster.runtime));
    cluster.start(1).unwrap();
    cluster.eventually("the cluster's id", || {
        cluster.processes.values().all(|one| one.controller.core().identity.cluster_id().is_some()).then_some(())
    });
    cluster.start(4).unwrap();
    assert!(cluster.failure(4).contains("has no such voter"));
    cluster.kill(BrokerId(2));
    let client = cluster.client();
    cluster.submit(&client, set_config(1)).unwrap();
}

#[test]
fn another_cluster_id_is_refused() {
    let mut cluster = Cluster::started([1]);
    cluster.converged(MetadataOffset(2));
    cluster.eventually("the id on disk", || {
        let fs = highwater_env::Fs::Sim(cluster.machines[&BrokerId(1)].fs.clone());
        let text = fs.read(&metadata_dir().join("meta.properties")).unwrap();
        String::from_utf8(text).unwrap().contains("cluster.id=").then_some(())
    });
    cluster.kill(BrokerId(1));
    cluster.cluster_id = Some("AAAAAAAAAAAAAAAAAAAAAQ".to_owned());
    assert!(matches!(cluster.start(1).unwrap_err(), QuorumError::WrongCluster { .. }));
}
