//! The workloads, each on a fresh cluster. docs/PERFORMANCE.md says what each is for.

mod consumers;
mod failover;
mod flush;
mod groups;
mod growth;
mod memory;
mod one_in_flight;
mod partitions;
mod replicated;
mod start;
mod tails;
mod transfer;

use std::time::Duration;

use anyhow::{Result, bail};
use highwater_test_cluster::{Cluster, Software};

use crate::findings::Findings;
use crate::options::Options;
use crate::payload::Payloads;
use crate::producer::{Plan, Spread};
use crate::scale::Scale;
use crate::system::System;

/// One workload.
#[derive(Debug)]
pub struct Workload {
    pub id: &'static str,
    pub title: &'static str,
    /// What it compares.
    pub systems: &'static [System],
    /// What is in the page cache before a run.
    pub memory: Memory,
    /// After this time a run is ended, whatever it does.
    pub limit: Duration,
    pub run: fn(&Run<'_>, &mut Findings) -> Result<()>,
}

/// Free memory before a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Filled with the pages of a file: for work that fills it anyway, whoever comes first would pay for fresh pages.
    Filled,
    /// Free: for latencies. A host that takes memory back does so for minutes after it was filled, and the machine stands still
    /// meanwhile.
    Free,
}

impl Workload {
    const fn in_free_memory(mut self) -> Self {
        self.memory = Memory::Free;
        self
    }

    /// Whether that is its id, in any case.
    pub fn is(&self, id: &str) -> bool {
        self.id.eq_ignore_ascii_case(id)
    }
}

/// What a run of a workload is given.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    pub options: &'a Options,
    pub scale: &'a Scale,
    pub system: System,
}

impl Run<'_> {
    /// Starts an empty cluster of the run's system.
    pub fn start(&self, nodes: usize) -> Result<Cluster> {
        self.start_with(nodes, &[])
    }

    /// The same with further properties.
    pub fn start_with(&self, nodes: usize, properties: &[(&str, &str)]) -> Result<Cluster> {
        let binary = || Software::Highwater(self.options.binary.clone());
        let with_durability = [properties, &[("highwater.durability", self.system.name())]].concat();
        match (self.system, &self.options.kafka_libs) {
            (System::Strict | System::Relaxed, _) => Cluster::start_software(&binary(), nodes, &with_durability),
            (System::Kafka, Some(libs)) => Cluster::start_software(&Software::Kafka(libs.clone()), nodes, properties),
            (System::Kafka, None) => bail!("Kafka needs --kafka-libs"),
        }
    }
}

/// Durabilities do not change what these show, or the comparison is of like for like only at the one.
const STRICT_AND_KAFKA: &[System] = &[System::Strict, System::Kafka];

const fn workload(
    id: &'static str,
    title: &'static str,
    systems: &'static [System],
    limit_seconds: u64,
    run: fn(&Run<'_>, &mut Findings) -> Result<()>,
) -> Workload {
    Workload { id, title, systems, memory: Memory::Filled, limit: Duration::from_secs(limit_seconds), run }
}

/// All workloads, in the order of the table.
pub const WORKLOADS: &[Workload] = &[
    workload("A", "large batches, then read back", &System::ALL, 240, transfer::large_batches),
    workload("B", "keyed, 16 KiB batches", &System::ALL, 240, transfer::keyed),
    workload("C", "small keyed records", &System::ALL, 240, transfer::small_records),
    workload("D", "lz4 and zstd", &System::ALL, 300, transfer::compressed),
    workload("E", "replicated: as fast as it goes", &System::ALL, 240, replicated::full_speed),
    workload("E2", "replicated: at a rate", &System::ALL, 600, replicated::at_a_rate).in_free_memory(),
    workload("F", "one record in flight", &System::ALL, 240, one_in_flight::run),
    workload("G", "consumers: at the tail, catching up, from disk", STRICT_AND_KAFKA, 600, consumers::run),
    workload("I", "thousands of partitions at rest", STRICT_AND_KAFKA, 600, partitions::at_rest),
    workload("I2", "as many partitions as one node takes", &[System::Strict], 900, partitions::many),
    workload("K", "groups", STRICT_AND_KAFKA, 600, groups::run),
    workload("L", "flushed before acknowledged", STRICT_AND_KAFKA, 300, flush::run),
    workload("M1", "start of a node", STRICT_AND_KAFKA, 240, start::first_acknowledgement),
    workload("M2", "restart after kill -9", STRICT_AND_KAFKA, 1_800, start::after_kill),
    workload("M3", "gaps after kill -9 and planned stops", STRICT_AND_KAFKA, 1_500, failover::leader),
    workload("M4", "active controller killed", STRICT_AND_KAFKA, 600, failover::controller),
    workload("M5", "M3's kills at equal time-outs", STRICT_AND_KAFKA, 900, failover::leader_at_equal_timeouts),
    workload("N", "resident memory", STRICT_AND_KAFKA, 300, memory::run),
    workload("S", "more and more partitions that nobody uses", &[System::Strict], 600, growth::run).in_free_memory(),
    workload("T", "E at its rate beside one disturbance at a time", STRICT_AND_KAFKA, 900, tails::run).in_free_memory(),
];

/// The workload with that id, in any case.
pub fn find(id: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.is(id))
}

/// librdkafka properties of a producer of 256 KiB batches.
const LARGE_BATCHES: &[(&str, &str)] = &[
    ("batch.size", "262144"),
    ("linger.ms", "10"),
    ("queue.buffering.max.messages", "200000"),
    ("message.max.bytes", "1000000"),
];

/// The same at 16 KiB.
const SMALL_BATCHES: &[(&str, &str)] =
    &[("batch.size", "16384"), ("linger.ms", "10"), ("queue.buffering.max.messages", "200000")];

/// acks=all of an idempotent producer.
const IDEMPOTENT: &[(&str, &str)] = &[("acks", "all"), ("enable.idempotence", "true")];

/// Bytes of a record's value, but for C.
const RECORD_BYTES: usize = 1024;

/// Records of so many bytes in so many gigabytes.
fn records_in(gigabytes: f64, record_bytes: usize) -> u64 {
    (gigabytes * 1e9 / record_bytes as f64) as u64
}

/// A plan as fast as it goes, with records in turn over the partitions.
fn as_fast_as_it_goes<'a>(
    topic: &'a str,
    partitions: i32,
    records: u64,
    payloads: &'a Payloads,
    properties: &'a [(&'a str, &'a str)],
) -> Plan<'a> {
    Plan { topic, records, payloads, spread: Spread::InTurn(partitions), schedule: None, properties }
}
