//! The arithmetic of `highwater size`. Constants come from the measurements in `docs/PERFORMANCE.md`; `docs/sizing.md` derives them.

/// CPU seconds of all nodes for a GB written to one replica in large batches (workload A, strict).
const CPU_PER_GB_FIRST_REPLICA: f64 = 1.36;
/// CPU seconds for a GB at each further replica: (5.96 - 1.36) / 2, of workload E, strict.
const CPU_PER_GB_FURTHER_REPLICA: f64 = 2.3;
/// CPU seconds for a GB read by consumers (workload A read back, strict).
const CPU_PER_GB_READ: f64 = 0.58;
/// CPU seconds for a batch at each replica: 48 us a record at about one record a batch and three replicas (workload E, paced).
const CPU_PER_BATCH_REPLICA: f64 = 16e-6;
/// Bytes a second that a partition was seen to carry (workload E: 134 MB/s over 16 partitions).
const PARTITION_BYTES_PER_SECOND: f64 = 8e6;
/// Memory of a node under load, without replicas (peak of workload E).
const NODE_MEMORY_BYTES: f64 = 82e6;
/// Memory of a replica: 2 MB for 300 of them.
const REPLICA_MEMORY_BYTES: f64 = 7e3;
/// How far back consumers are served from memory: what a node took in within this time.
const PAGE_CACHE_SECONDS: f64 = 60.0;
/// Room for what is being compacted, moved or not yet deleted.
const DISK_FILL: f64 = 0.7;
/// Shares of network, disk and CPU that peak load may take; the rest is for catching up.
const NETWORK_FILL: f64 = 0.6;
const DISK_THROUGHPUT_FILL: f64 = 0.6;
const CPU_FILL: f64 = 0.6;
/// Replicas that a node holds well.
const REPLICAS_PER_NODE: f64 = 4000.0;

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) records_per_second: f64,
    pub(super) record_bytes: f64,
    pub(super) compression_ratio: f64,
    pub(super) peak_factor: f64,
    pub(super) replication_factor: f64,
    pub(super) retention_seconds: f64,
    pub(super) consumers: f64,
    pub(super) partitions: Option<f64>,
    /// Before compression.
    pub(super) batch_bytes: f64,
}

/// What a node has.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) disk_bytes: f64,
    pub(super) disk_bytes_per_second: f64,
    pub(super) network_bits_per_second: f64,
    pub(super) cores: f64,
}

/// What a node needs, or all nodes together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Need {
    pub(super) disk_bytes: f64,
    pub(super) disk_bytes_per_second: f64,
    pub(super) network_in_bits: f64,
    pub(super) network_out_bits: f64,
    pub(super) cores: f64,
    pub(super) memory_bytes: f64,
    pub(super) page_cache_bytes: f64,
    pub(super) replicas: f64,
}

/// The answer, with the way to it.
#[derive(Debug, Clone)]
pub(super) struct Sizing {
    pub(super) nodes: f64,
    /// As many as are needed, also when another number was given.
    pub(super) nodes_needed: f64,
    /// What decides how many.
    pub(super) reason: &'static str,
    pub(super) partitions: f64,
    pub(super) per_node: Need,
    /// Name, and the formula with its numbers.
    pub(super) formulas: Vec<(&'static str, String)>,
}

impl Sizing {
    /// `nodes`: as many as there are; as many as are needed if `None`.
    pub(super) fn of(load: &Load, machine: &Machine, nodes: Option<f64>) -> Self {
        let mut formulas = Vec::new();
        let partitions = partitions(load, &mut formulas);
        let all = whole_cluster(load, partitions, &mut formulas);
        let (nodes_needed, reason) = nodes_for(&all, load, machine, &mut formulas);
        let nodes = nodes.unwrap_or(nodes_needed);
        // What one node that fails held and served is borne by the others.
        let bearers = (nodes - 1.0).max(1.0);
        let per_node = Need {
            disk_bytes: all.disk_bytes / nodes,
            disk_bytes_per_second: all.disk_bytes_per_second / bearers,
            network_in_bits: all.network_in_bits / bearers,
            network_out_bits: all.network_out_bits / bearers,
            cores: all.cores / bearers,
            memory_bytes: NODE_MEMORY_BYTES + all.replicas / nodes * REPLICA_MEMORY_BYTES,
            page_cache_bytes: all.page_cache_bytes / bearers,
            replicas: all.replicas / nodes,
        };
        Self { nodes, nodes_needed, reason, partitions, per_node, formulas }
    }

