//! Small file systems of a test's own: made in files, mounted over loop devices, removed at the end. Takes root.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

/// `EXT4_IOC_SHUTDOWN`: from then on every operation on the file system fails with an I/O error.
const EXT4_IOC_SHUTDOWN: libc::c_ulong = 0x8004_587d;
/// Without writing the journal first, as when the disk is pulled.
const SHUTDOWN_NOLOGFLUSH: u32 = 2;

/// A mounted ext4 file system.
pub struct Volume {
    directory: tempfile::TempDir,
    bytes: u64,
}

/// Whether this process may mount.
pub fn may_mount() -> bool {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

impl Volume {
    /// Makes and mounts an empty one.
    pub fn new(bytes: u64) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("highwater-volume-").tempdir()?;
        std::fs::create_dir(directory.path().join("mount"))?;
        let volume = Self { directory, bytes };
        volume.mount_empty()?;
        Ok(volume)
    }

    /// Where its files are.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("mount")
    }

    /// The disk stops to work.
    pub fn shut_down(&self) -> Result<()> {
        let root = File::open(self.path())?;
        let mode = SHUTDOWN_NOLOGFLUSH;
        // SAFETY: the descriptor is open and `mode` is the u32 that the call reads; both outlive it.
        let outcome = unsafe { libc::ioctl(root.as_raw_fd(), EXT4_IOC_SHUTDOWN, &mode) };
        ensure!(outcome == 0, "EXT4_IOC_SHUTDOWN: {}", std::io::Error::last_os_error());
        Ok(())
    }

    /// The machine loses power: what was not flushed is gone. Nobody may hold a file there any more when power comes back.
    pub fn lose_power(&self) -> Result<()> {
        self.shut_down()?;
        ensure!(File::create(self.path().join("probe")).is_err(), "the file system still works");
        Ok(())
    }

    /// Power comes back, and the file system repairs itself.
    pub fn regain_power(&self) -> Result<()> {
        run("umount", &[&self.path()])?;
        self.mount()
    }

    /// Puts an empty disk in its place.
    pub fn replace(&self) -> Result<()> {
        run("umount", &[&self.path()])?;
        self.mount_empty()
    }

    fn mount_empty(&self) -> Result<()> {
        let image = self.directory.path().join("image");
        File::create(&image)?.set_len(self.bytes)?;
        // No blocks for root alone: the broker runs as root here and would use them.
        run("mkfs.ext4", &[Path::new("-q"), Path::new("-F"), Path::new("-m"), Path::new("0"), &image])?;
        self.mount()
    }

    fn mount(&self) -> Result<()> {
        let image = self.directory.path().join("image");
        run("mount", &[Path::new("-o"), Path::new("loop"), &image, &self.path()])
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Whoever still holds a file there keeps the volume, but not its name.
        if let Err(error) = run("umount", &[Path::new("-l"), &self.path()]) {
            eprintln!("{error:#}");
        }
    }
}

fn run(program: &str, arguments: &[&Path]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("run {program}"))?;
    if !output.status.success() {
        bail!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
