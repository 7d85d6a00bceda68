//! Scripts: commands with the records and answers they give.
//!
//! A script is a text of steps, separated by empty lines. A step is one command, then what it answers and the records it
//! decides, one per line. Lines that start with `#` are for readers. When a step differs, the whole script as it came out is
//! printed, ready to be compared and pasted.

mod format;
mod parse;

use crate::cluster::TestCluster;

fn check(name: &str, script: &str) {
    let mut cluster = TestCluster::new(1);
    let mut actual = String::new();
    for step in script.split("\n\n") {
        let (notes, rest): (Vec<&str>, Vec<&str>) = step.lines().partition(|line| line.starts_with('#'));
        for note in notes {
            actual.push_str(note);
            actual.push('\n');
        }
        if let Some(line) = rest.first().filter(|line| !line.is_empty()) {
            actual.push_str(line);
            actual.push('\n');
            actual.push_str(&run(&mut cluster, line));
        }
        actual.push('\n');
    }
    cluster.check_replay();
    let (actual, expected) = (actual.trim(), script.trim());
    assert!(actual == expected, "script {name} came out as:\n\n{actual}\n");
}

fn run(cluster: &mut TestCluster, line: &str) -> String {
    if let Some(name) = line.strip_prefix("show ") {
        return format::topic(&cluster.image, name);
    }
    let command = parse::command(cluster, line);
    let before = cluster.image.clone();
    let (records, response) = cluster.run(&command);
    let records = records.iter().map(|record| format::record(&before, &cluster.image, record)).collect::<String>();
    format::response(&response) + &records
}

macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name), include_str!(concat!("scripts/", stringify!($name), ".txt")));
        })*
    };
}

scripts! {
    brokers elections eligible_leaders events reassignments isr_changes topics partitions configs controllers directories voters
}
