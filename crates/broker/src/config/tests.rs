use super::*;

/// A configuration from the text of a file.
fn resolve(file: &str) -> Result<BrokerConfig, ConfigError> {
    let mut properties = Properties::default();
    properties.add_file(file.as_bytes()).unwrap();
    BrokerConfig::resolve(properties, "this-machine")
}

/// What matters of a configuration, in one line.
fn summary(file: &str) -> String {
    let config = match resolve(file) {
        Ok(config) => config,
        Err(error) => return format!("ERROR {}", error.problems.join(" | ")),
    };
    let show = |parts: Vec<String>| parts.join(" ");
    format!(
        "node {} {}{} voters [{}] listen [{}] told [{}] internal {} as {} http {} data [{}] metadata {}",
        config.node_id.0,
        if config.roles.broker { "b" } else { "" },
        if config.roles.controller { "c" } else { "" },
        show(config.voters.iter().map(Voter::to_string).collect()),
        show(config.listeners.iter().map(ListenerAddress::to_string).collect()),
        show(config.advertised.iter().map(|one| format!("{}={}:{}", one.name, one.host, one.port)).collect()),
        config.internal_bind,
        config.internal_advertised,
        config.http.map_or("off".to_owned(), |http| http.to_string()),
        show(config.log_dirs.iter().map(|directory| directory.display().to_string()).collect()),
        config.metadata_dir.display(),
    )
}

