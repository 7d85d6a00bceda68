//! ListGroups, DescribeGroups and DeleteGroups.

use highwater_types::ErrorCode;

use super::GroupCoordinatorShard;
use crate::output::{Now, Output, Reply, Response, SendWhen, Token};
use crate::schema::CoordinatorRecord;
use crate::{DescribedGroup, GroupFigures, GroupState, ListGroupsFilter, ListedGroup};

impl GroupCoordinatorShard {
    /// The groups that pass the filter, by id.
    pub fn list_groups(&self, filter: &ListGroupsFilter) -> Vec<ListedGroup> {
        let passes =
            |names: &[String], name: &str| names.is_empty() || names.iter().any(|n| n.eq_ignore_ascii_case(name));
        let listed = self.groups.values().map(|group| group.classic.listed());
        listed
            .filter(|group| {
                passes(&filter.states, group.state.name()) && passes(&filter.types, group.group_type.name())
            })
            .collect()
    }

    /// One group as DescribeGroups shows it.
    pub fn describe_group(&self, group_id: &str) -> DescribedGroup {
        match self.groups.get(group_id) {
            Some(group) => group.classic.described(),
            None => DescribedGroup {
                error_message: Some(format!("Group {group_id} not found.")),
                state: GroupState::Dead.name().to_owned(),
                ..DescribedGroup::error(group_id, ErrorCode::GroupIdNotFound)
            },
        }
    }

    /// The figures of each group, for metrics.
    pub fn group_figures(&self) -> impl Iterator<Item = GroupFigures> {
        self.groups.iter().map(|(group_id, group)| GroupFigures {
            group_id: group_id.as_ref().to_owned(),
            state: group.classic.state(),
            members: group.classic.member_count(),
            generation: group.classic.generation(),
        })
    }

    pub(super) fn delete_group(&mut self, now: Now, token: Token, group_id: &str) -> Output {
        let refusal = match self.groups.get(group_id) {
            None => Some(ErrorCode::GroupIdNotFound),
            Some(group) if !group.classic.is_in(GroupState::Empty) => Some(ErrorCode::NonEmptyGroup),
            Some(_) => None,
        };
        if let Some(error) = refusal {
            return self.reply(now, token, Response::DeleteGroup(error));
        }
        let offsets = self.groups[group_id].offsets.iter();
        let mut records: Vec<_> = offsets
            .map(|(topic, partition, _)| CoordinatorRecord::offset_commit_tombstone(group_id, topic, partition))
            .collect();
        records.push(CoordinatorRecord::group_metadata_tombstone(group_id));
        let reply = Reply { token, response: Response::DeleteGroup(ErrorCode::None), send: SendWhen::Committed };
        self.write_tombstones(now, records, Some(reply))
    }
}
