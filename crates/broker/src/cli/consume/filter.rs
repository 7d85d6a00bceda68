//! Which records are printed.

use clap::Args;
use highwater_records::RecordView;
use regex::bytes::Regex;

#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Print only records whose key matches this regular expression.
    #[arg(long, value_name = "REGEX")]
    key_matches: Option<Regex>,
    /// Print only records whose value matches this regular expression.
    #[arg(long, value_name = "REGEX")]
    value_matches: Option<Regex>,
    /// Print only records whose key contains this text.
    #[arg(long, value_name = "TEXT")]
    key_contains: Option<String>,
    /// Print only records whose value contains this text.
    #[arg(long, value_name = "TEXT")]
    value_contains: Option<String>,
    /// Print only records that have this header, with this value if one is given. May be repeated.
    #[arg(long, value_name = "KEY[=VALUE]")]
    has_header: Vec<String>,
}

impl FilterArgs {
    /// Whether a record passes all that was asked. A null key or value matches nothing.
    pub(crate) fn wants(&self, record: &RecordView<'_>) -> bool {
        let matches = |regex: &Option<Regex>, bytes: Option<&[u8]>| {
            regex.as_ref().is_none_or(|regex| bytes.is_some_and(|bytes| regex.is_match(bytes)))
        };
        let contains = |text: &Option<String>, bytes: Option<&[u8]>| {
            text.as_ref().is_none_or(|text| bytes.is_some_and(|bytes| is_within(text.as_bytes(), bytes)))
        };
        matches(&self.key_matches, record.key)
            && matches(&self.value_matches, record.value)
            && contains(&self.key_contains, record.key)
            && contains(&self.value_contains, record.value)
            && self.has_header.iter().all(|wanted| has_header(record, wanted))
    }
}

fn is_within(text: &[u8], bytes: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text)
}

fn has_header(record: &RecordView<'_>, wanted: &str) -> bool {
    let (key, value) = match wanted.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (wanted, None),
    };
    record
        .headers
        .into_iter()
        .any(|header| header.key == key.as_bytes() && value.is_none_or(|value| header.value == Some(value.as_bytes())))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use highwater_records::{BatchBuilder, Compression, Header, RecordBatch};
    use highwater_types::Timestamp;

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        filter: FilterArgs,
    }

    #[test]
    fn all_conditions_must_hold() {
        let mut builder = BatchBuilder::new(Compression::None);
        let header = Header { key: b"type", value: Some(b"click") };
        builder.append(Timestamp(0), Some(b"user-42"), Some(b"an error occurred"), &[header]);
        builder.append(Timestamp(0), None, Some(b"fine"), &[]);
        let batch = RecordBatch::parse(&builder.build()).unwrap();
        let records = batch.records().unwrap();
        for (arguments, expected) in [
            (&[][..], [true, true]),
            (&["--key-matches", "^user-4"], [true, false]),
            (&["--key-matches", "^ser"], [false, false]),
            (&["--value-matches", "e(rror)?"], [true, true]),
            (&["--value-contains", "error", "--key-contains", "42"], [true, false]),
            (&["--value-contains", "error", "--key-contains", "43"], [false, false]),
            (&["--value-contains", ""], [true, true]),
            (&["--has-header", "type"], [true, false]),
            (&["--has-header", "type=click"], [true, false]),
            (&["--has-header", "type=view"], [false, false]),
        ] {
            let words = ["test"].iter().chain(arguments);
            let filter = Only::try_parse_from(words).unwrap().filter;
            let wanted: Vec<bool> = records.iter().map(|record| filter.wants(&record.unwrap())).collect();
            assert_eq!(wanted, expected, "{arguments:?}");
        }
    }
}
