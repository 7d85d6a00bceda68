//! `make bench` and `make bench-vs-kafka`: the workloads of docs/PERFORMANCE.md on Highwater, and on Apache Kafka beside it.
//!
//! In: the broker's binary, a directory of Kafka's jars, and options. Out: a table of figures, ratios and goals; a file of all
//! results; the table and plots in the documents. Stock clients (librdkafka) and a raw one drive real processes; nothing is
//! asserted, because machines differ.
//!
//! Architecture invariant: the two systems are never up at once.
//! Architecture invariant: latency counts from when a record was due, not from when the client got around to it.

mod admin;
mod cell;
mod consumer;
mod document;
mod figure;
mod findings;
mod goal;
mod group;
mod java_producer;
mod latency;
mod machine;
mod meter;
mod options;
mod page_cache;
mod payload;
mod plot;
mod producer;
mod raw;
mod report;
mod results;
mod scale;
mod schedule;
mod selection;
mod stillness;
mod system;
mod workloads;

use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use clap::Parser as _;

use crate::machine::Machine;
use crate::options::Options;
use crate::page_cache::Filler;
use crate::results::{Entry, Results};
use crate::system::System;
use crate::workloads::{Memory, Workload};

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match &options.cell {
        Some(cell) => serve_cell(&options, cell),
        None => measure(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve_cell(options: &Options, cell: &str) -> Result<()> {
    let (workload, system) = cell.split_once('/').context("--cell WORKLOAD/SYSTEM")?;
    let workload = workloads::find(workload).context("no such workload")?;
    cell::serve(options, workload, System::parse(system).context("no such system")?)
}

fn measure(options: &Options) -> Result<()> {
    let path = options.results.clone().unwrap_or_else(|| options.directory.join("results.json"));
    let mut results = Results::load(&path)?;
    let mut measured = Results::default();
    if !options.report_only {
        results.machine = Machine::inspect(options);
        let mut filler = Filler::create(&options.directory)?;
        for workload in selection::workloads(options)? {
            for (run, system) in selection::order(&selection::systems(options, workload)?, options.runs) {
                match workload.memory {
                    Memory::Filled => filler.fill()?,
                    Memory::Free => filler.empty()?,
                }
                let entry = run_cell(options, workload, system, run)?;
                results.add(entry.clone());
                measured.add(entry);
                results.save(&path)?;
            }
        }
    }
    println!("{}", report::table(if options.report_only { &results } else { &measured }));
    if let Some(directory) = &options.documents {
        document::write(directory, &results)?;
    }
    Ok(())
}

fn run_cell(options: &Options, workload: &Workload, system: System, run: usize) -> Result<Entry> {
    eprint!("{} ({}) on {}, run {} ... ", workload.id, workload.title, system.name(), run + 1);
    let started = Instant::now();
    let measured_at = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let outcome = cell::run(options, workload, system)?;
    let seconds = started.elapsed().as_secs_f64();
    let disturbance = outcome.findings.disturbance_cores();
    let stood_still = outcome.findings.stood_still_seconds();
    eprintln!(
        "{seconds:.0} s, other programs took up to {disturbance:.2} cores, the machine stood still for {stood_still:.2} s"
    );
    if let Some(failure) = &outcome.failure {
        eprintln!("  ended early: {failure}");
    }
    Ok(Entry {
        workload: workload.id.to_owned(),
        system,
        run,
        quick: options.quick,
        measured_at_ms: u64::try_from(measured_at.as_millis())?,
        seconds,
        findings: outcome.findings,
        failure: outcome.failure,
    })
}
