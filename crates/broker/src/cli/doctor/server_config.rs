//! A `server.properties` before a node runs on it: what the node would refuse or warn of, directories, names, neighbours.

use std::path::Path;

use highwater_env::Fs;
use highwater_metadata::config::DURABILITY;

use super::finding::Finding;
use super::probe;
use crate::cli::Failure;
use crate::cli::output::{bytes, count};
use crate::cli::server::host_name;
use crate::config::{BrokerConfig, Properties};

/// Free shares of a volume that are worth a warning and an error.
const LOW_SHARE: f64 = 0.15;
const VERY_LOW_SHARE: f64 = 0.05;

/// All checks of the file at `path`.
pub(super) async fn check(path: &Path) -> Result<Vec<Finding>, Failure> {
    let shown = path.display();
    let content = Fs::Real.read(path).map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    let mut properties = Properties::default();
    properties.add_file(&content).map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
    let config = match BrokerConfig::resolve(properties, &host_name()) {
        Ok(config) => config,
        Err(error) => {
            let problem = |line: &str| {
                Finding::error("config", line.trim(), format!("correct {shown}: a node does not start with it"))
            };
            return Ok(error.problems.iter().map(|line| problem(line)).collect());
        }
    };
    let mut findings = vec![Finding::fine("config", format!("{shown} is well-formed: node {}", config.node_id.0))];
    findings.extend(config.warnings.iter().map(|warning| {
        Finding::warning("config", warning.as_str(), format!("see docs/compatibility.md, or remove it from {shown}"))
    }));
    findings.extend(judge_values(&config));
    let mounts = Fs::Real.read(Path::new("/proc/self/mounts")).unwrap_or_default();
    let mounts = String::from_utf8_lossy(&mounts).into_owned();
    for directory in &config.log_dirs {
        findings.extend(check_directory(directory, &mounts));
    }
    findings.extend(check_addresses(&config).await);
    Ok(findings)
}

/// Values that are legal and yet lose data, or stand still at the first failure.
fn judge_values(config: &BrokerConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    let voters = config.voters.len();
    if voters > 1 && voters.is_multiple_of(2) {
        findings.push(Finding::warning(
            "quorum",
            format!("{voters} controllers bear the loss of {}, as {} would", (voters - 1) / 2, voters - 1),
            "an odd number in controller.quorum.voters",
        ));
    }
    let (replicas, min_isr) = (config.number("default.replication.factor"), config.number("min.insync.replicas"));
    if voters > 1 && replicas == 1 {
        findings.push(Finding::warning(
            "replication",
            "default.replication.factor=1: new topics are offline while their node is down",
            "default.replication.factor=3 and min.insync.replicas=2",
        ));
    } else if replicas > 1 && min_isr >= replicas {
        findings.push(Finding::warning(
            "replication",
            format!(
                "min.insync.replicas={min_isr} with {replicas} replicas: acks=all is refused while any node is down"
            ),
            format!("min.insync.replicas={}", (replicas - 1).max(1)),
        ));
    }
    if config.flag("unclean.leader.election.enable") {
        findings.push(Finding::warning(
            "unclean-election",
            "unclean.leader.election.enable=true: acknowledged records are lost when the wrong node comes back first",
            "leave it off, and use `highwater partition elect-leader --type unclean` when it comes to it",
        ));
    }
    if config.value(DURABILITY) == Some("relaxed") {
        findings.push(Finding::warning(
            "durability",
            format!("{DURABILITY}=relaxed: a power loss of all nodes loses what was not yet written back"),
            format!("{DURABILITY}=strict, at least for topics that matter"),
        ));
    }
    findings
}

fn check_directory(directory: &Path, mounts: &str) -> Vec<Finding> {
    let shown = directory.display();
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    // It is made at the first start.
    let existing = absolute.ancestors().find(|path| Fs::Real.exists(path).unwrap_or(false));
    let Some(existing) = existing else { return Vec::new() };
    let mut findings = Vec::new();
    if let (Ok(free), Ok(total)) = (Fs::Real.available_bytes(existing), Fs::Real.total_bytes(existing)) {
        let message = format!("{shown}: {} of {} are free", bytes(free as f64), bytes(total as f64));
        let advice = "shorten retention.ms of large topics, move replicas with `highwater partition reassign`, or enlarge the disk";
        findings.push(match free as f64 / total.max(1) as f64 {
            share if share < VERY_LOW_SHARE => Finding::error("disk-space", message, advice),
            share if share < LOW_SHARE => Finding::warning("disk-space", message, advice),
            _ => Finding::fine("disk-space", message),
        });
    }
    if let Some(filesystem) = filesystem_of(existing, mounts) {
        findings.push(judge_filesystem(&shown.to_string(), &filesystem));
    }
    if absolute.starts_with("/tmp") {
        let advice = "log.dirs on a disk of its own, such as /var/lib/highwater";
        findings.push(Finding::warning(
            "directory",
            format!("{shown}: /tmp is emptied at restarts and by cleaners"),
            advice,
        ));
    }
    findings
}

