//! One script for both file systems, then what only the simulated one does.

use std::io::IoSlice;
use std::path::PathBuf;

use super::*;
use crate::{CrashMode, DiskFault};

/// A fresh directory on each file system; the real one is removed at the end.
fn on_both(script: impl Fn(&Fs, &Path)) {
    let disk = SimFs::new();
    let root = PathBuf::from("/node/data");
    Fs::Sim(disk.clone()).create_dir_all(&root).unwrap();
    script(&Fs::Sim(disk), &root);
    let name = format!("highwater-env-{}-{:?}", std::process::id(), std::thread::current().id());
    let root = std::env::temp_dir().join(name.replace(['(', ')'], ""));
    Fs::Real.create_dir_all(&root).unwrap();
    script(&Fs::Real, &root);
    Fs::Real.remove_dir_all(&root).unwrap();
}

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn files_read_back_what_was_written() {
    on_both(|fs, root| {
        let path = root.join("a");
        assert_eq!(kind(fs.open(&path, OpenMode::Read)), io::ErrorKind::NotFound);
        assert_eq!(kind(fs.open(&path, OpenMode::ReadWrite)), io::ErrorKind::NotFound);
        let file = fs.open(&path, OpenMode::Create).unwrap();
        file.write_all_at(b"hello", 2).unwrap();
        file.write_vectored_all_at(&[IoSlice::new(b""), IoSlice::new(b"wor"), IoSlice::new(b"ld")], 7).unwrap();
        file.write_vectored_all_at(&[], 0).unwrap();
        assert_eq!(fs.read(&path).unwrap(), b"\0\0helloworld");
        assert_eq!(file.len().unwrap(), 12);
        let mut buffer = [0; 5];
        file.read_exact_at(&mut buffer, 2).unwrap();
        assert_eq!(&buffer, b"hello");
        assert_eq!(file.read_at(&mut buffer, 10).unwrap(), 2);
        assert_eq!(file.read_at(&mut buffer, 12).unwrap(), 0);
        assert_eq!(file.read_at(&mut buffer, 99).unwrap(), 0);
        assert_eq!(kind(file.read_exact_at(&mut buffer, 10)), io::ErrorKind::UnexpectedEof);
        file.set_len(3).unwrap();
        file.set_len(4).unwrap();
        file.sync_data().unwrap();
        file.sync_all().unwrap();
        assert_eq!(fs.read(&path).unwrap(), b"\0\0h\0");
        assert!(fs.open(&path, OpenMode::Read).unwrap().write_all_at(b"x", 0).is_err());
        fs.open(&path, OpenMode::Truncate).unwrap();
        assert_eq!(fs.read(&path).unwrap(), b"");
    });
}

#[test]
fn many_buffers_are_written_in_order() {
    on_both(|fs, root| {
        let pieces: Vec<[u8; 3]> = (0..3000_u16).map(|i| [i as u8, (i >> 8) as u8, 7]).collect();
        let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let file = fs.open(&root.join("a"), OpenMode::Create).unwrap();
        file.write_vectored_all_at(&slices, 1).unwrap();
        assert_eq!(fs.read(&root.join("a")).unwrap()[1..], pieces.concat());
    });
}

#[test]
fn directories_list_rename_and_remove() {
    on_both(|fs, root| {
        fs.create_dir_all(&root.join("t-0/deep")).unwrap();
        fs.create_dir_all(&root.join("t-0")).unwrap();
        fs.write_atomic(&root.join("b"), b"1").unwrap();
        fs.write_atomic(&root.join("b"), b"22").unwrap();
        fs.write_atomic(&root.join("t-0/x"), b"3").unwrap();
        let names = |path: &Path| fs.read_dir(path).unwrap().into_iter().map(|entry| entry.name).collect::<Vec<_>>();
        assert_eq!(names(root), ["b", "t-0"]);
        assert!(fs.read_dir(root).unwrap()[1].is_dir && !fs.read_dir(root).unwrap()[0].is_dir);
        assert_eq!(fs.read(&root.join("b")).unwrap(), b"22");
        fs.rename(&root.join("t-0"), &root.join("t-0.gone-delete")).unwrap();
        assert_eq!(names(&root.join("t-0.gone-delete")), ["deep", "x"]);
        assert!(!fs.exists(&root.join("t-0/x")).unwrap() && fs.exists(&root.join("t-0.gone-delete/x")).unwrap());
        fs.remove_dir_all(&root.join("t-0.gone-delete")).unwrap();
        let open = fs.open(&root.join("b"), OpenMode::Read).unwrap();
        fs.remove_file(&root.join("b")).unwrap();
        fs.sync_dir(root).unwrap();
        assert_eq!(open.read_at(&mut [0; 9], 0).unwrap(), 2, "a removed file can be read while open");
        assert_eq!(names(root), Vec::<String>::new());
        assert_eq!(kind(fs.remove_file(&root.join("b"))), io::ErrorKind::NotFound);
        assert_eq!(kind(fs.rename(&root.join("b"), &root.join("c"))), io::ErrorKind::NotFound);
        assert_eq!(kind(fs.open(&root.join("no/b"), OpenMode::Create)), io::ErrorKind::NotFound);
    });
}

