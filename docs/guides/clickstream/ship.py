"""Tails an access log into a topic: key = session, value = the line, timestamp = the line's own.

    ship.py BOOTSTRAP TOPIC ACCESS-LOG

It may be killed at any time: where to go on is not in a file of its own, which could disagree with the topic, but in the topic.
Each record carries the file and the position behind its line, so the last record of each partition tells which lines are there.
It follows rotation (rename, then SIGUSR1 to nginx); rotated files must be named ACCESS-LOG.something and stay uncompressed until
they are shipped.
"""

import glob
import json
import os
import signal
import sys
import time
import zlib

from confluent_kafka import Consumer, Producer, TopicPartition

stopping = False


def stop(*_):
    global stopping
    stopping = True


def last_shipped(bootstrap, topic):
    """For each partition (inode, position) of its last record, or None."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "ship", "enable.auto.commit": False})
    last = []
    for partition in sorted(consumer.list_topics(topic, timeout=30).topics[topic].partitions):
        start, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
        last.append(None)
        if end > start:
            consumer.assign([TopicPartition(topic, partition, end - 1)])
            record = None
            while record is None or record.error():
                record = consumer.poll(1)
            headers = dict(record.headers())
            last[partition] = (int(headers["inode"]), int(headers["position"]))
    consumer.close()
    return last


def files_of(path):
    """(inode, size, name) of all files of the log, from the oldest to the one that nginx writes."""
    found = [(os.stat(name), name) for name in glob.glob(glob.escape(path) + "*")]
    found.sort(key=lambda one: (one[1] == path, one[0].st_mtime_ns))
    return [(stat.st_ino, stat.st_size, name) for stat, name in found]


def lines(path):
    """Complete lines of all files from the oldest on, as (inode, position behind it, line); None where there is no more for now."""
    done = set()
    while True:
        inode, _, name = next((file for file in files_of(path) if file[0] not in done), (None, None, None))
        if inode is None:
            yield None
            continue
        with open(name, "rb") as file:
            if os.fstat(file.fileno()).st_ino != inode:
                continue  # renamed in between
            rest = b""
            while True:
                # Asked before reading, so that nothing is missed: nginx goes on writing to a renamed file until it has been told,
                # but never again once it has written to a newer one.
                files = files_of(path)
                own = next((index for index, file_ in enumerate(files) if file_[0] == inode), -1)
                rotated = any(size for _, size, _ in files[own + 1:])
                rest += file.read(1 << 20)
                position = file.tell() - len(rest)
                *complete, rest = rest.split(b"\n")
                for line in complete:
                    position += len(line) + 1
                    yield inode, position, line
                if not complete:
                    if rotated:
                        break
                    yield None
        done.add(inode)


def main():
    bootstrap, topic, path = sys.argv[1:]
    signal.signal(signal.SIGTERM, stop)
    last = last_shipped(bootstrap, topic)
    read = set()  # inodes of the files up to the present one
    producer = Producer({
        "bootstrap.servers": bootstrap,
        "enable.idempotence": True,  # a retry is stored once, and in its place; implies acks=all
        "compression.type": "zstd",
        "linger.ms": 20,
    })

    def delivered(error, _):
        if error:
            sys.exit(f"ship: {error}")  # whoever supervises us starts us again, and we go on behind what is there

    def is_there(partition, inode, position):
        if last[partition] is None:
            return False
        there_inode, there_position = last[partition]
        if inode == there_inode:
            return position <= there_position
        # Otherwise the partition's last line is from a file that was read before this one, or is gone, or comes later.
        return there_inode not in read and any(there_inode == one for one, _, _ in files_of(path))

    for entry in lines(path):
        if stopping:
            break
        if entry is None:
            producer.poll(0)
            time.sleep(0.05)
            continue
        inode, position, line = entry
        read.add(inode)
        click = json.loads(line)
        key = (click["session"] or click["id"]).encode()
        partition = zlib.crc32(key) % len(last)
        if is_there(partition, inode, position):
            continue
        record = {
            "key": key, "value": line, "partition": partition, "timestamp": round(click["time"] * 1000),
            "headers": {"inode": str(inode), "position": str(position)}, "on_delivery": delivered,
        }
        while True:
            try:
                producer.produce(topic, **record)
                break
            except BufferError:  # as much as the client buffers is on its way already
                producer.poll(0.1)
        producer.poll(0)
    producer.flush()


if __name__ == "__main__":
    main()
