//! Tables for people, JSON for programs. Colours appear only on a terminal, and not with NO_COLOR.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::Value;

use super::Failure;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Aligned columns.
    Table,
    /// One JSON value.
    Json,
}

impl Format {
    /// Prints a result in this format.
    pub(crate) fn print(self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
        match self {
            Self::Json => print_json(&json()),
            Self::Table => print_line(&text()),
        }
    }
}

/// One column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Column {
    /// Text, aligned to the left.
    Text(&'static str),
    /// A number, aligned to the right.
    Number(&'static str),
}

/// Whether a row calls for attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mood {
    #[default]
    Fine,
    Attention,
    Alarm,
}

impl Mood {
    /// The colour it is printed in.
    pub(crate) fn style(self) -> Style {
        match self {
            Self::Fine => Style::new(),
            Self::Attention => AnsiColor::Yellow.on_default(),
            Self::Alarm => AnsiColor::Red.on_default(),
        }
    }
}

/// The cells of one line.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    cells: Vec<String>,
    mood: Mood,
}

impl Row {
    /// A row that calls for attention, or not.
    pub(crate) fn new(cells: Vec<String>, mood: Mood) -> Self {
        Self { cells, mood }
    }
}

impl From<Vec<String>> for Row {
    fn from(cells: Vec<String>) -> Self {
        Self { cells, mood: Mood::Fine }
    }
}

/// Lays `rows` out under `columns`, two blanks apart and without frames, so that `awk` and eyes can read them.
pub(crate) fn table<R: Into<Row>>(columns: &[Column], rows: impl IntoIterator<Item = R>) -> String {
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
    let mut styles = vec![Style::new().bold()];
    for row in rows.into_iter().map(Into::into) {
        styles.push(row.mood.style());
        // A cell with several lines would tear the row apart.
        let cells = row.cells.into_iter().map(|cell| cell.replace('\n', " "));
        table.add_row(columns.iter().zip(cells).map(|(column, text)| align(column, Cell::new(text))));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let paint = |(line, style): (String, Style)| format!("{style}{}{style:#}", line.trim_end());
    table.lines().zip(styles).map(paint).collect::<Vec<_>>().join("\n")
}

/// Names and values below each other, the values aligned.
pub(crate) fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let facts: Vec<(&str, String)> = facts.into_iter().collect();
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
    let lines: Vec<String> =
        facts.iter().map(|(name, value)| format!("{name:width$}{value}").trim_end().to_owned()).collect();
    lines.join("\n")
}

/// `1 topic`, `2 topics`.
pub(crate) fn count(number: impl TryInto<u64>, noun: &str) -> String {
    let number: u64 = number.try_into().unwrap_or(0);
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A value, or a dash where there is none.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Broker ids as tables show them.
pub(crate) fn ids(brokers: &[i32]) -> String {
    match brokers {
        [] => "-".to_owned(),
        _ => brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    }
}

/// Bytes in the largest unit that leaves a number above one: `1.5 GiB`.
pub(crate) fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes;
    let mut unit = 0;
    while value.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value.abs() < 100.0);
    format!("{value:.digits$} {}", UNITS[unit])
}

/// Prints one JSON value, indented.
pub(crate) fn print_json(value: &Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(error.to_string()))?;
    print_line(&text)
}

/// Whether somebody still reads standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    Listens,
    /// It has gone, as `| head` does once it has enough. That is no failure, and what is under way goes on.
    Gone,
}

/// Prints a line, without colours unless standard output is a terminal.
pub(crate) fn print_line(line: &str) -> Result<(), Failure> {
    print(&mut anstream::stdout().lock(), format!("{line}\n").as_bytes()).map(drop)
}

/// Prints bytes as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<Reader, Failure> {
    print(&mut io::stdout().lock(), bytes)
}

fn print(stdout: &mut impl Write, bytes: &[u8]) -> Result<Reader, Failure> {
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Reader::Listens),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error.into()),
    }
}

/// What goes to a terminal without its colours.
#[cfg(test)]
pub(crate) fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_no_failure_and_a_full_disk_is_one() {
        struct Broken(io::ErrorKind);
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert_eq!(print(&mut Broken(io::ErrorKind::BrokenPipe), b"text").unwrap(), Reader::Gone);
        assert_eq!(print(&mut Vec::new(), b"text").unwrap(), Reader::Listens);
        assert!(print(&mut Broken(io::ErrorKind::StorageFull), b"text").is_err());
    }

    #[test]
    fn columns_are_aligned_and_lines_trimmed() {
        let columns = [Column::Text("TOPIC"), Column::Number("PARTITIONS"), Column::Text("CONFIG")];
        let rows = vec![vec!["a".into(), "3".into(), String::new()], vec!["longer".into(), "12".into(), "x=1".into()]];
        let expected = "TOPIC   PARTITIONS  CONFIG\na                3\nlonger          12  x=1";
        assert_eq!(plain(&table(&columns, rows)), expected);
        assert_eq!(plain(&table(&columns[..1], Vec::<Row>::new())), "TOPIC");
    }

    #[test]
    fn only_rows_that_need_attention_have_a_colour() {
        let rows = [Row::from(vec!["fine".to_owned()]), Row::new(vec!["gone".to_owned()], Mood::Alarm)];
        let text = table(&[Column::Text("STATE")], rows);
        assert_eq!(text, "\u{1b}[1mSTATE\u{1b}[0m\nfine\n\u{1b}[31mgone\u{1b}[0m");
    }

    #[test]
    fn facts_are_aligned() {
        assert_eq!(facts([("id", "x".to_owned()), ("topics", "3".to_owned())]), "id      x\ntopics  3");
    }

    #[test]
    fn bytes_are_short() {
        let shown: Vec<String> = [0.0, 1023.0, 1536.0, 200.0 * 1024.0 * 1024.0, 3.2e12].map(bytes).to_vec();
        assert_eq!(shown, ["0 B", "1023 B", "1.5 KiB", "200 MiB", "2.9 TiB"]);
    }
}
