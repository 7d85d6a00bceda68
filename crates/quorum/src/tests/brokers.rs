//! Sessions, leases and the metadata stream of brokers.

use highwater_controller::UnregisterBroker;
use highwater_env::{GrpcOptions, clock, grpc_channel};
use highwater_rpc::command::encode_command;
use highwater_rpc::pb::quorum as pb;
use highwater_rpc::pb::quorum::controller_client::ControllerClient as Rpc;
use highwater_rpc::pb::quorum::session_request::Event as Request;
use highwater_rpc::pb::quorum::session_response::Event as Answer;
use highwater_types::MonoMs;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::*;
use crate::{QuorumDescription, QuorumReplica};

impl Cluster {
    /// Waits until the active controller's image says so of the broker; how long it took.
    fn fenced(&self, id: i32, fenced: bool) -> Duration {
        let started = Instant::now();
        self.eventually(if fenced { "fenced" } else { "unfenced" }, || {
            let active = self.processes.values().find(|process| process.controller.is_active())?;
            let image = active.controller.image();
            let broker = image.broker(BrokerId(id))?;
            (broker.fenced == fenced).then_some(())
        });
        started.elapsed()
    }
}

#[test]
fn a_broker_registers_is_unfenced_and_follows_the_metadata() {
    let cluster = Cluster::started([1, 2, 3]);
    let broker = BrokerProcess::start(&cluster, 10, 1);
    broker.serving(&cluster);
    assert!(broker.link.lease_valid(clock::mono_ms()));
    let epoch = broker.link.broker_epoch();
    assert_eq!(broker.link.metadata().load().broker(BrokerId(10)).unwrap().epoch, epoch);
    let client = broker.link.controller_client();
    let (_, offset) = broker.runtime.block_on(client.submit_within(set_config(3), PATIENCE)).unwrap();
    broker.runtime.block_on(broker.link.metadata().reached(offset));
    let image = broker.link.metadata().load();
    assert_eq!(configured(&image), Some(3));
    assert_eq!(image.hash(), cluster.converged(offset).hash(), "M6");
    broker.published.assert_no_gap();
    broker.kill();
}

