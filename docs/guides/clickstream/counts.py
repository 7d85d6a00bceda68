"""Group `counts`: clicks per minute and page, as they happen, kept in a compacted topic.

    counts.py BOOTSTRAP CLICKS COUNTS

The topic of counts has as many partitions as that of clicks, and the counts of one partition of clicks are in the partition of the
same number. A value is [count, next]: clicks counted, and the offset behind the last of them. It may be killed at any time: counts
are stored before offsets are committed, so some clicks are read again, and `next` tells which of them a count includes already.
"""

import json
import signal
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition

stopping = False


def stop(*_):
    global stopping
    stopping = True


def read_counts(bootstrap, topic, partitions):
    """What the compacted topic says: {partition: {key: [count, next]}}."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "counts-reader", "enable.auto.commit": False,
                         "enable.partition.eof": True})
    counts = {partition: {} for partition in partitions}
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    unread = set(partitions)
    while unread:
        record = consumer.poll(1)
        if record is None:
            continue
        if record.error():  # the end of a partition, or a passing trouble
            if record.error().name() == "_PARTITION_EOF":
                unread.discard(record.partition())
            continue
        counts[record.partition()][record.key().decode()] = json.loads(record.value())
    consumer.close()
    return counts


def minute_of(milliseconds):
    return time.strftime("%Y-%m-%dT%H:%M", time.gmtime(milliseconds // 1000))


def main():
    bootstrap, clicks, counts_topic = sys.argv[1:]
    signal.signal(signal.SIGTERM, stop)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "counts", "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, "session.timeout.ms": 6000})
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5})
    counts, changed, positions = {}, set(), {}

    def failed(error, _):
        if error:
            sys.exit(f"counts: {error}")

    def store():
        for partition, key in changed:
            value = json.dumps(counts[partition][key])
            producer.produce(counts_topic, partition=partition, key=key, value=value, on_delivery=failed)
        changed.clear()
        producer.flush()
        if positions:
            consumer.commit(offsets=[TopicPartition(clicks, *one) for one in positions.items()], asynchronous=False)
            positions.clear()

    def on_assign(_, partitions):
        counts.update(read_counts(bootstrap, counts_topic, [one.partition for one in partitions]))

    def on_revoke(_, partitions):
        store()
        for one in partitions:
            counts.pop(one.partition, None)

    def on_lost(_, partitions):  # they belong to somebody else already, who has read these clicks again
        for one in partitions:
            counts.pop(one.partition, None)
            positions.pop(one.partition, None)
        changed.difference_update({one for one in changed if one[0] not in counts})

    consumer.subscribe([clicks], on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost)
    while not stopping:
        for record in consumer.consume(num_messages=500, timeout=0.2):
            if record.error():
                continue
            click = json.loads(record.value())
            key = f"{minute_of(record.timestamp()[1])} {click['path']}"
            entry = counts[record.partition()].setdefault(key, [0, 0])
            if record.offset() >= entry[1]:
                entry[0], entry[1] = entry[0] + 1, record.offset() + 1
                changed.add((record.partition(), key))
            positions[record.partition()] = record.offset() + 1
        store()
    consumer.close()


if __name__ == "__main__":
    main()
