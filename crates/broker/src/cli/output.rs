//! Tables for people, JSON for programs.

use std::io::{self, Write};

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::Value;

use super::Failure;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Aligned columns.
    Table,
    /// One JSON value.
    Json,
}

/// One column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    /// Text, aligned to the left.
    Text(&'static str),
    /// A number, aligned to the right.
    Number(&'static str),
}

/// Lays `rows` out under `columns`, two blanks apart and without frames, so that `awk` and eyes can read them.
pub(super) fn table(columns: &[Column], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let align = |column: &Column, cell: Cell| match column {
        Column::Text(_) => cell,
        Column::Number(_) => cell.set_alignment(CellAlignment::Right),
    };
    table.set_header(columns.iter().map(|column| {
        let (Column::Text(name) | Column::Number(name)) = column;
        align(column, Cell::new(name))
    }));
    for row in rows {
        table.add_row(columns.iter().zip(row).map(|(column, text)| align(column, Cell::new(text))));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Prints one JSON value, indented.
pub(super) fn print_json(value: &Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(error.to_string()))?;
    print_line(&text)
}

/// Prints a line; a reader that has gone (`| head`) is no failure.
pub(super) fn print_line(line: &str) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_trimmed() {
        let columns = [Column::Text("TOPIC"), Column::Number("PARTITIONS"), Column::Text("CONFIG")];
        let rows = vec![vec!["a".into(), "3".into(), String::new()], vec!["longer".into(), "12".into(), "x=1".into()]];
        let expected = "TOPIC   PARTITIONS  CONFIG\na                3\nlonger          12  x=1";
        assert_eq!(table(&columns, rows), expected);
        assert_eq!(table(&columns[..1], Vec::new()), "TOPIC");
    }
}
