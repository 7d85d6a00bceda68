//! `highwater config get`.

use clap::Args;
use serde_json::{Value, json};

use super::target::TargetArgs;
use crate::cli::client::{ConfigEntry, Resource};
use crate::cli::output::{Column, facts, or_dash, table};
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater config get --topic orders                     # what was set, for it or for all
  highwater config get --topic orders retention.ms -l     # one setting with its meaning and all places that give a value
  highwater config get --broker 1 --all
  highwater config get --cluster --json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Only these keys.
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
    /// Also what nobody has set.
    #[arg(long, short = 'a')]
    all: bool,
    /// One block a setting, with type, default, documentation and all places that give a value.
    #[arg(long, short = 'l')]
    documentation: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: GetArgs) -> Result<(), Failure> {
    let resource = args.target.resource();
    let mut client = args.client.connect().await?;
    let keys = (!args.keys.is_empty()).then_some(args.keys.as_slice());
    let mut entries = client.describe_configs(&resource, keys).await?;
    let unknown = args.keys.iter().find(|key| entries.iter().all(|entry| entry.name != **key));
    if let Some(key) = unknown {
        return Err(Failure::new(format!("{} has no setting {key}", resource.describe()))
            .hint("`--all` without a key shows all there are"));
    }
    entries.retain(|entry| args.all || keys.is_some() || entry.is_set());
    args.client.print(
        || {
            json!({
                "resource_type": resource.type_name(),
                "resource": resource.name(),
                "settings": entries.iter().map(|entry| entry_json(entry, &resource)).collect::<Vec<_>>(),
            })
        },
        || match (args.documentation, entries.is_empty()) {
            (_, true) => format!("nothing is set for {}; --all shows the defaults", resource.describe()),
            (true, false) => entries.iter().map(entry_text).collect::<Vec<_>>().join("\n\n"),
            (false, false) => entries_table(&entries),
        },
    )
}

fn shown(entry: &ConfigEntry) -> String {
    match (&entry.value, entry.sensitive) {
        (_, true) => "(secret)".to_owned(),
        (Some(value), false) => value.clone(),
        (None, false) => "-".to_owned(),
    }
}

fn entries_table(entries: &[ConfigEntry]) -> String {
    let columns = [Column::Text("KEY"), Column::Text("VALUE"), Column::Text("SOURCE"), Column::Text("DEFAULT")];
    let row =
        |entry: &ConfigEntry| vec![entry.name.clone(), shown(entry), entry.source.to_owned(), or_dash(entry.default())];
    table(&columns, entries.iter().map(row))
}

fn entry_text(entry: &ConfigEntry) -> String {
    let mut lines = vec![
        ("value", shown(entry)),
        ("source", entry.source.to_owned()),
        ("type", entry.kind.to_owned()),
        ("default", or_dash(entry.default())),
    ];
    if entry.read_only {
        lines.push(("read-only", "yes: set in server.properties, in force after a restart".to_owned()));
    }
    let places =
        entry.synonyms.iter().map(|(key, value, source)| format!("{source}: {key}={}", or_dash(value.as_ref())));
    let places: Vec<String> = places.collect();
    if !places.is_empty() {
        lines.push(("from", places.join("; ")));
    }
    if let Some(text) = &entry.documentation {
        lines.push(("meaning", text.clone()));
    }
    let indented: Vec<String> = facts(lines).lines().map(|line| format!("  {line}")).collect();
    format!("{}\n{}", entry.name, indented.join("\n"))
}

fn entry_json(entry: &ConfigEntry, resource: &Resource) -> Value {
    let synonym = |(key, value, source): &(String, Option<String>, &'static str)| json!({"key": key, "value": value, "source": source});
    json!({
        "key": entry.name,
        "value": entry.value,
        "source": entry.source,
        "own": entry.is_own(resource),
        "default": entry.default(),
        "type": entry.kind,
        "read_only": entry.read_only,
        "sensitive": entry.sensitive,
        "documentation": entry.documentation,
        "synonyms": entry.synonyms.iter().map(synonym).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::plain;

    fn retention() -> ConfigEntry {
        ConfigEntry {
            name: "retention.ms".into(),
            value: Some("1000".into()),
            source: "DYNAMIC_TOPIC_CONFIG",
            kind: "LONG",
            read_only: false,
            sensitive: false,
            synonyms: vec![
                ("retention.ms".into(), Some("1000".into()), "DYNAMIC_TOPIC_CONFIG"),
                ("log.retention.hours".into(), Some("168".into()), "DEFAULT_CONFIG"),
            ],
            documentation: Some("How long.".into()),
        }
    }

    #[test]
    fn a_setting_shows_where_it_comes_from() {
        let expected = "\
KEY           VALUE  SOURCE                DEFAULT
retention.ms  1000   DYNAMIC_TOPIC_CONFIG  168";
        assert_eq!(plain(&entries_table(&[retention()])), expected);
        let block = "\
retention.ms
  value    1000
  source   DYNAMIC_TOPIC_CONFIG
  type     LONG
  default  168
  from     DYNAMIC_TOPIC_CONFIG: retention.ms=1000; DEFAULT_CONFIG: log.retention.hours=168
  meaning  How long.";
        assert_eq!(entry_text(&retention()), block);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = ConfigEntry { sensitive: true, value: None, ..retention() };
        assert!(plain(&entries_table(&[secret])).contains("(secret)"));
    }

    #[test]
    fn json_says_whose_the_value_is() {
        let json = entry_json(&retention(), &Resource::Topic("t".into()));
        assert_eq!((json["own"].as_bool(), json["default"].as_str()), (Some(true), Some("168")));
    }
}
