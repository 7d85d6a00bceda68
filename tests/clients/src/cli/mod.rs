//! Our own command line, used as a script would: daily jobs in JSON and exit codes, against real nodes.

mod brokers;
mod groups;
mod invocation;
mod log_files;
mod records;
mod topics;

pub use invocation::{Cli, eventually};
pub use log_files::copy_dir;

use crate::Test;

pub fn tests() -> Vec<Test> {
    vec![
        Test {
            name: "cli-topics",
            proves: "topics are created, changed, enlarged, described and deleted",
            run: topics::topics,
        },
        Test {
            name: "cli-explain",
            proves: "a partition's leader and ISR are explained by the events that made them so",
            run: topics::explain,
        },
        Test {
            name: "cli-config",
            proves: "settings are shown with their source, set, validated and taken back",
            run: topics::config,
        },
        Test {
            name: "cli-records",
            proves: "records keep bytes, headers and times through consume and produce",
            run: records::round_trip,
        },
        Test {
            name: "cli-reading",
            proves: "reading starts, filters, formats and stops as asked",
            run: records::reading,
        },
        Test {
            name: "cli-pipes",
            proves: "a reader that has had enough ends a command quietly, also one that follows a topic",
            run: records::pipes,
        },
        Test {
            name: "cli-delete-records",
            proves: "deleted records are gone, the others keep their offsets",
            run: records::delete_records,
        },
        Test {
            name: "cli-groups",
            proves: "offsets of a group are shown, set in every form, deleted",
            run: groups::groups,
        },
        Test {
            name: "cli-log-files",
            proves: "files of partitions, ours and Kafka's, are printed, checked, and indexed again",
            run: log_files::log_files,
        },
        Test {
            name: "cli-partitions",
            proves: "replicas are moved, cancelled, leaders elected",
            run: brokers::partitions,
        },
        Test {
            name: "cli-cluster",
            proves: "cluster, brokers, quorum, doctor and bench answer",
            run: brokers::cluster,
        },
        Test {
            name: "cli-decommission",
            proves: "a fourth broker is drained, stopped and forgotten; a new one gets its share",
            run: brokers::decommission,
        },
        Test { name: "cli-errors", proves: "mistakes have their exit code, in text and in JSON", run: brokers::errors },
    ]
}
