//! What an administrator's tools ask for, through a real connection.

mod harness;

use std::time::Duration;

use bytes::Bytes;
use harness::TestBroker;
use harness::client::Client;
use harness::samples::batch;
use highwater_gateway::Metadata as _;
use highwater_metadata::ConfigResource;
use highwater_metadata::config::REASSIGNMENT_THROTTLE;
use highwater_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use highwater_protocol::messages::*;
use highwater_protocol::with_reassignment_rate;
use highwater_records::{BatchBuilder, Compression};
use highwater_types::{DirectoryId, ErrorCode, ProducerEpoch, Sequence, Timestamp};

async fn create(client: &mut Client, topic: &'static str) {
    let config = CreatableTopicConfig::default().with_name("retention.ms".into()).with_value(Some("1000".into()));
    let topic = CreatableTopic::default()
        .with_name(TopicName(topic.into()))
        .with_num_partitions(2)
        .with_replication_factor(1)
        .with_configs(vec![config]);
    let response = client.call(7, &CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(1000)).await;
    assert_eq!(response.topics[0].error_code, 0, "{response:?}");
}

/// Appends records to partition 0.
async fn produce(client: &mut Client, topic: &'static str, batch: Bytes) {
    use produce_request::{PartitionProduceData, TopicProduceData};
    let partition = PartitionProduceData::default().with_index(0).with_records(Some(batch));
    let topic = TopicProduceData::default().with_name(TopicName(topic.into())).with_partition_data(vec![partition]);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![topic]);
    let response = client.call(9, &request).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0, "{response:?}");
}

/// Topic keys that were set for the topic itself.
async fn overrides(client: &mut Client, topic: &'static str) -> Vec<(String, String)> {
    use describe_configs_request::DescribeConfigsResource;
    let resource = DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(topic.into())
        .with_configuration_keys(None);
    let response = client.call(4, &DescribeConfigsRequest::default().with_resources(vec![resource])).await;
    let own = response.results[0].configs.iter().filter(|config| config.config_source == 1);
    own.map(|config| (config.name.to_string(), config.value.as_ref().unwrap().to_string())).collect()
}

#[tokio::test]
async fn alter_configs_replaces_what_is_not_named() {
    use alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    create(&mut client, "t").await;
    let set = |name: &'static str, value: &'static str| {
        AlterableConfig::default().with_name(name.into()).with_value(Some(value.into()))
    };
    let request = |config, validate_only| {
        let resource = AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name("t".into())
            .with_configs(vec![config]);
        AlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(validate_only)
    };
    let cases = [
        (set("cleanup.policy", "nonsense"), false, 40),
        (set("no.such.key", "1"), false, 40),
        (set("segment.ms", "60000"), true, 0),
    ];
    for (config, validate_only, error) in cases {
        let response = client.call(2, &request(config, validate_only)).await;
        assert_eq!(response.responses[0].error_code, error, "{response:?}");
        assert_eq!(overrides(&mut client, "t").await, [("retention.ms".to_owned(), "1000".to_owned())]);
    }
    let response = client.call(2, &request(set("segment.ms", "60000"), false)).await;
    assert_eq!((response.responses[0].error_code, &response.responses[0].error_message), (0, &None));
    assert_eq!(overrides(&mut client, "t").await, [("segment.ms".to_owned(), "60000".to_owned())]);
}

