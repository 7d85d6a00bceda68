//! Each anomaly by hand: a small history that has it, and the same without it.

use highwater_history::{
    AnomalyKind, Coverage, Event, Isolation, Key, Operation, Outcome, Poll, Process, Record, Send, TransactionId,
    Verdict, check, read_json_lines,
};

/// A history written a line per event: `process what outcome arguments`.
///
/// - `1 send ok 7 @3 t5`: value 7 to partition 0, acknowledged at offset 3, in transaction 5
/// - `2 poll 3=7 4=8 t5`: read 7 at offset 3 and 8 at offset 4, in transaction 5; `final` for the final read, `dirty` for read_uncommitted
/// - `2 seek`, `2 end invoke`, `2 end ok @9`, `1 commit invoke t5`, `1 abort ok t5`, `0 fault invoke cut`
///
/// Partitions other than 0 are named as `p1`.
fn history(script: &str) -> Vec<Event> {
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.enumerate().map(|(index, line)| event(index as u64, line)).collect()
}

fn event(index: u64, line: &str) -> Event {
    let words: Vec<&str> = line.split_whitespace().collect();
    let tagged = |tag: char| words[2..].iter().find_map(|word| word.strip_prefix(tag)?.parse::<i64>().ok());
    let key = Key { topic: "t".into(), partition: tagged('p').unwrap_or(0) as i32 };
    let transaction = tagged('t').map(|id| TransactionId(id as u64));
    let outcome = match words.get(2) {
        Some(&"invoke") => Outcome::Invoke,
        Some(&"fail") => Outcome::Fail,
        Some(&"info") => Outcome::Info,
        _ => Outcome::Ok,
    };
    let operation = match words[1] {
        "send" => {
            let value = words[3].parse().unwrap();
            Operation::Send(Send { key, value, offset: tagged('@'), transaction })
        }
        "poll" => {
            let pairs = words[2..].iter().filter_map(|word| word.split_once('='));
            let records = pairs.map(|(offset, value)| {
                let (offset, value) = (offset.parse().unwrap(), value.parse().unwrap());
                Record { key: key.clone(), offset, value }
            });
            let isolation =
                if words.contains(&"dirty") { Isolation::ReadUncommitted } else { Isolation::ReadCommitted };
            Operation::Poll(Poll {
                records: records.collect(),
                isolation,
                transaction,
                is_final: words.contains(&"final"),
            })
        }
        "seek" => Operation::Seek(key),
        "end" => Operation::End { key, offset: tagged('@') },
        "commit" => Operation::Commit(transaction.unwrap()),
        "abort" => Operation::Abort(transaction.unwrap()),
        "fault" => Operation::Fault(words[3].to_owned()),
        other => panic!("{other}"),
    };
    Event { index, time_ns: index * 1000, process: Process(words[0].parse().unwrap()), outcome, operation, error: None }
}

#[track_caller]
fn shows(kinds: &[AnomalyKind], script: &str) {
    let found = match check(&history(script), Coverage { acknowledged: 1 }) {
        Verdict::Invalid(anomalies) => anomalies.iter().map(highwater_history::Anomaly::kind).collect(),
        Verdict::Valid => Vec::new(),
        Verdict::Unknown(why) => panic!("unknown: {why}"),
    };
    assert_eq!(found, kinds);
}

/// Two records, acknowledged.
const TWO: &str = "1 send invoke 7\n 1 send ok 7 @0\n 1 send invoke 8\n 1 send ok 8 @1\n";

#[test]
fn a_plain_history_is_valid() {
    shows(&[], &format!("{TWO} 2 poll 0=7 1=8\n 2 end invoke\n 2 end ok @2\n 3 poll final 0=7 1=8"));
}

#[test]
fn two_values_at_one_offset_are_inconsistent() {
    shows(
        &[AnomalyKind::Inconsistent, AnomalyKind::BackInTime],
        "1 send invoke 7\n 1 send ok 7 @0\n 2 send invoke 8\n 2 send info 8\n 2 poll 0=8\n 3 poll final 0=7\n 3 seek\n 3 poll final 0=8",
    );
    // Sent at once, so that neither was known before the other began.
    shows(
        &[AnomalyKind::Inconsistent],
        "1 send invoke 7\n 2 send invoke 8\n 1 send ok 7 @0\n 2 send ok 8 @0\n 3 poll final 0=7\n 4 poll final 0=8",
    );
}

#[test]
fn one_value_at_two_offsets_is_a_duplicate() {
    shows(&[AnomalyKind::Duplicate], &format!("{TWO} 3 poll final 0=7 1=8 2=8"));
    shows(&[AnomalyKind::Duplicate], "1 send invoke 7\n 1 send ok 7 @0\n 3 poll final 5=7");
}

