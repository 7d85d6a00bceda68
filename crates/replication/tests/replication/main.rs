//! Several brokers' replicas in one process, over TCP on the loopback and disks in memory, with a controller that does just
//! what a test tells it (and accepts ISR changes by compare-and-set, and has the real one decide about log directories).

mod cluster;
mod compaction;
mod directories;
mod disk_full;
mod failover;
mod follower_reads;
mod idle_logs;
mod many_partitions;
mod produce_and_fetch;
mod relocation;
mod storage;
mod throttles;
mod topics;
mod transactions;
