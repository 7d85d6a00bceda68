//! The power goes after every single change of the disk that a move to another log directory makes. Each time, the next start
//! finds the log in exactly one of the two, with every flushed batch and the log start; and the move can be made again.

use highwater_env::CrashMode;

use super::*;
use crate::RelocationStage;

const UNIQUE: u128 = 9;
/// Below it, records are deleted: within a segment, so that only a checkpoint tells.
const LOG_START: Offset = Offset(3);
/// Batches at first.
const BATCHES: usize = 60;
const SLICE_BYTES: usize = 1_500;

struct World {
    disk: SimFs,
    directories: [Arc<LogDirectory>; 2],
    /// All that was appended: the batch with each offset.
    appended: Vec<Vec<u8>>,
    flushed: Offset,
    epoch: i32,
}

fn open_directories(disk: &SimFs) -> [Arc<LogDirectory>; 2] {
    ["from", "to"].map(|path| {
        let new_directory_id = DirectoryId::from_random(if path == "from" { 1 } else { 2 });
        let identity = Identity { node_id: BrokerId(1), cluster_id: None, new_directory_id };
        LogDirectory::open(Fs::Sim(disk.clone()), Path::new(path), &identity).unwrap()
    })
}

impl World {
    /// A log in the first directory, flushed but for its last batches.
    fn new() -> (Self, Log) {
        let disk = SimFs::new();
        let directories = open_directories(&disk);
        let mut world = Self { disk, directories, appended: Vec::new(), flushed: Offset::ZERO, epoch: 0 };
        let mut log = open_log(&world.directories[0], &config()).unwrap();
        world.append(&mut log, BATCHES).unwrap();
        log.set_log_start(LOG_START).unwrap();
        world.flush(&log).unwrap();
        world.directories[0].persist_log_start(&partition()).unwrap();
        world.append(&mut log, 2).unwrap();
        (world, log)
    }

    fn append(&mut self, log: &mut Log, count: usize) -> Result<(), LogError> {
        for _ in 0..count {
            let (offset, epoch) = (log.log_end(), LeaderEpoch(self.epoch));
            let mut builder = BatchBuilder::new(Compression::None);
            builder.append(NOW, Some(b"key"), Some(&[offset.get() as u8; 60]), &[]);
            let sent = builder.build();
            let mut stored = sent.to_vec();
            stored[..8].copy_from_slice(&offset.get().to_be_bytes());
            stored[12..16].copy_from_slice(&epoch.get().to_be_bytes());
            let batch = validate_produce(sent, &partition(), &ValidationLimits::new(NOW)).unwrap();
            match log.append_leader(&batch, epoch, NOW) {
                Ok(_) => self.appended.push(stored),
                Err(crate::AppendError::Log(error)) => return Err(error),
                Err(error) => panic!("{error}"),
            }
        }
        Ok(())
    }

    fn flush(&mut self, log: &Log) -> Result<(), LogError> {
        self.flushed = self.flushed.max(log.flush_target().flush()?);
        Ok(())
    }

    /// What the node does: moves, goes on in the new directory, and forgets the old one.
    fn relocate(&mut self, log: Log) -> Result<Log, LogError> {
        let [from, to] = self.directories.clone();
        let mut copy = to.open_future((&partition(), topic_id()), UNIQUE, config(), NOW)?;
        copy.truncate_to(log.epoch_end(copy.latest_epoch()).1.min(log.log_end()), NOW)?;
        if copy.log_end() < log.log_start() {
            copy.truncate_fully_and_start_at(log.log_start(), NOW)?;
        }
        while copy.log_end() < log.log_end() {
            let read = log.reader().read(copy.log_end(), log.log_end(), SLICE_BYTES, true).unwrap();
            for batches in &read.batches {
                match copy.append_follower(batches, NOW) {
                    Ok(_) => {}
                    Err(crate::AppendError::Log(error)) => return Err(error),
                    Err(error) => panic!("{error}"),
                }
            }
        }
        copy.set_log_start(log.log_start())?;
        copy.close()?;
        to.checkpoint(&[(partition(), Offset(7))])?;
        from.set_moved_aside(&log, UNIQUE)?;
        drop(log);
        to.adopt_future(&partition(), UNIQUE)?;
        let mut log = open_log(&to, &config())?;
        self.append(&mut log, 3)?;
        self.flush(&log)?;
        from.discard_relocation(&from.moved_aside(&partition(), topic_id(), UNIQUE), NOW)?;
        from.remove_due(NOW)?;
        Ok(log)
    }

