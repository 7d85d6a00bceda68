//! One sensible request for every advertised API at every version, with every field that the version carries in use.

use bytes::Bytes;
use highwater_protocol::messages::*;
use highwater_protocol::{APIS, KafkaRequest, StrBytes, decode_response, encode_request, find_api};
use highwater_records::{BatchBuilder, Compression};
use highwater_types::{DirectoryId, Timestamp, TopicId};

/// The topic that samples read and write; a test creates it with id [`Samples::topic_id`].
pub const TOPIC: &str = "sample-topic";

pub struct Sample {
    pub api: &'static str,
    pub version: i16,
    /// The frame with its length prefix.
    pub frame: Bytes,
    /// Checks that a frame is an answer of this API and version.
    pub check: fn(i16, Bytes) -> Result<(), String>,
}

/// All samples, in the order of the table.
pub fn samples(topic_id: TopicId) -> Vec<Sample> {
    let mut all = Vec::new();
    messaging(&mut all, topic_id);
    groups(&mut all);
    admin(&mut all);
    let order = |sample: &Sample| APIS.iter().position(|api| api.name == sample.api).unwrap();
    all.sort_by_key(|sample| (order(sample), sample.version));
    all
}

fn add<R: KafkaRequest>(all: &mut Vec<Sample>, request: impl Fn(i16) -> R) {
    let api = find_api(R::KEY).expect("samples are of advertised APIs");
    for version in api.served_min..=api.max {
        let frame = encode_request(version, 77, Some("sample"), &request(version)).unwrap();
        let check = |version, frame| match decode_response::<R>(version, frame) {
            Ok((77, _)) => Ok(()),
            Ok((other, _)) => Err(format!("correlation id {other}")),
            Err(error) => Err(error.to_string()),
        };
        all.push(Sample { api: api.name, version, frame, check });
    }
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn topic() -> TopicName {
    TopicName(text(TOPIC))
}

fn group() -> GroupId {
    GroupId(text("sample-group"))
}

/// Sets a field from a version on.
macro_rules! from {
    ($message:ident, $version:expr, $first:expr, $field:ident = $value:expr) => {
        if $version >= $first {
            $message.$field = $value;
        }
    };
}

pub fn batch(values: &[&'static str]) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    for value in values {
        builder.append(Timestamp(1_700_000_000_000), Some(b"key"), Some(value.as_bytes()), &[]);
    }
    builder.build()
}

fn messaging(all: &mut Vec<Sample>, topic_id: TopicId) {
    add(all, |version| {
        use produce_request::*;
        let partition = PartitionProduceData::default().with_index(0).with_records(Some(batch(&["value"])));
        let mut data = TopicProduceData::default().with_partition_data(vec![partition]);
        if version >= 13 {
            data.topic_id = topic_id.0;
        } else {
            data.name = topic();
        }
        ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![data])
    });
    add(all, |version| {
        use fetch_request::*;
        let mut partition = FetchPartition::default().with_fetch_offset(0).with_partition_max_bytes(1000);
        from!(partition, version, 9, current_leader_epoch = 0);
        from!(partition, version, 12, last_fetched_epoch = 0);
        let mut data = FetchTopic::default().with_partitions(vec![partition]);
        if version >= 13 {
            data.topic_id = topic_id.0;
        } else {
            data.topic = topic();
        }
        let mut request = FetchRequest::default()
            .with_max_bytes(10_000)
            .with_min_bytes(1)
            .with_max_wait_ms(0)
            .with_topics(vec![data]);
        from!(request, version, 7, session_epoch = -1);
        from!(request, version, 11, rack_id = text("r1"));
        request.isolation_level = (version % 2) as i8;
        request
    });
    add(all, |version| {
        use list_offsets_request::*;
        let mut partition = ListOffsetsPartition::default().with_timestamp(-1);
        from!(partition, version, 4, current_leader_epoch = 0);
        let topics = vec![ListOffsetsTopic::default().with_name(topic()).with_partitions(vec![partition])];
        let mut request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(topics);
        from!(request, version, 10, timeout_ms = 1000);
        request
    });
    add(all, |_| {
        use offset_for_leader_epoch_request::*;
        let partition = OffsetForLeaderPartition::default().with_current_leader_epoch(0).with_leader_epoch(0);
        let topics = vec![OffsetForLeaderTopic::default().with_topic(topic()).with_partitions(vec![partition])];
        OffsetForLeaderEpochRequest::default().with_topics(topics)
    });
    add(all, |version| {
        use metadata_request::*;
        let known = MetadataRequestTopic::default().with_name(Some(topic()));
        let unknown = MetadataRequestTopic::default().with_name(Some(TopicName(text("unknown-topic"))));
        let mut topics = vec![known, unknown];
        if version >= 12 {
            topics.push(MetadataRequestTopic::default().with_name(None).with_topic_id(topic_id.0));
        }
        let mut request = MetadataRequest::default().with_topics(Some(topics));
        from!(request, version, 4, allow_auto_topic_creation = false);
        from!(request, version, 8, include_topic_authorized_operations = true);
        if (8..=10).contains(&version) {
            request.include_cluster_authorized_operations = true;
        }
        request
    });
    add(all, |version| {
        let mut request = ApiVersionsRequest::default();
        from!(request, version, 3, client_software_name = text("sample"));
        from!(request, version, 3, client_software_version = text("1.0"));
        request
    });
    add(all, |_| InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(1000));
}

