//! Outcomes of recent commands, so that a repeated one is answered instead of run again.
//!
//! In memory of the active controller only, and only for its term: a client whose first attempt went to an earlier term is
//! told that the outcome is unknown, unless the command may be repeated anyway (see `client`).

use std::collections::{BTreeMap, VecDeque};

use highwater_types::MetadataOffset;

use highwater_controller::{CommandError, CommandResponse};

/// Outcomes kept. A client repeats within seconds; a busy cluster decides some hundred commands in that time. Responses of
/// CreateTopics may have tens of kilobytes, hence not more.
const KEPT: usize = 512;

/// Which command: the client that sent it, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CommandId {
    pub(crate) client: u64,
    pub(crate) sequence: u64,
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) result: Result<CommandResponse, CommandError>,
    /// Where the metadata log ends with its records.
    pub(crate) offset: MetadataOffset,
}

/// See the head of the file.
#[derive(Default)]
pub(crate) struct RecentOutcomes {
    outcomes: BTreeMap<CommandId, Outcome>,
    /// Keys of `outcomes`, oldest first.
    order: VecDeque<CommandId>,
}

impl RecentOutcomes {
    pub(crate) fn get(&self, id: CommandId) -> Option<&Outcome> {
        self.outcomes.get(&id)
    }

    pub(crate) fn insert(&mut self, id: CommandId, outcome: Outcome) {
        if self.outcomes.insert(id, outcome).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > KEPT {
            let oldest = self.order.pop_front().expect("not empty");
            self.outcomes.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(offset: i64) -> Outcome {
        Outcome { result: Ok(CommandResponse::FenceBroker), offset: MetadataOffset(offset) }
    }

    #[test]
    fn remembers_the_latest_and_forgets_the_oldest() {
        let id = |sequence| CommandId { client: 1, sequence };
        let mut recent = RecentOutcomes::default();
        for sequence in 0..=KEPT as u64 {
            recent.insert(id(sequence), outcome(sequence as i64));
        }
        assert_eq!(recent.get(id(0)), None);
        assert_eq!(recent.get(id(1)), Some(&outcome(1)));
        assert_eq!(recent.outcomes.len(), recent.order.len());
    }
}
