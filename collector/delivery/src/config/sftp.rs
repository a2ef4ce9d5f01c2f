//! `[target.file.sftp]`: finished files go to a server.

use std::path::PathBuf;

use serde::Deserialize;

/// What a fingerprint begins with, as `ssh-keygen -l` shows it, and its length.
const SHA256: &str = "SHA256:";
const FINGERPRINT_BYTES: usize = SHA256.len() + 43;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftpConfig {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// A file with the password; a line break at its end is dropped.
    #[serde(default)]
    pub password_file: PathBuf,
    /// A file with the private key, as OpenSSH writes it, without a passphrase.
    #[serde(default)]
    pub key_file: PathBuf,
    /// The server's key, `SHA256:...`.
    pub host_key: String,
    /// The folder there.
    pub folder: String,
}

fn default_port() -> u16 {
    22
}

impl SftpConfig {
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        for (setting, value) in [
            ("host", &self.host),
            ("user", &self.user),
            ("folder", &self.folder),
        ] {
            if value.is_empty() {
                wrong.push(format!("file.sftp.{setting}: it is missing"));
            }
        }
        if self.password_file.as_os_str().is_empty() == self.key_file.as_os_str().is_empty() {
            wrong.push("file.sftp: write password_file or key_file, one of them".into());
        }
        let key = self.host_key.trim_end_matches('=');
        if !key.starts_with(SHA256) || key.len() != FINGERPRINT_BYTES {
            wrong.push("file.sftp.host_key: write the fingerprint that the server's operator tells you, as ssh-keygen -lf shows it (SHA256:...)".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_in_a_sentence_that_names_the_setting() {
        let key = format!("host_key = \"SHA256:{}\"\n", "a".repeat(43));
        let base = "host = \"h\"\nuser = \"u\"\nfolder = \"in\"\n";
        for (text, expected) in [
            (format!("{base}{key}key_file = \"/k\""), ""),
            (format!("{base}{key}"), "file.sftp: write"),
            (
                format!("{base}host_key = \"MD5:1\"\nkey_file = \"/k\""),
                "file.sftp.host_key",
            ),
        ] {
            let config: SftpConfig = toml::from_str(&text).expect("it parses");
            let mut wrong = Vec::new();
            config.check(&mut wrong);
            assert_eq!(wrong.is_empty(), expected.is_empty(), "{wrong:?}");
            assert!(
                wrong.iter().all(|said| said.starts_with(expected)),
                "{wrong:?}"
            );
        }
    }
}