#[test]
fn any_node_can_describe_the_quorum() {
    let mut cluster = Cluster::started([1, 2, 3]);
    let broker = BrokerProcess::start(&cluster, 10, 1);
    broker.serving(&cluster);
    let client = broker.link.controller_client();
    let (_, offset) = broker.runtime.block_on(client.submit_within(set_config(3), PATIENCE)).unwrap();
    let active = cluster.active();
    let until = |what: &str, found: &dyn Fn(&QuorumDescription) -> bool| {
        let search = async {
            loop {
                let description = client.describe_quorum().await.unwrap();
                assert_eq!(description.leader, active);
                let ids = |replicas: &[QuorumReplica]| replicas.iter().map(|replica| replica.id.0).collect::<Vec<_>>();
                assert_eq!((ids(&description.voters), ids(&description.observers)), (vec![1, 2, 3], vec![10]));
                if found(&description) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let search = async { tokio::time::timeout(PATIENCE, search).await };
        broker.runtime.block_on(search).unwrap_or_else(|_| panic!("{what}"));
    };
    until("all have caught up", &|description| {
        let mut replicas = description.voters.iter().chain(&description.observers);
        let end = description.high_watermark;
        end >= offset && replicas.all(|replica| replica.log_end == Some(end) && replica.last_caught_up.is_some())
    });
    // A voter that is gone stays where it was, while the others go on.
    let dead = cluster.ids().into_iter().find(|id| *id != active).unwrap();
    cluster.kill(dead);
    let (_, offset) = broker.runtime.block_on(client.submit_within(set_config(4), PATIENCE)).unwrap();
    until("the dead voter lags", &|description| {
        let voter = description.voters.iter().find(|voter| voter.id == dead).unwrap();
        let lags = voter.log_end.is_some_and(|end| end < offset) && description.high_watermark >= offset;
        lags && voter.last_caught_up <= voter.last_heard
    });
    broker.kill();
}

#[test]
fn a_broker_process_that_dies_is_fenced_at_once() {
    let cluster = Cluster::started([1, 2, 3]);
    let broker = BrokerProcess::start(&cluster, 10, 1);
    broker.serving(&cluster);
    broker.kill();
    let took = cluster.fenced(10, true);
    println!("fenced {took:?} after its death");
    assert!(took < Duration::from_millis(900), "{took:?}, sessions last {SESSION:?}");
    // Started again, it is another run with a later epoch.
    let again = BrokerProcess::start(&cluster, 10, 2);
    again.serving(&cluster);
    again.kill();
}

#[test]
fn a_broker_that_dies_with_the_active_controller_is_fenced_at_once() {
    let mut cluster = Cluster::started([1, 2, 3]);
    let broker = BrokerProcess::start(&cluster, 10, 1);
    broker.serving(&cluster);
    // So that its registration has reached every controller.
    cluster.converged(broker.link.metadata().load().offset());
    cluster.kill(cluster.active());
    broker.kill();
    let took = cluster.fenced(10, true);
    println!("fenced {took:?} after its death, election included");
    assert!(took < SESSION, "{took:?}, sessions last {SESSION:?}");
}

#[test]
fn a_broker_that_hangs_loses_its_lease_before_it_is_fenced() {
    let cluster = Cluster::started([1, 2, 3]);
    let broker = BrokerProcess::start(&cluster, 10, 1);
    broker.serving(&cluster);
    let (end_hang, hang) = std::sync::mpsc::channel::<()>();
    // Its only thread does nothing any more; its sockets stay open.
    broker.runtime.spawn(async move { hang.recv() });
    let link = broker.link.clone();
    let active = cluster.active();
    let mut lapsed_before_fenced = false;
    cluster.eventually("fenced by silence", || {
        let image = cluster.controller(active).image();
        if image.broker(BrokerId(10)).unwrap().fenced {
            return Some(());
        }
        lapsed_before_fenced |= !link.lease_valid(clock::mono_ms());
        None
    });
    assert!(lapsed_before_fenced, "M9");
    end_hang.send(()).unwrap();
    cluster.fenced(10, false);
    cluster.eventually("a lease again", || broker.link.lease_valid(clock::mono_ms()).then_some(()));
    broker.kill();
}

/// A broker that says what the test wants of how far it has followed the metadata.
struct ScriptedBroker {
    requests: mpsc::Sender<pb::SessionRequest>,
    answers: Streaming<pb::SessionResponse>,
    heartbeats: u64,
}

impl ScriptedBroker {
    async fn register(controller: &str, id: i32) -> Self {
        let channel = grpc_channel(Net::Tcp, controller, GrpcOptions::default());
        let (requests, outgoing) = mpsc::channel(16);
        let mut this = Self {
            requests,
            answers: Rpc::new(channel).session(ReceiverStream::new(outgoing)).await.unwrap().into_inner(),
            heartbeats: 0,
        };
        let registration = encode_command(&Command::RegisterBroker(registration(id, 1, 1)));
        this.say(Request::Open(pb::OpenSession { registration, epoch: -1 })).await;
        assert!(matches!(this.hear().await, Answer::Registered(_)));
        this
    }

    async fn say(&mut self, event: Request) {
        self.requests.send(pb::SessionRequest { event: Some(event) }).await.unwrap();
    }

    async fn hear(&mut self) -> Answer {
        self.answers.message().await.unwrap().unwrap().event.unwrap()
    }

    /// Whether the controller takes it for fenced, and so says in its answer.
    async fn fenced(&mut self, follows: MetadataOffset) -> bool {
        self.heartbeats += 1;
        self.say(Request::Heartbeat(pb::Heartbeat { sequence: self.heartbeats, metadata_offset: follows.0 })).await;
        let Answer::Lease(lease) = self.hear().await else { panic!("no lease") };
        lease.fenced
    }

    /// Says so until it is unfenced, at most `times`.
    async fn is_unfenced(&mut self, follows: MetadataOffset, times: usize) -> bool {
        for _ in 0..times {
            if !self.fenced(follows).await {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }
}

#[test]
fn a_broker_that_was_fenced_is_unfenced_once_it_knows_that_it_was() {
    let cluster = Cluster::started([1, 2, 3]);
    let active = cluster.active();
    let image = || cluster.controller(active).image();
    let address = cluster.machines[&active].voter.endpoint.to_string();
    let mut broker = cluster.within_patience(ScriptedBroker::register(&address, 10));
    let registered = image().offset();
    assert!(cluster.within_patience(broker.is_unfenced(registered, 200)), "it knows its registration");
    // It hangs for as long as a session lasts, and sees nothing of what follows.
    cluster.fenced(10, true);
    assert!(!cluster.within_patience(broker.is_unfenced(registered, 20)), "it may take itself for a leader");
    assert!(cluster.within_patience(broker.is_unfenced(image().offset(), 200)));
}

#[test]
fn brokers_keep_their_leases_when_the_active_controller_changes() {
    let mut cluster = Cluster::started([1, 2, 3]);
    let brokers = [10, 11].map(|id| BrokerProcess::start(&cluster, id, 1));
    for broker in &brokers {
        broker.serving(&cluster);
    }
    let epochs = brokers.each_ref().map(|broker| broker.link.broker_epoch());
    cluster.sleep(Duration::from_millis(300));
    let active = cluster.active();
    cluster.kill(active);
    cluster.active();
    let client = cluster.client();
    cluster.submit(&client, set_config(1)).unwrap();
    let until = Instant::now() + SESSION + Duration::from_millis(500);
    while Instant::now() < until {
        for broker in &brokers {
            assert!(broker.link.lease_valid(clock::mono_ms()), "no gap in the lease");
        }
        cluster.sleep(Duration::from_millis(5));
    }
    assert_eq!(brokers.each_ref().map(|broker| broker.link.broker_epoch()), epochs, "no registration anew");
    for broker in brokers {
        broker.runtime.block_on(broker.link.metadata().reached(cluster.converged(MetadataOffset(8)).offset()));
        broker.published.assert_no_gap();
        broker.kill();
    }
}

#[test]
fn a_controlled_shutdown_is_answered_and_goodbye_fences() {
    let cluster = Cluster::started([1, 2, 3]);
    let broker = BrokerProcess::start(&cluster, 10, 1);
    broker.serving(&cluster);
    assert!(broker.runtime.block_on(broker.link.controlled_shutdown(PATIENCE)));
    let image = broker.link.metadata().load();
    assert!(image.broker(BrokerId(10)).unwrap().in_controlled_shutdown);
    broker.runtime.block_on(broker.link.stop());
    assert!(!broker.link.lease_valid(clock::mono_ms()));
    assert!(cluster.fenced(10, true) < Duration::from_millis(500));
    broker.kill();
}

#[test]
fn a_second_process_with_the_same_id_is_kept_out() {
    let cluster = Cluster::started([1]);
    let broker = BrokerProcess::start(&cluster, 10, 1);
    broker.serving(&cluster);
    let epoch = broker.link.broker_epoch();
    let second = BrokerProcess::start(&cluster, 10, 2);
    cluster.sleep(Duration::from_millis(600));
    assert_eq!(second.link.broker_epoch(), highwater_types::BrokerEpoch::NONE);
    assert!(broker.link.lease_valid(clock::mono_ms()));
    // Once the first one is gone, the second takes over.
    broker.kill();
    second.serving(&cluster);
    assert!(second.link.broker_epoch() > epoch, "M3");
    second.kill();
}

#[test]
fn a_second_process_elsewhere_waits_until_the_lease_of_the_first_has_lapsed() {
    let cluster = Cluster::started([1, 2, 3]);
    let first = BrokerProcess::start(&cluster, 10, 1);
    first.serving(&cluster);
    cluster.converged(first.link.metadata().load().offset());
    // It does nothing for a moment, and is not connected to the next active controller.
    let (end_hang, hang) = std::sync::mpsc::channel::<()>();
    first.runtime.spawn(async move { hang.recv() });
    let next = cluster.ids().into_iter().find(|&id| id != cluster.active()).unwrap();
    cluster.hand_over_to(next.0);
    let second = BrokerProcess::start_with(&cluster, |port| RegisterBroker {
        log_dirs: vec![DirectoryId::from_random(8000)],
        ..registration(10, 2, port)
    });
    cluster.eventually("the second process is registered", || {
        let leased = first.link.lease_valid(clock::mono_ms());
        let registered = second.link.broker_epoch() > first.link.broker_epoch();
        assert!(!(registered && leased), "M9");
        registered.then_some(())
    });
    end_hang.send(()).unwrap();
    second.kill();
    first.kill();
}

#[test]
fn a_broker_whose_registration_is_gone_has_no_lease() {
    let cluster = Cluster::started([1]);
    let broker = BrokerProcess::start(&cluster, 10, 2);
    broker.serving(&cluster);
    let address = cluster.machines[&BrokerId(1)].voter.endpoint.to_string();
    let epoch = broker.link.broker_epoch();
    // It hangs for a moment. Meanwhile an operator unregisters it, and another process takes its id.
    let (end_hang, hang) = std::sync::mpsc::channel::<()>();
    broker.runtime.spawn(async move { hang.recv() });
    let unregister = Command::UnregisterBroker(UnregisterBroker { id: BrokerId(10) });
    cluster.submit(&cluster.client(), unregister).unwrap();
    let mut other = cluster.within_patience(ScriptedBroker::register(&address, 10));
    cluster.runtime.spawn(async move {
        loop {
            other.fenced(MetadataOffset(0)).await;
            tokio::time::sleep(HEARTBEAT).await;
        }
    });
    end_hang.send(()).unwrap();
    // Taken away, by which it differs from one that has lapsed, and not for another registration of the same process.
    let void = || broker.link.lease_until() == MonoMs(0) && broker.link.broker_epoch() == epoch;
    cluster.eventually("the lease is void", || void().then_some(()));
    broker.kill();
}

#[test]
fn a_broker_of_another_cluster_is_refused_for_good() {
    let cluster = Cluster::started([1]);
    let runtime = new_runtime();
    let client = cluster.client();
    let refused = runtime.block_on(async {
        let stranger = RegisterBroker { cluster_id: Some("another".to_owned()), ..registration(10, 1, 9) };
        let link = BrokerLink::start(client, HEARTBEAT, stranger, Arc::new(Published::default()));
        tokio::time::timeout(PATIENCE, link.refused()).await.unwrap()
    });
    assert_eq!(refused.code, highwater_types::ErrorCode::InconsistentClusterId);
    runtime.shutdown_background();
}

#[test]
fn a_combined_node_follows_its_own_controller() {
    let cluster = Cluster::started([1, 2, 3]);
    let published = Arc::new(Published::default());
    let process = &cluster.processes[&BrokerId(1)];
    let link = process.runtime.block_on(async {
        let port = cluster.machines[&BrokerId(1)].voter.endpoint.port;
        let env = cluster.machines[&BrokerId(1)].env();
        let client = ControllerClient::new(&env, &cluster.voters(), Some(process.controller.clone()));
        BrokerLink::start(client, HEARTBEAT, registration(1, 1, port), published.clone())
    });
    cluster.within_patience(link.unfenced()).unwrap();
    let client = link.controller_client();
    let (_, offset) = process.runtime.block_on(client.submit_within(set_config(4), PATIENCE)).unwrap();
    cluster.runtime.block_on(link.metadata().reached(offset));
    assert_eq!(configured(&link.metadata().load()), Some(4));
    published.assert_no_gap();
}
