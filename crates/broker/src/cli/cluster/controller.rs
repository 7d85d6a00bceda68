//! `highwater cluster controller`.

use std::time::Duration;

use clap::{Args, Subcommand};
use highwater_metadata::HostPort;
use highwater_types::{DirectoryId, ErrorCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cli::client::{Quorum, QuorumReplica};
use crate::cli::output::{Column, Mood, Row, or_dash, table};
use crate::cli::{ClientArgs, Failure};

/// An observer follows if the active controller heard of it within this time: ten heartbeats.
const FOLLOWS_WITHIN_MS: i64 = 2000;
/// Pause between two looks at whether an observer follows.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How long one attempt to give it a vote may wait for it to catch up.
const ATTEMPT: Duration = Duration::from_secs(3);

const LIST_EXAMPLES: &str = "\
Examples:
  highwater cluster controller list
  highwater cluster controller list --json | jq -r '.controllers[] | select(.role == \"observer\") | .id'";

const ADD_EXAMPLES: &str = "\
Examples:
  highwater cluster controller add 4                 # a controller that runs, and follows as an observer
  highwater cluster controller add 4 --timeout 120";

const REMOVE_EXAMPLES: &str = "\
Examples:
  highwater cluster controller remove 3              # also when node 3 is lost
  highwater cluster controller remove 3 --directory F3lXvnVYQ7y1X8lJnGQ0Xg";

#[derive(Debug, Subcommand)]
pub(crate) enum ControllerCommand {
    /// Show the controllers, with their metadata directories.
    List(ListArgs),
    /// Give an observer a vote, once it has caught up.
    Add(AddArgs),
    /// Take a voter's vote. If it runs, it goes on as an observer.
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
#[command(after_help = ADD_EXAMPLES)]
pub(crate) struct AddArgs {
    /// Id of the node.
    id: i32,
    /// Add it only if it has this metadata directory.
    #[arg(long, value_name = "ID")]
    directory: Option<DirectoryId>,
    /// How long it may take to announce itself and to catch up.
    #[arg(long, default_value = "25", value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    timeout: u32,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
#[command(after_help = REMOVE_EXAMPLES)]
pub(crate) struct RemoveArgs {
    /// Id of the node.
    id: i32,
    /// Remove it only if it votes with this metadata directory.
    #[arg(long, value_name = "ID")]
    directory: Option<DirectoryId>,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(command: ControllerCommand) -> Result<(), Failure> {
    match command {
        ControllerCommand::List(args) => list(args).await,
        ControllerCommand::Add(args) => add(args).await,
        ControllerCommand::Remove(args) => remove(args).await,
    }
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let quorum = client.quorum().await?;
    args.client.print(|| quorum_json(&quorum), || text(&quorum))
}

async fn add(args: AddArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let deadline = Instant::now() + Duration::from_secs(args.timeout.into());
    let mut asked = None;
    let directory = loop {
        let quorum = client.quorum().await?;
        if let Some(directory) = asked.filter(|directory| votes(&quorum, args.id, *directory)) {
            break directory;
        }
        let is_over = Instant::now() >= deadline;
        match observer(&quorum, &args)? {
            Some((directory, endpoint)) => {
                asked = Some(directory);
                match client.add_voter(args.id, directory, &endpoint, ATTEMPT).await {
                    Ok(()) => break directory,
                    // Who lost its directory a moment ago may still be the one that is listed.
                    Err(failure) if failure.is(ErrorCode::RequestTimedOut) && !is_over => {}
                    Err(failure) => return Err(failure),
                }
            }
            None if is_over => return Err(no_observer(args.id)),
            None => {}
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    args.client.print(
        || json!({"id": args.id, "directory": directory.to_string(), "role": "voter"}),
        || format!("controller {} votes, with metadata directory {directory}", args.id),
    )
}

fn votes(quorum: &Quorum, id: i32, directory: DirectoryId) -> bool {
    quorum.voters.iter().any(|voter| voter.id == id && voter.directory == Some(directory))
}

/// Directory and address of the observer that is meant, if it follows now. One that lost its directory is still listed for a while.
fn observer(quorum: &Quorum, args: &AddArgs) -> Result<Option<(DirectoryId, HostPort)>, Failure> {
    if quorum.voters.iter().any(|voter| voter.id == args.id) {
        return Err(Failure::new(format!("controller {} is a voter already", args.id)));
    }
    let leader = quorum.voters.iter().find(|voter| quorum.leader == Some(voter.id));
    let now = leader.and_then(|leader| leader.last_heard_ms);
    let follows = |one: &&QuorumReplica| {
        let heard = now.zip(one.last_heard_ms).is_some_and(|(now, heard)| now - heard <= FOLLOWS_WITHIN_MS);
        one.id == args.id && heard && args.directory.is_none_or(|directory| one.directory == Some(directory))
    };
    let found = quorum.observers.iter().find(follows);
    Ok(found.and_then(|one| Some((one.directory?, one.endpoint.clone()?))))
}

fn no_observer(id: i32) -> Failure {
    let failure = Failure::new(format!("there is no controller {id} that follows as an observer"));
    failure.hint(
        "start it with `process.roles` naming controller, and the voters, without itself, in `controller.quorum.voters`; \
         its log says when it follows",
    )
}

async fn remove(args: RemoveArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let quorum = client.quorum().await?;
    let voter = quorum.voters.iter().find(|voter| voter.id == args.id);
    let Some(known) = voter.and_then(|voter| voter.directory) else {
        let failure = Failure::new(format!("there is no voter {}", args.id));
        return Err(failure.hint("`highwater cluster controller list` shows those that there are"));
    };
    let directory = args.directory.unwrap_or(known);
    client.remove_voter(args.id, directory).await?;
    let left = quorum.voters.len() - 1;
    args.client.print(
        || json!({"id": args.id, "directory": directory.to_string(), "role": "observer", "voters": left}),
        || {
            let odd = if left.is_multiple_of(2) {
                ": an odd number bears the loss of as many, with less to agree on"
            } else {
                ""
            };
            format!("controller {} has no vote any more; {left} have{odd}", args.id)
        },
    )
}

fn controllers(quorum: &Quorum) -> impl Iterator<Item = (&QuorumReplica, &'static str)> {
    let voters = quorum.voters.iter().map(|one| (one, if quorum.leader == Some(one.id) { "leader" } else { "voter" }));
    let observers = quorum.observers.iter().filter(|one| one.directory.is_some()).map(|one| (one, "observer"));
    voters.chain(observers)
}

fn text(quorum: &Quorum) -> String {
    let columns = [
        Column::Number("NODE"),
        Column::Text("ROLE"),
        Column::Text("DIRECTORY"),
        Column::Text("ADDRESS"),
        Column::Number("BEHIND"),
    ];
    let rows = controllers(quorum).map(|(one, role)| {
        let known = one.log_end >= 0;
        let cells = vec![
            one.id.to_string(),
            role.to_owned(),
            or_dash(one.directory),
            or_dash(one.endpoint.as_ref()),
            or_dash(known.then(|| (quorum.high_watermark - one.log_end).max(0))),
        ];
        Row::new(cells, if known { Mood::Fine } else { Mood::Attention })
    });
    table(&columns, rows)
}

fn quorum_json(quorum: &Quorum) -> Value {
    let one = |(one, role): (&QuorumReplica, &str)| {
        json!({
            "id": one.id,
            "role": role,
            "directory": one.directory.map(|id| id.to_string()),
            "address": one.endpoint.as_ref().map(ToString::to_string),
            "behind": (one.log_end >= 0).then(|| (quorum.high_watermark - one.log_end).max(0)),
        })
    };
    json!({"controllers": controllers(quorum).map(one).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::plain;

    #[test]
    fn controllers_are_shown_and_brokers_are_not() {
        let replica = |id, log_end, directory| QuorumReplica {
            id,
            log_end,
            last_caught_up_ms: None,
            last_heard_ms: None,
            directory,
            endpoint: Some(HostPort { host: format!("node{id}"), port: 9093 }),
        };
        let quorum = Quorum {
            leader: Some(1),
            epoch: 7,
            high_watermark: 100,
            voters: vec![replica(1, 101, Some(DirectoryId::from_random(1))), replica(2, -1, Some(DirectoryId::LOST))],
            observers: vec![replica(4, 90, Some(DirectoryId::LOST)), replica(5, 100, None)],
        };
        let expected = "\
NODE  ROLE      DIRECTORY               ADDRESS     BEHIND
   1  leader    AAAAAAAAQACAAAAAAAAAAQ  node1:9093       0
   2  voter     AAAAAAAAAAAAAAAAAAAAAQ  node2:9093       -
   4  observer  AAAAAAAAAAAAAAAAAAAAAQ  node4:9093      10";
        assert_eq!(plain(&text(&quorum)), expected);
    }
}
