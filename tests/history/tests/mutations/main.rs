//! Random histories of a correct cluster are valid; spoilt in any one way, they are not.

mod cluster;
mod spoil;

use highwater_history::{Coverage, Verdict, check};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

const HISTORIES: u64 = 300;
const LEAST: Coverage = Coverage { acknowledged: 10 };

#[test]
fn histories_of_a_correct_cluster_are_valid() {
    for seed in 0..HISTORIES {
        let events = cluster::history(seed);
        let verdict = check(&events, LEAST);
        assert_eq!(verdict, Verdict::Valid, "seed {seed}");
    }
}

#[test]
fn spoilt_histories_are_caught() {
    let (mut spoilt, mut missed) = (0, Vec::new());
    for seed in 0..HISTORIES {
        let events = cluster::history(seed);
        for (name, spoil) in spoil::ALL {
            let mut rng = SmallRng::seed_from_u64(seed);
            let Some(mut changed) = spoil(&events, &mut rng) else { continue };
            for (index, event) in changed.iter_mut().enumerate() {
                event.index = index as u64;
            }
            spoilt += 1;
            if !matches!(check(&changed, LEAST), Verdict::Invalid(_)) {
                missed.push((seed, *name));
            }
        }
    }
    println!("{spoilt} spoilt histories, {} missed", missed.len());
    assert!(spoilt > 5_000, "only {spoilt}");
    assert!(missed.len() * 1000 <= spoilt, "{} of {spoilt} missed: {missed:?}", missed.len());
}

#[test]
fn each_way_to_spoil_is_used() {
    for (name, spoil) in spoil::ALL {
        let mut seeds = 0..HISTORIES;
        let used = seeds.any(|seed| spoil(&cluster::history(seed), &mut SmallRng::seed_from_u64(seed)).is_some());
        assert!(used, "{name}");
    }
}
