//! What a group's offsets should become. Nothing here talks to a cluster.

use std::collections::BTreeMap;

use crate::cli::client::{Offsets, TopicPartition};

/// A topic, or some of its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicChoice {
    pub(crate) topic: String,
    /// Empty: all of them.
    pub(crate) partitions: Vec<i32>,
}

/// Parses `topic` or `topic:0,2`, as Kafka's tools write it.
pub(crate) fn parse_topic_choice(text: &str) -> Result<TopicChoice, String> {
    let Some((topic, partitions)) = text.split_once(':') else {
        return Ok(TopicChoice { topic: text.to_owned(), partitions: Vec::new() });
    };
    let number = |part: &str| part.trim().parse::<i32>().ok().filter(|number| *number >= 0);
    let partitions: Option<Vec<i32>> = partitions.split(',').map(number).collect();
    let partitions = partitions.ok_or_else(|| format!("{text:?}: expected partitions such as {topic}:0,2"))?;
    Ok(TopicChoice { topic: topic.to_owned(), partitions })
}

/// First and next offset of a partition, and what the group has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: i64,
    pub(crate) next: i64,
    pub(crate) committed: Option<i64>,
}

impl Range {
    fn clamp(&self, offset: i64) -> i64 {
        offset.clamp(self.first, self.next.max(self.first))
    }
}

/// Where offsets are set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Goal {
    Earliest,
    Latest,
    /// What is committed; the end where nothing is.
    Current,
    Offset(i64),
    /// Relative to what is committed.
    ShiftBy(i64),
    /// The first offsets of a point in time; the end where all records are older.
    Found(Offsets),
    /// Given for each partition.
    Given(Offsets),
}

/// The new offset of every partition, never outside what the partition holds; and the partitions that have none to shift.
pub(crate) fn plan(goal: &Goal, ranges: &BTreeMap<TopicPartition, Range>) -> (Offsets, Vec<TopicPartition>) {
    let mut offsets = Offsets::new();
    let mut without = Vec::new();
    for (id, range) in ranges {
        let wanted = match goal {
            Goal::Earliest => Some(range.first),
            Goal::Latest => Some(range.next),
            Goal::Current => Some(range.committed.unwrap_or(range.next)),
            Goal::Offset(offset) => Some(*offset),
            Goal::ShiftBy(step) => range.committed.map(|committed| committed.saturating_add(*step)),
            Goal::Found(found) => Some(found.get(id).copied().unwrap_or(range.next)),
            Goal::Given(given) => given.get(id).copied(),
        };
        match wanted {
            Some(offset) => drop(offsets.insert(id.clone(), range.clamp(offset))),
            None => without.push(id.clone()),
        }
    }
    (offsets, without)
}

/// Parses lines `topic,partition,offset`, as Kafka's tools write with --export.
pub(crate) fn parse_csv(text: &str) -> Result<Offsets, String> {
    let mut offsets = Offsets::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let parts: Vec<&str> = line.split(',').map(|part| part.trim().trim_matches('"')).collect();
        let entry = match parts.as_slice() {
            [topic, partition, offset] => {
                partition.parse().ok().zip(offset.parse().ok()).map(|numbers| (topic, numbers))
            }
            _ => None,
        };
        let Some((topic, (partition, offset))) = entry else {
            return Err(format!("line {}: expected topic,partition,offset, not {line:?}", number + 1));
        };
        offsets.insert(TopicPartition::new(topic, partition), offset);
    }
    Ok(offsets)
}

/// Writes what [`parse_csv`] reads.
pub(crate) fn to_csv(offsets: &Offsets) -> String {
    let line = |(id, offset): (&TopicPartition, &i64)| format!("\"{}\",{},{offset}", id.topic, id.partition);
    offsets.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(goal: &Goal, first: i64, next: i64, committed: Option<i64>) -> Option<i64> {
        let id = TopicPartition::new("t", 0);
        plan(goal, &BTreeMap::from([(id.clone(), Range { first, next, committed })])).0.get(&id).copied()
    }

    #[test]
    fn each_goal_stays_within_the_partition() {
        let found =
            |offset: Option<i64>| offset.map(|offset| (TopicPartition::new("t", 0), offset)).into_iter().collect();
        for (goal, committed, expected) in [
            (Goal::Earliest, Some(50), Some(10)),
            (Goal::Latest, Some(50), Some(90)),
            (Goal::Current, Some(50), Some(50)),
            (Goal::Current, None, Some(90)),
            (Goal::Offset(5), None, Some(10)),
            (Goal::Offset(70), None, Some(70)),
            (Goal::Offset(700), None, Some(90)),
            (Goal::ShiftBy(-10), Some(50), Some(40)),
            (Goal::ShiftBy(-100), Some(50), Some(10)),
            (Goal::ShiftBy(i64::MAX), Some(50), Some(90)),
            (Goal::ShiftBy(1), None, None),
            (Goal::Found(found(Some(33))), Some(50), Some(33)),
            (Goal::Found(found(None)), Some(50), Some(90)),
            (Goal::Given(found(Some(60))), None, Some(60)),
            (Goal::Given(found(None)), Some(50), None),
        ] {
            assert_eq!(planned(&goal, 10, 90, committed), expected, "{goal:?}");
        }
    }

    #[test]
    fn kafkas_csv_goes_in_and_out() {
        let text = "\"a,b\",0,1";
        assert!(parse_csv(text).is_err(), "topics have no commas");
        let offsets = parse_csv("orders,0,12\n\n\"users\",3,0\n").unwrap();
        assert_eq!(to_csv(&offsets), "\"orders\",0,12\n\"users\",3,0");
        assert_eq!(parse_csv(&to_csv(&offsets)), Ok(offsets));
        assert_eq!(parse_csv("orders,0").unwrap_err(), "line 1: expected topic,partition,offset, not \"orders,0\"");
    }

    #[test]
    fn topics_are_chosen_whole_or_in_part() {
        let choice =
            |topic: &str, partitions: &[i32]| TopicChoice { topic: topic.into(), partitions: partitions.to_vec() };
        assert_eq!(parse_topic_choice("orders"), Ok(choice("orders", &[])));
        assert_eq!(parse_topic_choice("orders:0,2"), Ok(choice("orders", &[0, 2])));
        assert!(parse_topic_choice("orders:").is_err() && parse_topic_choice("orders:a").is_err());
    }
}
