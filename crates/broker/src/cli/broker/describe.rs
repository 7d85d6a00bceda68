//! `highwater broker describe`.

use clap::Args;
use serde_json::{Value, json};

use super::list::BrokerLine;
use super::log_dirs::{dir_json, dirs_table};
use crate::cli::client::Resource;
use crate::cli::output::{facts, or_dash};
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater broker describe 1
  highwater config get --broker 1 --all       # every setting of it";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DescribeArgs {
    /// Id of the broker.
    id: i32,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: DescribeArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let broker = client.broker(args.id).await?;
    let topics = client.all_topics().await?;
    let partitions: Vec<_> = topics.iter().flat_map(|topic| &topic.partitions).collect();
    // One that is not up can say nothing of itself.
    let (settings, dirs) = match broker.fenced {
        true => (Vec::new(), Vec::new()),
        false => {
            let mut settings = client.describe_configs(&Resource::Broker(args.id), None).await?;
            settings.retain(|entry| entry.is_set());
            (settings, client.log_dirs(args.id).await?)
        }
    };
    let lines = BrokerLine::of(vec![broker.clone()], &partitions);
    let line = lines[0].json();
    args.client.print(
        || {
            let mut json = line.clone();
            let setting = |entry: &crate::cli::client::ConfigEntry| {
                json!({"key": entry.name, "value": entry.value, "source": entry.source})
            };
            json["settings"] = settings.iter().map(setting).collect();
            json["log_dirs"] = dirs.iter().map(dir_json).collect();
            json
        },
        || {
            let number = |key: &str| line.get(key).map_or_else(String::new, Value::to_string);
            let head = facts([
                ("broker", broker.id.to_string()),
                ("address", broker.address()),
                ("rack", or_dash(broker.rack.as_ref())),
                ("state", if broker.fenced { "fenced" } else { "up" }.to_owned()),
                ("leads", format!("{} ({} preferred)", number("leaders"), number("preferred_leaders"))),
                ("replicas", number("replicas")),
            ]);
            let set = settings.iter().map(|entry| format!("  {}={}", entry.name, or_dash(entry.value.as_ref())));
            let set = set.collect::<Vec<_>>().join("\n");
            match broker.fenced {
                true => format!("{head}\n\nnot up: settings and directories are not known"),
                false => format!("{head}\n\nsettings that were set\n{set}\n\n{}", dirs_table(&dirs)),
            }
        },
    )
}
