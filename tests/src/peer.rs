//! Servers of others that a test runs beside its own: installed once, when a test first needs them, and a private copy for each.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::PATIENCE;

/// How long one request to a server may take.
const REQUEST_MAX: Duration = Duration::from_secs(30);

/// The folder that `peers/NAME/install` fills, outside of the repository: what is there stays for the next run.
///
/// # Panics
/// Where it can't be installed, with what was said.
#[must_use]
pub fn installed(name: &str) -> PathBuf {
    let install = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("peers/{name}/install"));
    let folder = std::env::temp_dir().join(format!("dray-{name}-peer"));
    let made = Command::new(install).arg(&folder).output();
    let made = made.expect("a shell runs");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(
        made.status.success(),
        "{name} could not be installed: {said}"
    );
    folder
}

/// A server's process. It ends with its value.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts one whose log goes to a file, and waits until it answers this path with a status.
    ///
    /// # Panics
    /// Where it ends instead, or does not answer in time, with its log.
    #[must_use]
    pub fn start(command: &mut Command, log: &Path, port: u16, path: &str) -> Self {
        let file = fs::File::create(log).expect("a file");
        let errors = file.try_clone().expect("a second handle");
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn();
        let mut process = Self(child.expect("a server"));
        let end = Instant::now() + PATIENCE;
        while ask(port, "GET", path, "").is_err() {
            let said = || fs::read_to_string(log).unwrap_or_default();
            let ended = process.0.try_wait().expect("a child");
            assert!(ended.is_none(), "the server ended: {}", said());
            assert!(
                Instant::now() < end,
                "the server does not answer: {}",
                said()
            );
            std::thread::park_timeout(Duration::from_millis(50));
        }
        process
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

/// A request to a server of the loopback: its answer's status and body.
///
/// # Errors
/// Those of the connection, or what is no HTTP.
pub fn ask(port: u16, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
    ask_as(port, method, path, "", body)
}

/// The same with further headers, a line each.
///
/// # Errors
/// As [`ask`].
pub fn ask_as(
    port: u16,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(REQUEST_MAX))?;
    // HTTP 1.0: the answer ends where the connection does, and is not chunked.
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    let status = said
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let body = said.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    status.zip(body).ok_or_else(|| std::io::Error::other(said))
}
