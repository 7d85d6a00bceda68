//! Placement is balanced and goes round the racks.

use std::collections::{BTreeMap, BTreeSet};

use highwater_controller::{Bootstrap, Command, CommandResponse, CreateTopics};
use highwater_types::BrokerId;
use rand::{Rng, SeedableRng};

use crate::cluster::{TestCluster, topic};

struct Case {
    racks: usize,
    brokers_per_rack: usize,
    fenced: usize,
    partitions: i32,
    replication_factor: i16,
}

/// Places one topic and returns the replicas of its partitions, with the rack of each broker.
fn place(seed: u64, case: &Case) -> (Vec<Vec<BrokerId>>, BTreeMap<BrokerId, usize>, TestCluster) {
    let mut cluster = TestCluster::new(seed);
    cluster.must(&Command::Bootstrap(Bootstrap { cluster_id: "test".to_owned(), features: BTreeMap::new() }));
    let mut rack_of = BTreeMap::new();
    for index in 0..case.racks * case.brokers_per_rack {
        let (id, rack) = (i32::try_from(index).unwrap(), index % case.racks);
        cluster.start(id, (case.racks > 1).then(|| format!("rack{rack}")).as_deref());
        rack_of.insert(BrokerId(id), rack);
    }
    for id in 0..case.fenced {
        cluster.fence(i32::try_from(id).unwrap());
    }
    let entry = topic("t", case.partitions, case.replication_factor);
    let response = cluster.must(&Command::CreateTopics(CreateTopics { topics: vec![entry], validate_only: false }));
    let CommandResponse::CreateTopics(results) = response else { panic!("{response:?}") };
    results[0].1.as_ref().unwrap();
    let placed =
        cluster.image.topic_by_name("t").unwrap().partitions.iter().map(|partition| partition.replicas.clone());
    (placed.collect(), rack_of, cluster)
}

fn spread(counts: impl Iterator<Item = usize> + Clone) -> usize {
    counts.clone().max().unwrap() - counts.min().unwrap()
}

#[test]
fn leaders_and_replicas_are_spread_over_racks_and_brokers() {
    let mut rng = rand::rngs::SmallRng::seed_from_u64(7);
    for seed in 0..300 {
        let (racks, brokers_per_rack) = (rng.random_range(1..5), rng.random_range(1..5));
        let replication_factor = rng.random_range(1..=racks * brokers_per_rack).min(5) as i16;
        let case = Case { racks, brokers_per_rack, fenced: 0, partitions: rng.random_range(1..60), replication_factor };
        let (placed, rack_of, _) = place(seed, &case);
        let at = format!("seed {seed}: {racks} racks of {brokers_per_rack}, {placed:?}");

        for replicas in &placed {
            assert_eq!(replicas.iter().collect::<BTreeSet<_>>().len(), replication_factor as usize, "{at}");
            let used: BTreeSet<_> = replicas.iter().map(|id| rack_of[id]).collect();
            assert_eq!(used.len(), racks.min(replication_factor as usize), "{at}: racks of {replicas:?}");
        }
        let leaders = |id: &BrokerId| placed.iter().filter(|replicas| replicas[0] == *id).count();
        assert!(spread(rack_of.keys().map(leaders)) <= 1, "{at}");
        let replicas = |id: &BrokerId| placed.iter().filter(|replicas| replicas.contains(id)).count();
        assert!(spread(rack_of.keys().map(replicas)) <= 2, "{at}");
    }
}

#[test]
fn the_followers_of_one_leader_are_many() {
    let case = Case { racks: 1, brokers_per_rack: 6, fenced: 0, partitions: 120, replication_factor: 2 };
    let (placed, ..) = place(3, &case);
    let partners: BTreeSet<_> =
        placed.iter().filter(|replicas| replicas[0] == BrokerId(0)).map(|replicas| replicas[1]).collect();
    assert!(partners.len() >= 4, "when broker 0 stops, its load goes to {partners:?} only");
}

#[test]
fn fenced_brokers_come_last_and_lead_nothing() {
    for seed in 0..50 {
        let case = Case { racks: 1, brokers_per_rack: 5, fenced: 2, partitions: 20, replication_factor: 3 };
        let (placed, _, cluster) = place(seed, &case);
        let fenced = [BrokerId(0), BrokerId(1)];
        assert!(
            placed.iter().flatten().all(|id| !fenced.contains(id)),
            "three available brokers are enough: {placed:?}"
        );
        drop(cluster);

        let (placed, _, cluster) = place(seed, &Case { replication_factor: 4, ..case });
        for (partition, replicas) in cluster.image.topic_by_name("t").unwrap().partitions.iter().zip(&placed) {
            assert!(!fenced.contains(&replicas[0]) && replicas.iter().any(|id| fenced.contains(id)), "{replicas:?}");
            assert!(partition.isr.iter().all(|id| !fenced.contains(id)), "{partition:?}");
        }
    }
}
