// franz-go: a Go client with its own protocol code; idempotent by default, cooperative group balancing.
package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const topic = "franz-go"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	seeds := kgo.SeedBrokers(strings.Split(os.Args[1], ",")...)
	producer, err := kgo.NewClient(seeds)
	if err != nil {
		return err
	}
	defer producer.Close()
	admin := kadm.NewClient(producer)
	created, err := admin.CreateTopic(ctx, 5, 3, map[string]*string{"min.insync.replicas": kadm.StringPtr("2")}, topic)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if created.NumPartitions != 5 {
		return fmt.Errorf("created with %d partitions", created.NumPartitions)
	}
	var records []*kgo.Record
	for n := 0; n < 20000; n++ {
		records = append(records, &kgo.Record{Topic: topic, Key: []byte(strconv.Itoa(n % 40)), Value: []byte(strconv.Itoa(n))})
	}
	if err := producer.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("produce: %w", err)
	}

	consumer, err := kgo.NewClient(seeds, kgo.ConsumerGroup("franz-go-readers"), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	if err != nil {
		return err
	}
	defer consumer.Close()
	var seen []int
	for len(seen) < 20000 {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return fmt.Errorf("poll after %d: %w", len(seen), err)
		}
		for _, failed := range fetches.Errors() {
			return fmt.Errorf("fetch %s-%d: %w", failed.Topic, failed.Partition, failed.Err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			n, _ := strconv.Atoi(string(record.Value))
			seen = append(seen, n)
		})
	}
	sort.Ints(seen)
	for n, value := range seen {
		if n != value {
			return fmt.Errorf("position %d holds %d", n, value)
		}
	}
	if err := consumer.CommitUncommittedOffsets(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	lags, err := admin.Lag(ctx, "franz-go-readers")
	if err != nil {
		return fmt.Errorf("lag: %w", err)
	}
	if total := lags["franz-go-readers"].Lag.Total(); total != 0 {
		return fmt.Errorf("lag is %d after reading all", total)
	}
	_, err = admin.DeleteTopics(ctx, topic)
	return err
}