#[test]
fn what_was_never_sent_or_not_yet_is_a_phantom() {
    shows(&[AnomalyKind::Phantom], &format!("{TWO} 3 poll final 0=7 1=8 2=9"));
    shows(
        &[AnomalyKind::Phantom, AnomalyKind::BackInTime],
        "3 poll 0=7\n 1 send invoke 7\n 1 send ok 7 @0\n 4 poll final 0=7",
    );
    shows(&[AnomalyKind::Phantom, AnomalyKind::Unseen], "1 send invoke 7\n 1 send ok 7 @0\n 3 poll final p1 0=7");
}

#[test]
fn an_acknowledged_record_below_the_end_that_is_not_read_is_lost() {
    shows(&[AnomalyKind::Lost], &format!("{TWO} 3 poll final 1=8"));
    // Nobody acknowledged it, but a consumer saw it.
    shows(
        &[AnomalyKind::Lost],
        "1 send invoke 7\n 1 send info 7\n 2 poll 0=7\n 4 send invoke 8\n 4 send ok 8 @1\n 3 poll final 1=8",
    );
}

#[test]
fn an_acknowledged_record_at_the_end_that_is_not_read_is_unseen() {
    shows(&[AnomalyKind::Unseen], &format!("{TWO} 3 poll final 0=7"));
    shows(&[AnomalyKind::Unseen; 2], &format!("{TWO} 3 poll final"));
}

#[test]
fn an_acknowledgement_without_an_offset_promises_the_record_all_the_same() {
    let sent = "1 send invoke 7\n 1 send ok 7\n 1 send invoke 8\n 1 send ok 8 @1\n";
    shows(&[], &format!("{sent} 3 poll final 0=7 1=8"));
    shows(&[AnomalyKind::Unseen], &format!("{sent} 3 poll final 1=8"));
    shows(&[AnomalyKind::Duplicate], &format!("{sent} 3 poll final 0=7 1=8 2=7"));
}

#[test]
fn without_a_final_read_only_holes_are_losses() {
    let events = history(&format!("{TWO} 2 poll 1=8"));
    let Verdict::Invalid(found) = check(&events, Coverage { acknowledged: 1 }) else { panic!("not found") };
    assert_eq!(found.iter().map(highwater_history::Anomaly::kind).collect::<Vec<_>>(), [AnomalyKind::Lost]);
}

#[test]
fn what_failed_or_was_aborted_is_not_read() {
    shows(&[AnomalyKind::AbortedRead], "1 send invoke 7\n 1 send fail 7\n 3 poll final 0=7");
    let aborted = "1 send invoke 7 t5\n 1 send ok 7 @0 t5\n 1 abort invoke t5\n 1 abort ok t5\n";
    shows(&[AnomalyKind::AbortedRead], &format!("{aborted} 3 poll final 0=7"));
    shows(&[], &format!("{aborted} 2 poll dirty 0=7\n 3 poll final"));
}

#[test]
fn nothing_is_read_before_its_commit_was_asked_for() {
    let open = "1 send invoke 7 t5\n 1 send ok 7 @0 t5\n 2 poll 0=7\n";
    let closed = "1 commit invoke t5\n 1 commit ok t5\n 3 poll final 0=7";
    shows(&[AnomalyKind::PrecommittedRead], &format!("{open} {closed}"));
    shows(&[], &format!("{} {closed}", open.replace("poll", "poll dirty")));
}

#[test]
fn a_consumer_passes_over_nothing_that_others_saw() {
    let three = format!("{TWO} 1 send invoke 9\n 1 send ok 9 @2\n");
    let end = "3 poll final 0=7 1=8 2=9";
    shows(&[AnomalyKind::SkippedPoll], &format!("{three} 2 poll 0=7\n 2 poll 2=9\n {end}"));
    shows(&[AnomalyKind::SkippedPoll], &format!("{three} 2 poll 0=7 2=9\n {end}"));
    shows(&[], &format!("{three} 2 poll 0=7\n 2 seek\n 2 poll 2=9\n {end}"));
}

#[test]
fn an_aborted_record_may_be_passed_over() {
    let script =
        "1 send invoke 7\n 1 send ok 7 @0\n 4 send invoke 8 t5\n 4 send ok 8 @1 t5\n 4 abort invoke t5\n 4 abort ok t5
                  1 send invoke 9\n 1 send ok 9 @3\n 5 poll dirty 0=7 1=8 3=9\n 3 poll final 0=7 3=9";
    shows(&[], script);
    shows(&[AnomalyKind::SkippedPoll], &script.replace("dirty 0=7 1=8 3=9", "dirty 0=7 3=9"));
}

