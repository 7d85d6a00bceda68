//! `highwater config list`.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::client::{ConfigEntry, Resource};
use crate::cli::output::{Column, table};
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater config list
  highwater config list --json | jq '.[] | select(.resource_type == \"topic\")'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    client: ClientArgs,
}

/// A resource with what was set on itself at run time.
struct Line {
    resource: Resource,
    own: Vec<(String, Option<String>)>,
}

pub(crate) async fn run(args: ListArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let (topics, others): (Vec<_>, Vec<_>) =
        client.config_resources().await?.into_iter().partition(|one| matches!(one, Resource::Topic(_)));
    let mut described = if topics.is_empty() { Vec::new() } else { client.describe_all_configs(&topics, None).await? };
    let mut resources = topics;
    for resource in others {
        described.push(client.describe_configs(&resource, None).await?);
        resources.push(resource);
    }
    let mut lines = Vec::new();
    for (resource, entries) in resources.into_iter().zip(described) {
        let own = entries.into_iter().filter(|entry| entry.is_own(&resource));
        let own: Vec<_> = own.map(|entry: ConfigEntry| (entry.name, entry.value)).collect();
        if !own.is_empty() {
            lines.push(Line { resource, own });
        }
    }
    args.client.print(|| lines.iter().map(line_json).collect(), || text(&lines))
}

fn text(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "no topic and no broker has settings of its own".to_owned();
    }
    let columns = [Column::Text("TYPE"), Column::Text("NAME"), Column::Text("SETTINGS")];
    let row = |line: &Line| {
        let settings = line.own.iter().map(|(key, value)| format!("{key}={}", value.as_deref().unwrap_or("(secret)")));
        vec![line.resource.type_name().to_owned(), line.resource.name(), settings.collect::<Vec<_>>().join(" ")]
    };
    table(&columns, lines.iter().map(row))
}

fn line_json(line: &Line) -> Value {
    let settings: serde_json::Map<String, Value> =
        line.own.iter().map(|(key, value)| (key.clone(), Value::from(value.clone()))).collect();
    json!({"resource_type": line.resource.type_name(), "resource": line.resource.name(), "settings": settings})
}
