//! A disk of a test's own: a file system in a file, whose power can be cut and that can be full.
//!
//! A cut shuts the file system down without a flush of its log (the `EXT4_IOC_SHUTDOWN` and
//! `XFS_IOC_GOINGDOWN` of the kernel, by `xfs_io`): what was not synced is gone at the next mount,
//! except what the kernel had happened to write. A cache of the device that lies is not played.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

/// How often a busy disk is unmounted in vain, at most, and the time in between: 10 s together.
const UNMOUNT_TRIES: u32 = 200;
const UNMOUNT_WAIT: Duration = Duration::from_millis(50);
/// What [`Disk::fill`] writes at once, from the first to the last byte.
const FILL_BYTES: [usize; 3] = [1024 * 1024, 4096, 1];
const BALLAST: &str = "test-ballast";

/// A file system's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What Debian and Ubuntu install.
    Ext4,
    /// What Red Hat and SUSE install; of 300 MiB at least.
    Xfs,
}

/// A mounted disk. It is unmounted with its value; its image stays in the folder.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    /// Makes `disk.img` of so many MiB in `folder` (sparse: it takes what is written) and mounts it
    /// at `disk` beside it.
    ///
    /// # Errors
    /// With what is missing: the rights of root, loop devices, a program.
    pub fn new(folder: &Path, kind: Kind, mib: u64) -> anyhow::Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "a disk whose power can be cut needs root, to mount it: run the tests as root, or \"make test-quick\" without them"
        );
        ensure!(
            Path::new("/dev/loop-control").exists(),
            "a disk in a file needs loop devices, and there is no /dev/loop-control: \"modprobe loop\", or a container with --privileged"
        );
        let disk = Self {
            image: folder.join("disk.img"),
            mount: folder.join("disk"),
        };
        File::create(&disk.image)?.set_len(mib * 1024 * 1024)?;
        fs::create_dir_all(&disk.mount)?;
        match kind {
            // None is kept for root, as the daemons of the tests are root.
            Kind::Ext4 => call("mkfs.ext4", ["-q", "-F", "-m", "0"], &[&disk.image])?,
            Kind::Xfs => call("mkfs.xfs", ["-q", "-f", "-K"], &[&disk.image])?,
        }
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Cuts its power: from now on nothing can be written, and what was not synced is lost.
    ///
    /// # Errors
    /// If it still takes writes.
    pub fn cut(&self) -> anyhow::Result<()> {
        call("xfs_io", ["-x", "-c", "shutdown"], &[&self.mount])?;
        let alive = File::create(self.mount.join("after-the-cut")).is_ok();
        ensure!(!alive, "{} lives on after its cut", self.mount.display());
        Ok(())
    }

    /// Power comes back: the journal is replayed. Whoever has files open on it must be dead.
    ///
    /// # Errors
    /// If it stays busy, or does not mount.
    pub fn remount(&self) -> anyhow::Result<()> {
        for _ in 0..UNMOUNT_TRIES {
            self.unmount()?;
            self.mount()?;
            let probe = self.mount.join("after-the-cut");
            if File::create(&probe).is_ok() {
                return Ok(fs::remove_file(probe)?);
            }
            // The mount namespace of another test has a copy of the mount: this is still the disk without power.
            std::thread::park_timeout(UNMOUNT_WAIT);
        }
        bail!("{} is held by somebody else", self.mount.display())
    }

    /// Takes what is left of it, to the last byte.
    ///
    /// # Errors
    /// Those of the file system, but that it is full.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut ballast = File::options()
            .create(true)
            .append(true)
            .open(self.mount.join(BALLAST))?;
        for bytes in FILL_BYTES {
            let zeros = vec![0; bytes];
            loop {
                // Synced, as a file system finds out late what fits.
                match ballast.write_all(&zeros).and_then(|()| ballast.sync_data()) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                    Err(error) => bail!("{} can't be filled: {error}", self.mount.display()),
                }
            }
        }
        Ok(())
    }

    /// Gives back what [`Self::fill`] took.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn make_room(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.mount.join(BALLAST))?)
    }

    /// Bytes that can still be written.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn free(&self) -> anyhow::Result<u64> {
        let found = rustix::fs::statvfs(&self.mount)?;
        Ok(found.f_bavail * found.f_frsize)
    }

    fn mount(&self) -> anyhow::Result<()> {
        call("mount", ["-o", "loop"], &[&self.image, &self.mount])
    }

    /// Its loop device goes with it.
    fn unmount(&self) -> anyhow::Result<()> {
        for _ in 0..UNMOUNT_TRIES {
            match call("umount", [], &[&self.mount]) {
                Err(error) if error.to_string().contains("busy") => {}
                done => return done,
            }
            std::thread::park_timeout(UNMOUNT_WAIT);
        }
        bail!("{} stays busy", self.mount.display())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = self.unmount() {
            eprintln!("{error:#}; it goes once nobody uses it");
            let _ = call("umount", ["--lazy"], &[&self.mount]);
        }
    }
}

/// Runs a program of the system; what it says is the error.
fn call<const N: usize>(program: &str, options: [&str; N], paths: &[&Path]) -> anyhow::Result<()> {
    let paths = paths.iter().map(|path| path.as_os_str());
    let output = Command::new(program)
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .args(options.map(OsStr::new).into_iter().chain(paths))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program} does not start; \"make tools\" installs it"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} ended with {}: {}",
        output.status,
        said.trim()
    );
    Ok(())
}
