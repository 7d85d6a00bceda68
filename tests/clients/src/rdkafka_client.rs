//! librdkafka of today through the `rdkafka` crate: idempotent producer, admin calls, group consumers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use highwater_test_cluster::Cluster;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;

use crate::{Context, Test, check};

const PATIENCE: Duration = Duration::from_secs(20);

pub fn tests() -> Vec<Test> {
    vec![
        Test {
            name: "rdkafka-idempotent",
            proves: "an idempotent producer's records come back once, in order for each key",
            run: |context| tokio::runtime::Runtime::new()?.block_on(idempotent(context)),
        },
        Test {
            name: "rdkafka-admin",
            proves: "topics are created, described, enlarged and deleted; refusals carry Kafka's codes",
            run: |context| tokio::runtime::Runtime::new()?.block_on(admin(context)),
        },
        Test {
            name: "rdkafka-follower",
            proves: "a consumer with client.rack reads from the follower in its rack, and from others once that is gone",
            run: follower,
        },
        Test {
            name: "rdkafka-transactions-refused",
            proves: "a transactional producer is refused with an error instead of losing atomicity silently",
            run: transactions_refused,
        },
    ]
}

fn config(context: &Context) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &context.bootstrap);
    config
}

fn admin_client(context: &Context) -> Result<AdminClient<DefaultClientContext>> {
    Ok(config(context).create()?)
}

async fn idempotent(context: &Context) -> Result<()> {
    let topic = "rdkafka-idempotent";
    let admin = admin_client(context)?;
    admin.create_topics(&[NewTopic::new(topic, 6, TopicReplication::Fixed(3))], &AdminOptions::new()).await?;
    let producer: FutureProducer =
        config(context).set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "2").create()?;
    let mut pending = Vec::new();
    for number in 0..20_000_u32 {
        let (key, value) = (format!("key-{}", number % 50), number.to_string());
        let record = FutureRecord::to(topic).key(&key).payload(&value);
        pending.push(producer.send_result(record).map_err(|(error, _)| error)?);
    }
    for delivery in pending {
        delivery.await?.map_err(|(error, _)| error)?;
    }
    let consumer: BaseConsumer =
        config(context).set("group.id", "rdkafka-idempotent-readers").set("auto.offset.reset", "earliest").create()?;
    consumer.subscribe(&[topic])?;
    let mut last: BTreeMap<String, u32> = BTreeMap::new();
    for count in 0..20_000 {
        let message = next_message(&consumer).with_context(|| format!("after {count} records"))?;
        let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
        let number: u32 = std::str::from_utf8(message.payload().unwrap_or_default())?.parse()?;
        if let Some(before) = last.insert(key.clone(), number) {
            check(before < number, || format!("{key}: {number} after {before}"))?;
        }
    }
    check(consumer.poll(Duration::from_millis(500)).is_none(), || "a record was read twice".to_owned())
}