#[test]
fn a_directory_has_one_holder() {
    on_both(|fs, root| {
        let held = fs.lock_dir(root).unwrap();
        assert_eq!(kind(fs.lock_dir(root)), io::ErrorKind::WouldBlock);
        drop(held);
        drop(fs.lock_dir(root).unwrap());
        assert!(fs.available_bytes(root).unwrap() <= fs.total_bytes(root).unwrap());
    });
}

/// A disk with `/d/f` = "old" durable, then "NEW!" written over it without a sync.
fn half_written() -> (SimFs, Fs, File) {
    let disk = SimFs::new();
    let fs = Fs::Sim(disk.clone());
    fs.create_dir_all(Path::new("/d")).unwrap();
    fs.write_atomic(Path::new("/d/f"), b"old").unwrap();
    let file = fs.open(Path::new("/d/f"), OpenMode::ReadWrite).unwrap();
    file.write_all_at(b"NEW!", 0).unwrap();
    (disk, fs, file)
}

#[test]
fn a_crash_decides_on_unflushed_writes() {
    for (mode, left) in [(CrashMode::Drop, &b"old"[..]), (CrashMode::Keep, b"NEW!")] {
        let (disk, fs, file) = half_written();
        assert_eq!(disk.unflushed_bytes(), 4);
        assert_eq!(disk.durable_content(Path::new("/d/f")).unwrap().unwrap(), b"old");
        disk.crash(mode, 1);
        assert_eq!(fs.read(Path::new("/d/f")).unwrap(), left);
        assert!(file.write_all_at(b"x", 0).is_err() && file.sync_all().is_err(), "handles do not outlive the crash");
        drop(file);
        assert_eq!(disk.unflushed_bytes(), 0);
    }
    let (disk, fs, file) = half_written();
    file.sync_data().unwrap();
    disk.crash(CrashMode::Drop, 1);
    assert_eq!(fs.read(Path::new("/d/f")).unwrap(), b"NEW!");
}

#[test]
fn torn_writes_end_at_sectors_and_holes_are_zero() {
    let (mut torn, mut holes, mut whole, mut none) = (0, 0, 0, 0);
    for seed in 0..200 {
        let disk = SimFs::new();
        let fs = Fs::Sim(disk.clone());
        let file = fs.open(Path::new("/f"), OpenMode::Create).unwrap();
        file.write_all_at(&[1; 100], 0).unwrap();
        file.sync_data().unwrap();
        file.write_all_at(&[2; 1948], 100).unwrap();
        disk.crash(CrashMode::Torn, seed);
        let left = fs.read(Path::new("/f")).unwrap();
        assert_eq!(&left[..100], &[1; 100], "flushed bytes stay");
        assert!(left.len() == 100 || left.len().is_multiple_of(512), "seed {seed}: {}", left.len());
        assert!(left[100..].chunks(512).all(|part| part.iter().all(|byte| *byte == 2 || *byte == 0)));
        match (left.len(), left.contains(&0)) {
            (100, _) => none += 1,
            (2048, false) => whole += 1,
            (_, true) => holes += 1,
            (_, false) => torn += 1,
        }
    }
    assert!(torn > 10 && holes > 10 && whole > 10 && none > 10, "{torn} {holes} {whole} {none}");
}

