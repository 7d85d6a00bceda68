//! Several brokers' replicas in one process, over TCP on the loopback and disks in memory, with a controller that does just
//! what a test tells it (and accepts ISR changes by compare-and-set).

mod cluster;
mod failover;
mod produce_and_fetch;
mod storage;
mod topics;
mod transactions;
