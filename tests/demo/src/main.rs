//! `make demo`: a million lines of real text go through three nodes while leaders and a consumer are killed, and come
//! back complete, once, and in order.
//!
//! In: the broker's binary; text that is installed on this machine. Out: what happened, checksums, and an exit code.
//! It knows the Kafka protocol's clients and the nodes' processes, nothing of the broker's insides.

mod consumer;
mod ledger;
mod producer;
mod text;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use highwater_test_cluster::{Cluster, binary_argument};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

/// The topic of the demonstration.
pub const TOPIC: &str = "demo";
/// Its partitions.
pub const PARTITIONS: usize = 6;
/// Lines of text to send.
const LINES: usize = 1_000_000;
/// Members of the reading group.
const READERS: usize = 3;
/// Longest time for the group to read everything.
const READ_WITHIN: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["consumer", bootstrap, file] => consumer::run(bootstrap, Path::new(file)),
        _ => demonstrate(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demonstrate() -> Result<()> {
    let (binary, _) = binary_argument()?;
    let lines = text::collect(LINES)?;
    let bytes: usize = lines.iter().map(Vec::len).sum();
    println!("{} lines of text, {:.1} MB, from this machine's installed files", lines.len(), bytes as f64 / 1e6);
    let mut cluster = Cluster::start(&binary, 3, &[])?;
    let bootstrap = cluster.bootstrap();
    create_topic(&bootstrap)?;
    let outcome = produce_and_read(&mut cluster, &bootstrap, &lines);
    if outcome.is_err() {
        cluster.keep_files();
    }
    outcome
}

fn produce_and_read(cluster: &mut Cluster, bootstrap: &str, lines: &[Vec<u8>]) -> Result<()> {
    let started = Instant::now();
    let progress = producer::Progress::default();
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| producer::send(bootstrap, lines, &progress));
        for (share, partition) in [(0.25, 0), (0.6, 1)] {
            while progress.acknowledged() < (lines.len() as f64 * share) as usize {
                if sender.is_finished() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            kill_leader(cluster, bootstrap, partition, &progress)?;
        }
        sender.join().map_err(|_| anyhow::anyhow!("the producer panicked"))?
    })?;
    println!(
        "produced: {} lines acknowledged by all in-sync replicas in {:.1} s, longest gap without an acknowledgement {:.2} s",
        lines.len(),
        started.elapsed().as_secs_f64(),
        progress.longest_gap().as_secs_f64(),
    );
    let directory = tempfile::tempdir()?;
    let read = read_back(bootstrap, directory.path(), lines.len())?;
    read.compare(&sent)?;
    println!("every line is there, each offset has one value, and each partition kept its order: checksums agree");
    for (partition, checksum) in sent.checksums().iter().enumerate() {
        println!("  {TOPIC}-{partition}  sha256 {checksum}");
    }
    Ok(())
}

fn create_topic(bootstrap: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let partitions = i32::try_from(PARTITIONS)?;
    let topic = NewTopic::new(TOPIC, partitions, TopicReplication::Fixed(3)).set("min.insync.replicas", "2");
    let options = AdminOptions::new();
    let created = futures_wait(admin.create_topics([&topic], &options))??;
    match created.as_slice() {
        [Ok(_)] => Ok(()),
        other => bail!("create topic: {other:?}"),
    }
}

/// Waits for a librdkafka admin future: librdkafka's own thread completes it, so that parking this one is enough.
fn futures_wait<T>(future: impl Future<Output = T>) -> Result<T> {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::task::Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Ok(value);
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    bail!("no answer within 60 s")
}

fn leader_of(bootstrap: &str, partition: usize) -> Result<i32> {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let metadata = client.fetch_metadata(Some(TOPIC), Duration::from_secs(10))?;
    let topic = metadata.topics().first().context("no topic")?;
    let found = topic.partitions().iter().find(|found| found.id() == partition as i32).context("no partition")?;
    Ok(found.leader())
}

fn kill_leader(cluster: &mut Cluster, bootstrap: &str, partition: usize, progress: &producer::Progress) -> Result<()> {
    let leader = usize::try_from(leader_of(bootstrap, partition)?)?;
    let at = progress.acknowledged();
    cluster.node(leader).kill();
    println!("killed node {leader} (SIGKILL), leader of {TOPIC}-{partition}, after {at} acknowledged lines");
    std::thread::sleep(Duration::from_secs(2));
    let restarted = Instant::now();
    cluster.node(leader).start()?;
    cluster.wait_ready()?;
    println!("restarted node {leader}: ready after {} ms", restarted.elapsed().as_millis());
    Ok(())
}

fn read_back(bootstrap: &str, directory: &Path, lines: usize) -> Result<ledger::Ledger> {
    let started = Instant::now();
    let files: Vec<PathBuf> = (0..READERS).map(|reader| directory.join(format!("reader{reader}"))).collect();
    let mut readers = Vec::new();
    for file in &files {
        readers.push(Reader::spawn(bootstrap, file)?);
    }
    let mut killed = false;
    loop {
        let read = ledger::Ledger::read_files(&files)?;
        if !killed && read.distinct() > lines / 5 {
            drop(readers.remove(0));
            killed = true;
            println!("killed one of {READERS} consumers (SIGKILL) after {} lines", read.distinct());
        }
        if read.distinct() >= lines {
            println!(
                "read: {} lines by a consumer group in {:.1} s, {} read again after the consumer's death",
                read.distinct(),
                started.elapsed().as_secs_f64(),
                read.repeated(),
            );
            return if killed { Ok(read) } else { bail!("all was read before a consumer could be killed") };
        }
        if started.elapsed() > READ_WITHIN {
            bail!("{} of {lines} lines read within {READ_WITHIN:?}", read.distinct());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A consumer in a process of its own, killed when dropped.
struct Reader(Child);

impl Reader {
    fn spawn(bootstrap: &str, file: &Path) -> Result<Self> {
        let program = std::env::current_exe()?;
        Ok(Self(Command::new(program).args(["consumer", bootstrap]).arg(file).spawn()?))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
