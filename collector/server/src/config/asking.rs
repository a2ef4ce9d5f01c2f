//! What a command that only asks needs of the file: where the collector's socket stands. It asks the collector that runs,
//! and that one read the file before somebody broke it.

use std::path::Path;

use dray_delivery::presets;
use toml::de::DeTable;

use super::{Config, ConfigError, Text};

/// Settings that lead to the socket.
const LEADING: [&str; 2] = ["data_dir", "admin_socket"];

impl Config {
    /// Reads a file for a command that only asks. `Some`: what else is wrong with it, so that all but the way to the socket
    /// is as in a file that says nothing.
    ///
    /// # Errors
    /// [`ConfigError`], where the file doesn't say where the socket stands, either.
    pub fn read_to_ask(path: &Path) -> Result<(Self, Option<ConfigError>), ConfigError> {
        let text = Self::text(path)?;
        let text = Text::of(path, &text);
        match Self::parse(text) {
            Ok(config) => Ok((config, None)),
            Err(wrong) => match Self::leading(text.text) {
                Some(config) => Ok((config, Some(wrong))),
                None => Err(wrong),
            },
        }
    }

    fn leading(text: &str) -> Option<Self> {
        let (mut root, broken) = DeTable::parse_recoverable(text);
        let table = std::mem::take(root.get_mut()).into_iter();
        let leading: DeTable<'_> = table
            .filter(|(name, _)| LEADING.contains(&&**name.get_ref()))
            .collect();
        if !broken.is_empty() && leading.is_empty() {
            // It may have stood where nobody can read it.
            return None;
        }
        *root.get_mut() = leading;
        presets::of(root).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_an_error_elsewhere_still_leads_to_the_socket() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("c.toml");
        let head = "data_dir = \"/x\"\nnames = [\"c\"]\n";
        for (text, expected) in [
            (head.to_owned(), Some(("/x/admin.sock", false))),
            (
                format!("{head}[[target]]\nname = \"erp\"\nurll = 1"),
                Some(("/x/admin.sock", true)),
            ),
            (
                format!("{head}admin_socket = \"/s\"\nlisten = 7"),
                Some(("/s", true)),
            ),
            (
                format!("{head}[[target]\nname = "),
                Some(("/x/admin.sock", true)),
            ),
            (
                "listen = 7".to_owned(),
                Some(("/var/lib/dray-collector/admin.sock", true)),
            ),
            ("data_dir = 7".to_owned(), None),
            ("[[target]\nname = 1".to_owned(), None),
        ] {
            std::fs::write(&path, &text).expect("room");
            let read = Config::read_to_ask(&path);
            let found = read.map(|(config, wrong)| (config.admin_socket(), wrong.is_some()));
            let found = found.ok();
            let expected = expected.map(|(socket, is_wrong)| (socket.into(), is_wrong));
            assert_eq!(found, expected, "{text}");
        }
    }
}