#[test]
fn nodes_resolve() {
    let cases = [
        (
            "",
            "node 1 bc voters [1@127.0.0.1:9093] listen [PLAINTEXT://127.0.0.1:9092] told [PLAINTEXT=127.0.0.1:9092] \
             internal 127.0.0.1:9093 as 127.0.0.1:9093 http 127.0.0.1:9094 data [data] metadata data/metadata",
        ),
        (
            // Another address for a single node, nothing else.
            "listeners=PLAINTEXT://0.0.0.0:7000\nlog.dirs=/a, /b\nhighwater.http.listener=none",
            "node 1 bc voters [1@localhost:7001] listen [PLAINTEXT://0.0.0.0:7000] told [PLAINTEXT=this-machine:7000] \
             internal 0.0.0.0:7001 as localhost:7001 http off data [/a /b] metadata /a/metadata",
        ),
        (
            // A broker that is no controller.
            "process.roles=broker\nnode.id=4\ncontroller.quorum.voters=2@b:1,1@a:1\nlisteners=PLAINTEXT://:9092\n\
             advertised.listeners=PLAINTEXT://four:9192\ncontroller.listener.names=CONTROLLER",
            "node 4 b voters [1@a:1 2@b:1] listen [PLAINTEXT://:9092] told [PLAINTEXT=four:9192] \
             internal :9093 as four:9093 http :9094 data [data] metadata data/metadata",
        ),
        (
            "process.roles=controller\nnode.id=1\ncontroller.quorum.voters=1@[::1]:9093\nlisteners=CTL://[::1]:9093\n\
             controller.listener.names=ctl\nlistener.security.protocol.map=CTL:PLAINTEXT\nmetadata.log.dir=/m",
            "node 1 c voters [1@[::1]:9093] listen [] told [] internal [::1]:9093 as [::1]:9093 http [::1]:9095 \
             data [data] metadata /m/metadata",
        ),
        (
            // A controller that joins the quorum of others.
            "process.roles=controller\nnode.id=4\ncontroller.quorum.voters=1@a:1\nlisteners=CONTROLLER://:9093",
            "node 4 c voters [1@a:1] listen [] told [] internal :9093 as this-machine:9093 http :9095 data [data] metadata \
             data/metadata",
        ),
        (
            "process.roles=broker\nnode.id=2\ncontroller.quorum.voters=1@a:1\nlisteners=EXT://:1,IN://10.0.0.1:2\n\
             listener.security.protocol.map=EXT:PLAINTEXT,IN:PLAINTEXT\nadvertised.listeners=EXT://public:31000\n\
             highwater.internal.listener=10.0.0.1:9999\nhighwater.http.listener=:8080",
            "node 2 b voters [1@a:1] listen [EXT://:1 IN://10.0.0.1:2] told [EXT=public:31000 IN=10.0.0.1:2] \
             internal 10.0.0.1:9999 as 10.0.0.1:9999 http :8080 data [data] metadata data/metadata",
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(summary(file), expected, "{file}");
    }
}

#[test]
fn problems_are_named_all_at_once() {
    let cases = [
        ("node.id=x", "Invalid value x for configuration node.id: Not a number of type INT"),
        ("process.roles=boss", "process.roles"),
        ("controller.quorum.voters=1@a:1", "node.id is not set"),
        ("node.id=1\ncontroller.quorum.voters=1@a", "\"1@a\" is not of the form id@host:port"),
        ("node.id=1\ncontroller.quorum.voters=1@a:1,1@b:1", "node 1 is listed twice"),
        ("node.id=1\ncontroller.quorum.voters=1@a:1,2@a:1", "a:1 is listed twice"),
        (
            "node.id=1\ncontroller.quorum.voters=1@a:1\nlisteners=PLAINTEXT://:1",
            "none of controller.listener.names (CONTROLLER)",
        ),
        ("controller.quorum.bootstrap.servers=a:9093,b:9093", "list all controllers in controller.quorum.voters"),
        ("process.roles=broker\nnode.id=2", "controller.quorum.voters is not set"),
        ("process.roles=broker\nnode.id=1\ncontroller.quorum.voters=1@a:1", "but not a controller"),
        (
            "process.roles=controller\nlisteners=PLAINTEXT://:1,CONTROLLER://:2",
            "only a controller, but listeners has PLAINTEXT",
        ),
        (
            "process.roles=broker\ncontroller.quorum.voters=1@a:1\nnode.id=2\nlisteners=P://:1",
            "listener P has no security protocol",
        ),
        ("listeners=nonsense", "\"nonsense\" is not of the form NAME://host:port"),
        ("listeners=A://:1,a://:2\nlistener.security.protocol.map=A:PLAINTEXT", "A is used twice"),
        ("listeners=PLAINTEXT://:1,CONTROLLER://:1", "PLAINTEXT and CONTROLLER have the same address"),
        ("listeners=SSL://:1", "listener SSL asks for SSL, which this version does not speak"),
        ("listeners=SASL_PLAINTEXT://:1", "asks for SASL_PLAINTEXT"),
        (
            "node.id=1\ncontroller.quorum.voters=1@a:2\nlisteners=PLAINTEXT://:1,CONTROLLER://:2\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:SASL_SSL",
            "listener CONTROLLER asks for SASL_SSL",
        ),
        ("listener.security.protocol.map=A", "not of the form LISTENER:PROTOCOL"),
        ("advertised.listeners=OTHER://a:1", "advertised.listeners has OTHER, which is not in listeners"),
        ("advertised.listeners=PLAINTEXT://0.0.0.0:1", "nobody can connect to PLAINTEXT://0.0.0.0:1"),
        ("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "there is no authorizer yet"),
        ("security.inter.broker.protocol=SSL", "nodes talk to each other unencrypted"),
        ("config.providers=file", "would not be replaced"),
        ("zookeeper.connect=a:2181", "no ZooKeeper mode"),
        ("highwater.durability=relaxed\nlog.flush.interval.messages=1", "log.flush.interval.messages has no effect"),
        ("highwater.http.listener=9094", "\"9094\" is not of the form host:port"),
        ("log.dirs=,", "log.dirs names no directory"),
        ("log.dirs=/a,/a", "log.dirs lists /a twice"),
        ("node.id=1\nbroker.id=2", "differ: remove broker.id"),
        (
            "replica.selector.class=com.example.NearestReplica",
            "String must be one of: org.apache.kafka.common.replica.LeaderSelector, \
             org.apache.kafka.common.replica.RackAwareReplicaSelector",
        ),
    ];
    for (file, expected) in cases {
        let error = resolve(file).expect_err(file).to_string();
        assert!(error.contains(expected), "{file}\ngave {error}");
    }
    let both = resolve("authorizer.class.name=A\nlisteners=SSL://:1").unwrap_err();
    assert_eq!(both.problems.len(), 2, "{both}");
}

#[test]
fn what_changes_nothing_is_a_warning() {
    let warnings = |file: &str| resolve(file).unwrap().warnings.join("|");
    assert_eq!(warnings("log.dirz=/a"), "unknown property log.dirz, ignored");
    assert_eq!(
        warnings("transaction.state.log.min.isr=1"),
        "property transaction.state.log.min.isr is not honoured by this version, ignored"
    );
    assert_eq!(warnings("num.io.threads=8\nnum.network.threads=3\nlog.cleaner.enable=true\nlog.retention.hours=1"), "");
    assert_eq!(warnings("sasl.enabled.mechanisms=PLAIN").matches("not honoured").count(), 1);
    assert_eq!(warnings("highwater.durability=relaxed\nhighwater.http.listener=:1"), "");
}

#[test]
fn later_sources_win_and_variables_name_properties() {
    let mut properties = Properties::default();
    properties.add_file(b"# a comment\nlog.dirs = /file\nnum.partitions: 3\nbroker.rack=\\u0061 \n").unwrap();
    let variables = [
        ("HIGHWATER_LOG_DIRS", "/variable"),
        ("HIGHWATER_DURABILITY", "relaxed"),
        ("HIGHWATER_HIGHWATER_HTTP_LISTENER", ":1"),
        ("HIGHWATER_LOG_FORMAT", "json"),
        ("HIGHWATER_BOOTSTRAP", "a:1"),
        ("HIGHWATER_NO_SUCH_KEY", "x"),
        ("PATH", "/bin"),
    ];
    properties.add_environment(variables.map(|(key, value)| (key.to_owned(), value.to_owned())));
    properties.add_assignments(&["num.partitions=4".to_owned(), "a = b=c".to_owned()]).unwrap();
    let expected = [
        ("a", "b=c"),
        ("broker.rack", "a"),
        ("highwater.durability", "relaxed"),
        ("highwater.http.listener", ":1"),
        ("log.dirs", "/variable"),
        ("no.such.key", "x"),
        ("num.partitions", "4"),
    ];
    assert_eq!(properties.iter().collect::<Vec<_>>(), expected);
    for wrong in ["a", "=b"] {
        assert!(properties.add_assignments(&[wrong.to_owned()]).is_err());
    }
    assert!(properties.add_file(b"a=\\u00").is_err());
}

#[test]
fn values_come_from_the_file_or_the_table() {
    let config = resolve("num.partitions=7\nbroker.rack=\nauto.create.topics.enable=FALSE").unwrap();
    assert_eq!(config.number("num.partitions"), 7);
    assert_eq!(config.number("default.replication.factor"), 1);
    assert_eq!(config.milliseconds("broker.session.timeout.ms"), std::time::Duration::from_secs(9));
    assert!(!config.flag("auto.create.topics.enable") && config.flag("delete.topic.enable"));
    assert_eq!((config.value("broker.rack"), config.rack.as_deref()), (None, None));
    assert_eq!(config.static_config.node_id(), config.node_id);
}

/// Node `index` of three combined nodes, with the keys that scripts for Apache Kafka commonly write.
fn combined_mode_file(index: u16) -> String {
    let (port, id) = (19092 + index * 100, index + 1);
    format!(
        "process.roles=broker,controller\nnode.id={id}\n\
         controller.quorum.voters=1@127.0.0.1:19093,2@127.0.0.1:19193,3@127.0.0.1:19293\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=PLAINTEXT\nlog.dirs=/tmp/node{id}/data\nbroker.rack=RACK{id}\nnum.partitions=4\n\
         default.replication.factor=3\nmin.insync.replicas=2\noffsets.topic.replication.factor=3\n\
         transaction.state.log.replication.factor=3\ntransaction.state.log.min.isr=2\n\
         share.coordinator.state.topic.replication.factor=3\nshare.coordinator.state.topic.min.isr=2\n\
         group.initial.rebalance.delay.ms=0\n",
        port + 1
    )
}

#[test]
fn a_combined_mode_kafka_file_works_unmodified() {
    for index in 0..3 {
        let config = resolve(&combined_mode_file(index)).unwrap();
        assert_eq!(config.internal_advertised, config.voters[usize::from(index)].endpoint);
        assert_eq!(config.http.as_ref().unwrap().port, 19094 + index * 100);
        assert_eq!(config.number("min.insync.replicas"), 2);
        assert_eq!(config.rack.as_deref(), Some(format!("RACK{}", index + 1).as_str()));
        // Transactions and share groups do not exist yet: their settings are said to do nothing.
        let named = |warning: &String| warning.contains("transaction.state") || warning.contains("share.coordinator");
        assert!(config.warnings.iter().all(named), "{:?}", config.warnings);
    }
}

/// The values of the file that Apache Kafka 4 ships as `config/server.properties`.
#[test]
fn kafkas_own_example_file_works_unmodified() {
    let file = "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=localhost:9093\n\
        listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n\
        advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\ncontroller.listener.names=CONTROLLER\n\
        listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\n\
        num.network.threads=3\nnum.io.threads=8\nsocket.send.buffer.bytes=102400\nsocket.receive.buffer.bytes=102400\n\
        socket.request.max.bytes=104857600\nlog.dirs=/tmp/kraft-combined-logs\nnum.partitions=1\n\
        num.recovery.threads.per.data.dir=2\noffsets.topic.replication.factor=1\n\
        share.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min.isr=1\n\
        transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\nlog.retention.hours=168\n\
        log.segment.bytes=1073741824\nlog.retention.check.interval.ms=300000\n";
    assert_eq!(
        summary(file),
        "node 1 bc voters [1@localhost:9093] listen [PLAINTEXT://:9092] told [PLAINTEXT=localhost:9092] \
         internal :9093 as localhost:9093 http :9094 data [/tmp/kraft-combined-logs] metadata /tmp/kraft-combined-logs/metadata"
    );
    assert!(
        resolve(file)
            .unwrap()
            .warnings
            .iter()
            .all(|warning| warning.contains("transaction") || warning.contains("share"))
    );
}