fn groups(all: &mut Vec<Sample>) {
    add(all, |version| {
        if version >= 4 {
            FindCoordinatorRequest::default().with_coordinator_keys(vec![text("sample-group"), text("other")])
        } else {
            FindCoordinatorRequest::default().with_key(text("sample-group"))
        }
    });
    add(all, |version| {
        use join_group_request::*;
        let protocol =
            JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::from_static(&[0; 6]));
        let mut request = JoinGroupRequest::default()
            .with_group_id(GroupId(StrBytes::from_string(format!("join-{version}"))))
            .with_session_timeout_ms(10_000)
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol]);
        from!(request, version, 1, rebalance_timeout_ms = 10_000);
        from!(request, version, 5, group_instance_id = Some(text("static")));
        from!(request, version, 8, reason = Some(text("because")));
        request
    });
    add(all, |version| {
        use sync_group_request::*;
        let assignment = SyncGroupRequestAssignment::default()
            .with_member_id(text("m"))
            .with_assignment(Bytes::from_static(&[0; 6]));
        let mut request = SyncGroupRequest::default()
            .with_group_id(group())
            .with_generation_id(1)
            .with_member_id(text("m"))
            .with_assignments(vec![assignment]);
        from!(request, version, 3, group_instance_id = Some(text("static")));
        from!(request, version, 5, protocol_type = Some(text("consumer")));
        from!(request, version, 5, protocol_name = Some(text("range")));
        request
    });
    add(all, |version| {
        let mut request =
            HeartbeatRequest::default().with_group_id(group()).with_generation_id(1).with_member_id(text("m"));
        from!(request, version, 3, group_instance_id = Some(text("static")));
        request
    });
    add(all, |version| {
        use leave_group_request::*;
        let request = LeaveGroupRequest::default().with_group_id(group());
        if version < 3 {
            return request.with_member_id(text("m"));
        }
        let mut member =
            MemberIdentity::default().with_member_id(text("m")).with_group_instance_id(Some(text("static")));
        from!(member, version, 5, reason = Some(text("because")));
        request.with_members(vec![member])
    });
    add(all, |version| {
        use offset_commit_request::*;
        let mut partition = OffsetCommitRequestPartition::default()
            .with_committed_offset(3)
            .with_committed_metadata(Some(text("meta")));
        from!(partition, version, 6, committed_leader_epoch = 0);
        let missing = OffsetCommitRequestPartition::default().with_partition_index(999).with_committed_offset(3);
        let topics = ["unknown-topic", TOPIC].map(|name| {
            OffsetCommitRequestTopic::default()
                .with_name(TopicName(text(name)))
                .with_partitions(vec![partition.clone(), missing.clone()])
        });
        let mut request = OffsetCommitRequest::default()
            .with_group_id(group())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(topics.to_vec());
        if version <= 4 {
            request.retention_time_ms = -1;
        }
        request
    });
    add(all, |version| {
        use offset_fetch_request::*;
        if version < 8 {
            let topics = vec![OffsetFetchRequestTopic::default().with_name(topic()).with_partition_indexes(vec![0, 1])];
            let mut request = OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(topics));
            from!(request, version, 7, require_stable = true);
            return request;
        }
        let topics = vec![OffsetFetchRequestTopics::default().with_name(topic()).with_partition_indexes(vec![0, 1])];
        let one = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(Some(topics));
        let all = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(None);
        OffsetFetchRequest::default().with_groups(vec![one, all]).with_require_stable(true)
    });
    add(all, |version| {
        let mut request = ListGroupsRequest::default();
        from!(request, version, 4, states_filter = vec![text("Empty")]);
        from!(request, version, 5, types_filter = vec![text("classic")]);
        request
    });
    add(all, |version| {
        let mut request = DescribeGroupsRequest::default().with_groups(vec![group(), GroupId(text("unknown"))]);
        from!(request, version, 3, include_authorized_operations = true);
        request
    });
    add(all, |_| DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text("unknown"))]));
    add(all, |_| {
        use offset_delete_request::*;
        let partitions = [0, 99].map(|index| OffsetDeleteRequestPartition::default().with_partition_index(index));
        let topics = [TOPIC, "unknown-topic"].map(|name| {
            OffsetDeleteRequestTopic::default().with_name(TopicName(text(name))).with_partitions(partitions.to_vec())
        });
        OffsetDeleteRequest::default().with_group_id(group()).with_topics(topics.to_vec())
    });
}

