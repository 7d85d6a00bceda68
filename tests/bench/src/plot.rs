//! Plots as SVG: groups of bars, one bar for each system.

use std::fmt::Write as _;

use crate::report::number;
use crate::results::Results;
use crate::system::System;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 60.0;
/// Where the bars stand.
const BASE: f64 = 300.0;
/// Share of a group's width that its bars take.
const FILL: f64 = 0.8;

/// Colours of strict, relaxed and Kafka that also differ in brightness.
const COLOURS: [&str; 3] = ["#0b5394", "#6fa8dc", "#bf9000"];

/// A group of bars: label, workload, figure.
type Group = (&'static str, &'static str, &'static str);

const THROUGHPUT: &[Group] = &[
    ("A produce", "A", "a.produce.mb_per_s"),
    ("A read", "A", "a.read.mb_per_s"),
    ("B", "B", "b.mb_per_s"),
    ("D lz4", "D", "d.lz4.mb_per_s"),
    ("D zstd", "D", "d.zstd.mb_per_s"),
    ("E", "E", "e.mb_per_s"),
];

const CPU: &[Group] = &[
    ("A produce", "A", "a.produce.cpu_s_per_gb"),
    ("A read", "A", "a.read.cpu_s_per_gb"),
    ("B", "B", "b.cpu_s_per_gb"),
    ("C", "C", "c.cpu_s_per_gb"),
    ("D lz4", "D", "d.lz4.cpu_s_per_gb"),
    ("D zstd", "D", "d.zstd.cpu_s_per_gb"),
    ("E", "E", "e.cpu_s_per_gb"),
];

const LATENCY: &[Group] = &[
    ("p50", "E2", "e2.p50_ms"),
    ("p90", "E2", "e2.p90_ms"),
    ("p99", "E2", "e2.p99_ms"),
    ("p99.9", "E2", "e2.p99.9_ms"),
    ("p99.99", "E2", "e2.p99.99_ms"),
    ("max", "E2", "e2.max_ms"),
];

/// How heights stand for values.
#[derive(Clone, Copy, PartialEq)]
enum Axis {
    Linear,
    /// Each tenth power takes the same height.
    Logarithmic,
}

/// File names and contents of all plots for which something was measured.
pub fn plots(results: &Results) -> Vec<(&'static str, String)> {
    let plots = [
        ("throughput.svg", "Throughput, MB/s (more is better)", THROUGHPUT, Axis::Linear),
        ("cpu.svg", "CPU seconds of all brokers a GB (less is better)", CPU, Axis::Linear),
        (
            "latency.svg",
            "E at 20,000 records/s: latency from the due time, ms (logarithmic)",
            LATENCY,
            Axis::Logarithmic,
        ),
    ];
    plots
        .into_iter()
        .filter_map(|(name, title, groups, axis)| Some((name, chart(title, groups, axis, results)?)))
        .collect()
}

fn chart(title: &str, groups: &[Group], axis: Axis, results: &Results) -> Option<String> {
    let values =
        |(_, workload, figure): &Group| System::ALL.map(|system| results.of_all_runs(workload, system, figure));
    let groups: Vec<(&str, [Option<f64>; 3])> = groups
        .iter()
        .map(|group| (group.0, values(group)))
        .filter(|(_, values)| values.iter().any(Option::is_some))
        .collect();
    let all: Vec<f64> = groups.iter().flat_map(|(_, values)| values.iter().flatten().copied()).collect();
    let highest = all.iter().copied().reduce(f64::max)?;
    let lowest = all.iter().copied().filter(|value| *value > 0.0).reduce(f64::min).unwrap_or(highest);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"16\">{title}</text>\n"
    );
    legend(&mut svg);
    let group_width = (WIDTH - LEFT - 20.0) / groups.len() as f64;
    let bar_width = group_width * FILL / 3.0;
    for (index, (label, values)) in groups.iter().enumerate() {
        let x = LEFT + group_width * index as f64;
        for (bar, value) in values.iter().enumerate() {
            let Some(value) = value else { continue };
            let height = height(*value, lowest, highest, axis) * (BASE - TOP);
            let (x, y) = (x + bar_width * bar as f64, BASE - height);
            let (colour, middle) = (COLOURS[bar], x + bar_width / 2.0);
            // Writing to a string cannot fail.
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>\
                 <text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"10\">{}</text>",
                bar_width - 2.0,
                y - 4.0,
                number(*value)
            );
        }
        let middle = x + group_width * FILL / 2.0;
        let _ = writeln!(svg, "<text x=\"{middle:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", BASE + 20.0);
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn legend(svg: &mut String) {
    for (index, name) in ["Highwater, strict", "Highwater, relaxed", "Apache Kafka"].iter().enumerate() {
        let x = LEFT + 160.0 * index as f64;
        let colour = COLOURS[index];
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"34\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{}\" y=\"44\">{name}</text>",
            x + 18.0
        );
    }
}

/// Height of a bar as a share of the highest.
fn height(value: f64, lowest: f64, highest: f64, axis: Axis) -> f64 {
    if axis == Axis::Linear {
        return value / highest;
    }
    // The lowest value still gets a tenth power of height.
    let floor = lowest.log10().floor() - 0.5;
    ((value.max(f64::MIN_POSITIVE).log10() - floor) / (highest.log10() - floor)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Findings;
    use crate::results::Entry;

    #[test]
    fn heights_follow_values() {
        assert_eq!(height(50.0, 1.0, 200.0, Axis::Linear), 0.25);
        let of = |value| height(value, 1.0, 100.0, Axis::Logarithmic);
        assert_eq!(of(100.0), 1.0);
        assert!((of(10.0) - of(1.0) - (of(100.0) - of(10.0))).abs() < 1e-9);
        assert!(of(1.0) > 0.0 && of(0.0) == 0.0);
    }

    #[test]
    fn a_plot_has_a_bar_for_each_figure_and_none_without_figures() {
        assert!(plots(&Results::default()).is_empty());
        let mut results = Results::default();
        for (system, value) in [(System::Strict, 300.0), (System::Kafka, 200.0)] {
            let mut findings = Findings::default();
            findings.note("a.produce.mb_per_s", value);
            let workload = "A".to_owned();
            results.add(Entry {
                workload,
                system,
                run: 0,
                quick: false,
                measured_at_ms: 0,
                seconds: 0.0,
                findings,
                failure: None,
            });
        }
        let plots = plots(&results);
        let names: Vec<&str> = plots.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["throughput.svg"]);
        // The background, three squares of the legend, two bars.
        assert_eq!(plots[0].1.matches("<rect").count(), 6);
    }
}
