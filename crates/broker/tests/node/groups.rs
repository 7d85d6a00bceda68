//! Groups of a node that is the only coordinator there is.

use highwater_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use highwater_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use highwater_protocol::messages::{FindCoordinatorRequest, GroupId, OffsetCommitRequest, OffsetFetchRequest};

use super::*;

/// Of every partition of `__consumer_offsets` some.
const GROUPS: usize = 200;

fn group(index: usize) -> GroupId {
    GroupId(StrBytes::from_string(format!("g{index}")))
}

async fn commit(conn: &mut Conn, group: GroupId, offset: i64) -> i16 {
    let partition = OffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(offset);
    let topic = OffsetCommitRequestTopic::default().with_name(name("t")).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(group)
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    call(conn, &request, 8).await.topics[0].partitions[0].error_code
}

/// The committed offset, or the error of the group.
async fn fetch(conn: &mut Conn, group: GroupId) -> Result<i64, i16> {
    let topic = OffsetFetchRequestTopic::default().with_name(name("t")).with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default().with_group_id(group).with_topics(Some(vec![topic]));
    let response = call(conn, &request, 5).await;
    if response.error_code == 0 {
        Ok(response.topics[0].partitions[0].committed_offset)
    } else {
        Err(response.error_code)
    }
}

#[tokio::test]
async fn a_node_that_was_stopped_serves_all_its_groups_again() {
    let machine = Machine::default();
    let node = machine.start().await;
    let mut conn = client(&node).await;
    create_topic(&mut conn, "t").await;
    let find = FindCoordinatorRequest::default().with_key(group(0).0);
    assert_eq!(call(&mut conn, &find, 0).await.error_code, 0);
    for index in 0..GROUPS {
        let committed = async {
            while commit(&mut conn, group(index), index as i64).await != 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(READY_WITHIN, committed).await.expect("the group is served");
    }
    stop(node).await;
    // It leads all partitions again before it has its lease.
    let node = machine.start().await;
    let mut conn = client(&node).await;
    for index in 0..GROUPS {
        let fetched = async {
            loop {
                match fetch(&mut conn, group(index)).await {
                    Ok(offset) => return offset,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let offset = timeout(READY_WITHIN, fetched).await.unwrap_or_else(|_| panic!("group {index} is not served"));
        assert_eq!(offset, index as i64);
    }
}
