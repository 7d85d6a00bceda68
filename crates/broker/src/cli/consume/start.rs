//! Where reading starts.

use crate::cli::Failure;
use crate::cli::client::{ClusterClient, EARLIEST, LATEST, Offsets, Partition};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Beginning,
    End,
    Offset(i64),
    /// The last so many of each partition.
    Last(i64),
    /// Milliseconds since 1970.
    Time(i64),
}

/// Parses `beginning`, `end`, an offset, or `-N`.
pub(crate) fn parse_start(text: &str) -> Result<Start, String> {
    match (text, text.parse::<i64>()) {
        ("beginning" | "earliest", _) => Ok(Start::Beginning),
        ("end" | "latest", _) => Ok(Start::End),
        (_, Ok(offset)) if offset >= 0 => Ok(Start::Offset(offset)),
        (_, Ok(last)) if last > i64::MIN => Ok(Start::Last(-last)),
        _ => Err("beginning, end, an offset, or -N for the last N".to_owned()),
    }
}

impl Start {
    /// The offset to start from in each of `partitions`.
    pub(crate) async fn offsets(
        self,
        client: &mut ClusterClient,
        partitions: &[Partition],
    ) -> Result<Offsets, Failure> {
        if let Self::Offset(offset) = self {
            return Ok(partitions.iter().map(|one| (one.id.clone(), offset)).collect());
        }
        let first = if self == Self::Beginning { EARLIEST } else { LATEST };
        let mut found = client.offsets_at(partitions, first).await?;
        if let Self::Time(time) = self {
            // Where all records are older, reading starts at the end.
            found.extend(client.offsets_at(partitions, time).await?);
        }
        let mut offsets: Offsets = found.into_iter().map(|(id, found)| (id, found.offset)).collect();
        if let Self::Last(count) = self {
            let earliest = client.offsets_at(partitions, EARLIEST).await?;
            for (id, offset) in &mut offsets {
                let lowest = earliest.get(id).map_or(0, |found| found.offset);
                *offset = offset.saturating_sub(count).max(lowest);
            }
        }
        Ok(offsets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_words_or_numbers() {
        assert_eq!(parse_start("beginning"), Ok(Start::Beginning));
        assert_eq!(parse_start("latest"), Ok(Start::End));
        assert_eq!(parse_start("0"), Ok(Start::Offset(0)));
        assert_eq!(parse_start("-10"), Ok(Start::Last(10)));
        assert!(parse_start("middle").is_err() && parse_start("").is_err());
    }
}
