//! A private NATS server with JetStream: Debian's, unpacked beside the build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use async_nats::jetstream::{self, Context};

use super::{certify, free_port, up};

pub struct Nats {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
    options: Vec<String>,
}

/// The program: the system's, or Debian's package unpacked in the build's folder.
fn program() -> &'static PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let installed = Path::new("/usr/sbin/nats-server");
        if installed.exists() {
            return installed.to_owned();
        }
        // A build's own folder for what tests leave.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nats-server");
        let program = folder.join("made/usr/sbin/nats-server");
        let script = "set -eu; mkdir -p \"$0\"; cd \"$0\"; exec 9>lock; flock 9; test -x made/usr/sbin/nats-server && exit 0; apt-get download -qq nats-server; rm -rf unpacked; dpkg -x nats-server_*.deb unpacked; mv unpacked made";
        let got = Command::new("sh").args(["-c", script]).arg(&folder).output();
        let got = got.expect("a shell");
        assert!(
            program.exists(),
            "there is no nats-server (Debian: apt-get install nats-server): {}",
            String::from_utf8_lossy(&got.stderr)
        );
        program
    })
}

impl Nats {
    pub fn start() -> Self {
        Self::with(|_| Vec::new())
    }

    /// With TLS and a user.
    pub fn secured() -> Self {
        Self::with(|folder| {
            let file = |name: &str| folder.join(name).display().to_string();
            [
                "--user",
                "dray",
                "--pass",
                "r1ght-s3cret",
                "--tls",
                "--tlscert",
                &file("cert.pem"),
                "--tlskey",
                &file("key.pem"),
            ]
            .map(str::to_owned)
            .to_vec()
        })
    }

    fn with(options: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let made = tempfile::Builder::new().prefix("dray-sinks-").tempdir();
        let folder = made.expect("a folder");
        certify(folder.path());
        let mut server = Self {
            options: options(folder.path()),
            folder,
            port: free_port(),
            process: None,
        };
        server.run();
        server
    }

    fn run(&mut self) {
        let (folder, port) = (self.folder.path().to_owned(), self.port);
        let spawn = || {
            Command::new(program())
                .args(["--js", "--addr", "127.0.0.1", "--port", &port.to_string()])
                .arg("--store_dir")
                .arg(folder.join("data"))
                .args(&self.options)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(fs::File::create(folder.join("log")).expect("a file"))
                .spawn()
                .expect("a server")
        };
        let answers = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        self.process = Some(up(spawn, answers));
    }

    /// kill -9, and a start.
    pub fn crash(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it ends");
        }
        self.run();
    }

    /// The authority that signed for "localhost".
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// `[target.nats]` without subject and stream.
    pub fn table(&self) -> String {
        format!("[nats]\nservers = [\"127.0.0.1:{}\"]\n", self.port)
    }

    /// A client of the stream's owner.
    pub async fn context(&self) -> Context {
        let client = async_nats::connect(format!("127.0.0.1:{}", self.port)).await;
        jetstream::new(client.expect("it answers"))
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
