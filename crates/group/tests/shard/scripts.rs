//! Scripts of requests and deadlines with the answers and records they must give; see `scripts/README.md`.

use std::collections::BTreeMap;

use crate::harness::{CountingRng, Event, Harness};
use highwater_group::schema::{GroupMetadataValue, OffsetCommitValue, RecordKey};
use highwater_group::*;
use highwater_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};

macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(include_str!(concat!("scripts/", stringify!($name), ".txt"))); })*
    };
}

scripts! {
    dynamic_members static_members sessions_and_deadlines initial_rebalance protocols limits leaving
    offset_commit offset_expiry administration refused_appends fail_over
}

/// Runs the lines that start with `>` and compares the indented lines below each with what happened.
fn check(script: &str) {
    let mut run = Run::new();
    let mut actual = String::new();
    for line in script.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            actual.push_str(&format!("> {command}\n"));
            for happened in run.command(command) {
                actual.push_str(&format!("  {happened}\n"));
            }
        } else if !line.starts_with("  ") {
            actual.push_str(&format!("{line}\n"));
        }
    }
    if actual != script {
        let differs = actual.lines().zip(script.lines()).position(|(actual, expected)| actual != expected);
        let line = differs.unwrap_or(actual.lines().count().min(script.lines().count())) + 1;
        panic!("script differs from line {line}; this is what happened:\n{actual}");
    }
}

struct Run {
    harness: Harness,
    /// `M1`, `M2`, ... in the order the ids were first seen.
    members: Vec<String>,
    labels: BTreeMap<Token, String>,
}

/// Words of a command: positional ones, then `key=value`.
struct Words<'a> {
    positional: Vec<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        let (named, positional): (Vec<_>, Vec<_>) = text.split_whitespace().partition(|word| word.contains('='));
        Self { positional, named: named.iter().map(|word| word.split_once('=').unwrap()).collect() }
    }

    fn at(&self, index: usize) -> &'a str {
        self.positional.get(index).copied().unwrap_or_else(|| panic!("word {index} is missing: {:?}", self.positional))
    }

    fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> T {
        self.named.get(name).map_or(default, |text| text.parse().ok().expect("a number"))
    }

    fn text(&self, name: &str) -> Option<String> {
        self.named.get(name).map(|text| (*text).to_owned())
    }

    fn list(&self, name: &str, default: &'a str) -> Vec<&'a str> {
        let text = self.named.get(name).copied().unwrap_or(default);
        text.split(',').filter(|item| !item.is_empty()).collect()
    }
}

impl Run {
    fn new() -> Self {
        let config = GroupConfig { offsets_retention_ms: 100_000_000, ..GroupConfig::default() };
        let harness = Harness::new(config, Box::new(CountingRng::default()));
        Self { harness, members: Vec::new(), labels: BTreeMap::new() }
    }

