//! `check`: does the server let us in, and what would be picked up?

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::config::{FileDropConfig, Finding};

use super::config::{Afterwards, SftpConfig};
use super::session::Session;

/// Names that are shown.
const SHOWN_MAX: usize = 5;
/// Rights of others to read a file.
const OTHERS_READ: u32 = 0o004;

/// Tries the login and lists; nothing is downloaded, deleted or moved.
pub(crate) fn check(config: &FileDropConfig, sftp: &SftpConfig) -> Vec<Finding> {
    let mut findings = open_secrets(sftp);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            findings.extend(runtime.block_on(meet(config, sftp)));
            runtime.shutdown_background();
        }
        Err(error) => findings.push(Finding::Wrong(format!(
            "nothing can be asked of {}: {error}",
            sftp.place()
        ))),
    }
    findings
}

fn open_secrets(sftp: &SftpConfig) -> Vec<Finding> {
    let files = [&sftp.password_file, &sftp.key_file, &sftp.passphrase_file];
    let is_open = |file: &&std::path::PathBuf| {
        fs::metadata(file).is_ok_and(|file| file.permissions().mode() & OTHERS_READ != 0)
    };
    let files = files.into_iter().flatten().filter(is_open);
    files
        .map(|file| {
            let file = file.display();
            Finding::Warning(format!("others may read {file}; chmod 600 {file}"))
        })
        .collect()
}

async fn meet(config: &FileDropConfig, sftp: &SftpConfig) -> Vec<Finding> {
    let session = match Session::open(sftp).await {
        Ok(session) => session,
        Err(failure) => return vec![Finding::Wrong(failure.sentence().to_owned())],
    };
    let mut findings = vec![list(config, sftp, &session).await];
    if let Some(Afterwards::Move(folder)) = &sftp.after {
        findings.push(match session.is_folder(folder).await {
            Ok(true) => Finding::Fine(format!("{folder} is there for what was picked up")),
            Ok(false) => Finding::Wrong(format!("{folder} is no folder there; correct after")),
            Err(no) => Finding::Wrong(format!(
                "{folder} is where files are to be moved: {}; make it there, or correct after",
                no.said()
            )),
        });
    }
    session.close().await;
    findings
}

async fn list(config: &FileDropConfig, sftp: &SftpConfig, session: &Session) -> Finding {
    let place = sftp.place();
    let matcher = match config.matcher() {
        Ok(matcher) => matcher,
        Err(reason) => return Finding::Wrong(reason),
    };
    let flow = (&matcher, config.order);
    let listing = match session.list(&sftp.folder, flow, |_| false, |_| ()).await {
        Ok(listing) => listing,
        Err(no) => {
            return Finding::Wrong(format!(
                "{place} can't be listed: {}; make the folder there, correct folder, or ask the server's operator",
                no.said()
            ));
        }
    };
    let names: Vec<&str> = listing
        .files
        .values()
        .take(SHOWN_MAX)
        .map(|file| &*file.name)
        .collect();
    let names = match (names.is_empty(), listing.files.len() > SHOWN_MAX) {
        (true, _) => String::new(),
        (false, false) => format!(": {}", names.join(", ")),
        (false, true) => format!(": {}, ...", names.join(", ")),
    };
    let files = match listing.files.len() {
        1 => "1 file that fits".to_owned(),
        count => format!("{count} files that fit"),
    };
    let then = match &sftp.after {
        Some(Afterwards::Delete) => "deleted there".to_owned(),
        Some(Afterwards::Move(folder)) => format!("moved to {folder} there"),
        Some(Afterwards::Keep) | None => "kept there".to_owned(),
    };
    let sentence = format!(
        "{place} lets {} in, and has {files} \"{}\"{names}; once here, a file is {then}",
        sftp.user, config.pattern
    );
    match listing.passed_over.first() {
        None => Finding::Fine(sentence),
        Some((name, reason)) => Finding::Warning(format!(
            "{sentence}. {} would be passed over: {name:?}: {reason}",
            listing.passed_over.len()
        )),
    }
}
