//! A key-value store in memory whose unsynced batches a crash forgets.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::lock::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::CrashMode;
use crate::kv::{Kv, KvEntry, KvOp, KvOpener};

type Families = BTreeMap<&'static str, BTreeMap<Vec<u8>, Vec<u8>>>;

/// All key-value stores of one host, by path. Clones share them.
#[derive(Clone, Default)]
pub struct SimKv {
    host: Arc<Mutex<Host>>,
}

#[derive(Default)]
struct Host {
    stores: BTreeMap<PathBuf, Store>,
    /// Number of crashes so far; stores opened before the last one are dead.
    generation: u64,
    writes_fail: bool,
}

/// Invariant: `durable` with all `unsynced` applied is `current`.
#[derive(Default)]
struct Store {
    current: Families,
    durable: Families,
    unsynced: Vec<Vec<KvOp>>,
}

/// One open store.
struct OpenStore {
    host: Arc<Mutex<Host>>,
    path: PathBuf,
    generation: u64,
}

impl SimKv {
    /// A host without stores.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses power (with [`CrashMode::Keep`]: only the process): unsynced batches are forgotten, kept, or
    /// ([`CrashMode::Torn`]) kept up to a random one. Every open store is dead afterwards.
    pub fn crash(&self, mode: CrashMode, seed: u64) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut host = self.host.lock();
        host.generation += 1;
        for store in host.stores.values_mut() {
            let kept = match mode {
                CrashMode::Keep => store.unsynced.len(),
                CrashMode::Drop => 0,
                CrashMode::Torn => rng.random_range(0..=store.unsynced.len()),
            };
            store.unsynced.truncate(kept);
            store.sync();
            store.current.clone_from(&store.durable);
        }
    }

    /// Removes the store at `path` (or below it), as an emptied disk does. Open handles of it are dead afterwards.
    pub fn wipe(&self, path: &Path) {
        let mut host = self.host.lock();
        host.generation += 1;
        host.stores.retain(|store, _| !store.starts_with(path));
    }

    /// Makes every write and sync fail, or work again.
    pub fn fail_writes(&self, fail: bool) {
        self.host.lock().writes_fail = fail;
    }

    /// Batches written to any store since its last sync.
    pub fn unsynced_batches(&self) -> usize {
        self.host.lock().stores.values().map(|store| store.unsynced.len()).sum()
    }
}

impl KvOpener for SimKv {
    fn open(&self, path: &Path, column_families: &[&'static str]) -> io::Result<Arc<dyn Kv>> {
        let mut host = self.host.lock();
        let generation = host.generation;
        let store = host.stores.entry(path.to_owned()).or_default();
        for &family in column_families {
            store.current.entry(family).or_default();
            store.durable.entry(family).or_default();
        }
        Ok(Arc::new(OpenStore { host: self.host.clone(), path: path.to_owned(), generation }))
    }
}

impl OpenStore {
    fn with<R>(&self, work: impl FnOnce(&mut Store) -> R) -> io::Result<R> {
        let mut host = self.host.lock();
        if host.generation != self.generation {
            return Err(io::Error::other(format!("{} was opened before a crash", self.path.display())));
        }
        match host.stores.get_mut(&self.path) {
            Some(store) => Ok(work(store)),
            None => Err(io::Error::other(format!("{} is gone", self.path.display()))),
        }
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.host.lock().writes_fail { Err(io::Error::other("injected I/O error")) } else { Ok(()) }
    }
}

impl Kv for OpenStore {
    fn get(&self, column_family: &'static str, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.with(|store| store.family(column_family)?.get(key).cloned().map_or(Ok(None), |value| Ok(Some(value))))?
    }

    fn scan(
        &self,
        column_family: &'static str,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> io::Result<Vec<KvEntry>> {
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let range = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        self.with(|store| {
            let entries = store.family(column_family)?.range::<[u8], _>(range).take(limit);
            Ok(entries.map(|(key, value)| (key.clone(), value.clone())).collect())
        })?
    }

    fn last(&self, column_family: &'static str) -> io::Result<Option<KvEntry>> {
        self.with(|store| {
            Ok(store.family(column_family)?.last_key_value().map(|(key, value)| (key.clone(), value.clone())))
        })?
    }

    fn write(&self, ops: Vec<KvOp>, sync: bool) -> io::Result<()> {
        self.check_writable()?;
        self.with(|store| {
            ops.iter().try_for_each(|op| store.family(op.family()).map(drop))?;
            ops.iter().for_each(|op| apply(&mut store.current, op));
            store.unsynced.push(ops);
            if sync {
                store.sync();
            }
            Ok(())
        })?
    }

    fn sync_wal(&self) -> io::Result<()> {
        self.check_writable()?;
        self.with(Store::sync)
    }
}

impl Store {
    fn family(&self, name: &str) -> io::Result<&BTreeMap<Vec<u8>, Vec<u8>>> {
        let missing = || io::Error::new(io::ErrorKind::InvalidInput, format!("no column family {name}"));
        self.current.get(name).ok_or_else(missing)
    }

    fn sync(&mut self) {
        for batch in std::mem::take(&mut self.unsynced) {
            batch.iter().for_each(|op| apply(&mut self.durable, op));
        }
    }
}

impl KvOp {
    fn family(&self) -> &'static str {
        match self {
            Self::Put { cf, .. } | Self::Delete { cf, .. } | Self::DeleteRange { cf, .. } => cf,
        }
    }
}

fn apply(families: &mut Families, op: &KvOp) {
    let entries = families.entry(op.family()).or_default();
    match op {
        KvOp::Put { key, value, .. } => {
            entries.insert(key.clone(), value.clone());
        }
        KvOp::Delete { key, .. } => {
            entries.remove(key);
        }
        KvOp::DeleteRange { from, to, .. } if from < to => {
            let doomed: Vec<Vec<u8>> = entries.range(from.clone()..to.clone()).map(|(key, _)| key.clone()).collect();
            doomed.iter().for_each(|key| drop(entries.remove(key)));
        }
        KvOp::DeleteRange { .. } => {}
    }
}

impl fmt::Debug for SimKv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimKv").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