    fn command(&mut self, line: &str) -> Vec<String> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words = Words::new(rest);
        let events = match verb {
            "sleep" => self.harness.sleep(words.at(0).parse().unwrap()),
            "fail" => {
                let code = ErrorCode::ALL.iter().find(|code| code.name() == words.at(0)).expect("an error code");
                self.harness.fail_next = Some(*code);
                Vec::new()
            }
            "config" => {
                self.configure(&words);
                Vec::new()
            }
            "fail-over" => self.harness.fail_over(),
            "topics-deleted" => {
                let topics: Vec<_> = words.positional.iter().map(|name| TopicName::new(name).unwrap()).collect();
                let output = self.harness.shard.on_topics_deleted(self.harness.now(), &topics);
                self.harness.carry_out(output)
            }
            "describe" => return self.describe(words.at(0)),
            "list" => return self.list(&words),
            "offsets" => return self.offsets(),
            "deadline" => return vec![format!("{:?}", self.harness.shard.next_deadline())],
            _ => {
                let request = self.parse_request(verb, &words);
                let (token, events) = self.harness.request(request);
                self.labels.insert(token, words.at(0).to_owned());
                events
            }
        };
        events.iter().map(|event| self.render(event)).collect()
    }

    fn configure(&mut self, words: &Words<'_>) {
        let config = &mut self.harness.config;
        config.max_size = words.number("max-size", config.max_size);
        config.initial_rebalance_delay_ms = words.number("initial-delay", config.initial_rebalance_delay_ms);
        config.offset_metadata_max_bytes = words.number("metadata-max", config.offset_metadata_max_bytes);
        config.offsets_retention_ms = words.number("retention", config.offsets_retention_ms);
        // A shard is given its settings when it is made.
        self.harness.shard = self.harness.replayed();
        let output = self.harness.shard.on_loaded(self.harness.now());
        self.harness.carry_out(output);
    }

    fn parse_request(&self, verb: &str, words: &Words<'_>) -> Request {
        let group_id = words.at(1).trim_matches('"').to_owned();
        let instance = words.text("inst");
        match verb {
            "join" => Request::JoinGroup(self.parse_join(group_id, words)),
            "sync" => Request::SyncGroup(SyncGroupRequest {
                group_id,
                generation_id: words.at(3).parse().unwrap(),
                member_id: self.id(words.at(2)),
                group_instance_id: instance,
                protocol_type: words.text("type"),
                protocol_name: words.text("protocol"),
                assignments: words
                    .list("give", "")
                    .into_iter()
                    .map(|given| given.split_once(':').unwrap())
                    .map(|(member, assignment)| SyncGroupAssignment {
                        member_id: self.id(member),
                        assignment: assignment.to_owned().into(),
                    })
                    .collect(),
            }),
            "heartbeat" => Request::Heartbeat(HeartbeatRequest {
                group_id,
                generation_id: words.at(3).parse().unwrap(),
                member_id: self.id(words.at(2)),
                group_instance_id: instance,
            }),
            "leave" => Request::LeaveGroup(LeaveGroupRequest {
                group_id,
                members: words.positional[2..]
                    .iter()
                    .map(|member| member.split_once('/').map_or((*member, None), |(id, inst)| (id, Some(inst))))
                    .map(|(member, instance)| LeaveGroupMember {
                        member_id: self.id(member),
                        group_instance_id: instance.map(str::to_owned),
                        reason: None,
                    })
                    .collect(),
            }),
            "commit" => Request::OffsetCommit(self.parse_commit(group_id, words)),
            "fetch" => Request::OffsetFetch(OffsetFetchRequest {
                group_id,
                member_id: None,
                member_epoch: -1,
                topics: (words.positional.len() > 2).then(|| {
                    let partition = |text: &&str| {
                        let (topic, partition) = topic_partition(text);
                        let topic_id = topic_id(words);
                        TopicPartitions { name: topic, topic_id, partitions: vec![partition] }
                    };
                    words.positional[2..].iter().map(partition).collect()
                }),
                require_stable: true,
            }),
            "offset-delete" => {
                let partition = |text: &&str| {
                    let (name, partition) = topic_partition(text);
                    OffsetDeleteTopic { name, partitions: vec![partition] }
                };
                let topics = words.positional[2..].iter().map(partition).collect();
                Request::OffsetDelete(OffsetDeleteRequest { group_id, topics })
            }
            "delete" => Request::DeleteGroup(group_id),
            _ => panic!("unknown command {verb}"),
        }
    }

    fn parse_join(&self, group_id: String, words: &Words<'_>) -> JoinGroupRequest {
        let version: i16 = words.number("version", 9);
        let protocol_type = words.text("type").unwrap_or_else(|| "consumer".to_owned());
        let topics = words.list("topics", "t");
        let protocol = |name: &str| JoinGroupProtocol { name: name.to_owned(), metadata: subscription(&topics) };
        JoinGroupRequest {
            group_id,
            session_timeout_ms: words.number("session", 10_000),
            rebalance_timeout_ms: words.number("rebalance", 30_000),
            member_id: self.id(words.at(2)),
            group_instance_id: words.text("inst"),
            protocol_type,
            protocols: words.list("protocols", "range").into_iter().map(protocol).collect(),
            reason: None,
            client_id: words.text("client").unwrap_or_else(|| "c".to_owned()),
            client_host: "/h".to_owned(),
            requires_known_member_id: version >= 4,
            supports_skip_assignment: version >= 9,
        }
    }

    fn parse_commit(&self, group_id: String, words: &Words<'_>) -> OffsetCommitRequest {
        let topic = |text: &&str| {
            let (topic, offset) = text.split_once('@').unwrap();
            let (name, partition) = topic_partition(topic);
            let partition = OffsetCommitPartition {
                partition,
                committed_offset: Offset(offset.parse().unwrap()),
                committed_leader_epoch: LeaderEpoch(words.number("epoch", -1)),
                committed_metadata: words.text("metadata"),
            };
            OffsetCommitTopic { name, topic_id: topic_id(words), partitions: vec![partition] }
        };
        OffsetCommitRequest {
            group_id,
            generation_id: words.at(3).parse().unwrap(),
            member_id: self.id(words.at(2)),
            group_instance_id: words.text("inst"),
            retention_time_ms: words.text("retention").map(|text| text.parse().unwrap()),
            knows_group_id_not_found: words.number("version", 9) >= 9,
            topics: words.positional[4..].iter().map(topic).collect(),
        }
    }

    fn describe(&mut self, group_id: &str) -> Vec<String> {
        let group = self.harness.shard.describe_group(group_id);
        let head = format!(
            "{} {} type={:?} protocol={:?}",
            error(group.error),
            group.state,
            group.protocol_type,
            group.protocol_data
        );
        let members = group.members.iter().map(|member| {
            let (alias, instance) = (self.alias(&member.member_id), instance(&member.group_instance_id));
            let assignment = String::from_utf8_lossy(&member.assignment).into_owned();
            format!(
                "{alias}{instance} {} {} meta={} got={assignment:?}",
                member.client_id,
                member.client_host,
                member.metadata.len()
            )
        });
        let members: Vec<_> = members.collect();
        std::iter::once(head).chain(members).collect()
    }

    fn list(&self, words: &Words<'_>) -> Vec<String> {
        let names = |name| words.list(name, "").into_iter().map(str::to_owned).collect();
        let filter = ListGroupsFilter { states: names("states"), types: names("types") };
        let listed = self.harness.shard.list_groups(&filter);
        listed
            .iter()
            .map(|g| format!("{} type={:?} {} {}", g.group_id, g.protocol_type, g.state, g.group_type.name()))
            .collect()
    }

    fn offsets(&self) -> Vec<String> {
        let offsets = self.harness.shard.committed_offsets();
        offsets.map(|o| format!("{} {}-{} {}", o.group_id, o.topic, o.partition, o.offset)).collect()
    }

    fn render(&mut self, event: &Event) -> String {
        match event {
            Event::Appended(records) => format!("append {}", self.render_records(records)),
            Event::Refused(records, error) => format!("refused {} {}", error.name(), self.render_records(records)),
            Event::Answered(reply) => {
                let label = self.labels.get(&reply.token).cloned();
                // The answer to a request that is answered at once comes before its label is known.
                let label = label.unwrap_or_else(|| "=".to_owned());
                let wait = if reply.send == SendWhen::Committed { " (when committed)" } else { "" };
                format!("{label}: {}{wait}", self.render_response(&reply.response))
            }
        }
    }

    fn render_response(&mut self, response: &Response) -> String {
        match response {
            Response::JoinGroup(join) if join.error != ErrorCode::None => {
                format!("{} {}", error(join.error), self.alias(&join.member_id))
            }
            Response::JoinGroup(join) => {
                let members: Vec<_> = join
                    .members
                    .iter()
                    .map(|member| format!("{}{}", self.alias(&member.member_id), instance(&member.group_instance_id)))
                    .collect();
                let (member, leader) = (self.alias(&join.member_id), self.alias(&join.leader));
                let skip = if join.skip_assignment { " skip-assignment" } else { "" };
                let (generation, protocol) = (join.generation_id, join.protocol_name.as_deref().unwrap_or("-"));
                let protocol_type = join.protocol_type.as_deref().unwrap_or("-");
                let members = members.join(" ");
                format!("joined {generation} as {member} leader={leader} {protocol_type}/{protocol} [{members}]{skip}")
            }
            Response::SyncGroup(sync) if sync.error != ErrorCode::None => error(sync.error),
            Response::SyncGroup(sync) => {
                let assignment = String::from_utf8_lossy(&sync.assignment).into_owned();
                let protocol_type = sync.protocol_type.as_deref().unwrap_or("-");
                format!("synced {assignment:?} {protocol_type}/{}", sync.protocol_name.as_deref().unwrap_or("-"))
            }
            Response::Heartbeat(code) | Response::DeleteGroup(code) => error(*code),
            Response::LeaveGroup(leave) => {
                let members: Vec<_> = leave
                    .members
                    .iter()
                    .map(|m| {
                        format!("{}{}:{}", self.alias(&m.member_id), instance(&m.group_instance_id), error(m.error))
                    })
                    .collect();
                format!("{} {}", error(leave.error), members.join(" "))
            }
            Response::OffsetCommit(commit) => errors(&commit.topics),
            Response::OffsetDelete(delete) => format!("{} {}", error(delete.error), errors(&delete.topics)),
            Response::OffsetFetch(fetch) => {
                let partition = |name: &str, p: &OffsetFetchPartition| {
                    format!(
                        " {name}-{}@{} epoch={} {:?}",
                        p.partition, p.committed_offset, p.committed_leader_epoch, p.metadata
                    )
                };
                let of_topic =
                    |t: &OffsetFetchTopic| t.partitions.iter().map(|p| partition(&t.name, p)).collect::<String>();
                format!("{}{}", error(fetch.error), fetch.topics.iter().map(of_topic).collect::<String>())
            }
        }
    }

    fn render_records(&mut self, records: &[CoordinatorRecord]) -> String {
        let rendered: Vec<_> = records.iter().map(|record| self.render_record(record)).collect();
        rendered.join(", ")
    }

    fn render_record(&mut self, record: &CoordinatorRecord) -> String {
        let value = record.value.as_deref();
        match RecordKey::decode(&record.key).unwrap() {
            RecordKey::OffsetCommit { group, topic, partition } => match value {
                None => format!("{group}: no {topic}-{partition}"),
                Some(value) => {
                    let value = OffsetCommitValue::decode(value).unwrap();
                    let at = value.commit_timestamp.0 - crate::harness::WALL_START_MS;
                    format!("{group}: {topic}-{partition}@{} at {at}", value.offset)
                }
            },
            RecordKey::GroupMetadata { group } => match value {
                None => format!("{group}: gone"),
                Some(value) => {
                    let value = GroupMetadataValue::decode(value).unwrap();
                    let members: Vec<_> = value
                        .members
                        .iter()
                        .map(|m| {
                            format!(
                                "{}{}:{}",
                                self.alias(&m.member_id),
                                instance(&m.group_instance_id),
                                String::from_utf8_lossy(&m.assignment)
                            )
                        })
                        .collect();
                    let leader = value.leader.as_deref().map_or("-".to_owned(), |leader| self.alias(leader));
                    let protocol = value.protocol.as_deref().unwrap_or("-");
                    let at = value.current_state_timestamp.0 - crate::harness::WALL_START_MS;
                    let (generation, protocol_type, members) =
                        (value.generation, value.protocol_type, members.join(" "));
                    format!(
                        "{group}: generation {generation} {protocol_type}/{protocol} leader={leader} [{members}] since {at}"
                    )
                }
            },
            RecordKey::Unknown { key_type } => panic!("unknown record {key_type}"),
        }
    }

    fn alias(&mut self, member_id: &str) -> String {
        if member_id.is_empty() {
            return "-".to_owned();
        }
        let known = self.members.iter().position(|known| known == member_id);
        let index = known.unwrap_or_else(|| {
            if !member_id.contains("-0000") {
                return usize::MAX;
            }
            self.members.push(member_id.to_owned());
            self.members.len() - 1
        });
        if index == usize::MAX { member_id.to_owned() } else { format!("M{}", index + 1) }
    }

    fn id(&self, alias: &str) -> String {
        let index = alias.strip_prefix('M').and_then(|n| n.parse::<usize>().ok());
        match (alias, index) {
            ("-", _) => String::new(),
            (_, Some(index)) if index <= self.members.len() => self.members[index - 1].clone(),
            _ => alias.to_owned(),
        }
    }
}

fn error(code: ErrorCode) -> String {
    if code == ErrorCode::None { "ok".to_owned() } else { code.name().to_owned() }
}

fn errors(topics: &[TopicErrors]) -> String {
    let partition = |name: &str, p: &PartitionError| format!("{name}-{}:{}", p.partition, error(p.error));
    let all: Vec<_> = topics.iter().flat_map(|t| t.partitions.iter().map(|p| partition(&t.name, p))).collect();
    all.join(" ")
}

fn instance(instance: &Option<String>) -> String {
    instance.as_ref().map(|instance| format!("/{instance}")).unwrap_or_default()
}

fn topic_partition(text: &str) -> (String, PartitionIndex) {
    let (topic, partition) = text.rsplit_once('-').unwrap();
    (topic.to_owned(), PartitionIndex(partition.parse().unwrap()))
}

fn topic_id(words: &Words<'_>) -> TopicId {
    TopicId::from_bytes(words.number::<u128>("topic-id", 0).to_be_bytes())
}

/// A ConsumerProtocolSubscription of version 0.
fn subscription(topics: &[&str]) -> bytes::Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend(u32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        bytes.extend(u16::try_from(topic.len()).unwrap().to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend([0, 0, 0, 0]);
    bytes.into()
}