    /// What the nodes have too little of.
    pub(super) fn lacking(&self, machine: &Machine) -> Vec<&'static str> {
        let need = &self.per_node;
        let network = need.network_in_bits.max(need.network_out_bits);
        let checks = [
            ("disk", need.disk_bytes > machine.disk_bytes * 1.0001),
            ("disk throughput", need.disk_bytes_per_second > machine.disk_bytes_per_second),
            ("network", network > machine.network_bits_per_second),
            ("CPU", need.cores > machine.cores),
        ];
        checks.into_iter().filter(|(_, lacking)| *lacking).map(|(what, _)| what).collect()
    }
}

fn stored_bytes_per_second(load: &Load) -> f64 {
    load.records_per_second * load.record_bytes / load.compression_ratio
}

fn partitions(load: &Load, formulas: &mut Vec<(&'static str, String)>) -> f64 {
    let peak = stored_bytes_per_second(load) * load.peak_factor;
    let asked_for = (peak / PARTITION_BYTES_PER_SECOND).ceil().max(1.0);
    let partitions = load.partitions.unwrap_or(asked_for);
    formulas.push((
        "partitions = peak MB/s / 8, or as given",
        format!("{:.2} / 8 = {asked_for:.0}, taken {partitions:.0}", peak / 1e6),
    ));
    partitions
}

fn whole_cluster(load: &Load, partitions: f64, formulas: &mut Vec<(&'static str, String)>) -> Need {
    let average = stored_bytes_per_second(load);
    let peak = average * load.peak_factor;
    let (replicas, consumers) = (load.replication_factor, load.consumers);
    formulas.push((
        "write MB/s = records/s x bytes / compression; peak = x peak factor",
        format!(
            "{:.0} x {:.0} / {} = {:.2}; x {} = {:.2}",
            load.records_per_second,
            load.record_bytes,
            load.compression_ratio,
            average / 1e6,
            load.peak_factor,
            peak / 1e6
        ),
    ));
    let disk_bytes = average * load.retention_seconds * replicas / DISK_FILL;
    formulas.push((
        "disk = write x retention x replicas / 0.7",
        format!(
            "{:.2} MB/s x {:.0} s x {replicas} / {DISK_FILL} = {:.0} GB",
            average / 1e6,
            load.retention_seconds,
            disk_bytes / 1e9
        ),
    ));
    let network_in = peak * replicas * 8.0;
    let network_out = peak * (replicas - 1.0 + consumers) * 8.0;
    formulas.push((
        "network in = peak x replicas; out = peak x (replicas - 1 + consumers)",
        format!("{:.2} Gbit/s in, {:.2} Gbit/s out", network_in / 1e9, network_out / 1e9),
    ));
    let batch = load.batch_bytes.max(load.record_bytes);
    let batches = load.records_per_second * load.peak_factor * load.record_bytes / batch;
    let per_gb = CPU_PER_GB_FIRST_REPLICA + CPU_PER_GB_FURTHER_REPLICA * (replicas - 1.0) + CPU_PER_GB_READ * consumers;
    let cores = peak / 1e9 * per_gb + batches * CPU_PER_BATCH_REPLICA * replicas;
    formulas.push((
        "cores = peak GB/s x (1.36 + 2.3 x (replicas - 1) + 0.58 x consumers) + batches/s x 16 us x replicas",
        format!("{:.4} x {per_gb:.2} + {batches:.0} x 16 us x {replicas} = {cores:.2}", peak / 1e9),
    ));
    let page_cache = peak * replicas * PAGE_CACHE_SECONDS;
    formulas.push((
        "page cache = peak x replicas x 60 s; memory of a node = 82 MB + 7 kB x replicas on it",
        format!("{:.2} GB of page cache, {:.0} replicas", page_cache / 1e9, partitions * replicas),
    ));
    Need {
        disk_bytes,
        disk_bytes_per_second: peak * replicas,
        network_in_bits: network_in,
        network_out_bits: network_out,
        cores,
        memory_bytes: 0.0,
        page_cache_bytes: page_cache,
        replicas: partitions * replicas,
    }
}

/// The fewest nodes that carry `all`, and why. What flows must be carried with one node down.
fn nodes_for(
    all: &Need,
    load: &Load,
    machine: &Machine,
    formulas: &mut Vec<(&'static str, String)>,
) -> (f64, &'static str) {
    let network = all.network_in_bits.max(all.network_out_bits);
    let candidates = [
        ("the replication factor", load.replication_factor),
        ("disk", (all.disk_bytes / machine.disk_bytes).ceil()),
        (
            "disk throughput",
            (all.disk_bytes_per_second / (machine.disk_bytes_per_second * DISK_THROUGHPUT_FILL)).ceil() + 1.0,
        ),
        ("network", (network / (machine.network_bits_per_second * NETWORK_FILL)).ceil() + 1.0),
        ("CPU", (all.cores / (machine.cores * CPU_FILL)).ceil() + 1.0),
        ("replicas a node", (all.replicas / REPLICAS_PER_NODE).ceil()),
    ];
    let listed: Vec<String> = candidates.iter().map(|(what, nodes)| format!("{what} {nodes:.0}")).collect();
    formulas.push((
        "nodes = the largest of: replicas; disk / disk of a node; 1 + flow / 60 % of what a node has",
        listed.join(", "),
    ));
    let mut best = candidates[0];
    for candidate in candidates {
        if candidate.1 > best.1 {
            best = candidate;
        }
    }
    (best.1, best.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> Load {
        Load {
            records_per_second: 20_000.0,
            record_bytes: 1000.0,
            compression_ratio: 1.0,
            peak_factor: 2.0,
            replication_factor: 3.0,
            retention_seconds: 604_800.0,
            consumers: 1.0,
            partitions: None,
            batch_bytes: 10_000.0,
        }
    }

    fn machine() -> Machine {
        Machine { disk_bytes: 4e12, disk_bytes_per_second: 400e6, network_bits_per_second: 10e9, cores: 4.0 }
    }

    #[test]
    fn the_arithmetic_is_that_of_the_document() {
        let sizing = Sizing::of(&load(), &machine(), None);
        // 20 MB/s x 604,800 s x 3 / 0.7 = 51.84 TB on 4 TB each.
        assert_eq!((sizing.nodes, sizing.reason, sizing.partitions), (13.0, "disk", 5.0));
        assert!((sizing.per_node.disk_bytes * 13.0 - 51.84e12).abs() < 1e9);
        // 40 MB/s x 3 x 8 bits over the 12 that are left.
        assert!((sizing.per_node.network_in_bits - 80e6).abs() < 1.0);
        // 0.04 x (1.36 + 4.6 + 0.58) + 4,000 x 48 us = 0.4536 cores.
        assert!((sizing.per_node.cores * 12.0 - 0.4536).abs() < 1e-6);
        assert!(sizing.lacking(&machine()).is_empty());
    }

    #[test]
    fn too_few_nodes_lack_something() {
        let sizing = Sizing::of(&load(), &machine(), Some(3.0));
        assert_eq!(sizing.lacking(&machine()), ["disk"]);
        assert_eq!(sizing.nodes_needed, 13.0);
    }

    #[test]
    fn a_small_load_needs_as_many_nodes_as_replicas() {
        let small = Load { records_per_second: 10.0, retention_seconds: 3600.0, ..load() };
        let sizing = Sizing::of(&small, &machine(), None);
        assert_eq!((sizing.nodes, sizing.reason), (3.0, "the replication factor"));
    }

    #[test]
    fn compression_and_batches_matter() {
        let of = |load: &Load| Sizing::of(load, &machine(), Some(3.0)).per_node;
        let compressed = Load { compression_ratio: 4.0, ..load() };
        assert!((of(&compressed).disk_bytes * 4.0 - of(&load()).disk_bytes).abs() < 1.0);
        let single = Load { batch_bytes: 1.0, ..load() };
        assert!(of(&single).cores > of(&load()).cores * 3.0, "a batch a record costs more");
    }
}
