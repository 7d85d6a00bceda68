//! The simulated disk itself: inodes, directories with their unsynced changes, and what a crash makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::CrashMode;
use super::fault::Faults;
use super::file_image::FileImage;

pub(super) type InodeId = u64;
pub(super) const ROOT: InodeId = 0;
/// Unreferenced inodes are searched for after this many removals: one search walks all inodes.
const REMOVALS_PER_SWEEP: u32 = 64;

#[derive(Debug)]
pub(super) enum Inode {
    File(FileImage),
    Dir(Directory),
}

/// One change of a directory, not yet durable.
#[derive(Debug, Clone)]
enum DirChange {
    Link { name: String, inode: InodeId },
    Unlink { name: String },
    Rename { from: String, to: String, inode: InodeId },
}

/// Invariant: `durable` with all `unsynced` applied is `current`.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) current: BTreeMap<String, InodeId>,
    durable: BTreeMap<String, InodeId>,
    unsynced: Vec<DirChange>,
}

/// All state of one disk. Paths have been resolved to inodes by the caller; names are single components.
#[derive(Debug)]
pub(super) struct Disk {
    inodes: BTreeMap<InodeId, Inode>,
    /// Directory in which an inode was last linked; the root has none.
    parents: BTreeMap<InodeId, InodeId>,
    next_inode: InodeId,
    /// Handles per inode: an unlinked file lives until they are gone.
    open_handles: BTreeMap<InodeId, u32>,
    pub(super) locks: BTreeSet<InodeId>,
    /// Number of crashes so far. Handles and locks of an earlier one are dead.
    pub(super) generation: u64,
    pub(super) faults: Faults,
    removals: u32,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            inodes: BTreeMap::from([(ROOT, Inode::Dir(Directory::default()))]),
            parents: BTreeMap::new(),
            next_inode: ROOT + 1,
            open_handles: BTreeMap::new(),
            locks: BTreeSet::new(),
            generation: 0,
            faults: Faults::default(),
            removals: 0,
        }
    }
}

impl Disk {
    /// The inode at `path`, or `None`. Relative and absolute paths start at the same root.
    pub(super) fn lookup(&self, path: &Path) -> io::Result<Option<InodeId>> {
        self.walk(path, |directory| &directory.current)
    }

    /// The inode that a power loss now would leave at `path`.
    pub(super) fn lookup_durable(&self, path: &Path) -> io::Result<Option<InodeId>> {
        self.walk(path, |directory| &directory.durable)
    }

    fn walk(&self, path: &Path, image: fn(&Directory) -> &BTreeMap<String, InodeId>) -> io::Result<Option<InodeId>> {
        let mut inode = ROOT;
        for name in components(path)? {
            let Some(Inode::Dir(directory)) = self.inodes.get(&inode) else { return Ok(None) };
            match image(directory).get(name) {
                Some(&child) => inode = child,
                None => return Ok(None),
            }
        }
        Ok(Some(inode))
    }

