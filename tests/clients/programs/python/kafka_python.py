"""kafka-python: a client with its own protocol code."""
import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

servers = sys.argv[1].split(",")
topic = "kafka-python"
admin = KafkaAdminClient(bootstrap_servers=servers)
admin.create_topics([NewTopic(topic, num_partitions=3, replication_factor=3)])

producer = KafkaProducer(bootstrap_servers=servers, acks="all", compression_type="gzip", linger_ms=5)
before = int(time.time() * 1000)
futures = [producer.send(topic, key=str(n % 10).encode(), value=str(n).encode()) for n in range(5000)]
producer.flush(30)
offsets = {(meta.partition, meta.offset) for meta in (future.get(20) for future in futures)}
assert len(offsets) == 5000, "two records share an offset"

consumer = KafkaConsumer(topic, bootstrap_servers=servers, group_id="kafka-python-readers", auto_offset_reset="earliest",
                         enable_auto_commit=False, consumer_timeout_ms=20_000)
values = []
for record in consumer:
    values.append(int(record.value))
    if len(values) == 5000:
        break
assert sorted(values) == list(range(5000)), f"{len(values)} read"
consumer.commit()
partitions = [TopicPartition(topic, p) for p in range(3)]
assert sum(consumer.committed(part) for part in partitions) == 5000
ends = consumer.end_offsets(partitions)
assert sum(ends.values()) == 5000, ends
assert sum(consumer.beginning_offsets(partitions).values()) == 0
times = consumer.offsets_for_times({part: before for part in partitions})
assert all(found.offset == 0 for found in times.values() if found), times
consumer.close()
assert topic in admin.list_topics()
admin.delete_topics([topic])
admin.close()
