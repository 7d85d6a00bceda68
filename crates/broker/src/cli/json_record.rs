//! A record as one line of JSON: what `consume --json` prints, `produce --json-lines` takes.
//!
//! Fields: `topic`, `partition`, `offset`, `timestamp` (milliseconds), `key`, `value`, `headers` (a list of `{"key", "value"}`). Bytes
//! that are no UTF-8 stand in `key_base64` and `value_base64` instead, so that nothing is lost on the way.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use highwater_records::RecordView;
use serde_json::{Map, Value, json};

/// A header: its key, and its value or null.
pub(super) type OwnedHeader = (String, Option<Vec<u8>>);

/// A record to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct InputRecord {
    pub(super) key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<OwnedHeader>,
    /// Milliseconds since 1970.
    pub(super) timestamp: Option<i64>,
    pub(super) partition: Option<i32>,
}

impl InputRecord {
    /// Bytes that it takes at least.
    pub(super) fn size(&self) -> usize {
        let size = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers: usize = self.headers.iter().map(|(key, value)| key.len() + size(value)).sum();
        size(&self.key) + size(&self.value) + headers
    }
}

/// The line for a record that was read.
pub(super) fn to_json(topic: &str, partition: i32, record: &RecordView<'_>) -> Value {
    let mut line = Map::new();
    line.insert("topic".to_owned(), topic.into());
    line.insert("partition".to_owned(), partition.into());
    line.insert("offset".to_owned(), record.offset.0.into());
    line.insert("timestamp".to_owned(), record.timestamp.0.into());
    line.extend([bytes_field("key", record.key), bytes_field("value", record.value)]);
    let header = |header: highwater_records::Header<'_>| {
        let key = ("key".to_owned(), String::from_utf8_lossy(header.key).into());
        Value::Object(Map::from_iter([key, bytes_field("value", header.value)]))
    };
    line.insert("headers".to_owned(), record.headers.map(header).collect());
    Value::Object(line)
}

/// Name and value of a field of bytes: text as it is, other bytes in base 64 under a name that says so.
pub(super) fn bytes_field(field: &str, bytes: Option<&[u8]>) -> (String, Value) {
    match bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| BASE64_STANDARD.encode(bytes))) {
        None => (field.to_owned(), Value::Null),
        Some(Ok(text)) => (field.to_owned(), text.into()),
        Some(Err(encoded)) => (format!("{field}_base64"), encoded.into()),
    }
}

/// Reads a line. Key and value may be text, null, or any other JSON, which is sent as it is written.
pub(super) fn from_json(line: &[u8]) -> Result<InputRecord, String> {
    let line: Value = serde_json::from_slice(line).map_err(|error| format!("no JSON: {error}"))?;
    let Value::Object(object) = line else { return Err("not a JSON object".to_owned()) };
    let known = ["topic", "partition", "offset", "timestamp", "key", "key_base64", "value", "value_base64", "headers"];
    if let Some(unknown) = object.keys().find(|field| !known.contains(&field.as_str())) {
        return Err(format!("{unknown:?} is no field of a record: there are {}", known.join(", ")));
    }
    let number = |field: &str| match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| format!("{field} is no whole number")),
    };
    let partition = number("partition")?.map(i32::try_from).transpose().map_err(|_| "partition is out of range")?;
    let headers = match object.get("headers") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(headers)) => headers.iter().map(header_of).collect::<Result<_, _>>()?,
        Some(_) => return Err("headers is no list".to_owned()),
    };
    Ok(InputRecord {
        key: bytes_of(&object, "key")?,
        value: bytes_of(&object, "value")?,
        headers,
        timestamp: number("timestamp")?,
        partition,
    })
}

fn header_of(header: &Value) -> Result<OwnedHeader, String> {
    let Value::Object(object) = header else { return Err("a header is no object".to_owned()) };
    let key = object.get("key").and_then(Value::as_str).ok_or("a header has no key")?;
    Ok((key.to_owned(), bytes_of(object, "value")?))
}

fn bytes_of(object: &Map<String, Value>, field: &str) -> Result<Option<Vec<u8>>, String> {
    if let Some(encoded) = object.get(&format!("{field}_base64")) {
        let decoded = encoded.as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
        return decoded.map(Some).ok_or_else(|| format!("{field}_base64 is no base64"));
    }
    Ok(match object.get(field) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone().into_bytes()),
        Some(other) => Some(json!(other).to_string().into_bytes()),
    })
}

#[cfg(test)]
mod tests {
    use highwater_records::{BatchBuilder, Compression, Header, RecordBatch};
    use highwater_types::Timestamp;

    use super::*;

    #[test]
    fn what_is_printed_can_be_sent_again() {
        let headers = [Header { key: b"trace", value: Some(b"\xff") }, Header { key: b"none", value: None }];
        let mut builder = BatchBuilder::new(Compression::None);
        builder.append(Timestamp(5), Some(b"k"), Some(b"\xfe\x00"), &headers);
        builder.append(Timestamp(6), None, None, &[]);
        let batch = RecordBatch::parse(&builder.build()).unwrap();
        let records = batch.records().unwrap();
        let lines: Vec<String> = records.iter().map(|record| to_json("t", 3, &record.unwrap()).to_string()).collect();
        assert_eq!(
            lines[0],
            r#"{"headers":[{"key":"trace","value_base64":"/w=="},{"key":"none","value":null}],"key":"k","offset":0,"partition":3,"timestamp":5,"topic":"t","value_base64":"/gA="}"#
        );
        let expected = InputRecord {
            key: Some(b"k".to_vec()),
            value: Some(vec![0xfe, 0]),
            headers: vec![("trace".to_owned(), Some(vec![0xff])), ("none".to_owned(), None)],
            timestamp: Some(5),
            partition: Some(3),
        };
        assert_eq!(from_json(lines[0].as_bytes()), Ok(expected));
        let tombstone = from_json(lines[1].as_bytes()).unwrap();
        assert_eq!((tombstone.key, tombstone.value, tombstone.timestamp), (None, None, Some(6)));
    }

    #[test]
    fn a_value_may_be_any_json() {
        let record = from_json(br#"{"key": 7, "value": {"b": [1, true]}}"#).unwrap();
        assert_eq!((record.key, record.value), (Some(b"7".to_vec()), Some(br#"{"b":[1,true]}"#.to_vec())));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, problem) in [
            ("[1]", "not a JSON object"),
            (r#"{"vlaue": 1}"#, "\"vlaue\" is no field"),
            (r#"{"value_base64": "?"}"#, "value_base64 is no base64"),
            (r#"{"partition": 4294967296}"#, "partition is out of range"),
            (r#"{"timestamp": "now"}"#, "timestamp is no whole number"),
            (r#"{"headers": [{"value": 1}]}"#, "a header has no key"),
            ("{", "no JSON"),
        ] {
            let found = from_json(line.as_bytes()).unwrap_err();
            assert!(found.contains(problem), "{line}: {found}");
        }
    }
}
