//! `highwater group list`.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::client::Group;
use crate::cli::output::{Column, table};
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater group list
  highwater group list --state empty
  highwater group list --json | jq -r '.[].group'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ListArgs {
    /// Only groups in this state, such as stable or empty.
    #[arg(long)]
    state: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: ListArgs) -> Result<(), Failure> {
    let mut groups = args.client.connect().await?.groups().await?;
    groups.retain(|group| args.state.as_ref().is_none_or(|state| group.state.eq_ignore_ascii_case(state)));
    args.client.print(|| groups.iter().map(group_json).collect(), || text(&groups))
}

fn text(groups: &[Group]) -> String {
    let columns =
        [Column::Text("GROUP"), Column::Text("STATE"), Column::Text("PROTOCOL"), Column::Number("COORDINATOR")];
    let row = |group: &Group| {
        let protocol = if group.protocol_type.is_empty() { "-" } else { &group.protocol_type };
        vec![group.id.clone(), group.state.clone(), protocol.to_owned(), group.coordinator.to_string()]
    };
    table(&columns, groups.iter().map(row))
}

fn group_json(group: &Group) -> Value {
    json!({
        "group": group.id,
        "state": group.state,
        "protocol_type": group.protocol_type,
        "coordinator": group.coordinator,
    })
}
