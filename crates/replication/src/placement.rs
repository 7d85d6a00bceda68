//! In which log directory each replica of this broker is, or is to begin.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_log::{LogDirectory, Relocation, RelocationStage};
use highwater_types::{DirectoryId, TopicId, TopicIdPartition, TopicPartition};

use crate::LogDirectories;
use crate::home::Home;

/// What lies in the directories, and how many replicas each has. Positions are those of the directories.
pub(crate) struct Placement {
    directories: Vec<Arc<LogDirectory>>,
    /// The same, as the replicas in them use them.
    homes: Vec<Arc<Home>>,
    /// Those that could not be read when the node started: what is missing may be there.
    unreadable: Vec<PathBuf>,
    /// Logs that are not open: found at start, or given back.
    found: BTreeMap<TopicPartition, Vec<usize>>,
    /// Those of them that are assigned to this broker.
    wanted: BTreeSet<TopicPartition>,
    /// Replicas of each directory.
    counts: Vec<usize>,
    /// What lies there of moves between directories.
    relocations: BTreeMap<TopicIdPartition, Vec<(usize, Relocation)>>,
    /// Where replicas are to begin that are not here yet, as an operator asked (KIP-113).
    preferred: BTreeMap<TopicPartition, usize>,
}

/// Where a replica is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The directory.
    pub position: usize,
    /// Whether a log of that partition is there.
    pub is_found: bool,
    /// Other directories with a log of that partition: left-overs, to be set aside.
    pub left_over: Vec<usize>,
    /// A move there that a crash kept from its last step, which is to be made first.
    pub adopt: Option<u128>,
}

/// Why a replica has no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPlace {
    #[error("its log directory is offline")]
    Offline,
    #[error(
        "it was moved from {} to another log directory, which is not there, and the cluster counts on what is in it: bring the \
         directory back, or elect another leader uncleanly",
        .0.display()
    )]
    Moved(PathBuf),
    #[error(
        "its log directory {0} is not among log.dirs, and the cluster counts on what is in it: bring the directory back, or \
         elect another leader uncleanly"
    )]
    Missing(DirectoryId),
    #[error(
        "log directories {0} all hold a log of it, and the cluster does not say which counts: remove the older ones while \
         the node is stopped"
    )]
    Ambiguous(String),
}

impl Placement {
    /// Looks into the directories.
    pub fn new(directories: &LogDirectories) -> Self {
        let mut placement = Self {
            directories: directories.opened.clone(),
            homes: directories.opened.iter().map(|directory| Arc::new(Home::new(directory))).collect(),
            unreadable: directories.unreadable.clone(),
            found: BTreeMap::new(),
            wanted: BTreeSet::new(),
            counts: vec![0; directories.opened.len()],
            relocations: BTreeMap::new(),
            preferred: BTreeMap::new(),
        };
        for position in 0..placement.directories.len() {
            match placement.directories[position].partitions() {
                Ok(found) => {
                    placement.counts[position] = found.len();
                    found.into_iter().for_each(|name| placement.found.entry(name).or_default().push(position));
                    // One that refuses is out of service now.
                    let relocations = placement.directories[position].relocations().unwrap_or_default();
                    relocations.into_iter().for_each(|relocation| placement.add_relocation(position, relocation));
                }
                Err(error) => {
                    let directory = &placement.directories[position];
                    tracing::error!(directory = %directory.path().display(), %error, "cannot list the partitions");
                    directory.take_offline(&error.to_string());
                }
            }
        }
        placement
    }

    /// The directory at that position.
    pub fn directory(&self, position: usize) -> &Arc<LogDirectory> {
        &self.directories[position]
    }

    /// A directory of this node as its replicas use it.
    ///
    /// # Panics
    /// If it is none of this node's.
    pub fn home(&self, directory: &Arc<LogDirectory>) -> &Arc<Home> {
        self.homes.iter().find(|home| home.is(directory)).expect("replicas are in directories of their node")
    }

    /// The position of a directory.
    pub fn position_of(&self, directory: &Arc<LogDirectory>) -> Option<usize> {
        self.directories.iter().position(|other| Arc::ptr_eq(other, directory))
    }

    /// Claims the place of a replica that the metadata have in `assigned`: where a log of it was found, or else the directory
    /// in service with the fewest replicas (as in Kafka). `counted_on`: the cluster may elect it for what it holds.
    pub fn claim(
        &mut self,
        name: &TopicPartition,
        topic_id: TopicId,
        assigned: DirectoryId,
        counted_on: bool,
    ) -> Result<Place, NoPlace> {
        self.wanted.insert(name.clone());
        let all = self.found.get(name).cloned().unwrap_or_default();
        let own = self.own(name, topic_id, &all);
        let is_assigned = |&&position: &&usize| self.directories[position].id() == assigned;
        let mut adopt = None;
        let position = match (own.as_slice(), own.iter().find(is_assigned)) {
            ([only], _) | (_, Some(only)) => *only,
            ([], None) => match self.destination(TopicIdPartition { topic_id, partition: name.partition }) {
                None => self.new_place(name, assigned, counted_on)?,
                Some((_, Some((position, unique)))) => {
                    adopt = Some(unique);
                    position
                }
                Some((from, None)) if counted_on => {
                    return Err(NoPlace::Moved(self.directories[from].path().to_owned()));
                }
                Some((_, None)) => self.new_place(name, DirectoryId::UNASSIGNED, counted_on)?,
            },
            (several, None) if !counted_on => {
                // A power loss can take back that a former replica's log here was deleted. Whichever it is, it follows the leader.
                let online = several.iter().find(|&&position| self.directories[position].is_online());
                *online.ok_or(NoPlace::Offline)?
            }
            _ => return Err(NoPlace::Ambiguous(self.paths(&all))),
        };
        if !self.directories[position].is_online() {
            return Err(NoPlace::Offline);
        }
        let left_over = all.into_iter().filter(|&other| other != position).collect();
        self.wanted.remove(name);
        let is_found = self.found.remove(name).is_some() || adopt.is_some();
        if !is_found || adopt.is_some() {
            self.counts[position] += 1;
        }
        self.preferred.remove(name);
        Ok(Place { position, is_found, left_over, adopt })
    }

