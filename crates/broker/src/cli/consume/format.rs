//! How a record is printed: kcat's format strings.

use highwater_records::RecordView;

use crate::cli::time::format_time;

/// A record with where it was read.
pub(crate) struct Placed<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) record: &'a RecordView<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Date,
    Key,
    KeyLength,
    Value,
    ValueLength,
    Headers,
}

/// What is printed for each record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

impl Template {
    /// Values on a line each, after keys and a separator if there is one.
    pub(crate) fn of_values(key_separator: Option<&str>) -> Self {
        let mut pieces = Vec::new();
        if let Some(separator) = key_separator {
            pieces.extend([Piece::Key, Piece::Literal(separator.as_bytes().to_vec())]);
        }
        pieces.extend([Piece::Value, Piece::Literal(b"\n".to_vec())]);
        Self { pieces }
    }

    /// Parses `%k=%v\n` and the like.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            let piece = match (character, character == '%' || character == '\\') {
                ('%', _) => match rest.next() {
                    Some('%') => None,
                    Some(letter) => {
                        Some(piece_of(letter).ok_or_else(|| format!("%{letter} means nothing in a format"))?)
                    }
                    None => return Err("the format ends with %".to_owned()),
                },
                (_, true) => {
                    literal.push(escaped(&mut rest)?);
                    continue;
                }
                _ => None,
            };
            match piece {
                Some(piece) => {
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    pieces.push(piece);
                }
                None => literal.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self { pieces })
    }

    /// Appends a record. Null is printed as nothing, and its length as -1.
    pub(crate) fn write(&self, output: &mut Vec<u8>, placed: &Placed<'_>) {
        let record = placed.record;
        let length = |bytes: Option<&[u8]>| bytes.map_or("-1".to_owned(), |bytes| bytes.len().to_string());
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => output.extend_from_slice(bytes),
                Piece::Key => output.extend_from_slice(record.key.unwrap_or_default()),
                Piece::Value => output.extend_from_slice(record.value.unwrap_or_default()),
                Piece::Topic => output.extend_from_slice(placed.topic.as_bytes()),
                Piece::Partition => output.extend_from_slice(placed.partition.to_string().as_bytes()),
                Piece::Offset => output.extend_from_slice(record.offset.0.to_string().as_bytes()),
                Piece::Timestamp => output.extend_from_slice(record.timestamp.0.to_string().as_bytes()),
                Piece::Date => output.extend_from_slice(format_time(record.timestamp.0).as_bytes()),
                Piece::KeyLength => output.extend_from_slice(length(record.key).as_bytes()),
                Piece::ValueLength => output.extend_from_slice(length(record.value).as_bytes()),
                Piece::Headers => write_headers(output, record),
            }
        }
    }
}

fn piece_of(letter: char) -> Option<Piece> {
    Some(match letter {
        't' => Piece::Topic,
        'p' => Piece::Partition,
        'o' => Piece::Offset,
        'T' => Piece::Timestamp,
        'D' => Piece::Date,
        'k' => Piece::Key,
        'K' => Piece::KeyLength,
        's' | 'v' => Piece::Value,
        'S' => Piece::ValueLength,
        'h' => Piece::Headers,
        _ => return None,
    })
}

/// The byte that stands behind a backslash.
fn escaped(rest: &mut std::str::Chars<'_>) -> Result<u8, String> {
    match rest.next() {
        Some('n') => Ok(b'\n'),
        Some('t') => Ok(b'\t'),
        Some('r') => Ok(b'\r'),
        Some('0') => Ok(0),
        Some('\\') => Ok(b'\\'),
        Some('x') => {
            let digits: String = rest.by_ref().take(2).collect();
            u8::from_str_radix(&digits, 16).map_err(|_| format!("\\x{digits} is no byte"))
        }
        Some(other) => Err(format!("\\{other} means nothing in a format")),
        None => Err("the format ends with a backslash".to_owned()),
    }
}

fn write_headers(output: &mut Vec<u8>, record: &RecordView<'_>) {
    for (index, header) in record.headers.into_iter().enumerate() {
        if index > 0 {
            output.push(b',');
        }
        output.extend_from_slice(header.key);
        output.push(b'=');
        output.extend_from_slice(header.value.unwrap_or(b"NULL"));
    }
}

#[cfg(test)]
mod tests {
    use highwater_records::{BatchBuilder, Compression, Header, RecordBatch};
    use highwater_types::Timestamp;

    use super::*;

    fn printed(format: &str) -> String {
        let headers = [Header { key: b"a", value: Some(b"1") }, Header { key: b"b", value: None }];
        let mut builder = BatchBuilder::new(Compression::None);
        builder.append(Timestamp(1000), None, Some(b"value"), &headers);
        let batch = RecordBatch::parse(&builder.build()).unwrap();
        let records = batch.records().unwrap();
        let mut output = Vec::new();
        for record in &records {
            let record = record.unwrap();
            let placed = Placed { topic: "t", partition: 2, record: &record };
            Template::parse(format).unwrap().write(&mut output, &placed);
        }
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn formats_are_kcats() {
        assert_eq!(printed(r"%t-%p@%o %T %k|%K %s|%S %h%%\n"), "t-2@0 1000 |-1 value|5 a=1,b=NULL%\n");
        assert_eq!(printed(r"%D\t\x41\\"), "1970-01-01T00:00:01.000Z\tA\\");
        assert_eq!(printed("ü%v"), "üvalue");
    }

    #[test]
    fn mistakes_are_named() {
        for (format, problem) in [
            ("%q", "%q means nothing in a format"),
            ("50%", "the format ends with %"),
            (r"\y", r"\y means nothing in a format"),
            (r"\xg", r"\xg is no byte"),
            ("\\", "the format ends with a backslash"),
        ] {
            assert_eq!(Template::parse(format), Err(problem.to_owned()));
        }
    }
}
