//! Lines of standard input as records, a batch at a time.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Split, Stdin};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Pace;
use crate::cli::Failure;
use crate::cli::json_record::{InputRecord, from_json};

/// Lines that arrive within this time of the first are sent together.
const LINGER: Duration = Duration::from_millis(5);
/// Bytes read from standard input at once.
const READ_BYTES: usize = 256 * 1024;

/// How a line says what the record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LineFormat {
    Text { separator: Option<String>, null_value: Option<String> },
    Json,
}

impl LineFormat {
    fn parse(&self, mut line: Vec<u8>) -> Result<InputRecord, String> {
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let Self::Text { separator, null_value } = self else { return from_json(&line) };
        let (key, value) = match separator {
            None => (None, line),
            Some(separator) => {
                let at = find(&line, separator.as_bytes());
                let at = at.ok_or_else(|| format!("no key separator {separator:?}"))?;
                let value = line.split_off(at + separator.len());
                line.truncate(at);
                (Some(line), value)
            }
        };
        let is_null = null_value.as_ref().is_some_and(|null| null.as_bytes() == value);
        Ok(InputRecord { key, value: (!is_null).then_some(value), ..InputRecord::default() })
    }
}

fn find(line: &[u8], separator: &[u8]) -> Option<usize> {
    if separator.is_empty() { None } else { line.windows(separator.len()).position(|window| window == separator) }
}

/// Standard input, with the pace at which records may leave it.
pub(crate) struct Input {
    lines: Split<BufReader<Stdin>>,
    format: LineFormat,
    pace: Pace,
    read: u64,
}

impl Input {
    pub(crate) fn new(format: LineFormat, pace: Pace) -> Self {
        let lines = BufReader::with_capacity(READ_BYTES, tokio::io::stdin()).split(b'\n');
        Self { lines, format, pace, read: 0 }
    }

    /// The next records to send together, of about `bytes` at most; none at the end of the input.
    pub(crate) async fn next_records(&mut self, bytes: usize) -> Result<Vec<InputRecord>, Failure> {
        let mut records = Vec::new();
        sleep_until(self.pace.due(self.read)).await;
        let Some(first) = self.lines.next_segment().await? else { return Ok(records) };
        let mut size = first.len();
        records.push(self.parse(first)?);
        let deadline = Instant::now() + LINGER;
        while size < bytes && self.pace.due(self.read) <= deadline {
            let Ok(line) = timeout_at(deadline, self.lines.next_segment()).await else { break };
            let Some(line) = line? else { break };
            size += line.len();
            records.push(self.parse(line)?);
        }
        Ok(records)
    }

    fn parse(&mut self, line: Vec<u8>) -> Result<InputRecord, Failure> {
        self.read += 1;
        let parsed = self.format.parse(line);
        parsed.map_err(|problem| Failure::usage(format!("line {}: {problem}", self.read)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(separator: Option<&str>, null_value: Option<&str>, line: &str) -> Result<InputRecord, String> {
        let format =
            LineFormat::Text { separator: separator.map(str::to_owned), null_value: null_value.map(str::to_owned) };
        format.parse(line.as_bytes().to_vec())
    }

    #[test]
    fn a_line_is_a_value_or_a_key_and_a_value() {
        let record = |key: Option<&str>, value: Option<&str>| {
            let bytes = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
            Ok(InputRecord { key: bytes(key), value: bytes(value), ..InputRecord::default() })
        };
        assert_eq!(text(None, None, "a:b\r"), record(None, Some("a:b")));
        assert_eq!(text(Some(":"), None, "a:b:c"), record(Some("a"), Some("b:c")));
        assert_eq!(text(Some("=>"), None, "=>"), record(Some(""), Some("")));
        assert_eq!(text(Some(":"), Some(""), "a:"), record(Some("a"), None));
        assert_eq!(text(None, Some("NULL"), "NULL"), record(None, None));
        assert_eq!(text(Some(":"), None, "ab").unwrap_err(), "no key separator \":\"");
    }
}
