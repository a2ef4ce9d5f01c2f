//! `check`: is the folder there, can it be watched, and are there too many files?

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use globset::Glob;

use super::{FileTailConfig, LIVE_MAX};
use crate::check::{cant_be_read, network};
use crate::config::Finding;
use crate::matcher::Matcher;
use crate::watch::Watch;

/// A file that was written to since is taken for one that grows.
const GROWS: Duration = Duration::from_secs(60 * 60);

/// Tries the folder and leaves nothing behind.
pub(super) fn check(config: &FileTailConfig) -> Vec<Finding> {
    let folder = config.folder.display();
    let entries = match fs::read_dir(&config.folder) {
        Ok(entries) => entries,
        Err(error) => return vec![cant_be_read(&config.folder, &error)],
    };
    let (mut fit, mut grow) = (0, 0);
    for entry in entries.flatten() {
        if config.takes(&entry.file_name().to_string_lossy()) {
            fit += 1;
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.map(|modified| SystemTime::now().duration_since(modified));
            grow += usize::from(age.is_ok_and(|age| age.unwrap_or_default() < GROWS));
        }
    }
    let (files, fits) = match fit {
        1 => ("1 file".into(), "fits"),
        _ => (format!("{fit} files"), "fit"),
    };
    let mut findings = vec![Finding::Fine(format!(
        "{folder} can be read; {files} in it {fits} \"{}\" or its rotated names",
        config.pattern
    ))];
    if grow > LIVE_MAX {
        findings.push(Finding::Warning(format!(
            "{grow} files in {folder} were written to within the last hour; a flow follows {LIVE_MAX} that grow at once: give them flows of their own by narrower patterns"
        )));
    }
    if let Err(reason) = config.format() {
        findings.push(Finding::Wrong(reason));
    }
    findings.push(watched(config));
    findings
}

fn watched(config: &FileTailConfig) -> Finding {
    let folder = config.folder.display();
    let scan = format!(
        "what grows is found by a scan every {:?}",
        config.scan_every
    );
    if let Some(name) = network(&config.folder) {
        return Finding::Warning(format!(
            "{folder} is on {name}: what other machines write there is not seen; {scan}"
        ));
    }
    let all = Glob::new("*").map(|all| Matcher::new(&all, None, None));
    match all.map(|all| Watch::start_for_writes(&config.folder, all, Arc::new(|| ()))) {
        Ok(Err(error)) => Finding::Warning(format!(
            "{folder} can't be watched ({error}); {scan}. If it is the limit of watches: raise fs.inotify.max_user_instances"
        )),
        _ => Finding::Fine(format!(
            "{folder} is watched: what is written is read at once"
        )),
    }
}
