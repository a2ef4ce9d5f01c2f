//! What is asked of a server: names, looks, bytes, and to delete or move a file.

use std::sync::Arc;
use std::time::Duration;

use russh_sftp::client::error::Error;
use russh_sftp::client::{Config, RawSftpSession};
use russh_sftp::protocol::{File, FileAttributes, FileType, OpenFlags, StatusCode};

use crate::archive::candidate;
use crate::config::Order;
use crate::matcher::Matcher;

use super::Failure;
use super::config::{SftpConfig, join};
use super::listing::{Kind, Listing, Remote};
use super::login::{Connection, leave, login, within};
use super::reads::Reads;

/// Entries of a folder that are looked at: a server may never come to an end.
const ENTRIES_MAX: usize = 1_000_000;
/// Letters of what a server says that are passed on.
const SAID_MAX: usize = 200;
/// Names tried for a file that is moved where its name is taken.
const NAMES_MAX: u32 = 100;

/// A connection that talks SFTP.
pub(crate) struct Session {
    connection: Connection,
    sftp: Arc<RawSftpSession>,
}

/// Why the server did not do it.
#[derive(Debug)]
pub(crate) enum No {
    Missing,
    Denied,
    Other(String),
    /// Nothing more comes of this connection.
    Line(String),
}

impl From<Error> for No {
    fn from(error: Error) -> Self {
        match error {
            Error::Status(status) => match status.status_code {
                StatusCode::NoSuchFile => Self::Missing,
                StatusCode::PermissionDenied => Self::Denied,
                code if status.error_message.is_empty() => Self::Other(code.to_string()),
                _ => Self::Other(plain(&status.error_message)),
            },
            error => Self::Line(plain(&error.to_string())),
        }
    }
}

/// What a server said, for people: it may be long, and move the cursor.
fn plain(said: &str) -> String {
    let letters = said.chars().filter(|letter| !letter.is_control());
    letters.take(SAID_MAX).collect()
}

impl No {
    /// What the server said, for a sentence.
    pub(crate) fn said(&self) -> &str {
        match self {
            Self::Missing => "it is not there",
            Self::Denied => "permission denied",
            Self::Other(said) | Self::Line(said) => said,
        }
    }
}

/// A line that broke off.
pub(crate) fn broken(config: &SftpConfig, said: &str) -> Failure {
    Failure::Away(format!(
        "the connection to {}:{} broke off: {said}; it is made again by itself",
        config.host, config.port
    ))
}

impl Session {
    /// Connects, logs in and begins SFTP.
    pub(crate) async fn open(config: &SftpConfig) -> Result<Self, Failure> {
        let connection = login(config).await?;
        let opening = async {
            let channel = connection.channel_open_session().await?;
            channel.request_subsystem(true, "sftp").await?;
            Ok::<_, russh::Error>(channel)
        };
        let no_sftp = |said: String| {
            Failure::Refused(format!(
                "{}:{} lets {} in, and gives no SFTP: {said}; ask its operator for it",
                config.host, config.port, config.user
            ))
        };
        // A server that lets us in and then hangs up is away rather than without SFTP.
        let failed = |said: String| match connection.is_closed() {
            true => broken(config, &said),
            false => no_sftp(said),
        };
        let channel = within(config, opening)
            .await?
            .map_err(|error| failed(plain(&error.to_string())))?;
        let settings = Config {
            request_timeout_secs: config.timeout.as_secs().max(1),
            ..Config::default()
        };
        let sftp = RawSftpSession::new_with_config(channel.into_stream(), settings);
        let begun = sftp.init().await;
        begun.map_err(|error| failed(plain(&error.to_string())))?;
        Ok(Self {
            connection,
            sftp: Arc::new(sftp),
        })
    }

    pub(crate) async fn close(&self) {
        leave(&self.connection).await;
    }

