//! Damage on disk: below the durable mark it is reported and nothing is touched, above it the tail goes.

use highwater_env::{CrashMode, SimFs};
use highwater_types::LeaderEpoch;

use super::*;

/// A log of 40 one-record batches in several segments, flushed up to offset 30, on a disk that then lost power.
fn crashed() -> SimFs {
    let disk = SimFs::new();
    let directory = open_directory(&disk);
    let mut log = open_log(&directory, &small()).unwrap();
    for number in 0..40 {
        log.append_leader(&Sent::plain(&[NOW.0 + number]).validated(), LeaderEpoch(0), NOW).unwrap();
        if number == 29 {
            log.flush_target().flush().unwrap();
            directory.checkpoint(&[]).unwrap();
        }
    }
    drop(log);
    disk.crash(CrashMode::Keep, 0);
    disk
}

fn position_of(disk: &SimFs, offset: i64) -> (std::path::PathBuf, u64) {
    let mut segments = files(disk).into_iter().filter(|(name, _)| name.ends_with(".log"));
    let (name, bytes) = segments
        .rfind(|(name, _)| name[..20].parse::<i64>().unwrap() <= offset)
        .expect("the first segment starts at 0");
    let mut position = 0;
    loop {
        let header = highwater_records::BatchHeader::parse(&bytes[position..]).unwrap();
        if header.last_offset().get() >= offset {
            return (Path::new(DIR).join("topic-0").join(name), position as u64);
        }
        position += header.size_in_bytes();
    }
}

#[test]
fn above_the_durable_mark_the_tail_is_cut() {
    for byte in [0, 8, 16, 17, 40, 61, 70] {
        let disk = crashed();
        let (path, position) = position_of(&disk, 35);
        disk.decay(&path, position + byte).unwrap();
        let log = open_log(&open_directory(&disk), &small()).unwrap();
        assert_eq!(log.log_end(), Offset(35), "byte {byte}");
        read_all(&log);
    }
}

#[test]
fn below_the_durable_mark_it_is_reported_and_nothing_is_touched() {
    for byte in [0, 8, 16, 17, 40, 61, 70] {
        let disk = crashed();
        let (path, position) = position_of(&disk, 29);
        disk.decay(&path, position + byte).unwrap();
        let before = files(&disk);
        for _ in 0..2 {
            let directory = open_directory(&disk);
            match open_log(&directory, &small()) {
                Err(LogError::Corrupt { durable_mark, .. }) => assert_eq!(durable_mark, Offset(30)),
                other => panic!("byte {byte}: {other:?}"),
            }
            assert!(directory.is_online(), "one damaged log is no damaged disk");
            assert_eq!(files(&disk), before);
        }
    }
}

#[test]
fn a_quarantined_log_makes_room_for_a_new_one() {
    let disk = crashed();
    let (path, position) = position_of(&disk, 29);
    disk.decay(&path, position + 61).unwrap();
    let directory = open_directory(&disk);
    open_log(&directory, &small()).unwrap_err();
    let aside = directory.quarantine_partition(&partition(), 5).unwrap();
    assert!(Fs::Sim(disk.clone()).exists(&aside).unwrap());
    let log = open_log(&directory, &small()).unwrap();
    assert_eq!((log.log_start(), log.log_end()), (Offset(0), Offset(0)));
    assert_eq!(directory.remove_deleted().unwrap(), 0, "what was put aside stays");
}

#[test]
fn a_missing_segment_above_the_mark_ends_the_log_and_below_it_is_reported() {
    let segments = |disk: &SimFs| -> Vec<String> {
        files(disk).into_iter().map(|(name, _)| name).filter(|name| name.ends_with(".log")).collect()
    };
    let disk = crashed();
    let names = segments(&disk);
    let fs = Fs::Sim(disk.clone());
    let dir = Path::new(DIR).join("topic-0");
    fs.remove_file(&dir.join(names.last().unwrap())).unwrap();
    let end: i64 = names.last().unwrap()[..20].parse().unwrap();
    let opened = open_log(&open_directory(&disk), &small());
    match end {
        30.. => assert_eq!(opened.unwrap().log_end(), Offset(end)),
        _ => assert!(matches!(opened, Err(LogError::Corrupt { .. }))),
    }

    let disk = crashed();
    let fs = Fs::Sim(disk.clone());
    for name in segments(&disk) {
        fs.remove_file(&dir.join(name)).unwrap();
    }
    let opened = open_log(&open_directory(&disk), &small());
    assert!(matches!(opened, Err(LogError::Corrupt { .. })), "an emptied directory is not an empty log");
}

