//! A classic consumer group on the wire: its members, each with a connection of its own, because a broker holds back the
//! answer to JoinGroup and with it all that follows on that connection.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use futures::future::try_join_all;
use highwater_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use highwater_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use highwater_protocol::messages::{
    FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, SyncGroupRequest,
};
use highwater_protocol::{KafkaRequest, StrBytes, decode_response, encode_request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Versions that both systems serve.
const FIND_COORDINATOR_VERSION: i16 = 3;
const JOIN_GROUP_VERSION: i16 = 5;
const SYNC_GROUP_VERSION: i16 = 3;
const HEARTBEAT_VERSION: i16 = 3;

const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const NOT_COORDINATOR: i16 = 16;
const MEMBER_ID_REQUIRED: i16 = 79;

/// Longer than all groups take to form: a group sends no heartbeat while others do.
const SESSION_TIMEOUT_MS: i32 = 600_000;
const REBALANCE_TIMEOUT_MS: i32 = 60_000;
/// Bytes of a member's assignment: a handful of partitions.
const ASSIGNMENT: &[u8] = &[0; 100];
/// Longest wait for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);
/// How often a coordinator is asked for that is not ready yet, and the pause between.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(200);

/// A group and all its members.
pub struct Group {
    members: Vec<Member>,
    /// Rebalances so far: part of the members' metadata, since only a change of it makes members join again.
    round: u32,
}

impl Group {
    /// Connects the members to the group's coordinator, and lets them join for the first time.
    pub async fn form(bootstrap: &str, name: &str, members: usize) -> Result<Self> {
        let coordinator = find_coordinator(bootstrap, name).await?;
        let connecting = (0..members).map(|_| Member::connect(&coordinator, name));
        let mut group = Self { members: try_join_all(connecting).await?, round: 0 };
        try_join_all(group.members.iter_mut().map(Member::introduce)).await?;
        group.rebalance().await?;
        Ok(group)
    }

    /// All members join with changed metadata, and get new assignments.
    pub async fn rebalance(&mut self) -> Result<()> {
        self.round += 1;
        let round = self.round;
        try_join_all(self.members.iter_mut().map(|member| member.join_and_sync(round))).await?;
        Ok(())
    }

    /// One heartbeat of each member. Fails if one of them is not a member any more.
    pub async fn heartbeat(&mut self) -> Result<()> {
        try_join_all(self.members.iter_mut().map(Member::heartbeat)).await?;
        Ok(())
    }
}

async fn find_coordinator(bootstrap: &str, group: &str) -> Result<String> {
    let request = FindCoordinatorRequest::default().with_key(StrBytes::from_string(group.to_owned()));
    let mut wire = Wire::connect(bootstrap).await?;
    for _ in 0..ATTEMPTS {
        let response = wire.call(FIND_COORDINATOR_VERSION, &request).await?;
        match response.error_code {
            0 => return Ok(format!("{}:{}", response.host, response.port)),
            COORDINATOR_NOT_AVAILABLE => tokio::time::sleep(PAUSE).await,
            code => bail!("FindCoordinator: error {code}"),
        }
    }
    bail!("no coordinator for {group}")
}

/// One member and its connection.
struct Member {
    wire: Wire,
    group: GroupId,
    id: StrBytes,
    generation: i32,
}

impl Member {
    async fn connect(coordinator: &str, group: &str) -> Result<Self> {
        let group = GroupId(StrBytes::from_string(group.to_owned()));
        Ok(Self { wire: Wire::connect(coordinator).await?, group, id: StrBytes::default(), generation: -1 })
    }

    /// Gets a member id (KIP-394).
    async fn introduce(&mut self) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let response = self.join(0).await?;
            match response.error_code {
                MEMBER_ID_REQUIRED => {
                    self.id = response.member_id;
                    return Ok(());
                }
                COORDINATOR_LOAD_IN_PROGRESS | COORDINATOR_NOT_AVAILABLE | NOT_COORDINATOR => {
                    tokio::time::sleep(PAUSE).await;
                }
                code => bail!("the first JoinGroup: error {code}"),
            }
        }
        bail!("the coordinator does not become ready")
    }

    async fn join(&mut self, round: u32) -> Result<JoinGroupResponse> {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str("range"))
            .with_metadata(Bytes::copy_from_slice(&round.to_be_bytes()));
        let request = JoinGroupRequest::default()
            .with_group_id(self.group.clone())
            .with_session_timeout_ms(SESSION_TIMEOUT_MS)
            .with_rebalance_timeout_ms(REBALANCE_TIMEOUT_MS)
            .with_member_id(self.id.clone())
            .with_protocol_type(StrBytes::from_static_str("consumer"))
            .with_protocols(vec![protocol]);
        self.wire.call(JOIN_GROUP_VERSION, &request).await
    }

    async fn join_and_sync(&mut self, round: u32) -> Result<()> {
        let joined = self.join(round).await?;
        ensure!(joined.error_code == 0, "JoinGroup: error {}", joined.error_code);
        self.generation = joined.generation_id;
        let assigned = |id: &StrBytes| {
            SyncGroupRequestAssignment::default()
                .with_member_id(id.clone())
                .with_assignment(Bytes::from_static(ASSIGNMENT))
        };
        // Only the leader is told of members.
        let assignments = joined.members.iter().map(|member| assigned(&member.member_id)).collect();
        let request = SyncGroupRequest::default()
            .with_group_id(self.group.clone())
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone())
            .with_assignments(assignments);
        let synced = self.wire.call(SYNC_GROUP_VERSION, &request).await?;
        ensure!(synced.error_code == 0, "SyncGroup: error {}", synced.error_code);
        ensure!(synced.assignment.len() == ASSIGNMENT.len(), "an assignment of {} bytes", synced.assignment.len());
        Ok(())
    }

    async fn heartbeat(&mut self) -> Result<()> {
        let request = HeartbeatRequest::default()
            .with_group_id(self.group.clone())
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone());
        let response = self.wire.call(HEARTBEAT_VERSION, &request).await?;
        ensure!(response.error_code == 0, "Heartbeat: error {}", response.error_code);
        Ok(())
    }
}

/// A connection for one request at a time.
struct Wire {
    stream: TcpStream,
    correlation_id: i32,
}

impl Wire {
    async fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, correlation_id: 0 })
    }

    async fn call<R: KafkaRequest>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        self.correlation_id += 1;
        let frame = encode_request(version, self.correlation_id, Some("bench"), request)?;
        let exchange = async {
            self.stream.write_all(&frame).await?;
            let length = usize::try_from(self.stream.read_i32().await?)?;
            let mut answer = BytesMut::zeroed(length);
            self.stream.read_exact(&mut answer).await?;
            anyhow::Ok(answer.freeze())
        };
        let answer = timeout(ANSWER_WITHIN, exchange).await.context("no answer in time")??;
        let (correlation_id, response) = decode_response::<R>(version, answer)?;
        ensure!(correlation_id == self.correlation_id, "answers out of order");
        Ok(response)
    }
}
