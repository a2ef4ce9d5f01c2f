//! A network of a test's own: a namespace with one wire to this one, which loses packets when it is told to.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use rand::RngExt as _;

/// Addresses of the two ends are taken from 198.18.0.0/15, which RFC 2544 keeps for tests.
const NETWORK: [u8; 2] = [198, 18];

/// A network namespace. It goes with its value.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    subnet: u8,
}

impl Namespace {
    /// Makes it, with an end of its wire here.
    ///
    /// # Errors
    /// With what is missing: the rights of root, or a program.
    pub fn make() -> anyhow::Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "a network namespace needs root: run the tests as root, or \"make test-quick\" without it"
        );
        let subnet = rand::rng().random();
        let namespace = Self {
            name: format!("dray-{}-{subnet}", std::process::id()),
            subnet,
        };
        let name = &namespace.name;
        let (here, there) = (namespace.wire(), "wire");
        call(&["ip", "netns", "add", name])?;
        call(&[
            "ip", "link", "add", &here, "type", "veth", "peer", "name", there, "netns", name,
        ])?;
        call(&["ip", "addr", "add", &namespace.end(1), "dev", &here])?;
        call(&["ip", "link", "set", &here, "up"])?;
        call(&[
            "ip",
            "-n",
            name,
            "addr",
            "add",
            &namespace.end(2),
            "dev",
            there,
        ])?;
        call(&["ip", "-n", name, "link", "set", there, "up"])?;
        call(&["ip", "-n", name, "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// The address of this side, as seen from inside.
    #[must_use]
    pub fn outside(&self) -> Ipv4Addr {
        let [a, b] = NETWORK;
        Ipv4Addr::new(a, b, self.subnet, 1)
    }

    /// A command that runs a program inside.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// From now on, so many of 100 packets are lost each way, at random.
    ///
    /// # Errors
    /// With what nft said.
    pub fn lose(&self, percent: u32) -> anyhow::Result<()> {
        let rule = format!("numgen random mod 100 < {percent} counter drop");
        let table = format!(
            "table inet loss {{ chain in {{ type filter hook input priority 0; {rule}; }}; chain out {{ type filter hook output priority 0; {rule}; }}; }}"
        );
        call(&["ip", "netns", "exec", &self.name, "nft", &table])
    }

    /// Packets that were lost so far.
    ///
    /// # Errors
    /// If the counts can't be read.
    pub fn lost(&self) -> anyhow::Result<u64> {
        let output = self
            .command(Path::new("nft"))
            .args(["list", "table", "inet", "loss"])
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let counts = words
            .windows(2)
            .filter(|pair| pair[0] == "packets")
            .map(|pair| pair[1].parse::<u64>());
        counts.sum::<Result<u64, _>>().context("nft counts packets")
    }

    fn wire(&self) -> String {
        // At most 15 bytes.
        format!("dray{}", self.subnet)
    }

    fn end(&self, host: u8) -> String {
        let [a, b] = NETWORK;
        format!("{a}.{b}.{}.{host}/30", self.subnet)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The wire goes with it.
        let _ = call(&["ip", "netns", "del", &self.name]);
    }
}

fn call(words: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(words[0])
        .args(&words[1..])
        .output()
        .with_context(|| format!("{} can't be run", words[0]))?;
    if !output.status.success() {
        bail!(
            "{}: {}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
