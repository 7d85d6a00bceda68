//! Where Kafka's tools print something else here than against a real Kafka, and why. `docs/compatibility.md` shows this table.

use anyhow::Result;
use regex::Regex;

/// One explained difference.
pub struct Difference {
    /// A regular expression for `script/step`.
    pub steps: &'static str,
    /// Regular expressions for whole lines of the difference: `-` what Kafka's tool prints, `+` what it prints here.
    pub lines: &'static [&'static str],
    /// For the reader of `docs/compatibility.md`.
    pub why: &'static str,
}

/// Every explained difference.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        steps: "topics/create-too-many-replicas",
        lines: &[".Error while executing topic command : Unable to replicate .*"],
        why: "Kafka's message also mentions log directories that are cordoned, which do not exist here.",
    },
    Difference {
        steps: "records/offsets-pending-upload",
        lines: &[r"\+Skip getting offsets .*LIST_OFFSETS with version in range \[11,11\].*"],
        why: "ListOffsets 11 is not served.",
    },
    Difference {
        steps: "records/dump-(time-)?index",
        lines: &[
            "-offset: 0 position: 0",
            "-timestamp: 0 offset: 0",
            "-Found timestamp mismatch.*",
            "-Index timestamp: 0.*",
            r"-\[exit 0\]",
            r"\+java.lang.IllegalArgumentException: Invalid max index size: -1",
            r"\+\[exit 1\]",
        ],
        why: "An index without entries has no file here; Kafka reserves its largest size for each partition.",
    },
    Difference {
        steps: "configs/topic-.*",
        lines: &[
            r"-(flush.ms|retention.ms|segment.jitter.ms|segment.ms)=.* synonyms=\{.*\}",
            r"\+(flush.ms|retention.ms|segment.jitter.ms|segment.ms)=.* synonyms=\{.*DEFAULT_CONFIG:.*\}",
        ],
        why: "A topic key whose default comes from one of several broker keys shows that one (log.retention.hours, say); \
              Kafka leaves it out unless the key with the closest name is set as well.",
    },
    Difference {
        steps: "configs/topic-.*",
        lines: &[
            "-min.insync.replicas=2 .*DYNAMIC_DEFAULT_BROKER_CONFIG:min.insync.replicas=2, .*",
            r"\+min.insync.replicas=2 .*synonyms=\{STATIC_BROKER_CONFIG:min.insync.replicas=2, .*",
        ],
        why: "Kafka copies min.insync.replicas of server.properties into the cluster's dynamic configuration when eligible \
              leader replicas are on. Here each node's server.properties stays what it is: keep them the same.",
    },
    Difference {
        steps: "configs/broker-default-delete",
        lines: &[
            "-Error while executing config command.*",
            "-.*Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
            r"-\[exit 1\]",
            r"\+Completed updating default config for brokers in the cluster.",
            r"\+\[exit 0\]",
        ],
        why: "For the same reason, the cluster's min.insync.replicas can be removed: server.properties then applies.",
    },
    Difference {
        steps: "configs/(topic-all|topic-under-broker|broker-all)",
        lines: &[r"\+highwater\..* sensitive=false .*"],
        why: "Keys of our own.",
    },
    Difference {
        steps: "configs/broker-all",
        lines: &[
            r"\+replica.alter.log.dirs.io.max.bytes.per.second=.*",
            r"\+(leader|follower).replication.throttled.rate=.*",
        ],
        why: "Kafka shows these keys only where they are set.",
    },
    Difference {
        steps: "configs/broker-all",
        lines: &[r".broker.id=.*"],
        why: "Kafka fills broker.id in from node.id; here it shows what is in server.properties.",
    },
    Difference {
        steps: "configs/broker-read-only",
        lines: &[".*Cannot update these configs dynamically.*"],
        why: "The message also says what to do.",
    },
    Difference {
        steps: "configs/broker-unknown-key",
        lines: &[
            "-Completed updating config for broker 1.",
            r"-\[exit 0\]",
            r"\+Error while executing config command.*",
            r"\+.*Unknown broker config name: no.such.key",
            r"\+\[exit 1\]",
        ],
        why: "A key that nobody reads is refused; Kafka keeps it for plug-ins, which do not exist here.",
    },
    Difference {
        steps: "configs/loggers-.*",
        lines: &[
            "-.*",
            r"\+Error while executing config command.*",
            r"\+.*Log levels cannot be changed at run time: .*",
            r"\+\[exit 1\]",
        ],
        why: "Log levels are set with RUST_LOG when the node starts.",
    },
    Difference {
        steps: "configs/groups-.*",
        lines: &[
            "-.*",
            r"\+Error while executing config command.*",
            r"\+.*Groups have no configuration: .*",
            r"\+The group 'readers' doesn't exist and doesn't have dynamic config.",
            r"\+\[exit 1\]",
        ],
        why: "Only classic groups exist, and Kafka's keys for groups mean nothing to those.",
    },
    Difference {
        steps: "configs/client-metrics-.*",
        lines: &[
            "-.*",
            r"\+Error while executing client metrics command : Client metrics .*",
            r"\+The client metric resource watch doesn't exist and doesn't have dynamic config.",
            r"\+\[exit 1\]",
        ],
        why: "Client metrics (KIP-714) are not there, and a subscription that has no effect is refused.",
    },
    Difference {
        steps: "configs/(users|clients)-describe",
        lines: &[
            r"-\[exit 0\]",
            r"\+Error while executing config command.*",
            r"\+.*The node does not support DESCRIBE_CLIENT_QUOTAS",
            r"\+\[exit 1\]",
        ],
        why: "Quotas are not there.",
    },
    Difference {
        steps: "cluster/quorum-status",
        lines: &["-CurrentVoters: .*", r#"\+CurrentVoters: .*"directoryId": "<id>".*"#],
        why: "The directory of each controller is known and shown; Kafka knows it for dynamic quorums only.",
    },
    Difference {
        steps: "cluster/features.*",
        lines: &[
            "-.*",
            r"\+Feature: (eligible.leader.replicas|highwater.metadata).version SupportedMinVersion: 1 .*",
            r"\+(Could not|Can not) .* The controllers do not support this feature.",
            r"\+\d out of \d operation\(s\) failed.",
            r"\+\[exit 1\]",
        ],
        why: "The features are eligible.leader.replicas.version, which is always 1, and highwater.metadata.version.",
    },
    Difference {
        steps: "cluster/api-versions",
        lines: &[r".\w+\(\d+\): .*"],
        why: "What is not served is not advertised: see api-matrix.md.",
    },
    Difference {
        steps: "cluster/transactions",
        lines: &["-.*", r"\+Failed to list transactions: .*", r"\+\[exit 1\]"],
        why: "Transactions are not there.",
    },
];