#[tokio::test]
async fn elections_answer_each_partition() {
    use elect_leaders_request::TopicPartitions;
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    create(&mut client, "t").await;
    let topics = ["nowhere", "t"]
        .map(|name| TopicPartitions::default().with_topic(TopicName(name.into())).with_partitions(vec![0, 7]));
    let request = ElectLeadersRequest::default().with_topic_partitions(Some(topics.to_vec())).with_timeout_ms(1000);
    for election_type in [0, 1] {
        let response = client.call(2, &request.clone().with_election_type(election_type)).await;
        assert_eq!(response.error_code, 0);
        let errors: Vec<Vec<_>> = response
            .replica_election_results
            .iter()
            .map(|topic| {
                let mut errors: Vec<_> =
                    topic.partition_result.iter().map(|one| (one.partition_id, one.error_code)).collect();
                errors.sort_unstable();
                errors
            })
            .collect();
        // UNKNOWN_TOPIC_OR_PARTITION and ELECTION_NOT_NEEDED.
        assert_eq!(errors, [[(0, 3), (7, 3)], [(0, 84), (7, 3)]]);
    }
    let all = ElectLeadersRequest::default().with_topic_partitions(None).with_timeout_ms(1000);
    let response = client.call(2, &all).await;
    assert_eq!((response.error_code, response.replica_election_results.len()), (0, 0), "nothing to elect");
    assert_eq!(client.call(2, &request.with_election_type(9)).await.error_code, 42);
}

#[tokio::test]
async fn reassignments_are_checked_listed_and_cancelled() {
    use alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    create(&mut client, "t").await;
    let request = |replicas: Option<Vec<i32>>, allow| {
        let replicas = replicas.map(|ids| ids.into_iter().map(BrokerId).collect());
        let partition = ReassignablePartition::default().with_partition_index(0).with_replicas(replicas);
        let topic = ReassignableTopic::default().with_name(TopicName("t".into())).with_partitions(vec![partition]);
        AlterPartitionReassignmentsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(1000)
            .with_allow_replication_factor_change(allow)
    };
    let cases = [(None, 85), (Some(vec![]), 39), (Some(vec![1, 1]), 39), (Some(vec![5]), 39), (Some(vec![1]), 0)];
    for (replicas, error) in cases {
        let response = client.call(1, &request(replicas, true)).await;
        assert_eq!(response.error_code, 0);
        assert_eq!(response.responses[0].partitions[0].error_code, error, "{response:?}");
    }
    let list = ListPartitionReassignmentsRequest::default().with_topics(None).with_timeout_ms(1000);
    assert!(client.call(0, &list).await.topics.is_empty(), "nothing moves");

    // A second broker that never comes up: the reassignment waits until it is cancelled.
    broker.register_absent(2).await;
    let response = client.call(1, &request(Some(vec![2, 1]), false)).await;
    assert_eq!(response.responses[0].partitions[0].error_code, 38, "{response:?}");
    let negative = with_reassignment_rate(request(Some(vec![2, 1]), true), -1);
    assert_eq!(client.call(1, &negative).await.error_code, 42, "INVALID_REQUEST");
    let limited = with_reassignment_rate(request(Some(vec![2, 1]), true), 7);
    let response = client.call(1, &limited).await;
    assert_eq!(response.responses[0].partitions[0].error_code, 0, "{response:?}");
    let rate = || {
        let image = broker.cluster.image();
        image.configs(&ConfigResource::DefaultBroker).and_then(|values| values.get(REASSIGNMENT_THROTTLE).cloned())
    };
    assert_eq!(rate().as_deref(), Some("7"));
    let moving = &client.call(0, &list).await.topics[0].partitions[0];
    assert_eq!((moving.partition_index, &moving.replicas[..]), (0, &[BrokerId(2), BrokerId(1)][..]));
    assert_eq!((&moving.adding_replicas[..], &moving.removing_replicas[..]), (&[BrokerId(2)][..], &[][..]));
    let response = client.call(1, &request(None, true)).await;
    assert_eq!(response.responses[0].partitions[0].error_code, 0, "{response:?}");
    assert!(client.call(0, &list).await.topics.is_empty());
    assert_eq!(rate(), None, "it ends with the reassignment");

    let unregister = |id| UnregisterBrokerRequest::default().with_broker_id(BrokerId(id));
    assert_eq!(client.call(0, &unregister(2)).await.error_code, 0);
    assert_eq!(client.call(0, &unregister(2)).await.error_code, 102, "BROKER_ID_NOT_REGISTERED");
}

