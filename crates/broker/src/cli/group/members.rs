//! `highwater group members`.

use clap::Args;
use serde_json::{Value, json};

use super::describe::existing_group;
use crate::cli::client::Member;
use crate::cli::output::{Column, or_dash, table};
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater group members counters
  highwater group members counters --json | jq '.[] | {host, partitions}'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MembersArgs {
    /// Id of the group.
    group: String,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: MembersArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let group = existing_group(&mut client, &args.group).await?;
    args.client.print(|| group.members.iter().map(member_json).collect(), || text(&group.members))
}

fn text(members: &[Member]) -> String {
    if members.is_empty() {
        return "the group has no members".to_owned();
    }
    let columns = [
        Column::Text("MEMBER"),
        Column::Text("INSTANCE"),
        Column::Text("CLIENT"),
        Column::Text("HOST"),
        Column::Number("PARTITIONS"),
        Column::Text("ASSIGNMENT"),
    ];
    let row = |member: &Member| {
        let assigned: Vec<String> = member.partitions.iter().map(ToString::to_string).collect();
        let (instance, count) = (or_dash(member.instance_id.as_ref()), assigned.len().to_string());
        let assigned = if assigned.is_empty() { "-".to_owned() } else { assigned.join(" ") };
        vec![member.id.clone(), instance, member.client_id.clone(), member.host.clone(), count, assigned]
    };
    table(&columns, members.iter().map(row))
}

pub(crate) fn member_json(member: &Member) -> Value {
    let partition = |one: &crate::cli::client::TopicPartition| json!({"topic": one.topic, "partition": one.partition});
    json!({
        "member": member.id,
        "instance_id": member.instance_id,
        "client_id": member.client_id,
        "host": member.host,
        "partitions": member.partitions.iter().map(partition).collect::<Vec<_>>(),
    })
}
