//! The coordinator over a log in memory. Times are short but real; where a test waits for something to happen it waits
//! long, where it waits for nothing to happen it waits a little.

mod memory_log;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use highwater_coordinator_runtime::*;
use highwater_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};
use memory_log::MemoryLog;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const PARTITION: PartitionIndex = PartitionIndex(0);
const FIRST: LeaderEpoch = LeaderEpoch(3);

/// A little while in which nothing must happen.
const A_WHILE: Duration = Duration::from_millis(100);

fn config() -> CoordinatorConfig {
    let group = GroupConfig {
        min_session_timeout_ms: 1_000,
        initial_rebalance_delay_ms: 50,
        offsets_retention_check_interval_ms: 3_000,
        ..GroupConfig::default()
    };
    CoordinatorConfig { group, offsets_commit_timeout_ms: 30_000 }
}

/// Waits until `condition` holds.
async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), waiting).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// A coordinator of the one partition, loaded.
async fn start(log: &Arc<MemoryLog>) -> Arc<GroupCoordinator> {
    start_in(log, FIRST).await
}

async fn start_in(log: &Arc<MemoryLog>, epoch: LeaderEpoch) -> Arc<GroupCoordinator> {
    start_with(log, epoch, config()).await
}

async fn start_with(log: &Arc<MemoryLog>, epoch: LeaderEpoch, config: CoordinatorConfig) -> Arc<GroupCoordinator> {
    let coordinator = GroupCoordinator::new(config, log.clone());
    coordinator.set_partition_count(1);
    log.set_leader(PARTITION, Some(epoch));
    coordinator.on_leader(PARTITION, epoch);
    loaded(&coordinator).await;
    coordinator
}

async fn loaded(coordinator: &GroupCoordinator) {
    while coordinator.list_groups(ListGroupsFilter::default()).await == Err(ErrorCode::CoordinatorLoadInProgress) {
        sleep(Duration::from_millis(1)).await;
    }
}

fn join(group: &str, member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 2_000,
        rebalance_timeout_ms: 30_000,
        member_id: member_id.into(),
        group_instance_id: None,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupProtocol { name: "range".into(), metadata: Bytes::from_static(&[0, 0, 0, 0, 0, 0]) }],
        reason: None,
        client_id: "c".into(),
        client_host: "/h".into(),
        requires_known_member_id: true,
        supports_skip_assignment: true,
    }
}

