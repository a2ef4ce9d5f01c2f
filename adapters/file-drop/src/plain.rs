//! Opens plain files. What was one when a scan looked at it may be a pipe by now, on which an open waits for its other end, or a link to
//! what nobody dropped.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

const NOT_PLAIN: &str = "it is no plain file";

/// Opens a file to be read.
///
/// # Errors
/// It can't be opened, or is no plain file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags())
        .open(path);
    match opened {
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Err(
            io::Error::other("it is a symbolic link, which is not followed"),
        ),
        // Somebody holds a lease of it (fcntl(2): Samba's oplocks, a delegation of NFS), which an open that waits has broken.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => open_waiting(path),
        Ok(file) if !file.metadata()?.is_file() => Err(io::Error::other(NOT_PLAIN)),
        opened => opened,
    }
}

/// With these a pipe opens at once, and a link does not.
pub(crate) fn flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

/// Opens the file that was looked at, whatever has its name by then.
fn open_waiting(path: &Path) -> io::Result<File> {
    let place = OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NOFOLLOW | OFlags::PATH).bits().cast_signed())
        .open(path)?;
    if !place.metadata()?.is_file() {
        return Err(io::Error::other(NOT_PLAIN));
    }
    File::open(format!("/proc/self/fd/{}", place.as_raw_fd()))
}
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_plain_files_are_opened_and_none_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("plain"), "1").expect("a file");
        for open in [open, open_waiting] {
            let text = open(&at("plain")).and_then(io::read_to_string);
            assert_eq!(text.expect("it is one"), "1");
        }
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .expect("a pipe");
        symlink(at("plain"), at("link")).expect("a link");
        for (name, reason) in [
            ("pipe", "no plain file"),
            ("link", "a symbolic link"),
            (".", "no plain file"),
        ] {
            let error = open(&at(name)).expect_err(name).to_string();
            assert!(error.contains(reason), "{name}: {error}");
            open_waiting(&at(name)).expect_err(name);
        }
    }
}