#[test]
fn a_consumer_never_goes_back() {
    shows(&[AnomalyKind::NonMonotonePoll], &format!("{TWO} 2 poll 1=8\n 2 poll 0=7\n 3 poll final 0=7 1=8"));
    shows(&[AnomalyKind::NonMonotonePoll], &format!("{TWO} 2 poll 1=8 1=8\n 3 poll final 0=7 1=8"));
    shows(&[], &format!("{TWO} 2 poll 1=8\n 2 seek\n 2 poll 0=7\n 3 poll final 0=7 1=8"));
}

#[test]
fn a_session_has_no_gap() {
    let script = "1 send invoke 7\n 1 send info 7\n 1 send invoke 8\n 1 send ok 8 @0\n 3 poll final 0=8";
    shows(&[AnomalyKind::SkippedSend], script);
    shows(&[], &script.replace("1 send invoke 8", "4 send invoke 8").replace("1 send ok 8", "4 send ok 8"));
}

#[test]
fn a_session_keeps_its_order() {
    let script = "1 send invoke 7\n 1 send invoke 8\n 1 send ok 8 @0\n 1 send ok 7 @1\n 3 poll final 0=8 1=7";
    shows(&[AnomalyKind::NonMonotoneSend], script);
    shows(&[], &script.replace("1 send invoke 8", "4 send invoke 8").replace("1 send ok 8", "4 send ok 8"));
}

#[test]
fn offsets_never_go_back_in_real_time() {
    let script = "1 send invoke 7\n 1 send ok 7 @5\n 4 send invoke 8\n 4 send ok 8 @3\n 3 poll final 3=8 5=7";
    shows(&[AnomalyKind::BackInTime], script);
    shows(&[AnomalyKind::BackInTime], &format!("{TWO} 2 end invoke\n 2 end ok @1\n 3 poll final 0=7 1=8"));
    shows(&[], &format!("2 end invoke\n {TWO} 2 end ok @0\n 3 poll final 0=7 1=8"));
}

#[test]
fn a_transaction_is_there_as_a_whole() {
    let script = "1 send invoke 7 t5\n 1 send invoke 8 p1 t5\n 1 send ok 7 @0 t5\n 1 send info 8 p1 t5
                  1 commit invoke t5\n 1 commit info t5\n";
    shows(&[AnomalyKind::Torn], &format!("{script} 3 poll final 0=7\n 3 poll final p1"));
    shows(&[], &format!("{script} 3 poll final 0=7\n 3 poll final p1 0=8"));
    // Nobody knows whether it was committed: nothing of it, then.
    let other = "6 send invoke 9 p1\n 6 send ok 9 @4 p1\n";
    shows(&[], &format!("{other} {script} 3 poll final\n 3 poll final p1 4=9"));
}

#[test]
fn transactions_do_not_read_each_others_writes() {
    let script = "1 send invoke 7 t5\n 1 send ok 7 @0 t5\n 2 send invoke 8 p1 t6\n 2 send ok 8 @0 p1 t6
                  1 commit invoke t5\n 2 commit invoke t6\n 3 poll 0=7 t6\n 4 poll p1 0=8 t5
                  1 commit ok t5\n 2 commit ok t6\n 9 poll final 0=7\n 9 poll final p1 0=8";
    shows(&[AnomalyKind::Cycle], script);
    shows(&[], &script.replace("poll p1 0=8 t5", "poll p1 0=8"));
}

#[test]
fn too_little_is_unknown_and_so_is_what_is_no_history() {
    let unknown = |script: &str, least| match check(&history(script), Coverage { acknowledged: least }) {
        Verdict::Unknown(why) => why,
        other => panic!("{other}"),
    };
    let end = "3 poll final 0=7 1=8";
    assert!(unknown(&format!("{TWO} {end}"), 3).contains("2 sends"));
    assert!(unknown(TWO, 1).contains("no final read"));
    assert!(unknown(&format!("{TWO} 0 fault invoke cut\n {end}"), 1).contains("cut"));
    assert!(unknown("1 send ok 7 @0", 1).contains("not under way"));
    assert!(unknown("1 send invoke 7\n 1 send invoke 7", 1).contains("twice"));
    shows(&[], &format!("{TWO} 0 fault invoke cut\n 0 fault ok cut\n {end}"));
}

#[test]
fn json_lines_say_the_same() {
    let script = format!(
        "{TWO} 1 send invoke 9 t4\n 1 abort invoke t4\n 2 poll dirty 0=7 t4\n 2 end ok @3\n 2 seek\n 0 fault ok x\n 3 poll final 0=7"
    );
    let events = history(&script);
    let lines: Vec<String> = events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    assert_eq!(
        lines[1],
        r#"{"index":1,"time_ns":1000,"process":1,"type":"ok","f":"send","value":{"topic":"t","partition":0,"value":7,"offset":0}}"#
    );
    assert_eq!(read_json_lines(lines.join("\n").as_bytes()).unwrap(), events);
    let error = read_json_lines("{}".as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "line 1");
}
