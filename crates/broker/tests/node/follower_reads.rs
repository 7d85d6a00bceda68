//! Consumers of another rack than the leader's (KIP-392), within fetch sessions (KIP-227).

use highwater_protocol::messages::create_topics_request::CreatableReplicaAssignment;
use highwater_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use highwater_protocol::messages::{BrokerId, FetchRequest, FetchResponse};
use highwater_types::ErrorCode;

use super::*;
use crate::pair::{PATIENCE, Pair};

/// Names topics by their names, and has racks.
const VERSION: i16 = 12;
/// A client that does not know of follower reads.
const BEFORE_RACKS: i16 = 10;
const SELECTOR: (&str, &str) = ("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector");

/// Preferred replica, error and size of what the answer holds of the partition; `None` if it does not name it.
type Told = Option<(i32, i16, usize)>;

/// The next fetch of a session; with `offset` it says (again) where to read the partition.
fn fetch(session: (i32, i32), rack: &str, offset: Option<i64>) -> FetchRequest {
    let partition = |offset| FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let topic = |offset| FetchTopic::default().with_topic(name("t")).with_partitions(vec![partition(offset)]);
    FetchRequest::default()
        .with_max_wait_ms(0)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_id(session.0)
        .with_session_epoch(session.1)
        .with_rack_id(StrBytes::from_string(rack.to_owned()))
        .with_topics(offset.map(topic).into_iter().collect())
}

fn told(response: &FetchResponse) -> Told {
    assert_eq!(response.error_code, 0);
    let partition = response.responses.first()?.partitions.first()?;
    let size = partition.records.as_ref().map_or(0, Bytes::len);
    Some((partition.preferred_read_replica.0, partition.error_code, size))
}

/// Topic "t", led by broker 1 and followed by 2.
async fn create_followed_topic(conn: &mut Conn) {
    let assignment = CreatableReplicaAssignment::default().with_broker_ids(vec![BrokerId(1), BrokerId(2)]);
    let topic = CreatableTopic::default()
        .with_name(name("t"))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_assignments(vec![assignment]);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    assert_eq!(call(conn, &request, 5).await.topics[0].error_code, 0);
}

/// Asks again until the follower has told its leader where it is.
async fn first_redirect(conn: &mut Conn) -> FetchResponse {
    let redirected = async {
        loop {
            let response = call(conn, &fetch((0, 0), "b", Some(0)), VERSION).await;
            if told(&response).is_some_and(|(preferred, ..)| preferred != -1) {
                return response;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, redirected).await.expect("the client is sent to the follower")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_sent_to_the_follower_in_its_rack_and_reads_there() {
    let pair = Pair::new().await;
    let first = pair.start(1, pair.config(1, &[SELECTOR, ("broker.rack", "a")])).await;
    let second = pair.start(2, pair.config(2, &[SELECTOR, ("broker.rack", "b")])).await;
    let (mut leader, mut follower) = (client(&first).await, client(&second).await);
    create_followed_topic(&mut leader).await;
    assert_eq!(produce(&mut leader, "t").await, (0, 0));
    let size = one_record().len();

    let redirected = first_redirect(&mut leader).await;
    assert_eq!(told(&redirected), Some((2, 0, 0)));
    let session = redirected.session_id;
    assert!(session > 0);
    // Nothing new of the partition, but the client is in the wrong place still.
    assert_eq!(told(&call(&mut leader, &fetch((session, 1), "b", None), VERSION).await), Some((2, 0, 0)));
    // Whoever is near, or nowhere, reads from the leader, in that session as well; and then there is no news.
    assert_eq!(told(&call(&mut leader, &fetch((session, 2), "", None), VERSION).await), Some((-1, 0, size)));
    for (epoch, rack) in [(3, "a"), (4, "c")] {
        assert_eq!(told(&call(&mut leader, &fetch((session, epoch), rack, Some(1)), VERSION).await), None, "{rack}");
    }

    // The follower may have to be told yet that the record is committed.
    let here = call(&mut follower, &fetch((0, 0), "b", Some(0)).with_max_wait_ms(10_000), VERSION).await;
    assert_eq!(told(&here), Some((-1, 0, size)));
    let next = fetch((here.session_id, 1), "b", Some(1)).with_max_wait_ms(10_000);
    let (next, produced) = tokio::join!(call(&mut follower, &next, VERSION), produce(&mut leader, "t"));
    assert_eq!((told(&next), produced), (Some((-1, 0, size)), (0, 1)));
    let refused = call(&mut follower, &fetch((0, -1), "", Some(0)), BEFORE_RACKS).await;
    assert_eq!(told(&refused), Some((-1, ErrorCode::NotLeaderOrFollower.code(), 0)));

    let (_, figures) = get(&first, "/metrics").await;
    let series = "highwater_server_fetch_redirects_total ";
    let redirects = figures.lines().find_map(|line| line.strip_prefix(series)).unwrap();
    assert!(redirects.parse::<f64>().unwrap() >= 2.0, "{redirects}");
    stop(second).await;
    stop(first).await;
}