/// Type of the file system that `path` is on: that of the longest mount point above it, the last one mounted there.
fn filesystem_of(path: &Path, mounts: &str) -> Option<String> {
    let mount = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?.replace("\\040", " "), words.next()?.to_owned());
        path.starts_with(&point).then_some((point.len(), kind))
    };
    mounts.lines().filter_map(mount).max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

fn judge_filesystem(directory: &str, kind: &str) -> Finding {
    let on = format!("{directory} is on {kind}");
    match kind {
        "tmpfs" | "ramfs" => Finding::error(
            "filesystem",
            format!("{on}: a restart of the machine loses everything"),
            "log.dirs on a disk, with xfs or ext4",
        ),
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" => Finding::error(
            "filesystem",
            format!("{on}: locks and flushes over a network do not hold what they promise"),
            "log.dirs on a local disk or block device, with xfs or ext4",
        ),
        "overlay" | "aufs" => {
            Finding::warning("filesystem", format!("{on}: data goes with the container"), "a volume for log.dirs")
        }
        "btrfs" | "zfs" => Finding::warning(
            "filesystem",
            format!("{on}: copy-on-write makes each flush dearer"),
            "xfs or ext4; on btrfs, `chattr +C` on the empty directory",
        ),
        _ => Finding::fine("filesystem", on),
    }
}

async fn check_addresses(config: &BrokerConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    for told in &config.advertised {
        if let Err(problem) = probe::resolves(&told.host, told.port).await {
            let advice = "advertised.listeners must name what clients can resolve";
            findings.push(Finding::error("listeners", format!("{}: {problem}", told.name), advice));
            continue;
        }
        let address = format!("{}:{}", told.host, told.port);
        findings.push(match probe::connects(&address).await {
            Ok(()) => Finding::fine("listeners", format!("{}: {address} answers", told.name)),
            Err(_) => Finding::fine(
                "listeners",
                format!("{}: {address} can be resolved; no node answers there yet", told.name),
            ),
        });
    }
    let others = config.voters.iter().filter(|voter| voter.id != config.node_id);
    let mut silent = Vec::new();
    for voter in others.clone() {
        if let Err(problem) = probe::connects(&voter.endpoint.to_string()).await {
            silent.push(format!("node {}: {problem}", voter.id.0));
        }
    }
    let others = others.count();
    match silent.is_empty() {
        true if others > 0 => {
            findings.push(Finding::fine("peers", format!("{} can be reached", count(others, "controller"))))
        }
        true => {}
        false => findings.extend(silent.into_iter().map(|problem| {
            let advice =
                "start that node, or look at firewalls and at controller.quorum.voters, the same on every node";
            Finding::warning("peers", problem, advice)
        })),
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    const MOUNTS: &str = "\
sysfs /sys sysfs rw 0 0
/dev/sda1 / ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
/dev/sdb1 /var/lib/high\\040water xfs rw 0 0
";

    #[test]
    fn the_longest_mount_point_counts() {
        let kind = |path: &str| filesystem_of(Path::new(path), MOUNTS);
        assert_eq!(kind("/var/lib/x").as_deref(), Some("ext4"));
        assert_eq!(kind("/var/lib/high water/data").as_deref(), Some("xfs"));
        assert_eq!(kind("/running").as_deref(), Some("ext4"), "not /run");
        assert_eq!(kind("/run/data").as_deref(), Some("tmpfs"));
    }

    #[test]
    fn file_systems_are_judged() {
        let severity = |kind| judge_filesystem("/d", kind).severity;
        assert_eq!(["xfs", "ext4"].map(severity), [Severity::Fine; 2]);
        assert_eq!(["tmpfs", "nfs4"].map(severity), [Severity::Error; 2]);
        assert_eq!(["overlay", "zfs"].map(severity), [Severity::Warning; 2]);
    }

    fn judged(lines: &[&str]) -> Vec<&'static str> {
        let mut properties = Properties::default();
        let text = [
            "node.id=1",
            "process.roles=broker,controller",
            "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093",
            "controller.listener.names=CONTROLLER",
        ];
        let text: Vec<&str> = text.iter().chain(lines).copied().collect();
        properties.add_file(text.join("\n").as_bytes()).unwrap();
        let config = BrokerConfig::resolve(properties, "localhost").unwrap();
        judge_values(&config).iter().map(|finding| finding.check).collect()
    }

    #[test]
    fn values_that_lose_data_or_stand_still_are_named() {
        let three = "controller.quorum.voters=1@127.0.0.1:9093,2@127.0.0.1:9193,3@127.0.0.1:9293";
        let two = "controller.quorum.voters=1@127.0.0.1:9093,2@127.0.0.1:9193";
        let good = ["default.replication.factor=3", "min.insync.replicas=2"];
        assert!(judged(&[three, good[0], good[1]]).is_empty());
        assert_eq!(judged(&[two, good[0], good[1]]), ["quorum"]);
        assert_eq!(judged(&[three]), ["replication"]);
        assert_eq!(judged(&[three, good[0], "min.insync.replicas=3"]), ["replication"]);
        assert_eq!(judged(&[three, good[0], good[1], "unclean.leader.election.enable=true"]), ["unclean-election"]);
        assert_eq!(judged(&[three, good[0], good[1], "highwater.durability=relaxed"]), ["durability"]);
    }
}