    /// Of a log that is nowhere and was moved: from where, and where the copy is, if it can be seen.
    fn destination(&self, id: TopicIdPartition) -> Option<(usize, Option<(usize, u128)>)> {
        let all = self.relocations.get(&id)?;
        let of = |stage: RelocationStage| all.iter().filter(move |(_, one)| one.stage == stage);
        let copy_of = |unique: u128| of(RelocationStage::Future).find(|(_, one)| one.unique == unique);
        let found = of(RelocationStage::Moved).find_map(|(from, moved)| {
            copy_of(moved.unique).map(|(position, copy)| (*from, Some((*position, copy.unique))))
        });
        found.or_else(|| of(RelocationStage::Moved).next().map(|(from, _)| (*from, None)))
    }

    /// The directory at that path, if it is one of those that were opened; or whether it is one that could not be.
    pub fn position_at(&self, path: &Path) -> Result<usize, bool> {
        let position = self.directories.iter().position(|directory| directory.path() == path);
        position.ok_or_else(|| self.unreadable.iter().any(|unreadable| unreadable == path))
    }

    /// A replica that is not here yet is to begin there.
    pub fn prefer(&mut self, name: TopicPartition, position: usize) {
        self.preferred.insert(name, position);
    }

    /// A replica went to that directory, from another one.
    pub fn on_relocated(&mut self, from: usize, to: usize) {
        self.release(from);
        self.counts[to] += 1;
    }

    /// That lies in the directory at that position.
    pub fn add_relocation(&mut self, position: usize, relocation: Relocation) {
        let id = TopicIdPartition { topic_id: relocation.topic_id, partition: relocation.partition };
        self.relocations.entry(id).or_default().push((position, relocation));
    }

    /// Takes out what lies there of moves of a replica, at that stage.
    pub fn take_relocations(&mut self, id: TopicIdPartition, stage: RelocationStage) -> Vec<(usize, Relocation)> {
        let Some(all) = self.relocations.get_mut(&id) else { return Vec::new() };
        let taken = all.extract_if(.., |(_, one)| one.stage == stage).collect();
        if all.is_empty() {
            self.relocations.remove(&id);
        }
        taken
    }

    /// Takes out what lies there of moves of replicas that are not here any more.
    pub fn take_unwanted_relocations(
        &mut self,
        is_here: impl Fn(TopicIdPartition) -> bool,
    ) -> Vec<(usize, Relocation)> {
        self.relocations.extract_if(.., |&id, _| !is_here(id)).flat_map(|(_, all)| all).collect()
    }

    /// Of several logs of that name, those that are the topic's; those of a former topic count only when there is nothing else.
    fn own(&self, name: &TopicPartition, topic_id: TopicId, all: &[usize]) -> Vec<usize> {
        if all.len() < 2 {
            return all.to_vec();
        }
        let is_own = |&position: &usize| {
            let found = self.directories[position].topic_id(name);
            found.is_ok_and(|found| found.is_none_or(|found| found == topic_id))
        };
        let own: Vec<usize> = all.iter().copied().filter(is_own).collect();
        if own.is_empty() { all.to_vec() } else { own }
    }

    fn new_place(&self, name: &TopicPartition, assigned: DirectoryId, counted_on: bool) -> Result<usize, NoPlace> {
        if !assigned.is_reserved() {
            match self.directories.iter().position(|directory| directory.id() == assigned) {
                Some(position) => return Ok(position),
                None if !self.unreadable.is_empty() => return Err(NoPlace::Offline),
                None if counted_on => return Err(NoPlace::Missing(assigned)),
                None => {}
            }
        }
        if let Some(&preferred) = self.preferred.get(name).filter(|&&preferred| self.directories[preferred].is_online())
        {
            return Ok(preferred);
        }
        let online = (0..self.directories.len()).filter(|&position| self.directories[position].is_online());
        online.min_by_key(|&position| self.counts[position]).ok_or(NoPlace::Offline)
    }

    fn paths(&self, found: &[usize]) -> String {
        let path = |&position: &usize| self.directories[position].path().display().to_string();
        found.iter().map(path).collect::<Vec<_>>().join(" and ")
    }

    /// What was claimed could not be opened; it is still there.
    pub fn give_back(&mut self, name: TopicPartition, position: usize) {
        self.wanted.insert(name.clone());
        self.found.entry(name).or_default().push(position);
    }

    /// A replica of that directory is gone.
    pub fn release(&mut self, position: usize) {
        self.counts[position] = self.counts[position].saturating_sub(1);
    }

    /// What nobody claimed, with its directories. It is not known here any more.
    pub fn take_unclaimed(&mut self) -> Vec<(TopicPartition, usize)> {
        let unclaimed: Vec<_> = self.found.extract_if(.., |name, _| !self.wanted.contains(name)).collect();
        let places = unclaimed.into_iter().flat_map(|(name, all)| all.into_iter().map(move |one| (name.clone(), one)));
        let places: Vec<(TopicPartition, usize)> = places.collect();
        places.iter().for_each(|&(_, position)| self.release(position));
        places
    }
}
