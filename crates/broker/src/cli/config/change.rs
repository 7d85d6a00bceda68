//! Changes of settings, as `topic alter` and `config set` take them.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::client::{Alteration, Operation, Resource};
use crate::cli::{ClientArgs, Failure};

#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// Set a key. May be repeated.
    #[arg(long, short = 's', value_name = "KEY=VALUE", value_parser = parse_assignment_of_key)]
    set: Vec<(String, String)>,
    /// Take a key's own value back. May be repeated.
    #[arg(long, short = 'd', value_name = "KEY")]
    delete: Vec<String>,
    /// Add to a list, such as cleanup.policy=compact. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_assignment_of_key)]
    append: Vec<(String, String)>,
    /// Take from a list. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_assignment_of_key)]
    subtract: Vec<(String, String)>,
    /// Check only; change nothing.
    #[arg(long)]
    validate_only: bool,
}

impl ChangeArgs {
    /// Applies all changes to `resource`, or none, and reports them.
    pub(crate) async fn apply(self, resource: Resource, client: &ClientArgs) -> Result<(), Failure> {
        let mut alterations = Vec::new();
        for (pairs, operation) in
            [(self.set, Operation::Set), (self.append, Operation::Append), (self.subtract, Operation::Subtract)]
        {
            alterations.extend(pairs.into_iter().map(|(key, value)| Alteration { key, operation, value: Some(value) }));
        }
        let delete = |key| Alteration { key, operation: Operation::Delete, value: None };
        alterations.extend(self.delete.into_iter().map(delete));
        alter(resource, alterations, self.validate_only, client).await
    }
}

/// Applies `alterations` and reports them.
pub(crate) async fn alter(
    resource: Resource,
    alterations: Vec<Alteration>,
    validate_only: bool,
    args: &ClientArgs,
) -> Result<(), Failure> {
    if alterations.is_empty() {
        return Err(Failure::usage("nothing to change").hint("`--set key=value` or `--delete key`"));
    }
    args.connect().await?.alter_configs(&resource, &alterations, validate_only).await?;
    let verb = if validate_only { "would be accepted for" } else { "changed" };
    args.print(
        || {
            json!({
                "resource_type": resource.type_name(),
                "resource": resource.name(),
                "changed": !validate_only,
                "alterations": alterations.iter().map(alteration_json).collect::<Vec<_>>(),
            })
        },
        || {
            let changes: Vec<String> = alterations.iter().map(alteration_text).collect();
            format!("{verb} {}: {}", resource.describe(), changes.join(", "))
        },
    )
}

fn alteration_text(alteration: &Alteration) -> String {
    let value = alteration.value.as_deref().unwrap_or_default();
    match alteration.operation {
        Operation::Set => format!("{}={value}", alteration.key),
        Operation::Delete => format!("{} deleted", alteration.key),
        Operation::Append => format!("{} += {value}", alteration.key),
        Operation::Subtract => format!("{} -= {value}", alteration.key),
    }
}

fn alteration_json(alteration: &Alteration) -> Value {
    let operation = match alteration.operation {
        Operation::Set => "set",
        Operation::Delete => "delete",
        Operation::Append => "append",
        Operation::Subtract => "subtract",
    };
    json!({"key": alteration.key, "operation": operation, "value": alteration.value})
}

/// Parses `key=value`.
pub(crate) fn parse_assignment_of_key(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("expected key=value".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_equals_sign_divides() {
        let parsed = parse_assignment_of_key("a.b = c=d ");
        assert_eq!(parsed, Ok(("a.b".to_owned(), "c=d".to_owned())));
        assert_eq!(parse_assignment_of_key("a="), Ok(("a".to_owned(), String::new())));
        assert!(parse_assignment_of_key("a").is_err() && parse_assignment_of_key("=b").is_err());
    }
}
