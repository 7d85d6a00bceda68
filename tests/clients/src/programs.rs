//! Clients in other languages: each program under `programs/` checks by itself and exits non-zero with the reason.

use std::process::Command;

use anyhow::Result;
use highwater_test_cluster::kafka_class_path;

use crate::{Context, Test, check, install, output_of};

pub fn tests() -> Vec<Test> {
    vec![
        Test {
            name: "confluent-kafka",
            proves: "Python over librdkafka: admin, all topics, idempotent producer, two group members, commits kept, a pattern",
            run: |context| python(context, "confluent.py"),
        },
        Test {
            name: "kafka-python",
            proves: "a pure Python client: admin, producer, group, seek, offsets for times",
            run: |context| python(context, "kafka_python.py"),
        },
        Test {
            name: "kafkajs",
            proves: "Node.js: admin, producer with gzip, group consumer, lag",
            run: |context| {
                let directory = install::node()?;
                let mut node = Command::new("node");
                node.arg("kafkajs.js").arg(&context.bootstrap).current_dir(directory);
                output_of(&mut node).map(drop)
            },
        },
        Test {
            name: "franz-go",
            proves: "Go: idempotent producer, cooperative group, admin",
            run: |context| output_of(Command::new(install::go()?).arg(&context.bootstrap)).map(drop),
        },
        Test {
            name: "java-performance-tools",
            proves: "Kafka's own producer and consumer performance tools move 200,000 records",
            run: java_performance,
        },
        Test {
            name: "java-verifiable",
            proves: "Kafka's VerifiableProducer and VerifiableConsumer agree on 20,000 records",
            run: java_verifiable,
        },
        Test {
            name: "java-topic-command",
            proves: "Kafka's TopicCommand creates, describes, alters and deletes a topic",
            run: java_topics,
        },
    ]
}

fn python(context: &Context, program: &str) -> Result<()> {
    let mut command = Command::new(install::python()?);
    command.arg(install::programs().join("python").join(program)).arg(&context.bootstrap);
    output_of(&mut command).map(drop)
}

/// A class of Kafka's, with its arguments.
pub fn java(class: &str, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new("timeout");
    command.args(["120", "java", "-Xmx256M", "-cp", &kafka_class_path()?, class]).args(arguments);
    Ok(command)
}

fn java_topics(context: &Context) -> Result<()> {
    let topic_command = "org.apache.kafka.tools.TopicCommand";
    let run = |arguments: &[&str]| -> Result<String> {
        let mut all = vec!["--bootstrap-server", context.bootstrap.as_str()];
        all.extend_from_slice(arguments);
        output_of(&mut java(topic_command, &all)?)
    };
    run(&[
        "--create",
        "--topic",
        "java-topic",
        "--partitions",
        "3",
        "--replication-factor",
        "3",
        "--config",
        "segment.bytes=2097152",
    ])?;
    let described = run(&["--describe", "--topic", "java-topic"])?;
    check(described.contains("PartitionCount: 3"), || described.clone())?;
    check(described.contains("ReplicationFactor: 3"), || described.clone())?;
    check(described.contains("segment.bytes=2097152"), || described.clone())?;
    run(&["--alter", "--topic", "java-topic", "--partitions", "4"])?;
    let enlarged = run(&["--describe", "--topic", "java-topic"])?;
    check(enlarged.contains("PartitionCount: 4"), || enlarged.clone())?;
    check(run(&["--list"])?.lines().any(|line| line == "java-topic"), || "not listed".to_owned())?;
    run(&["--delete", "--topic", "java-topic"])?;
    check(!run(&["--list"])?.lines().any(|line| line == "java-topic"), || "still listed".to_owned())
}

fn java_performance(context: &Context) -> Result<()> {
    let produced = output_of(&mut java(
        "org.apache.kafka.tools.ProducerPerformance",
        &[
            "--topic",
            "java-performance",
            "--num-records",
            "200000",
            "--record-size",
            "200",
            "--throughput",
            "-1",
            "--producer-props",
            &format!("bootstrap.servers={}", context.bootstrap),
            "acks=all",
        ],
    )?)?;
    check(produced.contains("200000 records sent"), || produced.clone())?;
    let consumed = output_of(&mut java(
        "org.apache.kafka.tools.ConsumerPerformance",
        &[
            "--bootstrap-server",
            &context.bootstrap,
            "--topic",
            "java-performance",
            "--messages",
            "200000",
            "--timeout",
            "30000",
        ],
    )?)?;
    let row = consumed.lines().find(|line| line.starts_with("20")).unwrap_or_default().to_owned();
    let count = row.split(',').nth(4).and_then(|field| field.trim().parse::<u64>().ok());
    check(count.is_some_and(|count| count >= 200_000), || consumed.clone())
}

fn java_verifiable(context: &Context) -> Result<()> {
    let produced = output_of(&mut java(
        "org.apache.kafka.tools.VerifiableProducer",
        &[
            "--bootstrap-server",
            &context.bootstrap,
            "--topic",
            "java-verifiable",
            "--max-messages",
            "20000",
            "--acks",
            "-1",
        ],
    )?)?;
    let acknowledged = produced.lines().filter(|line| line.contains("producer_send_success")).count();
    check(acknowledged == 20_000, || format!("{acknowledged} acknowledged"))?;
    let consumed = output_of(&mut java(
        "org.apache.kafka.tools.VerifiableConsumer",
        &[
            "--bootstrap-server",
            &context.bootstrap,
            "--topic",
            "java-verifiable",
            "--group-id",
            "java-verifiable-readers",
            "--reset-policy",
            "earliest",
            "--max-messages",
            "20000",
            "--verbose",
        ],
    )?)?;
    let read = consumed.lines().filter(|line| line.contains("record_data")).count();
    check(read == 20_000, || format!("{read} read"))
}
