// kafkajs: negotiates Fetch up to 11 and JoinGroup up to 5; admin, gzip producer, group consumer.
const assert = require("node:assert");
const { Kafka, CompressionTypes, logLevel } = require("kafkajs");

async function main() {
  const kafka = new Kafka({ clientId: "kafkajs", brokers: process.argv[2].split(","), logLevel: logLevel.ERROR });
  const topic = "kafkajs";
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 3, replicationFactor: 3 }] });

  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  for (let batch = 0; batch < 20; batch++) {
    const messages = [];
    for (let n = 0; n < 250; n++) messages.push({ key: `key-${n % 10}`, value: String(batch * 250 + n) });
    await producer.send({ topic, acks: -1, compression: CompressionTypes.GZIP, messages });
  }
  await producer.disconnect();

  const consumer = kafka.consumer({ groupId: "kafkajs-readers", sessionTimeout: 10000 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const seen = [];
  await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`${seen.length} of 5000 read`)), 60000);
    consumer.run({ eachMessage: async ({ message }) => { seen.push(Number(message.value)); if (seen.length === 5000) resolve(); } }).catch(reject);
  });
  seen.sort((a, b) => a - b);
  assert.deepStrictEqual(seen, [...Array(5000).keys()]);
  await consumer.disconnect();

  const ends = await admin.fetchTopicOffsets(topic);
  assert.strictEqual(ends.reduce((sum, part) => sum + Number(part.high), 0), 5000);
  const committed = await admin.fetchOffsets({ groupId: "kafkajs-readers", topics: [topic] });
  assert.strictEqual(committed[0].partitions.reduce((sum, part) => sum + Number(part.offset), 0), 5000);
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
  process.exit(0);
}

main().catch((error) => { console.error(error); process.exit(1); });
