//! The table: figures of both durabilities beside Kafka's, ratios, goals, and whether they are reached.

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

use crate::figure::{FIGURES, Figure};
use crate::goal::Goal;
use crate::results::Results;
use crate::system::System;

const HEADER: [&str; 11] = [
    "id",
    "figure",
    "unit",
    "strict",
    "relaxed",
    "Kafka",
    "strict : Kafka",
    "relaxed : Kafka",
    "must",
    "stretch",
    "reached",
];

/// Columns of text; the others hold numbers.
const TEXT_COLUMNS: [usize; 3] = [0, 1, 2];

/// The table of all figures that were measured, in Markdown.
pub fn table(results: &Results) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(HEADER);
    for (index, column) in table.column_iter_mut().enumerate() {
        if !TEXT_COLUMNS.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    FIGURES.iter().filter_map(|figure| row(figure, results)).for_each(|row| {
        table.add_row(row);
    });
    table.to_string()
}

/// A line for each run that ended early.
pub fn failures(results: &Results) -> Vec<String> {
    let of = |entry: &crate::results::Entry| {
        let failure = entry.failure.as_ref()?;
        Some(format!("{} on {}, run {}: {failure}", entry.workload, entry.system.name(), entry.run + 1))
    };
    results.entries.iter().filter_map(of).collect()
}

fn row(figure: &Figure, results: &Results) -> Option<[String; 11]> {
    let [strict, relaxed, kafka] = System::ALL.map(|system| results.of_all_runs(figure.workload, system, figure.name));
    if strict.is_none() && relaxed.is_none() && kafka.is_none() {
        return None;
    }
    let show = |value: Option<f64>| value.map_or(String::new(), number);
    let ratio = |ours: Option<f64>| match (ours, kafka) {
        (Some(ours), Some(kafka)) if ours > 0.0 => format!("{}x", number(figure.better.ratio(ours, kafka))),
        _ => String::new(),
    };
    let [must, stretch] = goal_words(figure);
    Some([
        figure.workload.to_owned(),
        figure.label.to_owned(),
        figure.unit.to_owned(),
        show(strict),
        show(relaxed),
        show(kafka),
        ratio(strict),
        ratio(relaxed),
        must,
        stretch,
        reached(figure, strict, relaxed, kafka),
    ])
}

/// Must and stretch; strict's first where the durabilities differ.
fn goal_words(figure: &Figure) -> [String; 2] {
    let words = |goal: Option<Goal>| goal.map_or([String::new(), String::new()], Goal::words);
    let ([strict_must, strict_stretch], [must, stretch]) = (words(figure.strict), words(figure.relaxed));
    if strict_must == must && strict_stretch == stretch {
        return [must, stretch];
    }
    [format!("{strict_must}, {must}"), format!("{strict_stretch}, {stretch}")]
}

/// What is reached at strict and at relaxed durability, as far as either was measured.
fn reached(figure: &Figure, strict: Option<f64>, relaxed: Option<f64>, kafka: Option<f64>) -> String {
    let verdict = |goal: Option<Goal>, ours: Option<f64>| {
        goal.zip(ours).and_then(|(goal, ours)| goal.judge(figure.better, ours, kafka))
    };
    let verdicts = [verdict(figure.strict, strict), verdict(figure.relaxed, relaxed)];
    let words: Vec<&str> = verdicts.into_iter().flatten().map(crate::goal::Verdict::word).collect();
    words.join(", ")
}

/// Three digits that matter, as short as they can be.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "inf".to_owned();
    }
    let magnitude = value.abs();
    let decimals = match magnitude {
        _ if magnitude >= 100.0 => 0,
        _ if magnitude >= 10.0 => 1,
        _ if magnitude >= 0.1 => 2,
        _ if magnitude == 0.0 => 0,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Findings;
    use crate::results::Entry;

    fn results(figures: &[(System, &str, f64)]) -> Results {
        let mut results = Results::default();
        for (run, (system, name, value)) in figures.iter().enumerate() {
            let mut findings = Findings::default();
            findings.note(*name, *value);
            let (workload, system) = (name.split('.').next().unwrap_or_default().to_uppercase(), *system);
            results.entries.push(Entry {
                workload,
                system,
                run,
                quick: false,
                measured_at_ms: 0,
                seconds: 0.0,
                findings,
                failure: None,
            });
        }
        results
    }

    #[test]
    fn a_row_holds_ratios_goals_of_both_durabilities_and_verdicts() {
        let name = "e2.cpu_s_per_gb";
        let table = table(&results(&[
            (System::Strict, name, 20.0),
            (System::Relaxed, name, 16.0),
            (System::Kafka, name, 40.0),
        ]));
        let row = table.lines().last().unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let expected = ["20.0", "16.0", "40.0", "2.00x", "2.50x", "2x, 4x", "3x, 6x", "must, no"];
        assert_eq!(cells[4..12], expected, "{row}");
        assert_eq!(table.lines().count(), 3, "only what was measured has a row");
    }

    #[test]
    fn without_kafka_there_are_figures_and_no_verdict() {
        let table = table(&results(&[(System::Strict, "e.mb_per_s", 134.2)]));
        let row = table.lines().last().unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[4..12], ["134", "", "", "", "", "1.8x", "2.5x", ""], "{row}");
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.0312, 0.123_4, 5.678, 56.78, 5_678.9, f64::INFINITY].map(number);
        assert_eq!(shown, ["0", "0.0312", "0.12", "5.68", "56.8", "5679", "inf"]);
    }
}