fn sync(group: &str, member_id: &str, generation_id: i32, assignments: &[(&str, &'static str)]) -> SyncGroupRequest {
    let assignment = |&(member_id, assignment): &(&str, &'static str)| SyncGroupAssignment {
        member_id: member_id.into(),
        assignment: Bytes::from_static(assignment.as_bytes()),
    };
    SyncGroupRequest {
        group_id: group.into(),
        generation_id,
        member_id: member_id.into(),
        group_instance_id: None,
        protocol_type: None,
        protocol_name: None,
        assignments: assignments.iter().map(assignment).collect(),
    }
}

fn commit(group: &str, member_id: &str, generation_id: i32, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitPartition {
        partition: PartitionIndex(0),
        committed_offset: Offset(offset),
        committed_leader_epoch: LeaderEpoch::NONE,
        committed_metadata: None,
    };
    OffsetCommitRequest {
        group_id: group.into(),
        generation_id,
        member_id: member_id.into(),
        group_instance_id: None,
        retention_time_ms: None,
        knows_group_id_not_found: true,
        topics: vec![OffsetCommitTopic { name: "t".into(), topic_id: TopicId::ZERO, partitions: vec![partition] }],
    }
}

fn fetch(group: &str) -> OffsetFetchRequest {
    OffsetFetchRequest {
        group_id: group.into(),
        member_id: None,
        member_epoch: -1,
        topics: None,
        require_stable: false,
    }
}

fn heartbeat(group: &str, member_id: &str, generation_id: i32) -> HeartbeatRequest {
    HeartbeatRequest { group_id: group.into(), generation_id, member_id: member_id.into(), group_instance_id: None }
}

fn commit_error(response: &OffsetCommitResponse) -> ErrorCode {
    response.topics[0].partitions[0].error
}

fn fetched(response: &OffsetFetchResponse) -> Result<Option<i64>, ErrorCode> {
    match response.error {
        ErrorCode::None => Ok(response.topics.first().map(|topic| topic.partitions[0].committed_offset.0)),
        error => Err(error),
    }
}

/// Joins with the two requests of KIP-394 and becomes leader of generation 1.
async fn join_alone(coordinator: &GroupCoordinator, group: &str) -> String {
    let first = coordinator.join_group(join(group, "")).await;
    assert_eq!(first.error, ErrorCode::MemberIdRequired);
    let second = coordinator.join_group(join(group, &first.member_id)).await;
    assert_eq!((second.error, second.generation_id, second.members.len()), (ErrorCode::None, 1, 1));
    let synced = coordinator.sync_group(sync(group, &first.member_id, 1, &[(&first.member_id, "all")])).await;
    assert_eq!((synced.error, synced.assignment.as_ref()), (ErrorCode::None, &b"all"[..]));
    first.member_id
}

#[tokio::test]
async fn a_group_survives_its_coordinator() {
    let log = MemoryLog::new(true);
    let first = start(&log).await;
    let member = join_alone(&first, "g").await;
    assert_eq!(commit_error(&first.offset_commit(commit("g", &member, 1, 41)).await), ErrorCode::None);

    let second = start_in(&log, LeaderEpoch(4)).await;
    assert_eq!(fetched(&second.offset_fetch(fetch("g")).await), Ok(Some(41)));
    assert_eq!(second.heartbeat(heartbeat("g", &member, 1)).await, ErrorCode::None);
    assert_eq!(second.sync_group(sync("g", &member, 1, &[])).await.assignment.as_ref(), b"all");
    assert_eq!(commit_error(&second.offset_commit(commit("g", &member, 1, 42)).await), ErrorCode::None);
    // The first one, which has not heard of it yet, can append nothing in its old epoch.
    assert_eq!(commit_error(&first.offset_commit(commit("g", &member, 1, 7)).await), ErrorCode::NotCoordinator);
    let described = second.describe_groups(vec!["g".into(), "none".into()]).await;
    assert_eq!((described[0].state.as_str(), described[0].members.len()), ("Stable", 1));
    assert_eq!((described[1].state.as_str(), described[1].error), ("Dead", ErrorCode::GroupIdNotFound));
    let groups = second.group_figures();
    assert_eq!((groups.len(), groups[0].state, groups[0].members), (1, GroupState::Stable, 1));
    let offsets = second.committed_offsets();
    assert_eq!((offsets.len(), offsets[0].offset, offsets[0].topic.as_str()), (1, Offset(42), "t"));
}

#[tokio::test]
async fn answers_wait_for_the_high_watermark() {
    let log = MemoryLog::new(false);
    let coordinator = start(&log).await;
    let committing = commit_beside(&coordinator, 5);
    // A fetch shows the commit that is on its way, but only once it cannot be lost any more.
    let fetching = tokio::spawn({
        let coordinator = coordinator.clone();
        async move { coordinator.offset_fetch(fetch("g")).await }
    });
    sleep(A_WHILE).await;
    assert!(!committing.is_finished() && !fetching.is_finished());
    log.commit_all(PARTITION);
    assert_eq!(commit_error(&committing.await.unwrap()), ErrorCode::None);
    assert_eq!(fetched(&fetching.await.unwrap()), Ok(Some(5)));
}

/// A commit of group `g` whose answer comes later.
fn commit_beside(coordinator: &Arc<GroupCoordinator>, offset: i64) -> JoinHandle<OffsetCommitResponse> {
    let coordinator = coordinator.clone();
    tokio::spawn(async move { coordinator.offset_commit(commit("g", "", -1, offset)).await })
}

#[tokio::test]
async fn a_commit_that_is_not_replicated_in_time_is_retriable() {
    let log = MemoryLog::new(false);
    let coordinator = start_with(&log, FIRST, CoordinatorConfig { offsets_commit_timeout_ms: 50, ..config() }).await;
    let committed = coordinator.offset_commit(commit("g", "", -1, 5)).await;
    assert_eq!(commit_error(&committed), ErrorCode::CoordinatorNotAvailable);
    assert_eq!(fetched(&coordinator.offset_fetch(fetch("g")).await), Err(ErrorCode::NotCoordinator));
    log.commit_all(PARTITION);
    assert_eq!(fetched(&coordinator.offset_fetch(fetch("g")).await), Ok(Some(5)));
}

#[tokio::test]
async fn a_lost_commit_was_never_acknowledged() {
    let log = MemoryLog::new(true);
    let coordinator = start(&log).await;
    assert_eq!(commit_error(&coordinator.offset_commit(commit("g", "", -1, 1)).await), ErrorCode::None);
    log.set_auto_commit(false);
    let committing = commit_beside(&coordinator, 2);
    sleep(Duration::from_millis(10)).await;
    log.set_leader(PARTITION, None);
    assert_eq!(commit_error(&committing.await.unwrap()), ErrorCode::NotCoordinator);
    coordinator.on_resign(PARTITION);
    log.truncate_to_high_watermark(PARTITION);
    // The same broker is elected again.
    log.set_leader(PARTITION, Some(LeaderEpoch(9)));
    coordinator.on_leader(PARTITION, LeaderEpoch(9));
    loaded(&coordinator).await;
    assert_eq!(fetched(&coordinator.offset_fetch(fetch("g")).await), Ok(Some(1)));
}

#[tokio::test]
async fn resigning_answers_all_who_wait() {
    let log = MemoryLog::new(true);
    let mut config = config();
    config.group.initial_rebalance_delay_ms = 60_000;
    let coordinator = start_with(&log, FIRST, config).await;
    let member = coordinator.join_group(join("g", "")).await.member_id;
    let joining = tokio::spawn({
        let (coordinator, member) = (coordinator.clone(), member.clone());
        async move { coordinator.join_group(join("g", &member)).await }
    });
    sleep(A_WHILE).await;
    assert!(!joining.is_finished());
    coordinator.on_resign(PARTITION);
    let answer = joining.await.unwrap();
    assert_eq!((answer.error, answer.member_id), (ErrorCode::NotCoordinator, member));
    assert_eq!(coordinator.heartbeat(heartbeat("g", "m", 1)).await, ErrorCode::NotCoordinator);
    assert_eq!(coordinator.list_groups(ListGroupsFilter::default()).await, Ok(Vec::new()));
    coordinator.on_resign(PARTITION);
}

#[tokio::test]
async fn loading_waits_until_all_it_read_is_committed() {
    let log = MemoryLog::new(false);
    let first = start(&log).await;
    let lost = tokio::spawn({
        let first = first.clone();
        async move { first.offset_commit(commit("g", "", -1, 5)).await }
    });
    sleep(Duration::from_millis(10)).await;
    let second = GroupCoordinator::new(config(), log.clone());
    second.set_partition_count(1);
    log.set_leader(PARTITION, Some(LeaderEpoch(4)));
    second.on_leader(PARTITION, LeaderEpoch(4));
    sleep(A_WHILE).await;
    assert_eq!(commit_error(&lost.await.unwrap()), ErrorCode::NotCoordinator);
    let error = ErrorCode::CoordinatorLoadInProgress;
    assert_eq!(commit_error(&second.offset_commit(commit("g", "", -1, 6)).await), error);
    assert_eq!(fetched(&second.offset_fetch(fetch("g")).await), Err(error));
    assert_eq!(second.join_group(join("g", "")).await.error, error);
    assert_eq!(second.describe_groups(vec!["g".into()]).await[0].error, error);
    assert_eq!(second.delete_groups(vec!["g".into()]).await[0].error, error);
    assert_eq!(second.list_groups(ListGroupsFilter::default()).await, Err(error));
    // The rebalance is lost: consumers join again, and would take the other code for fatal.
    assert_eq!(second.sync_group(sync("g", "m", 1, &[])).await.error, ErrorCode::RebalanceInProgress);
    // A member must not take the load for a failure.
    assert_eq!(second.heartbeat(heartbeat("g", "m", 1)).await, ErrorCode::None);
    // Topics deleted meanwhile are dealt with at the end.
    second.on_topics_deleted(&[TopicName::new("t").unwrap()]);
    log.set_auto_commit(true);
    log.commit_all(PARTITION);
    loaded(&second).await;
    assert_eq!(fetched(&second.offset_fetch(fetch("g")).await), Ok(None));
}

#[tokio::test]
async fn a_load_waits_for_the_lease_of_a_leader() {
    let log = MemoryLog::new(true);
    let before = start(&log).await;
    assert_eq!(commit_error(&before.offset_commit(commit("g", "", -1, 5)).await), ErrorCode::None);
    // The metadata that unfences a broker makes it a leader at once; its lease comes a heartbeat later.
    log.lapse(PARTITION);
    let after = GroupCoordinator::new(config(), log.clone());
    after.set_partition_count(1);
    log.set_leader(PARTITION, Some(LeaderEpoch(4)));
    after.on_leader(PARTITION, LeaderEpoch(4));
    sleep(A_WHILE).await;
    assert_eq!(fetched(&after.offset_fetch(fetch("g")).await), Err(ErrorCode::NotCoordinator));
    log.renew(PARTITION);
    loaded(&after).await;
    assert_eq!(fetched(&after.offset_fetch(fetch("g")).await), Ok(Some(5)));
}

#[tokio::test]
async fn nothing_is_shown_without_a_lease_and_all_is_shown_after_it() {
    let log = MemoryLog::new(true);
    let coordinator = start(&log).await;
    assert_eq!(commit_error(&coordinator.offset_commit(commit("g", "", -1, 1)).await), ErrorCode::None);
    log.set_auto_commit(false);
    let committing = commit_beside(&coordinator, 2);
    sleep(Duration::from_millis(10)).await;
    log.lapse(PARTITION);
    assert_eq!(commit_error(&committing.await.unwrap()), ErrorCode::NotCoordinator);
    // Another broker may lead by now, and may have taken later commits.
    assert_eq!(fetched(&coordinator.offset_fetch(fetch("g")).await), Err(ErrorCode::NotCoordinator));
    log.commit_all(PARTITION);
    assert_eq!(fetched(&coordinator.offset_fetch(fetch("g")).await), Err(ErrorCode::NotCoordinator));
    // The leadership has not moved, so no shard is loaded anew, and nobody need append anything for the offset to be shown.
    log.renew(PARTITION);
    assert_eq!(fetched(&coordinator.offset_fetch(fetch("g")).await), Ok(Some(2)));
}

#[tokio::test]
async fn members_are_sent_away_without_a_lease_and_stay_members() {
    let log = MemoryLog::new(true);
    let coordinator = start(&log).await;
    let member = join_alone(&coordinator, "g").await;
    log.lapse(PARTITION);
    let refused = ErrorCode::NotCoordinator;
    assert_eq!(coordinator.heartbeat(heartbeat("g", &member, 1)).await, refused, "another broker may coordinate them");
    assert_eq!(coordinator.join_group(join("g", &member)).await.error, refused);
    assert_eq!(coordinator.sync_group(sync("g", &member, 1, &[])).await.error, refused);
    assert_eq!(coordinator.describe_groups(vec!["g".into()]).await[0].error, refused);
    log.renew(PARTITION);
    assert_eq!(coordinator.heartbeat(heartbeat("g", &member, 1)).await, ErrorCode::None);
}

#[tokio::test]
async fn sessions_stand_still_while_members_cannot_be_heard() {
    let log = MemoryLog::new(true);
    let coordinator = start(&log).await;
    let member = join_alone(&coordinator, "g").await;
    log.lapse(PARTITION);
    // Longer than a session lasts.
    sleep(Duration::from_millis(2_500)).await;
    log.renew(PARTITION);
    // Long enough for what is due to happen.
    sleep(Duration::from_millis(1_100)).await;
    assert_eq!(coordinator.heartbeat(heartbeat("g", &member, 1)).await, ErrorCode::None);
    eventually("the session ends", async || coordinator.describe_groups(vec!["g".into()]).await[0].members.is_empty())
        .await;
}

#[tokio::test]
async fn a_commit_that_was_turned_away_is_shown_once_it_is_committed() {
    let log = MemoryLog::new(false);
    let coordinator = start(&log).await;
    let committing = commit_beside(&coordinator, 2);
    sleep(Duration::from_millis(10)).await;
    log.lapse(PARTITION);
    log.renew(PARTITION);
    assert_eq!(commit_error(&committing.await.unwrap()), ErrorCode::NotCoordinator);
    assert_eq!(fetched(&coordinator.offset_fetch(fetch("g")).await), Err(ErrorCode::NotCoordinator));
    log.commit_all(PARTITION);
    assert_eq!(fetched(&coordinator.offset_fetch(fetch("g")).await), Ok(Some(2)));
}

#[tokio::test]
async fn silent_members_and_unused_groups_expire_on_their_own() {
    let log = MemoryLog::new(true);
    let coordinator = start(&log).await;
    let member = join_alone(&coordinator, "g").await;
    sleep(Duration::from_millis(1_000)).await;
    assert_eq!(coordinator.heartbeat(heartbeat("g", &member, 1)).await, ErrorCode::None);
    sleep(Duration::from_millis(1_200)).await;
    // More than a session since SyncGroup, less than one since the heartbeat.
    assert_eq!(coordinator.describe_groups(vec!["g".into()]).await[0].members.len(), 1);
    let end = log.end(PARTITION);
    eventually("the session ends", async || {
        let group = &coordinator.describe_groups(vec!["g".into()]).await[0];
        (group.state.as_str(), group.members.len()) == ("Empty", 0)
    })
    .await;
    assert_eq!(log.end(PARTITION), end.plus(1));
    eventually("the unused group is deleted", async || {
        coordinator.committed_offsets().is_empty() && coordinator.group_figures().is_empty()
    })
    .await;
    assert_eq!(log.end(PARTITION), end.plus(2));
    sleep(A_WHILE).await;
    assert_eq!(log.end(PARTITION), end.plus(2));
}

#[tokio::test]
async fn refused_appends_are_answered_and_change_nothing() {
    let log = MemoryLog::new(true);
    let coordinator = start(&log).await;
    for (append, answer) in [
        (ErrorCode::NotEnoughReplicas, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::NotLeaderOrFollower, ErrorCode::NotCoordinator),
        (ErrorCode::KafkaStorageError, ErrorCode::NotCoordinator),
        (ErrorCode::MessageTooLarge, ErrorCode::UnknownServerError),
    ] {
        log.refuse_next(PARTITION, append);
        assert_eq!(commit_error(&coordinator.offset_commit(commit("g", "", -1, 5)).await), answer);
        assert_eq!(fetched(&coordinator.offset_fetch(fetch("g")).await), Ok(None));
    }
}

#[tokio::test]
async fn groups_without_a_coordinator_are_refused_precisely() {
    let log = MemoryLog::new(true);
    let coordinator = GroupCoordinator::new(config(), log.clone());
    // __consumer_offsets does not exist.
    assert_eq!(coordinator.partition_for("g"), None);
    assert_eq!(coordinator.join_group(join("g", "")).await.error, ErrorCode::CoordinatorNotAvailable);
    coordinator.set_partition_count(50);
    assert_eq!(coordinator.partition_for("a"), Some(PartitionIndex(47)));
    assert_eq!(coordinator.join_group(join("g", "")).await.error, ErrorCode::NotCoordinator);
    assert_eq!(coordinator.join_group(join("", "")).await.error, ErrorCode::InvalidGroupId);
    assert_eq!(coordinator.heartbeat(heartbeat("", "", 1)).await, ErrorCode::InvalidGroupId);
    assert_eq!(coordinator.sync_group(sync("", "", 1, &[])).await.error, ErrorCode::InvalidGroupId);
    // Led according to metadata, but not according to the log: serves nothing.
    coordinator.on_leader(PartitionIndex(7), FIRST);
    sleep(Duration::from_millis(10)).await;
    assert_eq!(coordinator.list_groups(ListGroupsFilter::default()).await, Ok(Vec::new()));
    coordinator.shutdown();
    assert_eq!(
        commit_error(&coordinator.offset_commit(commit("g", "", -1, 1)).await),
        ErrorCode::CoordinatorNotAvailable
    );
}

#[tokio::test]
async fn long_logs_are_read_in_chunks() {
    let log = MemoryLog::new(true);
    let first = start(&log).await;
    let long = "x".repeat(4096);
    for offset in 0..1_000 {
        let mut request = commit("g", "", -1, offset);
        request.topics[0].partitions[0].committed_metadata = Some(long.clone());
        assert_eq!(commit_error(&first.offset_commit(request).await), ErrorCode::None);
    }
    let before = log.reads(PARTITION);
    let second = start_in(&log, LeaderEpoch(4)).await;
    assert_eq!(fetched(&second.offset_fetch(fetch("g")).await), Ok(Some(999)));
    let reads = log.reads(PARTITION) - before;
    assert!((4..=6).contains(&reads), "4 MB in {reads} reads");
}

#[tokio::test]
async fn requests_of_many_groups_are_split_over_their_partitions() {
    let log = MemoryLog::new(true);
    let coordinator = GroupCoordinator::new(config(), log.clone());
    coordinator.set_partition_count(3);
    for partition in (0..3).map(PartitionIndex) {
        log.set_leader(partition, Some(FIRST));
        coordinator.on_leader(partition, FIRST);
    }
    loaded(&coordinator).await;
    let groups: Vec<String> = (0..9).map(|index| format!("group-{index}")).collect();
    for group in &groups {
        assert_eq!(commit_error(&coordinator.offset_commit(commit(group, "", -1, 1)).await), ErrorCode::None);
    }
    assert!((0..3).all(|partition| log.end(PartitionIndex(partition)) > Offset::ZERO));
    assert_eq!(coordinator.list_groups(ListGroupsFilter::default()).await.unwrap().len(), 9);
    // A newer epoch of one partition reloads that one alone; an old one is ignored.
    coordinator.on_leader(PartitionIndex(1), LeaderEpoch(1));
    assert_eq!(coordinator.committed_offsets().len(), 9);
    let deleted = coordinator.delete_groups(groups.iter().chain([&"none".to_owned()]).cloned().collect()).await;
    let errors: Vec<_> = deleted.iter().map(|group| group.error).collect();
    assert_eq!(errors[..9], [ErrorCode::None; 9]);
    assert_eq!((deleted[9].group_id.as_str(), errors[9]), ("none", ErrorCode::GroupIdNotFound));
    assert_eq!(coordinator.committed_offsets(), Vec::new());
}