/// A cluster of its own, because each node needs a rack.
fn follower(context: &Context) -> Result<()> {
    const TOPIC: &str = "rdkafka-follower";
    const RECORDS: usize = 2000;
    let selector = ("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector");
    let mut cluster = Cluster::start(&context.binary, 3, &[("broker.rack", "rack-{id}"), selector])?;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap());
    let runtime = tokio::runtime::Runtime::new()?;
    let produce = |count: usize| -> Result<()> {
        let producer: FutureProducer = config.clone().set("acks", "all").set("linger.ms", "2").create()?;
        let mut sent = Vec::new();
        for _ in 0..count {
            let record = FutureRecord::<(), _>::to(TOPIC).payload("follow");
            sent.push(producer.send_result(record).map_err(|(error, _)| error)?);
        }
        runtime.block_on(async {
            for delivery in sent {
                delivery.await?.map_err(|(error, _)| error)?;
            }
            Ok(())
        })
    };
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(3));
    runtime.block_on(admin.create_topics([&topic], &AdminOptions::new()))?;
    produce(RECORDS)?;
    let metadata = admin.inner().fetch_metadata(Some(TOPIC), PATIENCE)?;
    let leader = metadata.topics()[0].partitions()[0].leader();
    let nearest = (1..=3).find(|id| *id != leader).context("three nodes")?;

    let consumer: BaseConsumer = config
        .clone()
        .set("group.id", "rdkafka-follower-readers")
        .set("auto.offset.reset", "earliest")
        .set("client.rack", format!("rack-{nearest}"))
        .create()?;
    consumer.subscribe(&[TOPIC])?;
    for count in 0..RECORDS {
        next_message(&consumer).with_context(|| format!("after {count} records"))?;
    }
    let series = format!("kafka_server_brokertopicmetrics_bytesout_total{{topic=\"{TOPIC}\"}}");
    let read_from = |cluster: &mut Cluster, id: i32| cluster.node(id as usize).metric(&series);
    let (here, there) = (read_from(&mut cluster, nearest)?, read_from(&mut cluster, leader)?);
    check(here > Some(0.0) && there.unwrap_or(0.0) == 0.0, || {
        format!("{here:?} bytes of the follower, {there:?} of the leader")
    })?;

    cluster.node(nearest as usize).kill();
    produce(RECORDS)?;
    for count in 0..RECORDS {
        next_message(&consumer).with_context(|| format!("after {count} records without the follower"))?;
    }
    Ok(())
}

/// The next record; a poll may also return for events of the client's own.
fn next_message(consumer: &BaseConsumer) -> Result<BorrowedMessage<'_>> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(500)) {
            // librdkafka tells of connections that it makes again by itself.
            Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::BrokerTransportFailure) => {}
            Some(message) => return Ok(message?),
            None => {}
        }
    }
    bail!("nothing within {PATIENCE:?}")
}

async fn admin(context: &Context) -> Result<()> {
    let admin = admin_client(context)?;
    let options = AdminOptions::new();
    let topic = NewTopic::new("rdkafka-admin", 3, TopicReplication::Fixed(3)).set("retention.ms", "3600000");
    let created = admin.create_topics([&topic], &options).await?;
    check(matches!(created.as_slice(), [Ok(_)]), || format!("create: {created:?}"))?;
    let again = admin.create_topics([&topic], &options).await?;
    check(format!("{again:?}").contains("TopicAlreadyExists"), || format!("create again: {again:?}"))?;
    let wide = NewTopic::new("rdkafka-wide", 1, TopicReplication::Fixed(7));
    let refused = admin.create_topics([&wide], &options).await?;
    check(format!("{refused:?}").contains("InvalidReplicationFactor"), || format!("7 replicas: {refused:?}"))?;
    let described = admin.describe_configs(&[ResourceSpecifier::Topic("rdkafka-admin")], &options).await?;
    let Some(Ok(resource)) = described.first() else { bail!("describe: {described:?}") };
    let retention = resource.entry_map().get("retention.ms").and_then(|entry| entry.value.clone());
    check(retention.as_deref() == Some("3600000"), || format!("retention.ms is {retention:?}"))?;
    let enlarged = admin.create_partitions(&[NewPartitions::new("rdkafka-admin", 5)], &options).await?;
    check(matches!(enlarged.as_slice(), [Ok(_)]), || format!("enlarge: {enlarged:?}"))?;
    let deleted = admin.delete_topics(&["rdkafka-admin"], &options).await?;
    check(matches!(deleted.as_slice(), [Ok(_)]), || format!("delete: {deleted:?}"))
}

fn transactions_refused(context: &Context) -> Result<()> {
    use rdkafka::producer::{BaseProducer, Producer as _};
    let producer: BaseProducer = config(context).set("transactional.id", "refused").create()?;
    let outcome = producer.init_transactions(Duration::from_secs(5));
    check(outcome.is_err(), || "init_transactions succeeded".to_owned())
}
