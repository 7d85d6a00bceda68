//! Sizes of the workloads.

use anyhow::{Context as _, Result, bail};

/// How much each workload does. Figures of runs of different sizes are not compared with each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// Sent before anything is measured: a Java machine needs it.
    pub warm_up_gigabytes: f64,
    /// Sent as fast as it goes, and measured.
    pub gigabytes: f64,
    /// Records a second of the loads at a fixed rate (E, G).
    pub rate: u64,
    /// How long the loads at a fixed rate last.
    pub seconds: u64,
    /// Records one at a time (F).
    pub pings: u64,
    /// Read by a consumer that catches up from the page cache (G).
    pub catch_up_gigabytes: f64,
    /// Read from disk while a producer runs (G).
    pub cold_gigabytes: f64,
    /// Partitions of three replicas (I).
    pub partitions: i32,
    /// Partitions of one replica on one node (I2).
    pub many_partitions: i32,
    /// Groups of ten members (K).
    pub groups: usize,
    /// Partitions of the node that is killed and started again (M2).
    pub restart_partitions: i32,
    /// Data on that node (M2).
    pub restart_gigabytes: f64,
    /// How often a node is started, or killed, within one run (M1, M3, M4, M5).
    pub repetitions: usize,
    /// How long a cluster at rest is watched (I, N).
    pub idle_seconds: u64,
}

impl Scale {
    /// Sizes whose figures can be believed.
    pub fn full() -> Self {
        Self {
            warm_up_gigabytes: 2.0,
            gigabytes: 2.0,
            rate: 20_000,
            seconds: 30,
            pings: 10_000,
            catch_up_gigabytes: 4.0,
            cold_gigabytes: 8.0,
            partitions: 5_000,
            many_partitions: 50_000,
            groups: 1_000,
            restart_partitions: 10_000,
            restart_gigabytes: 5.0,
            repetitions: 5,
            idle_seconds: 30,
        }
    }

    /// Sizes for a first look.
    pub fn quick() -> Self {
        Self {
            warm_up_gigabytes: 0.4,
            gigabytes: 0.5,
            rate: 20_000,
            seconds: 8,
            pings: 3_000,
            catch_up_gigabytes: 1.0,
            cold_gigabytes: 1.0,
            partitions: 600,
            many_partitions: 5_000,
            groups: 50,
            restart_partitions: 1_000,
            restart_gigabytes: 0.5,
            repetitions: 2,
            idle_seconds: 10,
        }
    }

    /// Sets one size by a word such as `groups=100`.
    pub fn set(&mut self, word: &str) -> Result<()> {
        let (name, value) = word.split_once('=').with_context(|| format!("{word}: expected name=number"))?;
        let number: f64 = value.parse().with_context(|| format!("{word}: not a number"))?;
        match name {
            "warm_up_gigabytes" => self.warm_up_gigabytes = number,
            "gigabytes" => self.gigabytes = number,
            "rate" => self.rate = number as u64,
            "seconds" => self.seconds = number as u64,
            "pings" => self.pings = number as u64,
            "catch_up_gigabytes" => self.catch_up_gigabytes = number,
            "cold_gigabytes" => self.cold_gigabytes = number,
            "partitions" => self.partitions = number as i32,
            "many_partitions" => self.many_partitions = number as i32,
            "groups" => self.groups = number as usize,
            "restart_partitions" => self.restart_partitions = number as i32,
            "restart_gigabytes" => self.restart_gigabytes = number,
            "repetitions" => self.repetitions = number as usize,
            "idle_seconds" => self.idle_seconds = number as u64,
            _ => bail!("no size {name}"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_set_by_name_and_nothing_else_changes() {
        let mut scale = Scale::quick();
        scale.set("groups=7").unwrap();
        assert_eq!(scale, Scale { groups: 7, ..Scale::quick() });
    }

    #[test]
    fn unknown_sizes_and_values_are_refused() {
        for word in ["groups", "groups=many", "group=7"] {
            assert!(Scale::quick().set(word).is_err(), "{word}");
        }
    }
}
