//! `[flow.source.sftp]`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// What a fingerprint begins with, as `ssh-keygen -l` shows it.
const SHA256: &str = "SHA256:";
/// Its length without that: 32 bytes in base64, without padding.
const SHA256_CHARS: usize = 43;
/// Stands for a key that nobody has compared yet.
const ASK: &str = "ask";

/// Where files are picked up, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftpConfig {
    /// The server's name or address.
    pub host: String,
    /// Its port; default 22.
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// A file with the private key, as OpenSSH writes it.
    pub key_file: Option<PathBuf>,
    /// A file with the key's passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// The server's key, "SHA256:..."; "ask" lets `check` show it.
    #[serde(default)]
    pub host_key: String,
    /// The folder there.
    pub folder: String,
    /// When a file there is complete.
    #[serde(default)]
    pub ready: RemoteReady,
    /// How long size and time stand still, with `ready = "quiet"`.
    #[serde(default = "two_seconds", with = "humantime_serde")]
    pub quiet: Duration,
    /// What becomes of a file there once it is here.
    pub after: Option<Afterwards>,
    /// How often the folder is listed.
    #[serde(default = "ten_seconds", with = "humantime_serde")]
    pub poll_every: Duration,
    /// How long the server may take for an answer.
    #[serde(default = "half_a_minute", with = "humantime_serde")]
    pub timeout: Duration,
}

/// When a file there is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RemoteReady {
    /// As soon as it has a name that fits: writers rename.
    #[default]
    Rename,
    /// When size and time stood still from one listing to another, at least for the quiet time.
    Quiet,
}

/// What becomes of a file there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Afterwards {
    /// It is deleted.
    Delete,
    /// It is moved to this folder.
    Move(String),
    /// It stays; a ledger here remembers its name, size and time.
    Keep,
}

impl TryFrom<String> for Afterwards {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match (text.as_str(), text.strip_prefix("move:")) {
            ("delete", _) => Ok(Self::Delete),
            ("keep", _) => Ok(Self::Keep),
            (_, Some(folder)) if !folder.is_empty() => Ok(Self::Move(folder.to_owned())),
            _ => Err(format!(
                "\"{text}\" is none of \"delete\", \"move:FOLDER\" and \"keep\""
            )),
        }
    }
}

fn ssh_port() -> u16 {
    22
}

fn two_seconds() -> Duration {
    Duration::from_secs(2)
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

impl SftpConfig {
    /// What is wrong with the settings by themselves: the setting's path and a sentence.
    pub(crate) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault =
            |setting: &str, reason: &str| faults.push((setting.to_owned(), reason.to_owned()));
        for (setting, text) in [
            ("host", &self.host),
            ("user", &self.user),
            ("folder", &self.folder),
        ] {
            if text.is_empty() || text.chars().any(char::is_control) {
                fault(setting, "it is empty or has control characters");
            }
        }
        match (&self.password_file, &self.key_file) {
            (None, None) => fault("key_file", "name a key_file or a password_file"),
            (Some(_), Some(_)) => {
                fault("key_file", "there is a password_file too; name one of them")
            }
            _ => {}
        }
        if self.passphrase_file.is_some() && self.key_file.is_none() {
            fault(
                "passphrase_file",
                "it belongs to a key_file, and there is none",
            );
        }
        if !self.asks_for_key() && !is_fingerprint(&self.host_key) {
            fault(
                "host_key",
                "it is \"SHA256:\" and 43 characters, as ssh-keygen -l shows it; write \"ask\", and dray-agent check shows the one that it meets",
            );
        }
        if self.after.is_none() {
            fault(
                "after",
                "say what becomes of a file there once it is here: \"delete\", \"move:FOLDER\" or \"keep\"",
            );
        }
        if let Some(Afterwards::Move(folder)) = &self.after
            && folder.trim_end_matches('/') == self.folder.trim_end_matches('/')
        {
            fault(
                "after",
                "files would be moved to the folder that they come from, and come again without end; name another one",
            );
        }
        if self.poll_every < Duration::from_millis(100) {
            fault("poll_every", "it is at least 100ms");
        }
        if self.timeout < Duration::from_secs(1) {
            fault("timeout", "it is at least 1s");
        }
        faults
    }

    /// Whether nobody has compared the server's key yet: then nobody logs in.
    pub(crate) fn asks_for_key(&self) -> bool {
        self.host_key == ASK
    }

    /// A place there, for people.
    #[must_use]
    pub fn place(&self) -> String {
        format!(
            "sftp://{}@{}:{}/{}",
            self.user,
            self.host,
            self.port,
            self.folder.trim_start_matches('/')
        )
    }

    /// The path of a file of the folder.
    pub(crate) fn path_of(&self, name: &str) -> String {
        join(&self.folder, name)
    }
}

pub(crate) fn join(folder: &str, name: &str) -> String {
    match folder.trim_end_matches('/') {
        "" if folder.starts_with('/') => format!("/{name}"),
        folder => format!("{folder}/{name}"),
    }
}

fn is_fingerprint(text: &str) -> bool {
    let base64 = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    text.strip_prefix(SHA256).is_some_and(|hash| {
        let hash = hash.trim_end_matches('=');
        hash.len() == SHA256_CHARS && hash.chars().all(base64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "host = \"h\"\nuser = \"u\"\nkey_file = \"/k\"\nfolder = \"/out/\"\nafter = \"delete\"\n\
                        host_key = \"SHA256:0123456789012345678901234567890123456789012\"\n";

    #[test]
    fn what_is_missing_or_wrong_is_said_with_the_way_out() {
        let check = |from: &str, to: &str, setting: &str, words: &str| {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD);
            let config: SftpConfig = toml::from_str(&text).expect("it is read");
            let faults = config.faults();
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert_eq!(faults[0].0, setting);
            assert!(faults[0].1.contains(words), "{faults:?}");
        };
        let good: SftpConfig = toml::from_str(GOOD).expect("it is read");
        assert_eq!(good.faults(), []);
        check("SHA256:0", "SHA256:", "host_key", "\"ask\"");
        check("SHA256:0", "MD5:0", "host_key", "\"ask\"");
        check("after = \"delete\"\n", "", "after", "\"move:FOLDER\"");
        check("key_file", "# key_file", "key_file", "password_file");
        check("\"delete\"", "\"move:/out\"", "after", "without end");
        check("\"h\"", "\"\"", "host", "empty");
        check("host =", "timeout = \"1ms\"\nhost =", "timeout", "1s");
    }

    #[test]
    fn the_ways_after_are_read() {
        for (text, expected) in [
            ("delete", Ok(Afterwards::Delete)),
            ("keep", Ok(Afterwards::Keep)),
            ("move:done", Ok(Afterwards::Move("done".into()))),
            ("move:", Err(())),
            ("remove", Err(())),
        ] {
            assert_eq!(
                Afterwards::try_from(text.to_owned()).map_err(|_| ()),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn paths_are_joined() {
        for (folder, expected) in [
            ("out", "out/a"),
            ("/out/", "/out/a"),
            ("/", "/a"),
            (".", "./a"),
        ] {
            assert_eq!(join(folder, "a"), expected);
        }
    }
}
