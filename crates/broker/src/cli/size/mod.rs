//! `highwater size`: how much machine a load needs. `docs/sizing.md` explains the arithmetic and where its constants come from.

mod arithmetic;
mod quantity;

use clap::Args;
use serde_json::{Value, json};

use arithmetic::{Load, Machine, Need, Sizing};

pub(crate) use quantity::parse_bytes;

use super::output::{bytes, facts};
use super::time::parse_duration;
use super::{Failure, output::Format};
use quantity::parse_number;

const EXAMPLES: &str = "\
Examples:
  highwater size --records-per-second 20k --record-bytes 1KiB --retention 7d
  highwater size --records-per-second 200k --record-bytes 400 --compression-ratio 4 --consumers 3 --partitions 600
  highwater size --records-per-second 5k --record-bytes 2KiB --nodes 3 --disk 2TB --json

Prints each formula with its numbers; docs/sizing.md says where the constants come from.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SizeArgs {
    /// Records written each second on average, such as 20k.
    #[arg(long, short = 'r', value_name = "NUMBER", value_parser = parse_number)]
    records_per_second: f64,
    /// Bytes of a record: key, value and headers.
    #[arg(long, short = 's', default_value = "1KiB", value_name = "BYTES", value_parser = parse_bytes)]
    record_bytes: u64,
    /// How much smaller producers' compression makes them.
    #[arg(long, default_value = "1", value_name = "NUMBER", value_parser = parse_number)]
    compression_ratio: f64,
    /// The busiest second, as a multiple of the average one.
    #[arg(long, default_value = "2", value_name = "NUMBER", value_parser = parse_number)]
    peak_factor: f64,
    /// Replicas of each partition.
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u32).range(1..))]
    replication_factor: u32,
    /// How long records are kept: 7d, PT12H.
    #[arg(long, default_value = "7d", value_name = "DURATION", value_parser = parse_duration)]
    retention: i64,
    /// Groups that each read everything.
    #[arg(long, default_value = "1", value_name = "NUMBER")]
    consumers: u32,
    /// Partitions of all topics together; by default what throughput asks for.
    #[arg(long, value_name = "NUMBER")]
    partitions: Option<u32>,
    /// Bytes of a batch as producers send it, before compression: batch.size, or less if linger.ms is short.
    #[arg(long, default_value = "16KiB", value_name = "BYTES", value_parser = parse_bytes)]
    batch_bytes: u64,
    /// Nodes; as many as are needed by default.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    nodes: Option<u32>,
    /// Disk of a node.
    #[arg(long, default_value = "4TB", value_name = "BYTES", value_parser = parse_bytes)]
    disk: u64,
    /// Bytes a second that a node's disk writes.
    #[arg(long, default_value = "400MB", value_name = "BYTES", value_parser = parse_bytes)]
    disk_throughput: u64,
    /// Bits a second of a node's network, in each direction.
    #[arg(long, default_value = "10G", value_name = "BITS", value_parser = parse_number)]
    network: f64,
    /// Cores of a node.
    #[arg(long, default_value = "4", value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    cores: u32,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &SizeArgs) -> Result<(), Failure> {
    if args.compression_ratio < 1.0 || args.peak_factor < 1.0 || args.record_bytes == 0 {
        return Err(Failure::usage("compression ratio and peak factor are at least 1, a record has at least one byte"));
    }
    let load = Load {
        records_per_second: args.records_per_second,
        record_bytes: args.record_bytes as f64,
        compression_ratio: args.compression_ratio,
        peak_factor: args.peak_factor,
        replication_factor: f64::from(args.replication_factor),
        retention_seconds: args.retention as f64 / 1000.0,
        consumers: f64::from(args.consumers),
        partitions: args.partitions.map(f64::from),
        batch_bytes: args.batch_bytes as f64,
    };
    let machine = Machine {
        disk_bytes: args.disk as f64,
        disk_bytes_per_second: args.disk_throughput as f64,
        network_bits_per_second: args.network,
        cores: f64::from(args.cores),
    };
    let sizing = Sizing::of(&load, &machine, args.nodes.map(f64::from));
    let format = if args.json { Format::Json } else { Format::Table };
    format.print(|| sizing_json(&sizing), || text(&sizing))?;
    match sizing.lacking(&machine).as_slice() {
        [] => Ok(()),
        lacking => Err(Failure::new(format!("{} nodes are too few: {}", sizing.nodes, lacking.join(", ")))
            .hint(format!("{} nodes carry the load with one of them down", sizing.nodes_needed))),
    }
}

fn text(sizing: &Sizing) -> String {
    let formulas: Vec<String> =
        sizing.formulas.iter().map(|(name, formula)| format!("{name}\n    {formula}")).collect();
    let per_node = &sizing.per_node;
    let need = facts([
        ("nodes", format!("{} ({})", sizing.nodes, sizing.reason)),
        ("disk", format!("{} a node", bytes(per_node.disk_bytes))),
        ("disk writes", format!("{}/s", bytes(per_node.disk_bytes_per_second))),
        ("network in", format!("{:.2} Gbit/s", per_node.network_in_bits / 1e9)),
        ("network out", format!("{:.2} Gbit/s", per_node.network_out_bits / 1e9)),
        ("CPU", format!("{:.1} cores busy at peak", per_node.cores)),
        ("memory", format!("{} and {} of page cache", bytes(per_node.memory_bytes), bytes(per_node.page_cache_bytes))),
        ("partitions", format!("{:.0} of all topics, {:.0} replicas a node", sizing.partitions, per_node.replicas)),
    ]);
    format!("{}\n\neach node, while one is down\n\n{need}", formulas.join("\n"))
}

fn sizing_json(sizing: &Sizing) -> Value {
    let Need {
        disk_bytes,
        disk_bytes_per_second,
        network_in_bits,
        network_out_bits,
        cores,
        memory_bytes,
        page_cache_bytes,
        replicas,
    } = sizing.per_node;
    json!({
        "nodes": sizing.nodes,
        "nodes_needed": sizing.nodes_needed,
        "reason": sizing.reason,
        "partitions": sizing.partitions.round(),
        "per_node": {
            "disk_bytes": disk_bytes.round(),
            "disk_bytes_per_second": disk_bytes_per_second.round(),
            "network_in_bits_per_second": network_in_bits.round(),
            "network_out_bits_per_second": network_out_bits.round(),
            "busy_cores": cores,
            "memory_bytes": memory_bytes.round(),
            "page_cache_bytes": page_cache_bytes.round(),
            "replicas": replicas.round(),
        },
        "formulas": sizing.formulas.iter().map(|(name, formula)| json!({"name": name, "formula": formula})).collect::<Vec<_>>(),
    })
}