fn admin(all: &mut Vec<Sample>) {
    add(all, |_| {
        use create_topics_request::*;
        let config = CreatableTopicConfig::default().with_name(text("retention.ms")).with_value(Some(text("1000")));
        let placed = CreatableReplicaAssignment::default().with_broker_ids(vec![BrokerId(1)]);
        let topics = vec![
            CreatableTopic::default()
                .with_name(TopicName(text("created")))
                .with_num_partitions(1)
                .with_replication_factor(1)
                .with_configs(vec![config]),
            CreatableTopic::default()
                .with_name(TopicName(text("placed")))
                .with_num_partitions(-1)
                .with_replication_factor(-1)
                .with_assignments(vec![placed]),
            CreatableTopic::default().with_name(topic()).with_num_partitions(1).with_replication_factor(1),
            CreatableTopic::default()
                .with_name(TopicName(text("bad name")))
                .with_num_partitions(1)
                .with_replication_factor(1),
        ];
        CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(1000).with_validate_only(true)
    });
    add(all, |version| {
        use delete_topics_request::*;
        let request = DeleteTopicsRequest::default().with_timeout_ms(1000);
        if version < 6 {
            return request.with_topic_names(vec![TopicName(text("no-such-topic"))]);
        }
        let by_id = DeleteTopicState::default().with_name(None).with_topic_id(TopicId::from_random(5).0);
        request.with_topics(vec![DeleteTopicState::default().with_name(Some(TopicName(text("no-such-topic")))), by_id])
    });
    add(all, |_| {
        use describe_producers_request::*;
        let topics = [TOPIC, "unknown-topic"]
            .map(|name| TopicRequest::default().with_name(TopicName(text(name))).with_partition_indexes(vec![0, 99]));
        DescribeProducersRequest::default().with_topics(topics.to_vec())
    });
    add(all, |_| {
        use delete_records_request::*;
        let partitions = [(0, 0), (0, 1 << 40), (99, -1)]
            .map(|(index, offset)| DeleteRecordsPartition::default().with_partition_index(index).with_offset(offset));
        let topics = [TOPIC, "unknown-topic"].map(|name| {
            DeleteRecordsTopic::default().with_name(TopicName(text(name))).with_partitions(partitions.to_vec())
        });
        DeleteRecordsRequest::default().with_topics(topics.to_vec()).with_timeout_ms(1000)
    });
    add(all, |_| {
        use create_partitions_request::*;
        let placed = CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(1)]);
        let grow =
            CreatePartitionsTopic::default().with_name(topic()).with_count(2).with_assignments(Some(vec![placed]));
        let unknown = CreatePartitionsTopic::default().with_name(TopicName(text("unknown-topic"))).with_count(2);
        CreatePartitionsRequest::default()
            .with_topics(vec![grow, unknown.with_assignments(None)])
            .with_timeout_ms(1000)
            .with_validate_only(true)
    });
    add(all, |version| {
        use describe_configs_request::*;
        let resource = |kind: i8, name: &'static str| {
            DescribeConfigsResource::default()
                .with_resource_type(kind)
                .with_resource_name(text(name))
                .with_configuration_keys(None)
        };
        let resources = vec![
            resource(2, TOPIC),
            resource(2, "unknown-topic"),
            resource(4, "1"),
            resource(4, ""),
            resource(32, "g"),
        ];
        let mut request = DescribeConfigsRequest::default().with_resources(resources).with_include_synonyms(true);
        from!(request, version, 3, include_documentation = true);
        request
    });
    add(all, |_| {
        use incremental_alter_configs_request::*;
        let set = AlterableConfig::default().with_name(text("retention.ms")).with_value(Some(text("5000")));
        let resource = AlterConfigsResource::default().with_resource_type(2).with_resource_name(text(TOPIC));
        IncrementalAlterConfigsRequest::default()
            .with_resources(vec![resource.with_configs(vec![set])])
            .with_validate_only(true)
    });
    add(all, |_| {
        use alter_configs_request::*;
        let set = AlterableConfig::default().with_name(text("retention.ms")).with_value(Some(text("5000")));
        let null = AlterableConfig::default().with_name(text("retention.ms")).with_value(None);
        let resource = |name| AlterConfigsResource::default().with_resource_type(2).with_resource_name(text(name));
        let resources = vec![resource(TOPIC).with_configs(vec![set]), resource("null").with_configs(vec![null])];
        AlterConfigsRequest::default().with_resources(resources).with_validate_only(true)
    });
    add(all, |_| {
        use alter_replica_log_dirs_request::*;
        let topic = AlterReplicaLogDirTopic::default().with_name(topic()).with_partitions(vec![0, 99]);
        let dir = AlterReplicaLogDir::default().with_path(text("/nowhere")).with_topics(vec![topic]);
        AlterReplicaLogDirsRequest::default().with_dirs(vec![dir])
    });
    add(all, |_| {
        use describe_log_dirs_request::*;
        let topics = vec![DescribableLogDirTopic::default().with_topic(topic()).with_partitions(vec![0, 99])];
        DescribeLogDirsRequest::default().with_topics(Some(topics))
    });
    add(all, |version| {
        use elect_leaders_request::*;
        let topics = [TOPIC, "unknown-topic"]
            .map(|name| TopicPartitions::default().with_topic(TopicName(text(name))).with_partitions(vec![0, 99]));
        let mut request =
            ElectLeadersRequest::default().with_topic_partitions(Some(topics.to_vec())).with_timeout_ms(1000);
        from!(request, version, 1, election_type = 1);
        request
    });
    add(all, |version| {
        use alter_partition_reassignments_request::*;
        let cancelled = ReassignablePartition::default().with_replicas(None);
        let moved = ReassignablePartition::default().with_partition_index(9).with_replicas(Some(vec![BrokerId(1)]));
        let topics = vec![ReassignableTopic::default().with_name(topic()).with_partitions(vec![cancelled, moved])];
        let mut request = AlterPartitionReassignmentsRequest::default().with_timeout_ms(1000).with_topics(topics);
        from!(request, version, 1, allow_replication_factor_change = false);
        request
    });
    add(all, |_| {
        use list_partition_reassignments_request::*;
        let topics =
            vec![ListPartitionReassignmentsTopics::default().with_name(topic()).with_partition_indexes(vec![0])];
        ListPartitionReassignmentsRequest::default().with_timeout_ms(1000).with_topics(Some(topics))
    });
    add(all, |version| {
        use update_features_request::*;
        let mut update =
            FeatureUpdateKey::default().with_feature(text("transaction.version")).with_max_version_level(2);
        if version == 0 {
            update.allow_downgrade = true;
        } else {
            update.upgrade_type = 3;
        }
        let mut request = UpdateFeaturesRequest::default().with_timeout_ms(1000).with_feature_updates(vec![update]);
        from!(request, version, 1, validate_only = true);
        request
    });
    add(all, |_| {
        use describe_quorum_request::*;
        let partition = PartitionData::default().with_partition_index(0);
        let topic = TopicData::default()
            .with_topic_name(TopicName(text("__cluster_metadata")))
            .with_partitions(vec![partition]);
        DescribeQuorumRequest::default().with_topics(vec![topic])
    });
    add(all, |_| {
        use add_raft_voter_request::*;
        let listener = Listener::default().with_name(text("CONTROLLER")).with_host(text("four")).with_port(9093);
        AddRaftVoterRequest::default()
            .with_cluster_id(None)
            .with_timeout_ms(1000)
            .with_voter_id(4)
            .with_voter_directory_id(DirectoryId::from_random(4).0)
            .with_listeners(vec![listener])
    });
    add(all, |_| {
        RemoveRaftVoterRequest::default()
            .with_cluster_id(None)
            .with_voter_id(4)
            .with_voter_directory_id(DirectoryId::from_random(4).0)
    });
    add(all, |_| UnregisterBrokerRequest::default().with_broker_id(BrokerId(99)));
    add(all, |version| {
        let mut request = ListConfigResourcesRequest::default();
        from!(request, version, 1, resource_types = vec![2, 4]);
        request
    });
    add(all, |version| {
        let mut request = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
        from!(request, version, 1, endpoint_type = 1);
        from!(request, version, 2, include_fenced_brokers = true);
        request
    });
    add(all, |_| {
        use describe_topic_partitions_request::*;
        let topics = vec![TopicRequest::default().with_name(topic())];
        let cursor = Cursor::default().with_topic_name(topic()).with_partition_index(0);
        DescribeTopicPartitionsRequest::default()
            .with_topics(topics)
            .with_response_partition_limit(10)
            .with_cursor(Some(cursor))
    });
}
