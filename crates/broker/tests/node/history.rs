//! Why a partition is as it is, over HTTP.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_partition_is_told_with_its_reasons_also_after_a_restart() {
    let machine = Machine::default();
    let node = machine.start().await;
    create_topic(&mut client(&node).await, "orders").await;
    for (path, expected) in [
        ("/partitions/orders/99/history", "404"),
        ("/partitions/nothing/0/history", "404"),
        ("/partitions/orders/x/history", "400"),
    ] {
        let (status, body) = get(&node, path).await;
        assert!(status.contains(expected), "{path}: {status} {body}");
    }
    stop(node).await;

    let node = machine.start().await;
    let (status, body) = get(&node, "/partitions/orders/0/history").await;
    assert!(status.contains("200"), "{status} {body}");
    let page: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(page["whole"], true, "{page}");
    assert!(page["state"]["leader"].is_i64(), "{page}");
    let entries = page["entries"].as_array().unwrap();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry["event"]["kind"].as_str().unwrap_or("unknown")).collect();
    let created = kinds.iter().position(|kind| *kind == "topics_created").unwrap();
    for later in ["broker_stopping", "broker_registered", "broker_unfenced"] {
        assert!(kinds[created..].contains(&later), "no {later} in {kinds:?}");
    }
    assert!(entries.iter().all(|entry| entry["event"]["at"].as_i64().is_some_and(|at| at > 0)), "{page}");
    stop(node).await;
}
