//! `highwater cluster features`.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::client::{Feature, UpgradeType};
use crate::cli::output::{Column, or_dash, table};
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater cluster features
  highwater cluster features --set highwater.metadata.version=3 --validate-only
  highwater cluster features --set highwater.metadata.version=3        # once all nodes run the new version";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FeaturesArgs {
    /// Set the level of a feature; 0 switches it off. May be repeated.
    #[arg(long, value_name = "NAME=LEVEL", value_parser = parse_level)]
    set: Vec<(String, i16)>,
    /// Allow a lower level than now, where nothing is lost by it.
    #[arg(long, requires = "set")]
    downgrade: bool,
    /// Check only; change nothing.
    #[arg(long, requires = "set")]
    validate_only: bool,
    #[command(flatten)]
    client: ClientArgs,
}

fn parse_level(text: &str) -> Result<(String, i16), String> {
    let parsed =
        text.split_once('=').and_then(|(name, level)| Some((name.trim().to_owned(), level.trim().parse().ok()?)));
    parsed.filter(|(name, level)| !name.is_empty() && *level >= 0).ok_or_else(|| "expected NAME=LEVEL".to_owned())
}

pub(crate) async fn run(args: FeaturesArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    if !args.set.is_empty() {
        let upgrade = if args.downgrade { UpgradeType::SafeDowngrade } else { UpgradeType::Upgrade };
        client.update_features(&args.set, upgrade, args.validate_only).await?;
    }
    let (features, epoch) = client.features().await?;
    args.client.print(
        || {
            json!({
                "changed": !args.set.is_empty() && !args.validate_only,
                "epoch": epoch,
                "features": features.iter().map(feature_json).collect::<Vec<_>>(),
            })
        },
        || {
            let validated = if args.validate_only { "the new levels would be accepted; now:\n\n" } else { "" };
            format!("{validated}{}", text(&features))
        },
    )
}

fn text(features: &[Feature]) -> String {
    let columns = [Column::Text("FEATURE"), Column::Number("LEVEL"), Column::Text("SUPPORTED")];
    let row = |feature: &Feature| {
        let supported = feature.supported.map(|(min, max)| format!("{min} to {max}"));
        vec![feature.name.clone(), or_dash(feature.level), or_dash(supported)]
    };
    table(&columns, features.iter().map(row))
}

fn feature_json(feature: &Feature) -> Value {
    json!({
        "name": feature.name,
        "level": feature.level,
        "supported_min": feature.supported.map(|(min, _)| min),
        "supported_max": feature.supported.map(|(_, max)| max),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_number_from_zero_on() {
        assert_eq!(parse_level("metadata.version=27"), Ok(("metadata.version".to_owned(), 27)));
        for wrong in ["metadata.version", "=1", "a=-1", "a=x"] {
            assert!(parse_level(wrong).is_err(), "{wrong}");
        }
    }
}
