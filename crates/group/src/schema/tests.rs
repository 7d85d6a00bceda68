//! Golden bytes are what a Kafka 4.3.1 broker wrote for a static kcat consumer and for kafka-consumer-groups.

use highwater_types::{LeaderEpoch, Offset, Timestamp, TopicId};
use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn check(record: &CoordinatorRecord, key: &str, value: Option<&str>) {
    assert_eq!(record.key.as_ref(), hex(key), "key");
    assert_eq!(record.value.as_deref(), value.map(hex).as_deref(), "value");
}

fn golden_group() -> GroupMetadataValue {
    let member_id = "static-1-7f63f300-3407-4373-b477-0c5d0a4ebb37".to_owned();
    GroupMetadataValue {
        protocol_type: "consumer".to_owned(),
        generation: 1,
        protocol: Some("range".to_owned()),
        leader: Some(member_id.clone()),
        current_state_timestamp: Timestamp(0x01a1_fb87_ae3e),
        members: vec![MemberMetadata {
            member_id,
            group_instance_id: Some("static-1".to_owned()),
            client_id: "kc".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            rebalance_timeout_ms: 300_000,
            session_timeout_ms: 45_000,
            subscription: hex("0001000000010006676f6c64656e0000000000000000").into(),
            assignment: hex("0000000000010006676f6c64656e000000040000000000000001000000020000000300000000").into(),
        }],
    }
}

#[test]
fn group_metadata_is_kafkas_byte_for_byte() {
    let value = concat!(
        "00030008636f6e73756d657200000001000572616e6765002d7374617469632d312d37663633663330302d333430372d34333733",
        "2d623437372d306335643061346562623337000001a1fb87ae3e00000001002d7374617469632d312d37663633663330302d3334",
        "30372d343337332d623437372d30633564306134656262333700087374617469632d3100026b63000a2f3132372e302e302e3100",
        "0493e00000afc8000000160001000000010006676f6c64656e0000000000000000000000260000000000010006676f6c64656e00",
        "0000040000000000000001000000020000000300000000"
    );
    let record = CoordinatorRecord::group_metadata("grp", &golden_group());
    check(&record, "00020003677270", Some(value));
    assert_eq!(GroupMetadataValue::decode(&hex(value)).unwrap(), golden_group());
    assert_eq!(RecordKey::decode(&record.key).unwrap(), RecordKey::GroupMetadata { group: "grp".to_owned() });
}

#[test]
fn groups_without_members_are_kafkas_byte_for_byte() {
    let new = GroupMetadataValue {
        protocol_type: String::new(),
        generation: 0,
        protocol: None,
        leader: None,
        current_state_timestamp: Timestamp(0x01a1_fb87_ae2d),
        members: Vec::new(),
    };
    let record = CoordinatorRecord::group_metadata("grp", &new);
    check(&record, "00020003677270", Some("0003000000000000ffffffff000001a1fb87ae2d00000000"));
    let left = GroupMetadataValue {
        protocol_type: "consumer".to_owned(),
        generation: 2,
        current_state_timestamp: Timestamp(0x01a1_fb88_6302),
        ..new
    };
    let record = CoordinatorRecord::group_metadata("grp", &left);
    check(&record, "00020003677270", Some("00030008636f6e73756d657200000002ffffffff000001a1fb88630200000000"));
    check(&CoordinatorRecord::group_metadata_tombstone("grp"), "00020003677270", None);
}

#[test]
fn offset_commits_are_kafkas_byte_for_byte() {
    let value = OffsetCommitValue {
        offset: Offset(3),
        leader_epoch: LeaderEpoch::NONE,
        metadata: String::new(),
        commit_timestamp: Timestamp(0x01a1_fb87_b337),
        expire_timestamp: None,
        topic_id: TopicId::from_bytes(hex("673f0c4757f14056adc435c9f18ae518").try_into().unwrap()),
    };
    let record = CoordinatorRecord::offset_commit("grp", "golden", PartitionIndex(0), &value);
    let (key, bytes) = (
        "000100036772700006676f6c64656e00000000",
        "00040000000000000003ffffffff01000001a1fb87b337010010673f0c4757f14056adc435c9f18ae518",
    );
    check(&record, key, Some(bytes));
    assert_eq!(OffsetCommitValue::decode(&hex(bytes)).unwrap(), value);
    check(&CoordinatorRecord::offset_commit_tombstone("grp", "golden", PartitionIndex(0)), key, None);
}

