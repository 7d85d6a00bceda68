"""Group `archive`: every click into files, one per partition, each line with its offset.

    archive.py BOOTSTRAP CLICKS DIRECTORY

It may be killed at any time: where to go on is in the files themselves, which cannot disagree with themselves. The offset that the
group commits only tells others how far it is.
"""

import os
import signal
import sys

from confluent_kafka import Consumer, TopicPartition

stopping = False


def stop(*_):
    global stopping
    stopping = True


class File:
    """One partition's archive: appended to, and cut behind the last complete line when it is opened."""

    def __init__(self, directory, topic, partition):
        self.file = open(os.path.join(directory, f"{topic}-{partition}.log"), "a+b")
        self.file.seek(0)
        content = self.file.read()  # the archive of a real shop begins a new file every hour
        complete = content[:content.rfind(b"\n") + 1]
        self.file.truncate(len(complete))
        last = complete.splitlines()[-1:]
        self.next_offset = int(last[0].split(b"\t")[0]) + 1 if last else None

    def append(self, record):
        self.file.write(b"%d\t%s\n" % (record.offset(), record.value()))

    def sync(self):
        self.file.flush()
        os.fsync(self.file.fileno())


def main():
    bootstrap, topic, directory = sys.argv[1:]
    signal.signal(signal.SIGTERM, stop)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "archive", "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, "session.timeout.ms": 6000})
    files, positions = {}, {}

    def on_assign(_, partitions):
        for one in partitions:
            files[one.partition] = File(directory, topic, one.partition)
            if files[one.partition].next_offset is not None:
                one.offset = positions[one.partition] = files[one.partition].next_offset
        consumer.assign(partitions)

    def on_revoke(_, partitions):
        for one in partitions:
            files.pop(one.partition).file.close()
            positions.pop(one.partition, None)

    consumer.subscribe([topic], on_assign=on_assign, on_revoke=on_revoke, on_lost=on_revoke)
    while not stopping:
        for record in consumer.consume(num_messages=1000, timeout=0.5):
            if not record.error():
                files[record.partition()].append(record)
                positions[record.partition()] = record.offset() + 1
        for partition in positions:
            files[partition].sync()
        if positions:
            consumer.commit(offsets=[TopicPartition(topic, *one) for one in positions.items()], asynchronous=False)
            positions.clear()
    consumer.close()


if __name__ == "__main__":
    main()
