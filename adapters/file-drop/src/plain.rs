//! Opens plain files. What was one when a scan looked at it may be a pipe by now, on which an open waits for its other end, or a link to
//! what nobody dropped.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Opens a file to be read.
///
/// # Errors
/// It can't be opened, or is no plain file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // A pipe opens at once then; for a plain file it means nothing.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    match opened {
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Err(
            io::Error::other("it is a symbolic link, which is not followed"),
        ),
        Ok(file) if !file.metadata()?.is_file() => Err(io::Error::other("it is no plain file")),
        opened => opened,
    }
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
        open(&at("plain")).expect("it is one");
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
        }
    }
}