#[tokio::test]
async fn votes_are_given_to_and_taken_from_controllers_of_this_cluster() {
    use add_raft_voter_request::Listener;
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    let listener = Listener::default().with_name("CONTROLLER".into()).with_host("four".into()).with_port(9093);
    let add = AddRaftVoterRequest::default()
        .with_cluster_id(None)
        .with_timeout_ms(1000)
        .with_voter_id(4)
        .with_voter_directory_id(DirectoryId::from_random(4).0)
        .with_listeners(vec![listener]);
    let elsewhere = Some("another".into());
    let cases = [
        (ErrorCode::None, add.clone()),
        (ErrorCode::DuplicateVoter, add.clone().with_voter_id(1)),
        (ErrorCode::InconsistentClusterId, add.clone().with_cluster_id(elsewhere.clone())),
        (ErrorCode::InvalidRequest, add.clone().with_voter_id(-1)),
        (ErrorCode::InvalidRequest, add.clone().with_voter_directory_id(DirectoryId::ZERO.0)),
        (ErrorCode::InvalidRequest, add.with_listeners(vec![])),
    ];
    for (expected, request) in cases {
        let response = client.call(0, &request).await;
        assert_eq!(response.error_code, expected.code(), "{request:?} {response:?}");
        assert_eq!(response.error_message.is_some(), expected.is_error(), "{response:?}");
    }
    let remove = RemoveRaftVoterRequest::default()
        .with_cluster_id(None)
        .with_voter_id(1)
        .with_voter_directory_id(DirectoryId::from_random(1).0);
    let cases = [
        (ErrorCode::None, remove.clone()),
        (ErrorCode::VoterNotFound, remove.clone().with_voter_id(4)),
        (ErrorCode::InconsistentClusterId, remove.clone().with_cluster_id(elsewhere)),
        (ErrorCode::InvalidRequest, remove.clone().with_voter_id(-1)),
        (ErrorCode::InvalidRequest, remove.with_voter_directory_id(DirectoryId::ZERO.0)),
    ];
    for (expected, request) in cases {
        let response = client.call(0, &request).await;
        assert_eq!(response.error_code, expected.code(), "{request:?} {response:?}");
        assert_eq!(response.error_message.is_some(), expected.is_error(), "{response:?}");
    }
}

#[tokio::test]
async fn log_directories_tell_what_they_hold() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    create(&mut client, "t").await;
    let response = client.call(4, &DescribeLogDirsRequest::default().with_topics(None)).await;
    let directory = &response.results[0];
    assert_eq!((directory.error_code, directory.log_dir.as_str()), (0, "/data"));
    let partitions: Vec<_> =
        directory.topics[0].partitions.iter().map(|one| (one.partition_index, one.offset_lag)).collect();
    assert_eq!((directory.topics[0].name.as_str(), partitions), ("t", vec![(0, 0), (1, 0)]));
    let none = client.call(4, &DescribeLogDirsRequest::default().with_topics(Some(vec![]))).await;
    assert!(none.results[0].topics.is_empty());
}

#[tokio::test]
async fn replicas_are_moved_to_known_log_directories_only() {
    use alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    create(&mut client, "t").await;
    let dir = |path: &'static str, topic: &'static str, partitions: &[i32]| {
        let topic = AlterReplicaLogDirTopic::default().with_name(TopicName(topic.into()));
        let topics = vec![topic.with_partitions(partitions.to_vec())];
        AlterReplicaLogDir::default().with_path(path.into()).with_topics(topics)
    };
    let dirs =
        vec![dir("/data", "t", &[0, 7]), dir("/nowhere", "t", &[1]), dir("/data", "u", &[0]), dir("/data", "?", &[2])];
    for version in 1..=2 {
        let response = client.call(version, &AlterReplicaLogDirsRequest::default().with_dirs(dirs.clone())).await;
        let errors: Vec<_> = response
            .results
            .iter()
            .flat_map(|topic| {
                topic.partitions.iter().map(|one| (topic.topic_name.as_str(), one.partition_index, one.error_code))
            })
            .collect();
        // INVALID_TOPIC_EXCEPTION, UNKNOWN_TOPIC_OR_PARTITION, LOG_DIR_NOT_FOUND.
        assert_eq!(errors, [("?", 2, 17), ("t", 0, 0), ("t", 1, 57), ("t", 7, 3), ("u", 0, 3)], "version {version}");
    }
}

