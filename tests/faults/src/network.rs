//! A network of the suite's own: each machine is a network namespace, all are on one bridge, and packets between any two can be
//! dropped in either direction. It is in namespaces that end with this process. Takes root.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use highwater_test_cluster::Host;

/// Machines are `10.77.0.1` and so on; clients are this one.
const CLIENT: &str = "10.77.0.254";

/// A machine, by the number of its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine(pub usize);

/// The bridge, and this process as a machine on it.
pub struct Network;

impl Network {
    /// Leaves the network and the mounts of the system for new ones. To be called while this process has one thread.
    pub fn enter() -> Result<Self> {
        // SAFETY: unshare changes this process alone, which has one thread.
        let outcome = unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) };
        ensure!(outcome == 0, "unshare: {}", std::io::Error::last_os_error());
        run("mount", &["--make-rprivate", "/"])?;
        run("mount", &["-t", "tmpfs", "none", "/run"])?;
        std::fs::create_dir("/run/netns")?;
        ip("link set lo up")?;
        ip("link add bridge type bridge")?;
        ip(&format!("address add {CLIENT}/24 dev bridge"))?;
        ip("link set bridge up")?;
        Ok(Self)
    }

    /// Adds machines 1 to `count`.
    pub fn machines(&self, count: usize) -> Result<Vec<Host>> {
        (1..=count).map(|number| Machine(number).add()).collect()
    }

    /// Takes all machines away.
    pub fn clear(&self) -> Result<()> {
        for entry in std::fs::read_dir("/run/netns")? {
            let name = entry?.file_name().into_string().ok().context("a strange namespace")?;
            let number = name.trim_start_matches(char::is_alphabetic).parse().context("a strange namespace")?;
            // The namespace alone would take its cable along, but only in its own time.
            ip(&format!("link del {}", Machine(number).link()))?;
            ip(&format!("netns del {name}"))?;
        }
        Ok(())
    }
}

impl Machine {
    fn name(self) -> String {
        format!("node{}", self.0)
    }

    fn address(self) -> String {
        format!("10.77.0.{}", self.0)
    }

    fn add(self) -> Result<Host> {
        let (name, address, link) = (self.name(), self.address(), self.link());
        ip(&format!("netns add {name}"))?;
        ip(&format!("link add {link} master bridge type veth peer name eth0 netns {name}"))?;
        ip(&format!("link set {link} up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        ip(&format!("-n {name} address add {address}/24 dev eth0"))?;
        ip(&format!("-n {name} link set eth0 up"))?;
        Ok(Host {
            addresses: [9092, 9093, 9094].map(|port| format!("{address}:{port}")),
            enter: ["ip", "netns", "exec", &name].map(str::to_owned).into(),
        })
    }

    /// Its cable's end on the bridge.
    fn link(self) -> String {
        format!("to{}", self.0)
    }

    /// From now on it hears nothing from `from`.
    pub fn deafen_to(self, from: Self) -> Result<Cut> {
        Cut::begin(self, from.address())
    }

    /// From now on it and `other` hear nothing from each other.
    pub fn cut_from(self, other: Self) -> Result<Vec<Cut>> {
        Ok(vec![self.deafen_to(other)?, other.deafen_to(self)?])
    }

    /// From now on it hears nothing from clients.
    pub fn deafen_to_clients(self) -> Result<Cut> {
        Cut::begin(self, CLIENT.to_owned())
    }

    /// From now on its cable takes that many kilobits a second in each direction.
    pub fn slow_down(self, kilobits: u32) -> Result<SlowCable> {
        let shape = format!("qdisc replace dev {{}} root tbf rate {kilobits}kbit burst 8kb latency 2s");
        run_words("tc", &shape.replace("{}", &self.link()))?;
        run_words("tc", &format!("-n {} {}", self.name(), shape.replace("{}", "eth0")))?;
        Ok(SlowCable(self))
    }
}

/// Packets from an address that a machine drops.
pub struct Cut {
    at: Machine,
    from: String,
}

impl Cut {
    fn begin(at: Machine, from: String) -> Result<Self> {
        let cut = Self { at, from };
        cut.iptables(&format!("-I INPUT -s {} -j DROP", cut.from))?;
        Ok(cut)
    }

    fn iptables(&self, rule: &str) -> Result<String> {
        run_words("ip", &format!("netns exec {} iptables -w {rule}", self.at.name()))
    }

    /// How many packets were dropped so far.
    fn dropped(&self) -> Result<u64> {
        let rules = self.iptables("-nvxL INPUT")?;
        let columns = rules.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut counts = columns.filter(|columns| columns.contains(&self.from.as_str()));
        Ok(counts.next().and_then(|columns| columns.first()?.parse().ok()).unwrap_or(0))
    }

    /// Ends it; says how many packets it dropped, which must be some.
    pub fn heal(self) -> Result<u64> {
        let dropped = self.dropped()?;
        self.iptables(&format!("-D INPUT -s {} -j DROP", self.from))?;
        ensure!(dropped > 0, "the cut between {} and {:?} dropped nothing", self.from, self.at);
        Ok(dropped)
    }
}

/// A machine with a slow cable.
pub struct SlowCable(Machine);

impl SlowCable {
    /// Ends it; says how many packets had to wait, which must be some.
    pub fn heal(self) -> Result<u64> {
        let (name, link) = (self.0.name(), self.0.link());
        let mut waited = 0;
        for (within, device) in [(String::new(), link.as_str()), (format!("-n {name} "), "eth0")] {
            let shown = run_words("tc", &format!("{within}-s qdisc show dev {device}"))?;
            let over = shown.split("overlimits ").nth(1).and_then(|rest| rest.split_whitespace().next());
            waited += over.and_then(|number| number.parse::<u64>().ok()).context("tc shows no overlimits")?;
            run_words("tc", &format!("{within}qdisc del dev {device} root"))?;
        }
        ensure!(waited > 0, "nothing had to wait on the cable of {name}");
        Ok(waited)
    }
}

fn ip(words: &str) -> Result<String> {
    run_words("ip", words)
}

fn run_words(program: &str, words: &str) -> Result<String> {
    run(program, &words.split_whitespace().collect::<Vec<_>>())
}

fn run(program: &str, arguments: &[&str]) -> Result<String> {
    // Where Debian puts tools for root, which is not in every PATH.
    let beside = Path::new("/usr/sbin").join(program);
    let program = if beside.exists() { beside } else { program.into() };
    let output = Command::new(&program).args(arguments).output().with_context(|| format!("run {program:?}"))?;
    if !output.status.success() {
        bail!("{program:?} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
