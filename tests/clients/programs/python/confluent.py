"""confluent-kafka: admin, all topics' metadata, idempotent producer, a group of two members, committed offsets, a pattern."""
import sys
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap = sys.argv[1]
topic = "confluent-python"
admin = AdminClient({"bootstrap.servers": bootstrap})
for name, future in admin.create_topics([NewTopic(topic, num_partitions=4, replication_factor=3)]).items():
    future.result(20)
everything = admin.list_topics(timeout=20)
assert len(everything.brokers) == 3, everything.brokers
assert len(everything.topics[topic].partitions) == 4, everything.topics

delivered = []
failures = []


def on_delivery(error, message):
    if error:
        failures.append(error)
    else:
        delivered.append((message.partition(), message.offset(), message.value()))


producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5})
for number in range(20_000):
    producer.produce(topic, key=str(number % 100), value=str(number), headers={"n": str(number)}, on_delivery=on_delivery)
    if number % 1000 == 0:
        producer.poll(0)
assert producer.flush(30) == 0, "records were left in the queue"
assert not failures, failures[:3]
assert len({(p, o) for p, o, _ in delivered}) == 20_000, "two records share an offset"


def member():
    return Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "confluent-python-readers",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "session.timeout.ms": 6000,
    })


members = [member(), member()]
for consumer in members:
    consumer.subscribe([topic])
seen = {}
deadline = time.time() + 60
while len(seen) < 20_000 and time.time() < deadline:
    for consumer in members:
        for message in consumer.consume(500, 0.2):
            if message.error():
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                continue
            seen[(message.partition(), message.offset())] = message.value()
            assert dict(message.headers())["n"] == message.value()
assert len(seen) == 20_000, f"{len(seen)} of 20000 read"
assert sorted(int(value) for value in seen.values()) == list(range(20_000))
assignments = [consumer.assignment() for consumer in members]
assert sum(len(part) for part in assignments) == 4, assignments
for consumer in members:
    if consumer.assignment():
        consumer.commit(asynchronous=False)
for consumer in members:
    consumer.close()

checker = member()
committed = checker.committed([TopicPartition(topic, partition) for partition in range(4)], 20)
assert sum(part.offset for part in committed) == 20_000, committed
checker.close()
groups = admin.list_consumer_groups().result(20)
assert any(group.group_id == "confluent-python-readers" for group in groups.valid), groups.valid

by_pattern = Consumer({"bootstrap.servers": bootstrap, "group.id": "confluent-python-pattern", "auto.offset.reset": "earliest"})
by_pattern.subscribe(["^confluent-py.*"])
deadline = time.time() + 60
matched = set()
while not matched and time.time() < deadline:
    matched.update(message.topic() for message in by_pattern.consume(500, 0.2) if not message.error())
assert matched == {topic}, f"the pattern found {matched}"
by_pattern.close()
admin.delete_topics([topic])[topic].result(20)