    /// Starts again, as a node does. Returns the log, and in which directory it is.
    fn restart(&mut self, (mode, seed): (CrashMode, u64), context: &str) -> (Log, usize) {
        self.disk.crash(mode, seed);
        self.directories = open_directories(&self.disk);
        let has = |number: usize| self.directories[number].partitions().unwrap().contains(&partition());
        let number = match (has(0), has(1)) {
            (true, false) => 0,
            (false, true) => 1,
            (false, false) => {
                let of = |number: usize, stage| {
                    let found = self.directories[number].relocations().unwrap();
                    found.into_iter().find(|one| one.stage == stage && one.topic_id == topic_id())
                };
                let moved = of(0, RelocationStage::Moved).unwrap_or_else(|| panic!("{context}: nowhere"));
                let future = of(1, RelocationStage::Future).unwrap_or_else(|| panic!("{context}: no copy"));
                assert_eq!((moved.unique, future.partition), (future.unique, moved.partition), "{context}");
                self.directories[1].adopt_future(&partition(), moved.unique).unwrap();
                1
            }
            (true, true) => panic!("{context}: in both directories"),
        };
        (open_log(&self.directories[number], &config()).unwrap(), number)
    }

    /// Other records come in the place of those that were lost, and the move is made again: nothing lost is in the copy.
    fn go_on(&mut self, mut log: Log, context: &str) {
        let lost = self.appended.len() - log.log_end().get() as usize;
        self.appended.truncate(log.log_end().get() as usize);
        self.epoch += 1;
        self.append(&mut log, lost + 1).unwrap();
        let log = self.relocate(log).unwrap();
        self.check(&log, context);
        drop(log);
        let (log, number) = self.restart((CrashMode::Drop, 0), context);
        assert_eq!(number, 1, "{context}");
        self.check(&log, context);
    }

    fn check(&self, log: &Log, context: &str) {
        assert!(log.log_end() >= self.flushed, "{context}: {} of {}", log.log_end(), self.flushed);
        assert_eq!(log.log_start(), LOG_START, "{context}");
        let range = log.log_start().get() as usize..log.log_end().get() as usize;
        assert!(read_all(log) == self.appended[range].concat(), "{context}: other bytes");
        assert_eq!(log.latest_epoch(), LeaderEpoch(self.epoch), "{context}");
    }
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 1_000, delete_policy: false, ..small() }
}

#[test]
fn the_power_goes_at_every_point_of_a_move() {
    let outcomes = [(CrashMode::Keep, 0), (CrashMode::Drop, 0), (CrashMode::Torn, 1), (CrashMode::Torn, 2)];
    let (mut points, mut found_in, mut changes) = (0, [0; 2], 0);
    loop {
        let mut completed = false;
        for outcome in outcomes {
            let context = format!("{changes} changes, {outcome:?}");
            let (mut world, log) = World::new();
            world.disk.stop_after(changes);
            let moved = world.relocate(log);
            completed = moved.is_ok();
            assert!(matches!(moved, Ok(_) | Err(LogError::Io { .. } | LogError::Offline(_))), "{context}: {moved:?}");
            drop(moved);
            let (log, number) = world.restart(outcome, &context);
            world.check(&log, &context);
            points += 1;
            found_in[number] += 1;
            if number == 0 {
                world.go_on(log, &context);
            }
        }
        if completed {
            break;
        }
        changes += 1;
    }
    println!("{points} crash points, found in {found_in:?}");
    assert!(changes > 30 && found_in.iter().all(|&count| count > 20), "{changes}: {found_in:?}");
}

/// (1) A copy is made, (2) the topic is deleted, made again, and its log begun where the copy is, (3) the copy is closed.
#[test]
fn a_copy_of_a_deleted_topic_says_nothing_of_the_next_log_of_its_name() {
    let disk = SimFs::new();
    let [_, to] = open_directories(&disk);
    let mut copy = to.open_future((&partition(), topic_id()), UNIQUE, config(), NOW).unwrap();
    for offset in 0..50 {
        copy.append_follower(&Sent::plain(&[NOW.0]).replicated(offset, 0), NOW).unwrap();
    }
    let another = TopicId::from_random(8);
    let mut log = to.open_log(&partition(), another, config(), NOW).unwrap();
    log.append_leader(&Sent::plain(&[NOW.0]).validated(), LeaderEpoch(0), NOW).unwrap();
    log.flush_target().flush().unwrap();
    copy.close().unwrap();
    to.checkpoint(&[]).unwrap();
    drop(log);
    disk.crash(CrashMode::Drop, 0);
    let [_, to] = open_directories(&disk);
    assert_eq!(to.open_log(&partition(), another, config(), NOW).unwrap().log_end(), Offset(1));
}