#[test]
fn names_are_durable_with_their_directory_and_creations_also_with_their_file() {
    let run = |settle: fn(&Fs)| {
        let disk = SimFs::new();
        let fs = Fs::Sim(disk.clone());
        fs.create_dir_all(Path::new("/d")).unwrap();
        fs.write_atomic(Path::new("/d/old"), b"").unwrap();
        fs.write_atomic(Path::new("/d/gone"), b"").unwrap();
        fs.open(Path::new("/d/new"), OpenMode::Create).unwrap();
        fs.rename(Path::new("/d/old"), Path::new("/d/renamed")).unwrap();
        fs.remove_file(Path::new("/d/gone")).unwrap();
        settle(&fs);
        disk.crash(CrashMode::Drop, 0);
        fs.read_dir(Path::new("/d")).unwrap().into_iter().map(|entry| entry.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(run(|_| ()), "gone old");
    assert_eq!(run(|fs| fs.sync_dir(Path::new("/d")).unwrap()), "new renamed");
    let sync_file = |fs: &Fs| fs.open(Path::new("/d/new"), OpenMode::Read).unwrap().sync_all().unwrap();
    assert_eq!(run(sync_file), "gone new old");
}

#[test]
fn a_synced_file_makes_its_new_directories_durable() {
    let disk = SimFs::new();
    let fs = Fs::Sim(disk.clone());
    fs.create_dir_all(Path::new("/a/b")).unwrap();
    fs.open(Path::new("/a/b/f"), OpenMode::Create).unwrap().sync_all().unwrap();
    fs.create_dir_all(Path::new("/a/c")).unwrap();
    disk.crash(CrashMode::Drop, 0);
    assert!(fs.exists(Path::new("/a/b/f")).unwrap());
    assert!(!fs.exists(Path::new("/a/c")).unwrap());
}

#[test]
fn write_atomic_is_all_or_nothing_at_every_crash() {
    for seed in 0..100 {
        let disk = SimFs::new();
        let fs = Fs::Sim(disk.clone());
        fs.create_dir_all(Path::new("/d")).unwrap();
        fs.write_atomic(Path::new("/d/f"), &[1; 3000]).unwrap();
        // The steps of `write_atomic`, stopped after each.
        let temporary = fs.open(Path::new("/d/f.tmp"), OpenMode::Truncate).unwrap();
        temporary.write_all_at(&[2; 4000], 0).unwrap();
        if seed % 3 > 0 {
            temporary.sync_all().unwrap();
        }
        if seed % 3 > 1 {
            fs.rename(Path::new("/d/f.tmp"), Path::new("/d/f")).unwrap();
        }
        disk.crash(CrashMode::Torn, seed);
        let left = fs.read(Path::new("/d/f")).unwrap();
        assert!(left == [1; 3000] || left == [2; 4000], "seed {seed}");
        fs.write_atomic(Path::new("/d/f"), &[3; 10]).unwrap();
        disk.crash(CrashMode::Torn, seed);
        assert_eq!(fs.read(Path::new("/d/f")).unwrap(), [3; 10]);
    }
}

#[test]
fn a_failed_sync_loses_data_though_a_later_one_succeeds() {
    let (disk, fs, file) = half_written();
    disk.fail_next_syncs(1);
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    assert_eq!(fs.read(Path::new("/d/f")).unwrap(), b"NEW!", "still readable");
    disk.crash(CrashMode::Keep, 0);
    assert_eq!(fs.read(Path::new("/d/f")).unwrap(), b"old");
}

#[test]
fn injected_faults_hit_what_they_name() {
    let (disk, fs, file) = half_written();
    disk.inject("/d", DiskFault::Write);
    assert!(file.write_all_at(b"x", 0).is_err() && file.read_at(&mut [0], 0).is_ok());
    assert!(fs.open(Path::new("/d/g"), OpenMode::Create).is_err() && fs.remove_file(Path::new("/d/f")).is_err());
    disk.heal();
    file.write_all_at(b"x", 0).unwrap();
    disk.inject("/d", DiskFault::Read);
    assert!(file.read_at(&mut [0], 0).is_err() && fs.read(Path::new("/d/f")).is_err() && file.sync_all().is_ok());
    disk.heal();
    disk.inject("/other", DiskFault::Any);
    file.read_at(&mut [0], 0).unwrap();
    disk.decay(Path::new("/d/f"), 1).unwrap();
    assert_eq!(fs.read(Path::new("/d/f")).unwrap(), [b'x', !b'E', b'W', b'!']);
}

#[test]
fn a_full_disk_takes_what_fits_and_heals() {
    let (disk, fs, file) = half_written();
    disk.set_capacity(Some(6));
    assert_eq!(fs.available_bytes(Path::new("/d")).unwrap(), 2);
    file.write_all_at(b"ok", 0).unwrap();
    assert_eq!(kind(file.write_all_at(b"12345", 4)), io::ErrorKind::StorageFull);
    assert_eq!(fs.read(Path::new("/d/f")).unwrap(), b"okW!12");
    file.set_len(1).unwrap();
    file.write_all_at(b"12345", 1).unwrap();
    disk.set_capacity(None);
    file.write_all_at(&[0; 100], 0).unwrap();
}

#[test]
fn crashes_repeat_by_seed() {
    let run = |seed| {
        let (disk, fs, file) = half_written();
        for position in 0..20 {
            file.write_all_at(&[position as u8; 700], position * 700).unwrap();
        }
        disk.crash(CrashMode::Torn, seed);
        fs.read(Path::new("/d/f")).unwrap()
    };
    assert_eq!(run(3), run(3));
    assert!((0..20).any(|seed| run(seed) != run(seed + 1)));
}

#[test]
fn removed_files_are_forgotten() {
    let disk = SimFs::new();
    let fs = Fs::Sim(disk.clone());
    for round in 0..300 {
        let path = PathBuf::from(format!("/f{round}"));
        fs.open(&path, OpenMode::Create).unwrap().write_all_at(&[0; 1000], 0).unwrap();
        fs.remove_file(&path).unwrap();
        fs.sync_dir(Path::new("/")).unwrap();
    }
    assert!(disk.unflushed_bytes() <= 65 * 1000, "{}", disk.unflushed_bytes());
}
