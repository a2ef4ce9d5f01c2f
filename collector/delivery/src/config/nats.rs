//! `[target.nats]`: messages of a JetStream stream.

use std::path::PathBuf;

use serde::Deserialize;

use super::check::is_this_machine;

/// Servers that are tried, at most.
pub const SERVERS_MAX: usize = 16;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsConfig {
    /// `host:port` of one server or more of a cluster.
    pub servers: Vec<String>,
    /// A template: `wms.{{ site }}.{{ flow }}.{{ key }}`.
    pub subject: String,
    /// A template of the message; empty: the default JSON.
    #[serde(default)]
    pub payload: String,
    /// The stream that must take it.
    pub stream: String,
    /// Who we are there; with `password_file`.
    #[serde(default)]
    pub user: String,
    /// A line break at its end is dropped.
    #[serde(default)]
    pub password_file: PathBuf,
    /// A token instead of user and password; white space around it is dropped.
    #[serde(default)]
    pub token_file: PathBuf,
    /// Whether what may be there is looked up by its subject's last message. Without the right to ask the stream: false.
    #[serde(default = "default_verify")]
    pub verify: bool,
    /// No TLS to another machine.
    #[serde(default)]
    pub in_clear_text: bool,
}

fn default_verify() -> bool {
    true
}

impl NatsConfig {
    /// Hosts and ports.
    #[must_use]
    pub fn servers(&self) -> Vec<(String, u16)> {
        self.servers
            .iter()
            .filter_map(|server| place(server))
            .collect()
    }

    /// Whether connections are encrypted: always, but to this machine, and where somebody said so.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        let is_here = |(host, _): &(String, u16)| is_this_machine(host);
        !self.in_clear_text && !self.servers().iter().all(is_here)
    }

    /// What is wrong, a sentence each.
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        if !(1..=SERVERS_MAX).contains(&self.servers.len()) {
            wrong.push(format!("nats.servers: write 1 to {SERVERS_MAX}"));
        }
        for server in &self.servers {
            if place(server).is_none() {
                wrong.push(format!(
                    "nats.servers: {server:?} is no server; write \"host:4222\""
                ));
            }
        }
        if self.subject.is_empty() {
            wrong.push("nats.subject: write one, e.g. \"wms.{{ site }}.{{ flow }}\"".into());
        }
        let is_stream = !self.stream.is_empty()
            && !self
                .stream
                .contains(|letter: char| letter.is_whitespace() || ".*>/\\".contains(letter));
        if !is_stream {
            wrong.push(format!(
                "nats.stream: {:?} is no name of a stream; write the one that takes the subject",
                self.stream
            ));
        }
        let has_password = !self.password_file.as_os_str().is_empty();
        if self.user.is_empty() == has_password {
            wrong.push("nats.user: user and password_file go together".into());
        }
        if has_password && !self.token_file.as_os_str().is_empty() {
            wrong.push("nats.token_file: write it or user and password_file, not both".into());
        }
    }
}

/// `host:port`; an address of IPv6 in brackets.
fn place(server: &str) -> Option<(String, u16)> {
    let (host, port) = server.rsplit_once(':')?;
    let host = host
        .strip_prefix('[')
        .map_or(Some(host), |inner| inner.strip_suffix(']'))?;
    let is_host = !host.is_empty() && !host.contains(['/', '@', ' ']);
    is_host.then_some(())?;
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(more: &str, expected: &[&str]) {
        let text = format!("subject = \"a\"\n{more}");
        let config: NatsConfig = toml::from_str(&text).expect("it parses");
        let mut wrong = Vec::new();
        config.check(&mut wrong);
        assert_eq!(wrong.len(), expected.len(), "{more}: {wrong:?}");
        for (sentence, begin) in wrong.iter().zip(expected) {
            assert!(sentence.starts_with(begin), "{sentence}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_a_sentence_that_names_the_setting() {
        check(
            "servers = [\"a:4222\", \"[::1]:4222\"]\nstream = \"S\"",
            &[],
        );
        check("servers = []\nstream = \"S\"", &["nats.servers"]);
        check(
            "servers = [\"nats://a:4222\"]\nstream = \"a.b\"",
            &["nats.servers", "nats.stream"],
        );
        check(
            "servers = [\"a:1\"]\nstream = \"S\"\nuser = \"u\"",
            &["nats.user"],
        );
        check(
            "servers = [\"a:1\"]\nstream = \"S\"\nuser = \"u\"\npassword_file = \"/p\"\ntoken_file = \"/t\"",
            &["nats.token_file"],
        );
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_clear_text_unasked() {
        for (more, expected) in [
            ("servers = [\"127.0.0.1:1\", \"[::1]:2\"]", false),
            ("servers = [\"127.0.0.1:1\", \"a:2\"]", true),
            ("servers = [\"a:2\"]\nin_clear_text = true", false),
        ] {
            let text = format!("subject = \"a\"\nstream = \"S\"\n{more}");
            let config: NatsConfig = toml::from_str(&text).expect("it parses");
            assert_eq!(config.is_encrypted(), expected, "{more}");
        }
    }
}