    /// The directory inode that holds (or would hold) `path`, and the last component.
    pub(super) fn lookup_parent<'p>(&self, path: &'p Path) -> io::Result<(InodeId, &'p str)> {
        let names = components(path)?;
        let Some((name, directories)) = names.split_last() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the root directory has no name"));
        };
        let mut inode = ROOT;
        for directory in directories {
            inode = *self.directory(inode)?.current.get(*directory).ok_or_else(|| not_found(path))?;
        }
        self.directory(inode)?;
        Ok((inode, name))
    }

    pub(super) fn directory(&self, inode: InodeId) -> io::Result<&Directory> {
        match self.inodes.get(&inode) {
            Some(Inode::Dir(directory)) => Ok(directory),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn directory_mut(&mut self, inode: InodeId) -> io::Result<&mut Directory> {
        match self.inodes.get_mut(&inode) {
            Some(Inode::Dir(directory)) => Ok(directory),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn file(&self, inode: InodeId) -> io::Result<&FileImage> {
        match self.inodes.get(&inode) {
            Some(Inode::File(image)) => Ok(image),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn file_mut(&mut self, inode: InodeId) -> io::Result<&mut FileImage> {
        match self.inodes.get_mut(&inode) {
            Some(Inode::File(image)) => Ok(image),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn is_dir(&self, inode: InodeId) -> bool {
        matches!(self.inodes.get(&inode), Some(Inode::Dir(_)))
    }

    /// Makes a new inode and links it as `name`, which must be free.
    pub(super) fn create(&mut self, parent: InodeId, name: &str, content: Inode) -> io::Result<InodeId> {
        let inode = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(inode, content);
        self.parents.insert(inode, parent);
        self.directory_mut(parent)?.change(DirChange::Link { name: name.to_owned(), inode });
        Ok(inode)
    }

    pub(super) fn unlink(&mut self, parent: InodeId, name: &str) -> io::Result<()> {
        self.directory_mut(parent)?.change(DirChange::Unlink { name: name.to_owned() });
        self.count_removal();
        Ok(())
    }

    pub(super) fn rename(&mut self, parent: InodeId, from: &str, to: &str, inode: InodeId) -> io::Result<()> {
        let replaces = self.directory(parent)?.current.contains_key(to);
        self.directory_mut(parent)?.change(DirChange::Rename { from: from.to_owned(), to: to.to_owned(), inode });
        if replaces {
            self.count_removal();
        }
        Ok(())
    }

    /// Makes all changes of the directory durable, and its own existence.
    pub(super) fn sync_dir(&mut self, inode: InodeId) -> io::Result<()> {
        self.directory_mut(inode)?.sync();
        self.settle_links(inode);
        Ok(())
    }

    /// The files and directories in the directory `inode`, by name; nothing in a file.
    pub(super) fn children(&self, inode: InodeId) -> Vec<(String, InodeId)> {
        let Some(Inode::Dir(directory)) = self.inodes.get(&inode) else { return Vec::new() };
        directory.current.iter().map(|(name, &child)| (name.clone(), child)).collect()
    }

    /// What ext4 does when a new file is synced: the entry that names it becomes durable with it, and its directory's entry,
    /// and so on upwards. Renames and removals stay pending.
    pub(super) fn settle_links(&mut self, inode: InodeId) {
        let mut child = inode;
        while let Some(&parent) = self.parents.get(&child) {
            if let Some(Inode::Dir(directory)) = self.inodes.get_mut(&parent) {
                directory.settle_link(child);
            }
            child = parent;
        }
    }

    pub(super) fn open_handle(&mut self, inode: InodeId) {
        *self.open_handles.entry(inode).or_default() += 1;
    }

    pub(super) fn close_handle(&mut self, inode: InodeId) {
        if let Some(count) = self.open_handles.get_mut(&inode) {
            *count -= 1;
            if *count == 0 {
                self.open_handles.remove(&inode);
            }
        }
    }

    /// Bytes in files that have a name or a handle.
    pub(super) fn used_bytes(&self) -> u64 {
        let live = self.reachable(|directory| directory.current.values().copied().collect());
        let length = |inode: &InodeId| self.file(*inode).map_or(0, |image| image.current().len() as u64);
        live.iter().map(length).sum()
    }

    /// Bytes written to any file since its last sync.
    pub(super) fn unflushed_bytes(&self) -> usize {
        let unflushed = |inode: &Inode| if let Inode::File(image) = inode { image.unflushed_bytes() } else { 0 };
        self.inodes.values().map(unflushed).sum()
    }

    /// Loses power (or only the process, with [`CrashMode::Keep`]): handles and locks die, unflushed state is decided on.
    pub(super) fn crash(&mut self, mode: CrashMode, seed: u64) {
        let mut rng = SmallRng::seed_from_u64(seed);
        for inode in self.inodes.values_mut() {
            match inode {
                Inode::File(image) => image.crash(mode, &mut rng),
                Inode::Dir(directory) => directory.crash(mode, &mut rng),
            }
        }
        self.generation += 1;
        self.faults.stop_after(None);
        self.locks.clear();
        self.open_handles.clear();
        self.sweep();
        self.relearn_parents();
    }

    fn count_removal(&mut self) {
        self.removals += 1;
        if self.removals >= REMOVALS_PER_SWEEP {
            self.sweep();
        }
    }

    /// Forgets inodes that no name, no pending change and no handle can reach.
    fn sweep(&mut self) {
        self.removals = 0;
        let live = self.reachable(Directory::every_inode);
        self.inodes.retain(|inode, _| live.contains(inode));
        self.parents.retain(|inode, _| live.contains(inode));
    }

    fn reachable(&self, children: fn(&Directory) -> Vec<InodeId>) -> BTreeSet<InodeId> {
        let mut live = BTreeSet::new();
        let mut unvisited: Vec<InodeId> = self.open_handles.keys().copied().chain([ROOT]).collect();
        while let Some(inode) = unvisited.pop() {
            if live.insert(inode)
                && let Some(Inode::Dir(directory)) = self.inodes.get(&inode)
            {
                unvisited.extend(children(directory));
            }
        }
        live
    }

    fn relearn_parents(&mut self) {
        self.parents.clear();
        for (&parent, inode) in &self.inodes {
            if let Inode::Dir(directory) = inode {
                self.parents.extend(directory.current.values().map(|&child| (child, parent)));
            }
        }
    }
}

impl Directory {
    fn change(&mut self, change: DirChange) {
        apply(&mut self.current, &change);
        self.unsynced.push(change);
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            apply(&mut self.durable, &change);
        }
    }

    /// Makes the pending creation of `inode` durable, if there is one.
    fn settle_link(&mut self, inode: InodeId) {
        let creates = |change: &DirChange| matches!(change, DirChange::Link { inode: linked, .. } if *linked == inode);
        let Some(index) = self.unsynced.iter().position(creates) else { return };
        let DirChange::Link { name, .. } = &self.unsynced[index] else { return };
        // Earlier changes of the same name go first: one journal holds them all in order.
        let entangled = self.unsynced[..index].iter().any(|change| change.touches(name));
        let settled: Vec<DirChange> = match entangled {
            true => self.unsynced.drain(..=index).collect(),
            false => vec![self.unsynced.remove(index)],
        };
        settled.iter().for_each(|change| apply(&mut self.durable, change));
    }

    fn crash(&mut self, mode: CrashMode, rng: &mut SmallRng) {
        let kept = match mode {
            CrashMode::Keep => self.unsynced.len(),
            CrashMode::Drop => 0,
            CrashMode::Torn => rng.random_range(0..=self.unsynced.len()),
        };
        for change in self.unsynced.drain(..).take(kept) {
            apply(&mut self.durable, &change);
        }
        self.current.clone_from(&self.durable);
    }

    fn every_inode(&self) -> Vec<InodeId> {
        let pending = self.unsynced.iter().filter_map(|change| match change {
            DirChange::Link { inode, .. } | DirChange::Rename { inode, .. } => Some(*inode),
            DirChange::Unlink { .. } => None,
        });
        self.current.values().chain(self.durable.values()).copied().chain(pending).collect()
    }
}

impl DirChange {
    fn touches(&self, wanted: &str) -> bool {
        match self {
            Self::Link { name, .. } | Self::Unlink { name } => name == wanted,
            Self::Rename { from, to, .. } => from == wanted || to == wanted,
        }
    }
}

fn apply(entries: &mut BTreeMap<String, InodeId>, change: &DirChange) {
    match change {
        DirChange::Link { name, inode } => {
            entries.insert(name.clone(), *inode);
        }
        DirChange::Unlink { name } => {
            entries.remove(name);
        }
        DirChange::Rename { from, to, inode } => {
            entries.remove(from);
            entries.insert(to.clone(), *inode);
        }
    }
}

/// The names in `path`, without `/` and `.`.
fn components(path: &Path) -> io::Result<Vec<&str>> {
    let invalid = |why| io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {why}", path.display()));
    path.components()
        .filter_map(|component| match component {
            Component::RootDir | Component::CurDir => None,
            Component::Normal(name) => Some(name.to_str().ok_or_else(|| invalid("not UTF-8"))),
            Component::ParentDir | Component::Prefix(_) => Some(Err(invalid("not a plain path"))),
        })
        .collect()
}

pub(super) fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{}: no such file or directory", path.display()))
}