    /// Lists the folder; what is known is passed over in silence.
    pub(crate) async fn list(
        &self,
        folder: &str,
        flow: (&Matcher, Order),
        is_known: impl Fn(&Remote) -> bool,
        mut listed: impl FnMut(&str),
    ) -> Result<Listing, No> {
        let handle = self.sftp.opendir(folder).await?.handle;
        let (mut listing, mut entries) = (Listing::default(), 0);
        let ended = loop {
            match self.sftp.readdir(handle.as_str()).await {
                Ok(_) if entries > ENTRIES_MAX => {
                    let said = format!("it has more than {ENTRIES_MAX} entries");
                    let _ = self.sftp.close(handle).await;
                    return Err(No::Other(said));
                }
                Ok(names) => {
                    entries += names.files.len().max(1);
                    for file in names.files {
                        listed(&file.filename);
                        let kind = kind_of(&file);
                        match remote(file.filename, &file.attrs) {
                            Ok(remote) => listing.add(remote, kind, flow, &is_known),
                            Err(name) => listing.pass_over(&name, kind, flow.0),
                        }
                    }
                }
                Err(Error::Status(status)) if status.status_code == StatusCode::Eof => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let closed = self.sftp.close(handle).await;
        ended.and(closed.map(drop))?;
        Ok(listing)
    }

    /// How the file is now; links are not followed.
    pub(crate) async fn look(&self, config: &SftpConfig, name: &str) -> Result<Remote, No> {
        let attrs = self.sftp.lstat(config.path_of(name)).await?.attrs;
        let untold = |_| No::Other("the server tells no size or no time of it".into());
        remote(name.to_owned(), &attrs).map_err(untold)
    }

    /// Begins to read a file, from here to there; [`Self::end`] with the handle afterwards.
    pub(crate) async fn read(
        &self,
        path: String,
        range: (u64, u64),
        timeout: Duration,
    ) -> Result<(Reads, String), No> {
        let opened = self
            .sftp
            .open(path, OpenFlags::READ, FileAttributes::empty())
            .await?;
        let sftp = Arc::clone(&self.sftp);
        let reads = Reads::new(sftp, opened.handle.clone(), range, timeout);
        Ok((reads, opened.handle))
    }

    /// Whether the file ends there: what a server says of its size may be less than there is.
    pub(crate) async fn is_end(&self, handle: &str, at: u64) -> Result<bool, No> {
        match self.sftp.read(handle, at, 1).await {
            Err(Error::Status(status)) if status.status_code == StatusCode::Eof => Ok(true),
            Ok(_) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends to read a file. What the server says to it changes nothing, so nobody waits for it.
    pub(crate) fn end(&self, handle: String) {
        let sftp = Arc::clone(&self.sftp);
        tokio::spawn(async move { sftp.close(handle).await.map(drop) });
    }

    pub(crate) async fn delete(&self, path: String) -> Result<(), No> {
        Ok(self.sftp.remove(path).await.map(drop)?)
    }

    /// Whether this is a folder there.
    pub(crate) async fn is_folder(&self, path: &str) -> Result<bool, No> {
        let attrs = self.sftp.stat(path).await?.attrs;
        Ok(attrs.permissions.is_none() || attrs.is_dir())
    }

    /// Moves a file to a folder there, under its name or, where that is taken, one with the beginning of its hash.
    pub(crate) async fn move_to(
        &self,
        path: String,
        folder: &str,
        name: &str,
        sha256: &[u8; 32],
    ) -> Result<(), No> {
        for number in 0..NAMES_MAX {
            let to = candidate(name.as_ref(), sha256, number);
            let to = join(folder, &to.to_string_lossy());
            // Some servers would overwrite: whether the name is taken is looked at first.
            match self.sftp.lstat(to.as_str()).await.map_err(No::from) {
                Ok(_) => continue,
                Err(No::Missing) => return Ok(self.sftp.rename(path, to).await.map(drop)?),
                Err(no) => return Err(no),
            }
        }
        Err(No::Other(format!(
            "{folder} has {NAMES_MAX} files of this name and content"
        )))
    }
}

/// The name is given back where the server tells too little to know the file again.
fn remote(name: String, attrs: &FileAttributes) -> Result<Remote, String> {
    match (attrs.size, attrs.mtime) {
        (Some(bytes), Some(mtime)) => Ok(Remote { name, bytes, mtime }),
        _ => Err(name),
    }
}

/// Some servers tell the kind only in the line that is meant for people.
fn kind_of(file: &File) -> Kind {
    const KIND: u32 = 0o170_000;
    let is_told = file.attrs.permissions.is_some_and(|mode| mode & KIND != 0);
    match (file.attrs.file_type(), file.longname.chars().next()) {
        (FileType::File, _) if is_told => Kind::File,
        (FileType::Symlink, _) if is_told => Kind::Link,
        _ if is_told => Kind::Other,
        (_, Some('-')) => Kind::File,
        (_, Some('l')) => Kind::Link,
        (_, Some('d' | 'b' | 'c' | 'p' | 's')) => Kind::Other,
        _ => Kind::Untold,
    }
}
