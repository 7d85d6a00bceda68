//! Kafka's own command-line tools, unmodified, against three nodes: what they print is compared with what they print against
//! a real Kafka.
//!
//! The commands are in `tests/clients/tools/script`, Kafka's answers in `tests/clients/tools/kafka`. Differences must be
//! listed in [`differences`], with their reason. `--record-tools` runs the scripts against a real Kafka and writes its answers.

pub mod differences;
mod driver;
mod kafka;
mod log_dirs;
mod normalise;
mod script;
mod throttles;
mod transcript;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use highwater_test_cluster::{Cluster, kafka_class_path};

use self::driver::{Driver, Ran};
use self::kafka::Kafka;
use self::normalise::{Nodes, Normaliser};
use self::script::{Action, Step};
use self::transcript::{Entry, Transcript, difference};
use crate::{Context, Test};

/// How long a step may be repeated until its output is as it should be.
const UNTIL: Duration = Duration::from_secs(45);

/// Name, class, and the option that names the cluster.
const TOOLS: &[(&str, &str, Option<&str>)] = &[
    ("api-versions", "org.apache.kafka.tools.BrokerApiVersionsCommand", Some("--bootstrap-server")),
    ("client-metrics", "org.apache.kafka.tools.ClientMetricsCommand", Some("--bootstrap-server")),
    ("cluster", "org.apache.kafka.tools.ClusterTool", None),
    ("configs", "kafka.admin.ConfigCommand", Some("--bootstrap-server")),
    ("console-consumer", "org.apache.kafka.tools.consumer.ConsoleConsumer", Some("--bootstrap-server")),
    ("console-producer", "org.apache.kafka.tools.ConsoleProducer", Some("--bootstrap-server")),
    ("consumer-groups", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", Some("--bootstrap-server")),
    ("consumer-performance", "org.apache.kafka.tools.ConsumerPerformance", Some("--bootstrap-server")),
    ("delete-records", "org.apache.kafka.tools.DeleteRecordsCommand", Some("--bootstrap-server")),
    ("dump-log", "org.apache.kafka.tools.DumpLogSegments", None),
    ("end-to-end-latency", "org.apache.kafka.tools.EndToEndLatency", None),
    ("features", "org.apache.kafka.tools.FeatureCommand", Some("--bootstrap-server")),
    ("get-offsets", "org.apache.kafka.tools.GetOffsetShell", Some("--bootstrap-server")),
    ("groups", "org.apache.kafka.tools.GroupsCommand", Some("--bootstrap-server")),
    ("leader-election", "org.apache.kafka.tools.LeaderElectionCommand", Some("--bootstrap-server")),
    ("log-dirs", "org.apache.kafka.tools.LogDirsCommand", Some("--bootstrap-server")),
    ("metadata-quorum", "org.apache.kafka.tools.MetadataQuorumCommand", Some("--bootstrap-server")),
    ("producer-performance", "org.apache.kafka.tools.ProducerPerformance", Some("--bootstrap-server")),
    ("reassign", driver::REASSIGN, Some("--bootstrap-server")),
    ("replica-verification", "org.apache.kafka.tools.ReplicaVerificationTool", Some("--broker-list")),
    ("topic", "org.apache.kafka.tools.TopicCommand", Some("--bootstrap-server")),
    ("transactions", "org.apache.kafka.tools.TransactionsCommand", Some("--bootstrap-server")),
    ("verifiable-consumer", "org.apache.kafka.tools.VerifiableConsumer", Some("--bootstrap-server")),
    ("verifiable-producer", "org.apache.kafka.tools.VerifiableProducer", Some("--bootstrap-server")),
];

pub fn tests() -> Vec<Test> {
    let compared = Test {
        name: "kafka-tools",
        proves: "Kafka's own command-line tools print what they print against a real Kafka, but for what is explained",
        run: compare,
    };
    vec![compared, log_dirs::test(), throttles::test()]
}

/// Where scripts and recorded answers are: the suite runs at the root of the repository.
fn home() -> PathBuf {
    PathBuf::from("tests/clients/tools")
}

/// The names of the scripts, in order.
fn scripts() -> Result<Vec<String>> {
    let entries = std::fs::read_dir(home().join("script"))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn compare(context: &Context) -> Result<()> {
    let cluster = Cluster::start(&context.binary, 3, &[])?;
    let mut session = Session::new(nodes_of(&cluster)?)?;
    let mut found = Vec::new();
    let mut differences = differences::Checker::new()?;
    for script in scripts()? {
        let ours = session.play(&script)?;
        std::fs::write(context.scratch.join(&script), ours.to_string())?;
        let recorded = Transcript::parse(&std::fs::read_to_string(home().join("kafka").join(&script))?);
        let recorded = recorded.by_name();
        for entry in &ours.0 {
            let step = format!("{}/{}", script.split_once('-').map_or("", |(_, topic)| topic), entry.name);
            let Some(kafka) = recorded.get(entry.name.as_str()).filter(|kafka| kafka.command == entry.command) else {
                found.push(format!("{step}: not recorded; run with --record-tools"));
                continue;
            };
            let unexplained = differences.unexplained(&step, &difference(&kafka.lines, &entry.lines));
            if !unexplained.is_empty() {
                found.push(format!("{step}: {}\n  {}", entry.command, unexplained.join("\n  ")));
            }
        }
    }
    found.extend(differences.stale());
    if found.is_empty() { Ok(()) } else { bail!("Kafka's tools print something else:\n{}", found.join("\n")) }
}

/// Runs the scripts against a real Kafka and writes down what its tools print.
pub fn record() -> Result<()> {
    let kafka = Kafka::start()?;
    let mut session = Session::new(kafka.nodes())?;
    for script in scripts()? {
        let transcript = session.play(&script)?;
        std::fs::write(home().join("kafka").join(&script), transcript.to_string())?;
        println!("{script}: {} steps", transcript.0.len());
    }
    Ok(())
}

fn nodes_of(cluster: &Cluster) -> Result<Nodes> {
    let mut nodes = Nodes { host: String::new(), ports: Vec::new(), data: Vec::new() };
    for node in cluster.nodes() {
        let (host, port) = node.address().rsplit_once(':').context("an address without a port")?;
        let properties = std::fs::read_to_string(node.log_path().with_file_name("server.properties"))?;
        let controller = properties.lines().find_map(|line| line.strip_prefix("listeners=")?.rsplit_once(':'));
        let (_, controller) = controller.context("no listeners")?;
        nodes.host = host.to_owned();
        nodes.ports.push((port.parse()?, controller.parse()?));
        nodes.data.push(cluster.data_directory(node.id()));
    }
    Ok(nodes)
}

/// Runs a tool that does not end by itself for some seconds.
fn alone(class: &str, arguments: &[String], seconds: u32) -> Result<Ran> {
    let mut java = Command::new("timeout");
    java.args([&seconds.to_string(), "java", "-Xmx64M", "-cp", &kafka_class_path()?, class]).args(arguments);
    let output = java.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    let exit = i64::from(output.status.code().unwrap_or(-1));
    Ok(Ran { exit, output: String::from_utf8_lossy(&output.stdout).into_owned() })
}

/// One run of the scripts against one cluster.
struct Session {
    driver: Driver,
    normaliser: Normaliser,
    /// Programs that run beside the steps.
    running: BTreeMap<String, Child>,
}

impl Session {
    fn new(nodes: Nodes) -> Result<Self> {
        Ok(Self { driver: Driver::start()?, normaliser: Normaliser::new(nodes)?, running: BTreeMap::new() })
    }

    fn play(&mut self, script: &str) -> Result<Transcript> {
        let text = std::fs::read_to_string(home().join("script").join(script))?;
        let mut transcript = Transcript::default();
        for action in script::parse(&text)? {
            match action {
                Action::Step(step) => transcript.0.push(self.step(&step)?),
                Action::Start(name, command) => {
                    let mut java = Command::new("java");
                    java.args(["-Xmx64M", "-cp", &kafka_class_path()?]).args(self.fill_in(&command));
                    java.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                    self.running.insert(name, java.spawn()?);
                }
                Action::Stop(name) => {
                    let mut child = self.running.remove(&name).with_context(|| format!("{name} was not started"))?;
                    child.kill()?;
                    child.wait()?;
                }
            }
        }
        Ok(transcript)
    }

    fn step(&mut self, step: &Step) -> Result<Entry> {
        let (tool, arguments) = step.command.split_first().context("an empty command")?;
        let found = TOOLS.iter().find(|(name, ..)| name == tool).with_context(|| format!("no tool {tool}"))?;
        let (_, class, option) = found;
        let mut all = Vec::new();
        if let Some(option) = option {
            all.extend([(*option).to_owned(), self.normaliser.nodes().bootstrap()]);
        }
        all.extend(self.fill_in(arguments));
        let deadline = Instant::now() + UNTIL;
        let lines = loop {
            let Ran { exit, output } = match step.seconds {
                Some(seconds) => alone(class, &all, seconds)?,
                None => self.driver.run(class, &all, &step.input)?,
            };
            let mut lines = self.normaliser.lines(&output, &step.hidden);
            if step.sorted {
                lines.sort();
            }
            lines.push(format!("[exit {exit}]"));
            if step.until.as_ref().is_none_or(|until| until.is_match(&lines.join("\n"))) || Instant::now() > deadline {
                break lines;
            }
            std::thread::sleep(Duration::from_millis(300));
        };
        Ok(Entry { name: step.name.clone(), command: step.command.join(" "), lines })
    }

    fn fill_in(&self, words: &[String]) -> Vec<String> {
        let nodes = self.normaliser.nodes();
        let files = home().join("files").display().to_string();
        let data = nodes.data[0].display().to_string();
        let fill =
            |word: &String| word.replace("{b}", &nodes.bootstrap()).replace("{files}", &files).replace("{data}", &data);
        words.iter().map(fill).collect()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
