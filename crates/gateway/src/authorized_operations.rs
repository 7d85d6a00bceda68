//! Bit fields of the operations a client may do (KIP-430). Without an authorizer that is every operation the resource has.

/// "Not asked for".
pub(crate) const NOT_REQUESTED: i32 = i32::MIN;

const READ: i32 = 1 << 3;
const WRITE: i32 = 1 << 4;
const CREATE: i32 = 1 << 5;
const DELETE: i32 = 1 << 6;
const ALTER: i32 = 1 << 7;
const DESCRIBE: i32 = 1 << 8;
const CLUSTER_ACTION: i32 = 1 << 9;
const DESCRIBE_CONFIGS: i32 = 1 << 10;
const ALTER_CONFIGS: i32 = 1 << 11;
const IDEMPOTENT_WRITE: i32 = 1 << 12;

/// All operations on a topic, if asked for.
pub(crate) const fn topic(requested: bool) -> i32 {
    if requested {
        READ | WRITE | CREATE | DELETE | ALTER | DESCRIBE | DESCRIBE_CONFIGS | ALTER_CONFIGS
    } else {
        NOT_REQUESTED
    }
}

/// All operations on the cluster, if asked for.
pub(crate) const fn cluster(requested: bool) -> i32 {
    if requested {
        CREATE | CLUSTER_ACTION | DESCRIBE_CONFIGS | ALTER_CONFIGS | IDEMPOTENT_WRITE | ALTER | DESCRIBE
    } else {
        NOT_REQUESTED
    }
}

/// All operations on a group, if asked for.
pub(crate) const fn group(requested: bool) -> i32 {
    if requested { READ | DESCRIBE | DELETE | DESCRIBE_CONFIGS | ALTER_CONFIGS } else { NOT_REQUESTED }
}