#[tokio::test]
async fn deleted_records_raise_the_low_watermark() {
    use delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    create(&mut client, "t").await;
    produce(&mut client, "t", batch(&["a", "b", "c"])).await;
    for version in 0..=2 {
        let request = |topic: &'static str, partition, offset| {
            let partition = DeleteRecordsPartition::default().with_partition_index(partition).with_offset(offset);
            let topic =
                DeleteRecordsTopic::default().with_name(TopicName(topic.into())).with_partitions(vec![partition]);
            DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(1000)
        };
        let last = 1 + i64::from(version);
        let cases = [
            // OFFSET_OUT_OF_RANGE and UNKNOWN_TOPIC_OR_PARTITION.
            (request("t", 0, 4), (-1, 1)),
            (request("t", 0, -2), (-1, 1)),
            (request("t", 7, 1), (-1, 3)),
            (request("nowhere", 0, 1), (-1, 3)),
            (request("t", 0, last), (last, 0)),
            (request("t", 0, 0), (last, 0)),
            (request("t", 1, -1), (0, 0)),
        ];
        for (request, expected) in cases {
            let response = client.call(version, &request).await;
            let partition = &response.topics[0].partitions[0];
            assert_eq!((partition.low_watermark, partition.error_code), expected, "version {version}: {request:?}");
        }
    }
}

/// Errors of partitions 0, 1 and 9 of each topic, or that of the whole request.
async fn delete_offsets(
    client: &mut Client,
    group: &'static str,
    topics: &[&'static str],
) -> Result<Vec<[i16; 3]>, i16> {
    use offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
    let partitions = [0, 1, 9].map(|index| OffsetDeleteRequestPartition::default().with_partition_index(index));
    let topics = topics.iter().map(|&name| {
        OffsetDeleteRequestTopic::default().with_name(TopicName(name.into())).with_partitions(partitions.to_vec())
    });
    let request = OffsetDeleteRequest::default().with_group_id(GroupId(group.into())).with_topics(topics.collect());
    let response = client.call(0, &request).await;
    let errors = response.topics.iter().map(|topic| {
        let errors: Vec<i16> = topic.partitions.iter().map(|partition| partition.error_code).collect();
        errors.try_into().unwrap()
    });
    if response.error_code == 0 { Ok(errors.collect()) } else { Err(response.error_code) }
}

async fn commit_offsets(client: &mut Client, group: &'static str, topic: &'static str) {
    use offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    let partitions = [0, 1]
        .map(|index| OffsetCommitRequestPartition::default().with_partition_index(index).with_committed_offset(7));
    let topic =
        OffsetCommitRequestTopic::default().with_name(TopicName(topic.into())).with_partitions(partitions.to_vec());
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(group.into()))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let response = client.call(8, &request).await;
    assert!(response.topics[0].partitions.iter().all(|partition| partition.error_code == 0), "{response:?}");
}

async fn committed_offsets(client: &mut Client, group: &'static str) -> Vec<(String, i64)> {
    let request = OffsetFetchRequest::default().with_group_id(GroupId(group.into())).with_topics(None);
    let response = client.call(7, &request).await;
    let offsets = response.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|one| (format!("{}-{}", &*topic.name, one.partition_index), one.committed_offset))
    });
    offsets.collect()
}

