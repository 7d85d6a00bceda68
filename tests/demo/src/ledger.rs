//! Which line stands at which offset: as sent, and as read.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

/// Per partition: offset -> (line number, SHA-256 of the line).
#[derive(Debug, Default)]
pub struct Ledger {
    partitions: BTreeMap<usize, BTreeMap<i64, (usize, String)>>,
    entries: usize,
    conflicts: Vec<String>,
}

impl Ledger {
    /// Notes a line.
    pub fn add(&mut self, partition: usize, offset: i64, number: usize, line: &[u8]) {
        self.insert(partition, offset, number, format!("{:x}", Sha256::digest(line)));
    }

    fn insert(&mut self, partition: usize, offset: i64, number: usize, digest: String) {
        self.entries += 1;
        let entry = (number, digest);
        let known = self.partitions.entry(partition).or_default().entry(offset).or_insert_with(|| entry.clone());
        if *known != entry {
            self.conflicts.push(format!("partition {partition} offset {offset}: {known:?} and {entry:?}"));
        }
    }

    /// One line of a reader's file.
    pub fn format_entry(partition: i32, offset: i64, key: &str, line: &[u8]) -> String {
        format!("{partition} {offset} {key} {:x}\n", Sha256::digest(line))
    }

    /// All complete lines of the readers' files.
    pub fn read_files(files: &[PathBuf]) -> Result<Self> {
        let mut ledger = Self::default();
        for file in files {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            // A reader that was killed may have left half a line at the end.
            let complete = text.rfind('\n').map_or("", |end| &text[..end]);
            for line in complete.lines() {
                let words: Vec<&str> = line.split(' ').collect();
                let [partition, offset, number, digest] = words.as_slice() else { bail!("reader wrote {line:?}") };
                let number = number.parse().with_context(|| format!("key {number:?}"))?;
                ledger.insert(partition.parse()?, offset.parse()?, number, (*digest).to_owned());
            }
        }
        Ok(ledger)
    }

    /// Different offsets noted.
    pub fn distinct(&self) -> usize {
        self.partitions.values().map(BTreeMap::len).sum()
    }

    /// Entries noted more than once.
    pub fn repeated(&self) -> usize {
        self.entries - self.distinct()
    }

    /// SHA-256 over each partition's lines in the order of their offsets.
    pub fn checksums(&self) -> Vec<String> {
        let of = |lines: &BTreeMap<i64, (usize, String)>| {
            let mut sum = Sha256::new();
            for (number, digest) in lines.values() {
                sum.update(format!("{number} {digest}\n"));
            }
            format!("{:x}", sum.finalize())
        };
        self.partitions.values().map(of).collect()
    }

    /// Fails unless `self`, as read, holds what `sent` holds: every line, once, in the order of sending.
    pub fn compare(&self, sent: &Self) -> Result<()> {
        if let Some(conflict) = self.conflicts.first() {
            bail!("one offset has two values: {conflict}");
        }
        for (partition, lines) in &sent.partitions {
            let read = self.partitions.get(partition).with_context(|| format!("partition {partition} is empty"))?;
            let numbers: Vec<usize> = read.values().map(|(number, _)| *number).collect();
            if let Some(pair) = numbers.windows(2).find(|pair| pair[0] >= pair[1]) {
                bail!("partition {partition}: line {} stands after line {}", pair[1], pair[0]);
            }
            if numbers.len() != lines.len() {
                bail!("partition {partition}: {} lines sent, {} read", lines.len(), numbers.len());
            }
        }
        if self.checksums() != sent.checksums() {
            bail!("checksums differ: sent {:?}, read {:?}", sent.checksums(), self.checksums());
        }
        Ok(())
    }
}
