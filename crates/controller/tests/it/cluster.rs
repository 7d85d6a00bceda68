//! A metadata log without a quorum: what is decided is committed at once.

use highwater_controller::{
    BrokerSession, Command, CommandError, CommandResponse, ControllerConfig, CreateTopicsEntry, FenceBroker,
    RegisterBroker, UnfenceBroker, decide,
};
use highwater_metadata::{
    Endpoint, HostPort, MetadataDelta, MetadataImage, MetadataRecord, NodeSoftware, SecurityProtocol,
};
use highwater_types::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId, MetadataOffset, Timestamp};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::invariants::Invariants;
use crate::records_held::RecordsHeld;

/// The state of the cluster, its whole log, and the checks that follow each step.
pub struct TestCluster {
    pub image: MetadataImage,
    pub config: ControllerConfig,
    pub log: Vec<MetadataRecord>,
    pub rng: SmallRng,
    invariants: Invariants,
    records_held: RecordsHeld,
    /// Changes what was decided, as a controller with that defect would.
    pub defect: Option<Defect>,
}

/// A deliberate defect: the command, the image, and the decision to spoil.
pub type Defect = fn(&Command, &MetadataImage, &mut [MetadataRecord]);

impl TestCluster {
    /// Before bootstrap.
    pub fn new(seed: u64) -> Self {
        Self {
            image: MetadataImage::empty(),
            config: ControllerConfig::default(),
            log: Vec::new(),
            rng: SmallRng::seed_from_u64(seed),
            invariants: Invariants::default(),
            records_held: RecordsHeld::new(seed),
            defect: None,
        }
    }

    /// Decides, commits and checks. Returns the records with the answer.
    pub fn run(&mut self, command: &Command) -> (Vec<MetadataRecord>, Result<CommandResponse, CommandError>) {
        let again = self.rng.clone();
        let mut decision = decide(&self.image, &self.config, Timestamp(0), &mut self.rng, command);
        let repeated = decide(&self.image, &self.config, Timestamp(0), &mut again.clone(), command);
        assert_eq!(decision, repeated, "equal arguments give equal decisions");
        if decision.response.is_err() {
            assert!(decision.records.is_empty(), "a refused command changes nothing: {command:?}");
        }
        if let Some(defect) = self.defect {
            defect(command, &self.image, &mut decision.records);
        }
        let end = MetadataOffset(self.image.offset().get() + decision.records.len() as i64);
        let (next, delta) = self.image.apply(&decision.records, end);
        assert_covers(&delta, &next.delta_since(&self.image));
        self.invariants.check(&self.image, &next);
        self.records_held.check(command, &self.image, &next);
        self.log.extend(decision.records.iter().cloned());
        self.image = next;
        (decision.records, decision.response)
    }

    /// Runs a command that must be accepted.
    pub fn must(&mut self, command: &Command) -> CommandResponse {
        let (_, response) = self.run(command);
        response.unwrap_or_else(|error| panic!("{command:?} was refused: {error}"))
    }

    /// The session of a broker, as it is now.
    pub fn session(&self, id: i32) -> BrokerSession {
        BrokerSession { id: BrokerId(id), epoch: self.image.broker_epoch(BrokerId(id)) }
    }

    /// Registers and unfences a broker.
    pub fn start(&mut self, id: i32, rack: Option<&str>) {
        self.start_as(registration(id, rack, u128::from(self.log.len() as u64) + 1));
    }

    /// Registers and unfences a broker with those log directories, or its first ones.
    pub fn start_with(&mut self, id: i32, log_dirs: Option<Vec<DirectoryId>>) {
        let mut request = registration(id, None, u128::from(self.log.len() as u64) + 1);
        request.log_dirs = log_dirs.unwrap_or(request.log_dirs);
        self.start_as(request);
    }

    fn start_as(&mut self, request: RegisterBroker) {
        let id = request.id.get();
        self.must(&Command::RegisterBroker(request));
        self.must(&Command::UnfenceBroker(UnfenceBroker {
            session: self.session(id),
            metadata_offset: self.image.offset(),
        }));
    }

    /// Fences a broker.
    pub fn fence(&mut self, id: i32) {
        self.must(&Command::FenceBroker(FenceBroker { session: self.session(id), reason: "test".to_owned() }));
    }

    /// All records from the first on, replayed one by one, and a snapshot, give the same image (M2).
    pub fn check_replay(&self) {
        let mut replayed = MetadataImage::empty();
        for record in &self.log {
            let end = MetadataOffset(replayed.offset().get() + 1);
            replayed = replayed.apply(std::slice::from_ref(record), end).0;
        }
        assert_eq!(replayed, self.image);
        assert_eq!(replayed.hash(), self.image.hash());
        let loaded = MetadataImage::from_snapshot(&self.image.to_snapshot(), self.image.offset());
        assert_eq!(loaded, self.image);
        assert_eq!(loaded.hash(), self.image.hash());
    }
}

/// The delta of replay names everything that a comparison of the images finds.
fn assert_covers(delta: &MetadataDelta, found: &MetadataDelta) {
    assert_eq!((delta.from, delta.to), (found.from, found.to));
    assert!(delta.brokers.is_superset(&found.brokers));
    assert!(delta.controllers.is_superset(&found.controllers));
    assert!(delta.configs.is_superset(&found.configs), "{:?} {:?}", delta.configs, found.configs);
    assert_eq!(delta.created_topics, found.created_topics);
    assert_eq!(delta.deleted_topics.keys().collect::<Vec<_>>(), found.deleted_topics.keys().collect::<Vec<_>>());
    assert_eq!(delta.changed_partitions, found.changed_partitions);
    assert_eq!(delta.features, found.features);
    assert_eq!(delta.producer_ids, found.producer_ids);
}

/// A registration of broker `id` in the run `incarnation`.
pub fn registration(id: i32, rack: Option<&str>, incarnation: u128) -> RegisterBroker {
    let port = 9092 + u16::try_from(id.max(0)).unwrap();
    let listener = Endpoint {
        name: "PLAINTEXT".to_owned(),
        host: format!("n{id}"),
        port,
        security_protocol: SecurityProtocol::Plaintext,
    };
    RegisterBroker {
        id: BrokerId(id),
        incarnation: IncarnationId::from_bytes(incarnation.to_be_bytes()),
        cluster_id: Some("test".to_owned()),
        listeners: vec![listener],
        internal: HostPort { host: format!("n{id}"), port: port + 1000 },
        rack: rack.map(str::to_owned),
        log_dirs: vec![DirectoryId::from_bytes((0x1000 + u128::try_from(id.max(0)).unwrap()).to_be_bytes())],
        has_offline_log_dirs: false,
        clean_shutdown: true,
        previous_session_valid: false,
        software: NodeSoftware::of_this_build(),
    }
}

/// A topic to be placed by the controller.
pub fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreateTopicsEntry {
    CreateTopicsEntry {
        name: name.to_owned(),
        num_partitions,
        replication_factor,
        assignments: Vec::new(),
        configs: Vec::new(),
    }
}

/// An epoch that no registration has.
pub const WRONG_EPOCH: BrokerEpoch = BrokerEpoch(i64::MAX);