#[tokio::test]
async fn a_group_forgets_offsets_of_topics_that_it_does_not_read() {
    use join_group_request::JoinGroupRequestProtocol;
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    for topic in ["read", "unread"] {
        create(&mut client, topic).await;
    }
    let find = FindCoordinatorRequest::default().with_coordinator_keys(vec!["g".into()]);
    assert_eq!(client.call(4, &find).await.coordinators[0].error_code, 0);
    let coordinator_load_in_progress = Err(14);
    for group in ["g", "other"] {
        while delete_offsets(&mut client, group, &["read"]).await == coordinator_load_in_progress {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!(delete_offsets(&mut client, "g", &["read"]).await, Err(69), "GROUP_ID_NOT_FOUND");
    for topic in ["read", "unread"] {
        commit_offsets(&mut client, "g", topic).await;
        commit_offsets(&mut client, "other", topic).await;
    }
    assert_eq!(delete_offsets(&mut client, "g", &["nowhere"]).await, Ok(vec![[3, 3, 3]]));
    assert_eq!(delete_offsets(&mut client, "g", &["unread"]).await, Ok(vec![[0, 0, 3]]));
    let left = |topic: &str| [0, 1].map(|index| (format!("{topic}-{index}"), 7));
    assert_eq!(committed_offsets(&mut client, "g").await, left("read"));
    assert_eq!(committed_offsets(&mut client, "other").await.len(), 4);
    commit_offsets(&mut client, "g", "unread").await;

    // A consumer of one topic, and a member of another kind.
    let subscription = [&[0, 0, 0, 0, 0, 1, 0, 4][..], b"read", &[0xff; 4]].concat();
    for (group, protocol_type, metadata) in [("g", "consumer", subscription), ("other", "connect", vec![])] {
        let mut member = Client::connect(broker.address).await;
        let protocol = JoinGroupRequestProtocol::default().with_name("p".into()).with_metadata(metadata.into());
        let join = JoinGroupRequest::default()
            .with_group_id(GroupId(group.into()))
            .with_session_timeout_ms(10_000)
            .with_rebalance_timeout_ms(10_000)
            .with_protocol_type(protocol_type.into())
            .with_protocols(vec![protocol]);
        assert_eq!(member.call(3, &join).await.error_code, 0);
    }
    // GROUP_SUBSCRIBED_TO_TOPIC and NON_EMPTY_GROUP.
    assert_eq!(delete_offsets(&mut client, "g", &["read", "unread"]).await, Ok(vec![[86, 86, 3], [0, 0, 3]]));
    assert_eq!(committed_offsets(&mut client, "g").await, left("read"));
    assert_eq!(delete_offsets(&mut client, "other", &["unread"]).await, Err(68));
    assert_eq!(committed_offsets(&mut client, "other").await.len(), 4);
}

#[tokio::test]
async fn producers_are_described_with_what_is_remembered_of_them() {
    use describe_producers_request::TopicRequest;
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    create(&mut client, "t").await;
    produce(&mut client, "t", batch(&["of", "nobody"])).await;
    for (producer_id, epoch, base_sequence) in [(9, 2, 0), (5, 0, 0), (9, 2, 1)] {
        let (id, epoch) = (highwater_types::ProducerId(producer_id), ProducerEpoch(epoch));
        let mut builder = BatchBuilder::new(Compression::None).producer(id, epoch, Sequence(base_sequence));
        builder.append(Timestamp(1_700_000_000_000), None, Some(b"value"), &[]);
        produce(&mut client, "t", builder.build()).await;
    }
    let topics = ["t", "nowhere"]
        .map(|name| TopicRequest::default().with_name(TopicName(name.into())).with_partition_indexes(vec![0, 1, 9]));
    let request = DescribeProducersRequest::default().with_topics(topics.to_vec());
    let response = client.call(0, &request).await;
    let errors = response.topics.iter().flat_map(|topic| topic.partitions.iter().map(|one| one.error_code));
    assert_eq!(errors.collect::<Vec<_>>(), [0, 0, 3, 3, 3, 3]);
    let partitions = &response.topics[0].partitions;
    let described = partitions[0].active_producers.iter().map(|producer| {
        assert_eq!((producer.coordinator_epoch, producer.current_txn_start_offset), (-1, -1));
        (producer.producer_id.0, producer.producer_epoch, producer.last_sequence, producer.last_timestamp)
    });
    assert_eq!(described.collect::<Vec<_>>(), [(5, 0, 0, 1_700_000_000_000), (9, 2, 1, 1_700_000_000_000)]);
    assert!(partitions[1].active_producers.is_empty());
}
