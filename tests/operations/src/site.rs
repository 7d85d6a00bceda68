//! The nodes of one run of pages, and the commands that stand for the outside world: each node's machine is a directory and a
//! process here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use highwater_test_cluster::{Loopback, free_ports, kafka_class_path};

/// Names a binary of an earlier version, which is installed on all nodes until a page installs the new one.
const EARLIER: &str = "HIGHWATER_EARLIER";
/// Nodes that a page may name; the first three form the cluster.
const NODES: usize = 4;
/// A page that takes longer hangs.
const SECONDS: &str = "240";

/// `ssh NODE COMMAND...`: the machine's directories are those of the node, `systemctl` and `apt-get` do what they do there.
const SSH: &str = r#"#!/bin/bash
node=$1; shift; home=$SITE/$node
pid() { cat "$home/pid" 2>/dev/null; }
alive() { grep -qs '^State:[[:space:]]*[^Z]' "/proc/$(pid)/status"; }
start() { alive || { setsid "$home/highwater" server --config "$home/etc/server.properties" >> "$home/node.log" 2>&1 < /dev/null & echo $! > "$home/pid"; }; }
stop() { alive && kill "$(pid)"; while alive; do sleep 0.05; done; }
systemctl() {
  case "$*" in
    "start highwater") start ;;
    "stop highwater") stop ;;
    "restart highwater") stop; start ;;
    "kill --signal=KILL highwater") kill -9 "$(pid)"; while alive; do sleep 0.05; done ;;
    "is-failed highwater") ! alive ;;
    *) echo "systemctl $*: not known here" >&2; return 1 ;;
  esac
}
apt-get() { [ "$*" = "install --yes highwater" ] && ln -sf "$HIGHWATER" "$home/highwater"; }
command="$*"
command=${command//\/var\/lib\/highwater/$home\/var}
command=${command//\/etc\/highwater/$home\/etc}
command=${command//localhost:9094/$(cat "$home/http")}
case "$command" in
  "cat > "*) sed "s#/var/lib/highwater#$home/var#" | eval "$command" ;;
  *) eval "$command" ;;
esac
"#;

/// Kafka's scripts by the classes that they start.
const KAFKA: &[(&str, &str)] = &[
    ("kafka-cluster", "org.apache.kafka.tools.ClusterTool"),
    ("kafka-configs", "kafka.admin.ConfigCommand"),
    ("kafka-delete-records", "org.apache.kafka.tools.DeleteRecordsCommand"),
    ("kafka-features", "org.apache.kafka.tools.FeatureCommand"),
    ("kafka-leader-election", "org.apache.kafka.tools.LeaderElectionCommand"),
    ("kafka-log-dirs", "org.apache.kafka.tools.LogDirsCommand"),
    ("kafka-metadata-quorum", "org.apache.kafka.tools.MetadataQuorumCommand"),
    ("kafka-reassign-partitions", "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"),
    ("kafka-topics", "org.apache.kafka.tools.TopicCommand"),
];

/// What each site begins with: topics, and records of a group, so that `__consumer_offsets` exists.
const PREPARATION: &str = "
for node in node1 node2 node3; do ssh $node systemctl start highwater; done
for node in node1 node2 node3; do until ssh $node curl -fs http://localhost:9094/readyz; do sleep 0.2; done; done
kafka-topics --bootstrap-server node1:9092 --create --topic orders --partitions 3 --replication-factor 3
for number in $(seq 200); do echo \"order $number\"; done | \"$HIGHWATER\" produce --bootstrap-server node1:9092 orders
until \"$HIGHWATER\" consume --bootstrap-server node1:9092 orders --group shop --from-beginning --max-messages 200; do sleep 1; done
";

/// A record every 20 ms, until a file is there.
const LOAD: &str = "
number=0
until [ -e stop-load ]; do number=$((number + 1)); echo \"load $number\"; sleep 0.02; done | tee load.txt | highwater produce --bootstrap-server node2:9092 orders
";

/// What was produced is what can be read, apart from the order of partitions.
const LOAD_CHECK: &str = "
[ $(wc -l < load.txt) -gt 50 ]
highwater consume --bootstrap-server node2:9092 orders --from-beginning --exit | grep '^load' | sort > read.txt
sort load.txt | cmp - read.txt
";

/// The nodes. They end with the value.
pub struct Site {
    directory: tempfile::TempDir,
    binary: PathBuf,
    /// What the pages write, and what it is here.
    addresses: Vec<(String, String)>,
}

impl Site {
    /// Three running nodes with a topic `orders` and a group that reads it.
    pub fn start(binary: &Path) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("highwater-operations-").tempdir()?;
        let host = Loopback::pick();
        let ports = free_ports(&host, NODES * 3)?;
        let mut addresses = Vec::new();
        for (index, ports) in ports.chunks(3).enumerate() {
            for (port, actual) in [9092, 9093, 9094].into_iter().zip(ports) {
                addresses.push((format!("node{}:{port}", index + 1), format!("{host}:{actual}")));
            }
        }
        let mut site = Self { directory, binary: binary.to_owned(), addresses };
        site.install()?;
        site.run(PREPARATION)?;
        Ok(site)
    }

    /// Runs a script to its end; each of its commands must succeed.
    pub fn run(&mut self, script: &str) -> Result<()> {
        let root = self.directory.path();
        let path = format!("{}:{}", root.join("bin").display(), std::env::var("PATH")?);
        let script = format!("set -euo pipefail\n{}", self.translate(script));
        let mut shell = Command::new("timeout");
        shell.args([SECONDS, "bash", "-c", &script]).current_dir(root.join("work"));
        shell.env("PATH", path).env("SITE", root).env("HIGHWATER", &self.binary);
        let output = shell.output()?;
        if output.status.success() {
            return Ok(());
        }
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{}\n{script}\n--- standard output\n{stdout}\n--- standard error\n{stderr}", output.status)
    }

    /// As [`Self::run`], while a producer writes to `orders`; it must get every record acknowledged, and all must be there.
    pub fn run_under_load(&mut self, script: &str) -> Result<()> {
        let produced = format!("trap 'touch stop-load' EXIT\n{{\n{LOAD}\n}} &\nload=$!\n");
        self.run(&format!("{produced}{script}\ntouch stop-load\nwait $load\n{LOAD_CHECK}"))
    }

    /// Leaves the files there for a person to look at.
    pub fn keep(&mut self) {
        self.directory.disable_cleanup(true);
        eprintln!("kept: {}", self.directory.path().display());
    }

    fn translate(&self, text: &str) -> String {
        self.addresses.iter().fold(text.to_owned(), |text, (name, actual)| text.replace(name, actual))
    }

    fn install(&self) -> Result<()> {
        let root = self.directory.path();
        for directory in ["bin", "work"] {
            fs::create_dir_all(root.join(directory))?;
        }
        self.command("ssh", SSH)?;
        std::os::unix::fs::symlink(&self.binary, root.join("bin/highwater"))?;
        let class_path = kafka_class_path()?;
        for (name, class) in KAFKA {
            let script =
                format!("#!/bin/sh\nexec java -Xmx128M -XX:TieredStopAtLevel=1 -cp '{class_path}' {class} \"$@\"\n");
            self.command(name, &script)?;
        }
        let voters = self.translate("1@node1:9093,2@node2:9093,3@node3:9093");
        for node in 1..=NODES {
            let home = root.join(format!("node{node}"));
            for directory in ["etc", "var"] {
                fs::create_dir_all(home.join(directory))?;
            }
            let installed = std::env::var_os(EARLIER).map_or_else(|| self.binary.clone(), PathBuf::from);
            std::os::unix::fs::symlink(installed, home.join("highwater"))?;
            let at = |port: u16| self.translate(&format!("node{node}:{port}"));
            fs::write(home.join("http"), at(9094))?;
            let properties = format!(
                "process.roles=broker,controller\nnode.id={node}\ncontroller.quorum.voters={voters}\n\
                 controller.listener.names=CONTROLLER\nlisteners=PLAINTEXT://{},CONTROLLER://{}\n\
                 highwater.http.listener={}\nlog.dirs={}\ndefault.replication.factor=3\nmin.insync.replicas=2\n\
                 offsets.topic.replication.factor=3\noffsets.topic.num.partitions=4\ngroup.initial.rebalance.delay.ms=0\n",
                at(9092),
                at(9093),
                at(9094),
                home.join("var").display()
            );
            fs::write(home.join("etc/server.properties"), properties)?;
        }
        Ok(())
    }

    fn command(&self, name: &str, script: &str) -> Result<()> {
        let path = self.directory.path().join("bin").join(name);
        fs::write(&path, script)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for node in 1..=NODES {
            let Ok(pid) = fs::read_to_string(self.directory.path().join(format!("node{node}/pid"))) else { continue };
            let _ = Command::new("kill").args(["-9", pid.trim()]).status();
        }
    }
}
