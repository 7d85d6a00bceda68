//! The dashboards of `deploy/grafana`: every query is evaluated.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{Stage, repository, until};

/// Names of the files, without `.json`.
pub const DASHBOARDS: [&str; 4] = ["cluster", "broker", "topic", "group"];
/// What a panel's description ends with if no data is good news.
const EMPTY_WHEN_HEALTHY: &str = "Empty when healthy.";

/// One query of a panel.
pub struct Query {
    pub panel: String,
    pub expression: String,
    pub may_be_empty: bool,
}

/// The queries of a dashboard with all variables filled in by "all".
pub fn queries(name: &str) -> Result<Vec<Query>> {
    let dashboard = read(name)?;
    let mut queries = Vec::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().context("a panel without a title")?;
        let description = panel["description"].as_str().unwrap_or_default();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().with_context(|| format!("{title}: no expression"))?;
            queries.push(Query {
                panel: format!("{name}: {title}"),
                expression: filled_in(expression),
                may_be_empty: description.ends_with(EMPTY_WHEN_HEALTHY),
            });
        }
    }
    Ok(queries)
}

/// Under load, each query returns data, or its panel says that it need not.
pub fn every_panel_has_data(stage: &mut Stage) -> Result<String> {
    let (mut with_data, mut empty, mut missing) = (0, 0, Vec::new());
    for name in DASHBOARDS {
        for query in queries(name)? {
            let ask = || {
                let series = stage.prometheus.query(&query.expression)?;
                Ok(series.iter().any(|series| !series.value.is_nan()).then_some(()))
            };
            // A rate needs some scrapes before it shows anything; an expression that is wrong fails at once.
            let patience = Duration::from_secs(if query.may_be_empty { 0 } else { 30 });
            match until(&query.panel, patience, ask) {
                Ok(()) => with_data += 1,
                Err(_) if query.may_be_empty && stage.prometheus.query(&query.expression).is_ok() => empty += 1,
                Err(error) => missing.push(format!("{error:#}\n  {}", query.expression)),
            }
        }
    }
    if !missing.is_empty() {
        bail!(missing.join("\n"));
    }
    Ok(format!("{with_data} queries of {} dashboards return data, {empty} are empty as when healthy", DASHBOARDS.len()))
}

fn read(name: &str) -> Result<Value> {
    let path = repository().join("deploy/grafana").join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// All panels that show something.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().into_iter().flatten().filter(|panel| panel["type"] != "row")
}

/// Replaces what Grafana would.
fn filled_in(expression: &str) -> String {
    let mut filled = expression.replace("$__rate_interval", "10s").replace("[5m]", "[10s]");
    for variable in ["$cluster", "$instance", "$topic", "$consumergroup"] {
        filled = filled.replace(&format!("\"{variable}\""), "\".*\"");
    }
    filled
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::promql::unknown_names;

    /// What Grafana needs of a dashboard.
    fn faults(name: &str) -> Result<Vec<String>> {
        let dashboard = read(name)?;
        let mut faults = Vec::new();
        for key in ["uid", "title", "schemaVersion", "time", "templating", "panels"] {
            if dashboard[key].is_null() {
                faults.push(format!("{name}: no {key}"));
            }
        }
        let variables = dashboard["templating"]["list"].as_array().into_iter().flatten();
        let variables: BTreeSet<&str> = variables.filter_map(|variable| variable["name"].as_str()).collect();
        let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for panel in dashboard["panels"].as_array().into_iter().flatten() {
            let title = panel["title"].as_str().unwrap_or("?");
            if !ids.insert(panel["id"].as_u64()) {
                faults.push(format!("{name}: {title}: its id is not its own"));
            }
            let grid = |key: &str| panel["gridPos"][key].as_u64().unwrap_or(99);
            let (x, y, w, h) = (grid("x"), grid("y"), grid("w"), grid("h"));
            let mut cells = (x..x + w).flat_map(|column| (y..y + h).map(move |line| (column, line)));
            if x + w > 24 || !cells.all(|cell| taken.insert(cell)) {
                faults.push(format!("{name}: {title}: it does not fit where it is"));
            }
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expression = target["expr"].as_str().unwrap_or_default();
                for variable in expression.split('$').skip(1) {
                    let end = variable.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(variable.len());
                    if !variables.contains(&variable[..end]) && !variable.starts_with("__rate_interval") {
                        faults.push(format!("{name}: {title}: ${} is no variable", &variable[..end]));
                    }
                }
                if target["datasource"]["uid"] != "${datasource}" {
                    faults.push(format!("{name}: {title}: another data source"));
                }
            }
        }
        Ok(faults)
    }

    #[test]
    fn dashboards_are_as_grafana_needs_them() {
        for name in DASHBOARDS {
            assert_eq!(faults(name).unwrap(), [""; 0]);
        }
    }

    #[test]
    fn dashboards_ask_for_figures_that_exist() {
        for name in DASHBOARDS {
            for query in queries(name).unwrap() {
                assert_eq!(unknown_names(&query.expression), [""; 0], "{}", query.panel);
                assert!(!query.expression.contains('$'), "{}: {}", query.panel, query.expression);
            }
        }
    }
}
