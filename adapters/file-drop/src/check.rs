//! `check`: is the folder there, and can files move within it?

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::archive::{ARCHIVE, FAILED, PENDING};
use crate::check_signs::signs;
use crate::config::{After, FileDropConfig, Finding};
use crate::owners;
use crate::sftp;
use crate::watch::Watch;

/// File systems that report no changes made by other machines, by the number that `statfs` gives.
const NETWORK: [(i64, &str); 6] = [
    (0x6969, "NFS"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB"),
    (0x517B, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9p"),
];

/// Tries the folder and leaves nothing behind.
pub(crate) fn check(config: &FileDropConfig) -> Vec<Finding> {
    let folder = config.folder.display();
    let entries = match fs::read_dir(&config.folder) {
        Ok(entries) => entries,
        Err(error) => return vec![cant_be_read(&config.folder, &error)],
    };
    let waiting = entries
        .flatten()
        .filter(|entry| config.takes(&entry.file_name().to_string_lossy()))
        .count();
    let files = if waiting == 1 {
        "1 file".into()
    } else {
        format!("{waiting} files")
    };
    let fits = if waiting == 1 { "fits" } else { "fit" };
    let mut findings = vec![Finding::Fine(format!(
        "{folder} can be read; {files} in it {fits} \"{}\"",
        config.pattern
    ))];
    if let Err(reason) = config.format() {
        findings.push(Finding::Wrong(reason));
    }
    findings.extend(signs(config));
    findings.push(match config.after {
        After::Move => moves(config),
        After::Keep => Finding::Fine(format!(
            "nothing in {folder} is changed: the agent's data folder says what was taken"
        )),
    });
    findings.extend(crate::acknowledge::check(config));
    findings.push(watched(config));
    findings.extend(
        config
            .sftp
            .iter()
            .flat_map(|sftp| sftp::check(config, sftp)),
    );
    findings
}

/// The folder can't be listed.
pub(crate) fn cant_be_read(folder: &Path, error: &io::Error) -> Finding {
    let way_out = match error.kind() {
        io::ErrorKind::NotFound => "make the folder or mount the share, or correct folder",
        io::ErrorKind::PermissionDenied => "give the agent's user the right to read and enter it",
        _ => "correct folder",
    };
    Finding::Wrong(format!(
        "{} can't be read: {error}; {way_out}",
        folder.display()
    ))
}

/// The network file system that the folder is on.
pub(crate) fn network(folder: &Path) -> Option<&'static str> {
    let kind = rustix::fs::statfs(folder).ok()?.f_type;
    let found = NETWORK.iter().find(|(number, _)| *number == kind);
    found.map(|(_, name)| *name)
}

/// Files that another flow may have appended.
pub(crate) fn owner(config: &FileDropConfig, flow: &str) -> Option<Finding> {
    if config.after == After::Keep {
        return None;
    }
    // What can't be read is told of elsewhere.
    let foreign = owners::foreign(&config.folder, flow, &config.matcher().ok()?);
    let foreign = foreign.ok().flatten()?;
    Some(Finding::Wrong(foreign.sentence(&config.folder, flow)))
}

fn moves(config: &FileDropConfig) -> Finding {
    let folder = config.folder.display();
    for place in [ARCHIVE, PENDING, FAILED] {
        if let Err(error) = try_move(&config.folder, place) {
            let way_out = if error.raw_os_error() == Some(rustix::io::Errno::XDEV.raw_os_error()) {
                format!("{place} must be on the same file system as {folder}")
            } else {
                "give the agent's user the right to write there".into()
            };
            return Finding::Wrong(format!(
                "files in {folder} can't be moved to {place}: {error}; {way_out}"
            ));
        }
    }
    Finding::Fine(format!(
        "files can be moved to {folder}/{ARCHIVE} and {folder}/{FAILED}"
    ))
}

/// Moves an empty file where files will go: there if it exists, else to a folder beside it.
fn try_move(folder: &Path, place: &str) -> io::Result<()> {
    let trial = format!(".dray-check-{}", std::process::id());
    let from = folder.join(&trial);
    let there = folder.join(place);
    let (to, made) = match fs::symlink_metadata(&there) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (folder.join(format!("{trial}-folder")), true)
        }
        _ => (there, false),
    };
    if made {
        fs::create_dir(&to)?;
    }
    let moved = fs::write(&from, b"").and_then(|()| fs::rename(&from, to.join(&trial)));
    // Whatever failed, nothing stays.
    let _ = fs::remove_file(&from);
    let removed = fs::remove_file(to.join(&trial));
    if made {
        fs::remove_dir(&to)?;
    }
    moved.and(removed)
}

fn watched(config: &FileDropConfig) -> Finding {
    let folder = config.folder.display();
    let quiet = format!(
        "a file is taken once it stood still for {:?}, found by a scan every {:?}",
        config.quiet, config.scan_every
    );
    if let Some(name) = network(&config.folder) {
        return Finding::Warning(format!(
            "{folder} is on {name}: what other machines close there is not seen; {quiet}"
        ));
    }
    let tried = config
        .matcher()
        .map(|matcher| Watch::start(&config.folder, matcher, Arc::new(|| ())));
    match tried {
        Ok(Err(error)) => Finding::Warning(format!(
            "{folder} can't be watched ({error}); {quiet}. If it is the limit of watches: raise fs.inotify.max_user_instances"
        )),
        _ => Finding::Fine(format!(
            "{folder} is watched: closed files are taken at once"
        )),
    }
}
