//! Checks a history that was kept: `cargo run -p highwater-history -- FILE`.

use std::fs::File;
use std::io::BufReader;

use anyhow::{Context as _, Result};
use highwater_history::{Coverage, check, longest_gaps, read_json_lines};

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("usage: highwater-history FILE")?;
    let events = read_json_lines(BufReader::new(File::open(&path).with_context(|| path.clone())?))?;
    let gaps = longest_gaps(&events);
    let [p50, p99, max] = [50, 99, 100].map(|percent| gaps.percentile(percent).as_millis());
    println!(
        "{} events; longest time without an acknowledgement, by partition: p50 {p50} ms, p99 {p99} ms, max {max} ms",
        events.len()
    );
    check(&events, Coverage { acknowledged: 1 }).into_result()?;
    println!("valid");
    Ok(())
}
