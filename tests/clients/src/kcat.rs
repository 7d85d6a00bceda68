//! kcat (librdkafka 2.0, an old and very widespread client).

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::{Context, Test, check, output_of};

pub fn tests() -> Vec<Test> {
    vec![
        Test { name: "kcat-metadata", proves: "kcat -L lists three brokers and an auto-created topic", run: metadata },
        Test {
            name: "kcat-codecs",
            proves: "records produced with each codec come back equal and in order",
            run: codecs,
        },
        Test { name: "kcat-offsets", proves: "offsets by position and by time are answered exactly", run: offsets },
        Test { name: "kcat-group", proves: "a balanced consumer group reads every record once", run: group },
        Test {
            name: "kcat-large",
            proves: "records close to max.message.bytes pass, larger ones are refused",
            run: large,
        },
    ]
}

fn kcat(context: &Context) -> Command {
    let mut command = Command::new("kcat");
    command.args(["-b", &context.bootstrap, "-m", "10"]);
    command
}

fn produce(context: &Context, arguments: &[&str], input: &str) -> Result<()> {
    let mut command = kcat(context);
    command.arg("-P").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("kcat")?;
    // kcat may end before it has read everything: its own message says why, not the broken pipe.
    let _ = child.stdin.take().context("stdin")?.write_all(input.as_bytes());
    let output = child.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    check(output.status.success(), || format!("{command:?}: {errors}"))
}

fn metadata(context: &Context) -> Result<()> {
    produce(context, &["-t", "kcat-metadata", "-X", "acks=all"], "one\n")?;
    let listing = output_of(kcat(context).args(["-L", "-t", "kcat-metadata"]))?;
    check(listing.contains("3 brokers:"), || format!("brokers missing:\n{listing}"))?;
    check(listing.contains("topic \"kcat-metadata\""), || format!("topic missing:\n{listing}"))
}

fn codecs(context: &Context) -> Result<()> {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("kcat-codec-{codec}");
        let input: String = (0..5000).map(|n| format!("key{n}:value {n} of a line that compresses well\n")).collect();
        produce(
            context,
            &["-t", &topic, "-p", "0", "-K:", "-z", codec, "-X", "acks=all", "-X", "enable.idempotence=true"],
            &input,
        )?;
        let read =
            output_of(kcat(context).args(["-C", "-t", &topic, "-p", "0", "-K:", "-e", "-q", "-o", "beginning"]))?;
        check(read == input, || format!("{codec}: read {} bytes, wrote {}", read.len(), input.len()))?;
    }
    Ok(())
}

fn offsets(context: &Context) -> Result<()> {
    let input: String = (0..100).map(|n| format!("{n}\n")).collect();
    produce(context, &["-t", "kcat-offsets", "-p", "0", "-X", "acks=all"], &input)?;
    let tail = output_of(kcat(context).args(["-C", "-t", "kcat-offsets", "-p", "0", "-e", "-q", "-o", "-10"]))?;
    check(tail.lines().eq((90..100).map(|n| n.to_string()).collect::<Vec<_>>()), || format!("last ten: {tail}"))?;
    let middle =
        output_of(kcat(context).args(["-C", "-t", "kcat-offsets", "-p", "0", "-e", "-q", "-o", "57", "-c", "1"]))?;
    check(middle.trim() == "57", || format!("offset 57 holds {middle}"))?;
    let stamp = output_of(kcat(context).args([
        "-C",
        "-t",
        "kcat-offsets",
        "-p",
        "0",
        "-q",
        "-o",
        "50",
        "-c",
        "1",
        "-f",
        "%T",
    ]))?;
    let query = output_of(kcat(context).args(["-Q", "-t", &format!("kcat-offsets:0:{}", stamp.trim())]))?;
    let found: i64 = query.rsplit(' ').next().and_then(|word| word.trim().parse().ok()).context(query.clone())?;
    check((0..=50).contains(&found), || format!("offset for time of 50: {query}"))?;
    let future = output_of(kcat(context).args(["-Q", "-t", "kcat-offsets:0:99999999999999"]))?;
    check(future.trim().ends_with("offset -1") || future.trim().ends_with("offset 100"), || format!("future: {future}"))
}

fn group(context: &Context) -> Result<()> {
    let input: String = (0..2000).map(|n| format!("k{n}:{n}\n")).collect();
    produce(context, &["-t", "kcat-group", "-K:", "-X", "acks=all"], &input)?;
    let read = output_of(kcat(context).args([
        "-G",
        "kcat-readers",
        "-e",
        "-q",
        "-X",
        "auto.offset.reset=earliest",
        "kcat-group",
    ]))?;
    let mut seen: Vec<u32> = read.lines().filter_map(|line| line.parse().ok()).collect();
    seen.sort_unstable();
    check(seen == (0..2000).collect::<Vec<_>>(), || format!("{} records read of 2000", seen.len()))?;
    let again = output_of(kcat(context).args([
        "-G",
        "kcat-readers",
        "-e",
        "-q",
        "-X",
        "auto.offset.reset=earliest",
        "kcat-group",
    ]))?;
    check(again.trim().is_empty(), || format!("{} records read again", again.lines().count()))
}

fn large(context: &Context) -> Result<()> {
    let big = "x".repeat(900_000);
    produce(context, &["-t", "kcat-large", "-p", "0", "-X", "acks=all"], &format!("{big}\n"))?;
    let read = output_of(kcat(context).args([
        "-C",
        "-t",
        "kcat-large",
        "-p",
        "0",
        "-e",
        "-q",
        "-o",
        "beginning",
        "-X",
        "fetch.message.max.bytes=1000",
    ]))?;
    check(read.trim_end() == big, || format!("{} bytes read", read.len()))?;
    let giant = "y".repeat(1_500_000);
    let refused =
        produce(context, &["-t", "kcat-large", "-p", "0", "-X", "acks=all", "-X", "message.max.bytes=3000000"], &giant);
    let text = format!("{:#}", refused.err().context("a record of 1.5 MB was accepted")?);
    check(text.contains("too large"), || format!("refused for another reason: {text}"))
}