/// The table as it stands in `docs/compatibility.md`.
pub fn markdown() -> String {
    let mut text = "| step | why |\n|---|---|\n".to_owned();
    for Difference { steps, why, .. } in DIFFERENCES {
        text += &format!("| `{}` | {why} |\n", steps.replace('|', r"\|"));
    }
    text
}

/// The table, compiled, and which of it was needed.
pub struct Checker {
    compiled: Vec<(Regex, Vec<(Regex, bool)>)>,
}

impl Checker {
    pub fn new() -> Result<Self> {
        let compile = |text: &str| Regex::new(&format!("^(?:{text})$"));
        let one = |difference: &Difference| {
            let lines = difference.lines.iter().map(|line| Ok((compile(line)?, false))).collect::<Result<Vec<_>>>()?;
            Ok((compile(difference.steps)?, lines))
        };
        Ok(Self { compiled: DIFFERENCES.iter().map(one).collect::<Result<_>>()? })
    }

    /// Those of the differing `lines` of `step` that the table does not explain.
    pub fn unexplained(&mut self, step: &str, lines: &[String]) -> Vec<String> {
        let mut explained = |line: &String| {
            let mut found = false;
            for (steps, patterns) in &mut self.compiled {
                for (pattern, needed) in patterns.iter_mut().filter(|_| steps.is_match(step)) {
                    if pattern.is_match(line) {
                        (found, *needed) = (true, true);
                    }
                }
            }
            found
        };
        lines.iter().filter(|line| !explained(line)).cloned().collect()
    }

    /// Entries of the table that nothing needed: the difference is gone, or was misspelt.
    pub fn stale(&self) -> Vec<String> {
        let mut stale = Vec::new();
        for (steps, patterns) in &self.compiled {
            for (pattern, _) in patterns.iter().filter(|(_, needed)| !needed) {
                stale.push(format!("the table explains a difference that there is not: {steps} {pattern}"));
            }
        }
        stale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_shows_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compatibility.md");
        let document = std::fs::read_to_string(path).unwrap();
        assert!(document.contains(&markdown()), "docs/compatibility.md is stale; put this there:\n{}", markdown());
    }

    #[test]
    fn differences_are_explained_or_not_and_the_table_does_not_grow_old() {
        let mut checker = Checker::new().unwrap();
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let unexplained = checker.unexplained("configs/broker-all", &lines(&["-broker.id=1 x", "-other=1"]));
        assert_eq!(unexplained, ["-other=1"]);
        assert_eq!(checker.unexplained("configs/topic-all", &lines(&["-broker.id=1 x"])), ["-broker.id=1 x"]);
        assert!(!checker.stale().iter().any(|line| line.contains("broker.id")));
        assert!(checker.stale().iter().any(|line| line.contains("broker-unknown-key")));
    }
}
