//! The shape that Kafka's text checkpoints share: a version, a count, then one entry a line with fields apart by spaces.

/// A checkpoint or properties file that does not follow its format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

impl Malformed {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// Iterates over the fields of the entries, once version and count were taken.
pub(crate) struct Lines<'a> {
    lines: std::str::Lines<'a>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(text).map_err(|_| Malformed::new("not UTF-8"))?;
        Ok(Self { lines: text.lines() })
    }

    /// Takes the first line.
    pub(crate) fn expect_version(&mut self, version: &str) -> Result<(), Malformed> {
        match self.lines.next().map(str::trim) {
            Some(found) if found == version => Ok(()),
            Some(found) => Err(Malformed::new(format!("version {found:?}, not {version}"))),
            None => Err(Malformed::new("empty")),
        }
    }

    /// Takes the second line.
    pub(crate) fn entry_count(&mut self) -> Result<usize, Malformed> {
        let line = self.lines.next().unwrap_or_default();
        line.trim().parse().map_err(|_| Malformed::new(format!("the number of entries is {line:?}")))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Vec<&'a str>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let fields: Vec<&str> = self.lines.next()?.split_ascii_whitespace().collect();
        Some(if fields.is_empty() { Err(Malformed::new("an empty line")) } else { Ok(fields) })
    }
}