#[test]
fn a_lost_epoch_checkpoint_is_made_anew() {
    let disk = SimFs::new();
    let directory = open_directory(&disk);
    let mut log = open_log(&directory, &small()).unwrap();
    for number in 0..40 {
        log.append_leader(&Sent::plain(&[NOW.0 + number]).validated(), LeaderEpoch(number as i32 / 9), NOW).unwrap();
    }
    let expected: Vec<_> = (0..6).map(|epoch| log.epoch_end(LeaderEpoch(epoch))).collect();
    log.close().unwrap();
    let fs = Fs::Sim(disk.clone());
    let path = Path::new(DIR).join("topic-0/leader-epoch-checkpoint");
    for broken in [None, Some(&b"0\n1\n"[..])] {
        match broken {
            None => fs.remove_file(&path).unwrap(),
            Some(text) => fs.write_atomic(&path, text).unwrap(),
        }
        let log = open_log(&directory, &small()).unwrap();
        let found: Vec<_> = (0..6).map(|epoch| log.epoch_end(LeaderEpoch(epoch))).collect();
        assert_eq!(found, expected);
        log.close().unwrap();
    }
}

/// Every byte of a header, its offset and epoch included, which the checksum does not cover.
#[test]
fn no_damage_below_the_durable_mark_costs_flushed_batches() {
    for offset in [0, 1, 13, 28, 29] {
        for byte in 0..70 {
            let disk = crashed();
            let (path, position) = position_of(&disk, offset);
            disk.decay(&path, position + byte).unwrap();
            let directory = open_directory(&disk);
            match open_log(&directory, &small()) {
                Err(LogError::Corrupt { .. }) => {}
                Ok(log) => assert!(log.log_end() >= Offset(30), "offset {offset}, byte {byte}: {}", log.log_end()),
                Err(error) => panic!("offset {offset}, byte {byte}: {error}"),
            }
        }
    }
}

/// An offset is in no checksum, and such a segment is not read again but for indexes that are gone.
#[test]
fn a_damaged_offset_in_a_segment_that_is_believed_is_damage() {
    for byte in 0..8 {
        let disk = crashed();
        let (path, position) = position_of(&disk, 2);
        disk.decay(&path, position + byte).unwrap();
        let fs = Fs::Sim(disk.clone());
        fs.remove_file(&path.with_extension("index")).unwrap();
        let directory = open_directory(&disk);
        assert!(matches!(open_log(&directory, &small()), Err(LogError::Corrupt { .. })), "byte {byte}");
        assert!(directory.is_online());
    }
}

/// Everything that is found by way of an index.
fn looked_up(log: &Log, times: &[i64]) -> Vec<String> {
    let (reader, end) = (log.reader(), log.log_end());
    let read = |from: i64| format!("{:?}", reader.read(Offset(from), end, 1, true).unwrap().batches);
    let found = |time: &i64| format!("{:?}", log.offset_for_timestamp(Timestamp(*time)).unwrap());
    let newest = format!("{:?}", log.max_timestamp().unwrap());
    let reads = (log.log_start().get()..end.get()).map(read);
    reads.chain(times.iter().map(found)).chain([newest]).collect()
}

#[test]
fn an_index_of_another_time_misleads_nobody() {
    let times: Vec<i64> = (0..60).map(|number| NOW.0 + 100 * number - 350 * (number % 4)).collect();
    // Positions of later batches, and positions at which none starts.
    let spoils: [fn(&mut [u8]); 2] = [
        |index| {
            for entry in 0..index.len() / 8 - 1 {
                index.copy_within(8 * entry + 12..8 * entry + 16, 8 * entry + 4);
            }
            let last = index.len() - 1;
            index[last] += 1;
        },
        |index| index.chunks_exact_mut(8).for_each(|entry| entry[7] ^= 1),
    ];
    for spoil in spoils {
        let disk = SimFs::new();
        let directory = open_directory(&disk);
        let mut log = open_log(&directory, &small()).unwrap();
        for &time in &times {
            log.append_leader(&Sent::plain(&[time]).validated(), LeaderEpoch(0), NOW).unwrap();
        }
        log.set_log_start(Offset(5)).unwrap();
        let expected = looked_up(&log, &times);
        log.close().unwrap();
        directory.close(None).unwrap();
        disk.crash(CrashMode::Drop, 0);
        let mut spoilt = 0;
        for (name, mut content) in files(&disk).into_iter().filter(|(name, _)| name.ends_with(".index")) {
            if content.len() > 16 {
                spoil(&mut content);
                let path = Path::new(DIR).join("topic-0").join(name);
                Fs::Sim(disk.clone()).write_atomic(&path, &content).unwrap();
                spoilt += 1;
            }
        }
        assert!(spoilt > 1);
        let log = open_log(&open_directory(&disk), &small()).unwrap();
        assert_eq!(looked_up(&log, &times), expected);
    }
}
