//! Kafka's own producer and consumer, in Java, beside the load: what a rolling restart is to be unnoticed by.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use highwater_test_cluster::{Cluster, kafka_class_path};

const TOPIC: &str = "faults-java";
/// Records a second.
const RATE: &str = "200";
/// How long the clients may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The running clients; they are killed with the value.
pub struct JavaClients {
    producer: Child,
    consumer: Child,
    directory: std::path::PathBuf,
}

impl JavaClients {
    /// Starts them and waits until records arrive.
    pub fn start(cluster: &Cluster) -> Result<Self> {
        let directory = cluster.directory().to_owned();
        let bootstrap = cluster.bootstrap();
        let common = ["--bootstrap-server", &bootstrap, "--topic", TOPIC];
        // The tool turns retries off unless told otherwise; every producer of Java has them.
        let settings = directory.join("producer.properties");
        std::fs::write(&settings, "retries=2147483647\nenable.idempotence=true\n")?;
        let settings = settings.display().to_string();
        let writing = ["--acks", "-1", "--throughput", RATE, "--command-config", &settings];
        let producer = start("VerifiableProducer", &common, &writing, &directory)?;
        let reading = ["--group-id", "faults-java", "--reset-policy", "earliest", "--verbose"];
        let consumer = start("VerifiableConsumer", &common, &reading, &directory)?;
        let clients = Self { producer, consumer, directory };
        let started = Instant::now();
        while clients.count("VerifiableConsumer", "record_data")? == 0 {
            ensure!(started.elapsed() < PATIENCE, "the Java consumer reads nothing");
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(clients)
    }

    /// Stops the producer, waits until all it was acknowledged has been read, and checks that neither saw an error. How many
    /// records that were, and the longest time between two acknowledgements.
    pub fn finish(mut self) -> Result<(usize, Duration)> {
        terminate(&mut self.producer)?;
        let acknowledged = self.count("VerifiableProducer", "producer_send_success")?;
        let failed = self.count("VerifiableProducer", "producer_send_error")?;
        ensure!(failed == 0, "{failed} sends of the Java producer failed");
        let started = Instant::now();
        loop {
            let read = self.count("VerifiableConsumer", "record_data")?;
            if read >= acknowledged {
                ensure!(read == acknowledged, "{acknowledged} acknowledged, {read} read by the Java consumer");
                break;
            }
            ensure!(started.elapsed() < PATIENCE, "of {acknowledged} records the Java consumer read {read}");
            std::thread::sleep(Duration::from_millis(200));
        }
        ensure!(self.consumer.try_wait()?.is_none(), "the Java consumer ended by itself");
        let errors = std::fs::read_to_string(self.directory.join("VerifiableConsumer.err"))?;
        ensure!(!errors.contains("Exception"), "the Java consumer failed: {errors}");
        Ok((acknowledged, self.longest_gap()?))
    }

    fn count(&self, class: &str, event: &str) -> Result<usize> {
        let output = std::fs::read_to_string(self.directory.join(format!("{class}.out")))?;
        Ok(output.lines().filter(|line| line.contains(&format!("\"name\":\"{event}\""))).count())
    }

    fn longest_gap(&self) -> Result<Duration> {
        let output = std::fs::read_to_string(self.directory.join("VerifiableProducer.out"))?;
        let mut times = Vec::new();
        for line in output.lines().filter(|line| line.contains("\"name\":\"producer_send_success\"")) {
            let time = line.split("\"timestamp\":").nth(1).context("no timestamp")?;
            let digits: String = time.chars().take_while(char::is_ascii_digit).collect();
            times.push(digits.parse::<u64>()?);
        }
        let gaps = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
        Ok(Duration::from_millis(gaps.max().unwrap_or(0)))
    }
}

impl Drop for JavaClients {
    fn drop(&mut self) {
        for child in [&mut self.producer, &mut self.consumer] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start(class: &str, common: &[&str], arguments: &[&str], directory: &Path) -> Result<Child> {
    let file = |kind: &str| File::create(directory.join(format!("{class}.{kind}")));
    let mut java = Command::new("java");
    java.args(["-Xmx128M", "-cp", &kafka_class_path()?, &format!("org.apache.kafka.tools.{class}")]);
    java.args(common).args(arguments).stdin(Stdio::null()).stdout(file("out")?).stderr(file("err")?);
    Ok(java.spawn()?)
}

/// SIGTERM: the producer flushes what it has.
fn terminate(child: &mut Child) -> Result<()> {
    // SAFETY: kill has no memory effects; the pid is our own child's, not yet waited for.
    unsafe { libc::kill(i32::try_from(child.id())?, libc::SIGTERM) };
    child.wait()?;
    Ok(())
}
