"""Prints the lines of all clicks from a time on, up to where the topic ends now.

    replay.py BOOTSTRAP CLICKS MILLISECONDS-SINCE-1970
"""

import sys

from confluent_kafka import Consumer, TopicPartition


def main():
    bootstrap, topic, time_ms = sys.argv[1], sys.argv[2], int(sys.argv[3])
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "replay", "enable.auto.commit": False})
    partitions = sorted(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
    # The first record of each partition that is not older; -1 (the end) where there is none.
    starts = consumer.offsets_for_times([TopicPartition(topic, partition, time_ms) for partition in partitions], timeout=30)
    ends = {partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)[1] for partition in partitions}
    wanted = [start for start in starts if 0 <= start.offset < ends[start.partition]]
    consumer.assign(wanted)
    unread = {start.partition for start in wanted}
    while unread:
        record = consumer.poll(1)
        if record is None or record.error() or record.partition() not in unread:
            continue
        print(record.value().decode())
        if record.offset() + 1 >= ends[record.partition()]:
            unread.discard(record.partition())
    consumer.close()


if __name__ == "__main__":
    main()
