import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.zip.CRC32C;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Fills topics of a broker, then writes down what the broker says of each: arguments are the broker and a directory. */
public class WriteFiles {
    static final long START = 1_700_000_000_000L;
    static String broker;

    public static void main(String[] args) throws Exception {
        broker = args[0];
        Path answers = Path.of(args[1]);
        Files.createDirectories(answers);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker))) {
            List<NewTopic> topics = new ArrayList<>();
            Map<String, String> rolling = Map.of("segment.ms", "60000", "index.interval.bytes", "500");
            for (String name : List.of("plain", "gzip", "snappy", "lz4", "zstd", "transactions"))
                topics.add(new NewTopic("kafka-" + name, 1, (short) 1).configs(rolling));
            topics.add(new NewTopic("kafka-compacted", 1, (short) 1).configs(Map.of("segment.ms", "60000",
                "index.interval.bytes", "500", "cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.01")));
            admin.createTopics(topics).all().get();
            for (String codec : List.of("plain", "gzip", "snappy", "lz4", "zstd")) fill("kafka-" + codec, codec, 90, 1000);
            fill("kafka-compacted", "lz4", 90, 7);
            transactions("kafka-transactions");
            awaitCompaction("kafka-compacted");
            for (NewTopic topic : topics) describe(admin, topic.name(), answers);
        }
        // One transaction stays open: no producer is closed.
        Runtime.getRuntime().halt(0);
    }

    static KafkaProducer<byte[], byte[]> producer(String codec, String transactionalId) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", broker);
        properties.put("key.serializer", ByteArraySerializer.class.getName());
        properties.put("value.serializer", ByteArraySerializer.class.getName());
        properties.put("compression.type", codec.equals("plain") ? "none" : codec);
        properties.put("linger.ms", "20");
        if (transactionalId != null) properties.put("transactional.id", transactionalId);
        return new KafkaProducer<>(properties);
    }

    static byte[] bytes(String text) { return text.getBytes(StandardCharsets.UTF_8); }

    /** Three bursts, two minutes apart by their timestamps, each of which rolls a segment; times go back and forth. */
    static void fill(String topic, String codec, int records, int keys) {
        try (KafkaProducer<byte[], byte[]> producer = producer(codec, null)) {
            for (int number = 0; number < records; number++) {
                long time = START + 120_000L * (number / 30) + 100L * number - 450L * (number % 5);
                String value = number % 13 == 12 ? null : "value " + number + " of " + topic + "#".repeat(number % 50);
                ProducerRecord<byte[], byte[]> record =
                    new ProducerRecord<>(topic, 0, time, bytes("key " + number % keys), value == null ? null : bytes(value));
                record.headers().add("number", bytes(Integer.toString(number)));
                producer.send(record);
                if (number % 6 == 5) producer.flush();
            }
        }
    }

    static void transactions(String topic) {
        List<KafkaProducer<byte[], byte[]>> producers = new ArrayList<>();
        for (int id = 0; id < 3; id++) {
            producers.add(producer("plain", "writer-" + id));
            producers.get(id).initTransactions();
        }
        for (int round = 0; round < 8; round++) {
            long time = START + 40_000L * round;
            for (int id = 0; id < 2; id++) producers.get(id).beginTransaction();
            for (int number = 0; number < 12; number++) {
                String value = "round " + round + " number " + number;
                KafkaProducer<byte[], byte[]> producer = producers.get(number % 2);
                producer.send(new ProducerRecord<>(topic, 0, time + number, bytes("key"), bytes(value)));
                producer.flush();
            }
            for (int id = 0; id < 2; id++) {
                if ((round + id) % 3 == 0) producers.get(id).abortTransaction(); else producers.get(id).commitTransaction();
            }
        }
        KafkaProducer<byte[], byte[]> open = producers.get(2);
        open.beginTransaction();
        open.send(new ProducerRecord<>(topic, 0, START + 400_000L, bytes("key"), bytes("undecided")));
        open.flush();
    }

    static void awaitCompaction(String topic) throws Exception {
        for (int attempt = 0; attempt < 300 && read(topic, "read_uncommitted").size() > 60; attempt++) Thread.sleep(200);
    }

    static List<ConsumerRecord<byte[], byte[]>> read(String topic, String isolation) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", broker);
        properties.put("isolation.level", isolation);
        properties.put("key.deserializer", ByteArrayDeserializer.class.getName());
        properties.put("value.deserializer", ByteArrayDeserializer.class.getName());
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(properties)) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            while (consumer.position(partition) < end) consumer.poll(Duration.ofMillis(200)).forEach(records::add);
        }
        return records;
    }

    static String hash(byte[] bytes) {
        if (bytes == null) return "null";
        CRC32C crc = new CRC32C();
        crc.update(bytes);
        return Long.toHexString(crc.getValue());
    }

    static void describe(Admin admin, String topic, Path answers) throws Exception {
        TopicPartition partition = new TopicPartition(topic, 0);
        try (PrintWriter out = new PrintWriter(answers.resolve(topic + "-0.txt").toFile(), StandardCharsets.UTF_8)) {
            TreeSet<Long> times = new TreeSet<>();
            for (String isolation : List.of("read_uncommitted", "read_committed")) {
                for (ConsumerRecord<byte[], byte[]> record : read(topic, isolation)) {
                    out.printf("%s %d %d %s %s%n", isolation, record.offset(), record.timestamp(), hash(record.key()), hash(record.value()));
                    times.add(record.timestamp());
                }
            }
            List<OffsetSpec> specs = new ArrayList<>(List.of(OffsetSpec.latest(), OffsetSpec.earliest(), OffsetSpec.maxTimestamp(), OffsetSpec.earliestLocal(), OffsetSpec.latestTiered()));
            List<String> names = new ArrayList<>(List.of("-1", "-2", "-3", "-4", "-5"));
            int count = 0;
            for (long time : times) {
                if (count++ % 4 > 0) continue;
                for (long near : new long[] {time, time + 1}) {
                    specs.add(OffsetSpec.forTimestamp(near));
                    names.add(Long.toString(near));
                }
            }
            for (IsolationLevel isolation : List.of(IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED)) {
                for (int index = 0; index < specs.size(); index++) {
                    var found = admin.listOffsets(Map.of(partition, specs.get(index)), new ListOffsetsOptions(isolation)).partitionResult(partition).get();
                    out.printf("list_offsets %s %s %d %d%n", isolation.toString().toLowerCase(), names.get(index), found.offset(), found.timestamp());
                }
            }
            for (var producer : admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers()) {
                out.printf("producer %d %d %d %d %d%n", producer.producerId(), producer.producerEpoch(), producer.lastSequence(),
                    producer.coordinatorEpoch().orElse(-1), producer.currentTransactionStartOffset().orElse(-1));
            }
        }
    }
}