#[test]
fn older_versions_are_read() {
    // Version 0: offset, metadata, commit time. Version 1 adds the expiry, 3 the epoch; 2 is 0 again.
    let common = |leader_epoch, expire_timestamp| OffsetCommitValue {
        offset: Offset(7),
        leader_epoch,
        metadata: "m".to_owned(),
        commit_timestamp: Timestamp(9),
        expire_timestamp,
        topic_id: TopicId::ZERO,
    };
    let (none, five) = (LeaderEpoch::NONE, LeaderEpoch(5));
    let cases = [
        ("0000 0000000000000007 0001 6d 0000000000000009", common(none, None)),
        ("0001 0000000000000007 0001 6d 0000000000000009 0000000000000064", common(none, Some(Timestamp(100)))),
        ("0001 0000000000000007 0001 6d 0000000000000009 ffffffffffffffff", common(none, None)),
        ("0002 0000000000000007 0001 6d 0000000000000009", common(none, None)),
        ("0003 0000000000000007 00000005 0001 6d 0000000000000009", common(five, None)),
        ("0004 0000000000000007 00000005 02 6d 0000000000000009 00", common(five, None)),
        ("0004 0000000000000007 00000005 02 6d 0000000000000009 01 07 01 ff", common(five, None)),
    ];
    for (text, expected) in cases {
        assert_eq!(OffsetCommitValue::decode(&hex(&text.replace(' ', ""))), Ok(expected), "{text}");
    }
    // Version 1 is also written: a client of OffsetCommit 2 to 4 asked for a retention time.
    let expiring = common(none, Some(Timestamp(100)));
    assert_eq!(expiring.encode().as_ref(), hex("0001000000000000000700016d00000000000000090000000000000064"));

    // Group metadata 0 has neither time-out of rebalances nor state time nor static ids.
    let old = "0000 0001 63 00000002 0001 72 0001 61 00000001 0001 61 0001 63 0002 2f68 00000064 00000001 aa 00000000";
    let group = GroupMetadataValue::decode(&hex(&old.replace(' ', ""))).unwrap();
    assert_eq!((group.generation, group.current_state_timestamp), (2, Timestamp::NONE));
    assert_eq!((group.members[0].rebalance_timeout_ms, group.members[0].session_timeout_ms), (-1, 100));
    assert_eq!(group.members[0].group_instance_id, None);
    // Version 4 is flexible.
    let flexible = concat!(
        "0004 02 63 00000002 02 72 02 61 0000000000000005 02 02 61 00 02 63 03 2f68 00000007 00000064 02 aa 01 00",
        " 01 05 01 ff"
    );
    let group = GroupMetadataValue::decode(&hex(&flexible.replace(' ', ""))).unwrap();
    assert_eq!((group.protocol.as_deref(), group.current_state_timestamp), (Some("r"), Timestamp(5)));
    assert_eq!((group.members[0].rebalance_timeout_ms, group.members[0].subscription.as_ref()), (7, &[0xaa][..]));
}

#[test]
fn foreign_and_broken_records_are_told_apart() {
    assert_eq!(RecordKey::decode(&hex("0003000167")), Ok(RecordKey::Unknown { key_type: 3 }));
    let legacy = RecordKey::decode(&hex("0000000167000174000000ff")).unwrap();
    let expected = RecordKey::OffsetCommit { group: "g".into(), topic: "t".into(), partition: PartitionIndex(255) };
    assert_eq!(legacy, expected);
    assert_eq!(RecordKey::decode(&hex("00010005")), Err(SchemaError::Truncated));
    assert_eq!(RecordKey::decode(&hex("0002ffff")), Err(SchemaError::BadLength(-1)));
    let unknown = SchemaError::UnknownVersion { schema: "GroupMetadataValue", version: 5 };
    assert_eq!(GroupMetadataValue::decode(&hex("0005")), Err(unknown));
    // A count of 2^31 - 1 members costs nothing.
    let hostile = "0003 0000 00000000 ffff ffff 0000000000000000 7fffffff".replace(' ', "");
    assert_eq!(GroupMetadataValue::decode(&hex(&hostile)), Err(SchemaError::BadLength(i64::from(i32::MAX))));
}

fn offset_values() -> impl Strategy<Value = OffsetCommitValue> {
    let expire = proptest::option::of(0..i64::MAX);
    (any::<i64>(), any::<i32>(), ".{0,300}", any::<i64>(), expire, any::<[u8; 16]>()).prop_map(
        |(offset, epoch, metadata, commit, expire, topic_id)| OffsetCommitValue {
            offset: Offset(offset),
            // Version 1, which carries the expiry, has neither.
            leader_epoch: if expire.is_some() { LeaderEpoch::NONE } else { LeaderEpoch(epoch) },
            topic_id: if expire.is_some() { TopicId::ZERO } else { TopicId::from_bytes(topic_id) },
            metadata,
            commit_timestamp: Timestamp(commit),
            expire_timestamp: expire.map(Timestamp),
        },
    )
}

proptest! {
    #[test]
    fn offset_commits_read_back(value in offset_values()) {
        prop_assert_eq!(OffsetCommitValue::decode(&value.encode()).unwrap(), value);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), version in 0u8..6) {
        let mut versioned = vec![0, version];
        versioned.extend(bytes);
        let _ = RecordKey::decode(&versioned);
        let _ = OffsetCommitValue::decode(&versioned);
        let _ = GroupMetadataValue::decode(&versioned);
    }

    #[test]
    fn every_prefix_of_a_group_is_refused(cut in 0usize..240) {
        let whole = golden_group().encode();
        prop_assume!(cut < whole.len());
        prop_assert!(GroupMetadataValue::decode(&whole[..cut]).is_err());
    }
}
