//! F: one 1 KiB record in flight, exactly, on the wire: RF 3 with acks=all, RF 1 with acks=1.

use std::time::Instant;

use anyhow::{Context as _, Result};
use highwater_protocol::encode_request;
use highwater_records::{BatchBuilder, Compression};
use highwater_types::Timestamp;

use super::{IDEMPOTENT, LARGE_BATCHES, RECORD_BYTES, Run, as_fast_as_it_goes, records_in};
use crate::admin::{create_topic, leaders};
use crate::findings::Findings;
use crate::latency::Latencies;
use crate::meter::Meter;
use crate::payload::Payloads;
use crate::producer::produce;
use crate::raw::{Connection, PRODUCE_VERSION, expect_appended, produce_request};

pub fn run(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let (cluster, payloads) = (run.start(3)?, Payloads::new(RECORD_BYTES));
    for (prefix, replicas, acks) in [("f.rf3", 3, -1), ("f.rf1", 1, 1)] {
        let topic = format!("rf{replicas}");
        create_topic(&cluster, &topic, 1, replicas)?;
        let properties = [LARGE_BATCHES, IDEMPOTENT].concat();
        let warm_up = records_in(run.scale.warm_up_gigabytes / 4.0, RECORD_BYTES);
        produce(&cluster.bootstrap(), &as_fast_as_it_goes(&topic, 1, warm_up, &payloads, &properties))?;
        let leader = leaders(cluster.nodes()[0].address(), &topic)?.first().copied().unwrap_or(-1);
        let leader = cluster.nodes().get(usize::try_from(leader)? - 1).context("no leader")?;
        let mut connection = Connection::open(leader.address())?;
        let request = produce_request(&topic, 0, acks, single_record(&payloads));
        // No producer id, so the same bytes may come any number of times.
        let frame = encode_request(PRODUCE_VERSION, 1, Some("bench"), &request)?;
        send_one_by_one(&mut connection, &frame, run.scale.pings / 2)?;
        let meter = Meter::start(&cluster);
        let latencies = send_one_by_one(&mut connection, &frame, run.scale.pings)?;
        let used = meter.used();
        findings.note(format!("{prefix}.cpu_us_per_record"), used.cpu_seconds * 1e6 / latencies.count() as f64);
        findings.note_company(prefix, &used);
        findings.note_latencies(prefix, &latencies.sorted());
    }
    Ok(())
}

fn single_record(payloads: &Payloads) -> bytes::Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(Timestamp(1_700_000_000_000), None, Some(payloads.value(0)), &[]);
    builder.build()
}

fn send_one_by_one(connection: &mut Connection, frame: &[u8], count: u64) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    for _ in 0..count {
        let sent = Instant::now();
        let answer = connection.exchange(frame)?;
        latencies.add(sent.elapsed());
        expect_appended(answer)?;
    }
    Ok(latencies)
}
