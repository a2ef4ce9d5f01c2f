//! An OpenSSH server on this machine, a process a connection, with a wire in between that can be cut.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

const SSHD: &str = "/usr/sbin/sshd";

/// Something to do once the server has sent so many bytes over one connection.
type AtBytes = (u64, Box<dyn FnOnce() + Send>);

#[derive(Default)]
struct Wire {
    /// Bytes that the server may still send over a connection before it is cut.
    cut_after: Option<u64>,
    at_bytes: Option<AtBytes>,
    connections: Vec<(Arc<Mutex<Child>>, TcpStream)>,
    /// Bytes that the server sent, by connection.
    sent: Vec<u64>,
}

pub(crate) struct Server {
    home: tempfile::TempDir,
    /// The folder there.
    pub(crate) folder: PathBuf,
    /// The pinned key.
    pub(crate) host_key: String,
    pub(crate) user: String,
    pub(crate) port: u16,
    wire: Arc<Mutex<Wire>>,
    accepting: Option<JoinHandle<()>>,
    is_up: Arc<Mutex<bool>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{program} is needed for this test ({error}); install it: apt-get install openssh-server")
    });
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned()
}

fn key(path: &Path, kind: &str, passphrase: &str) -> String {
    let path = path.to_str().expect("a path");
    run(
        "ssh-keygen",
        &["-q", "-t", kind, "-N", passphrase, "-f", path],
    );
    let shown = run("ssh-keygen", &["-lf", path]);
    shown.split(' ').nth(1).expect("a fingerprint").to_owned()
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// `sftp`: arguments of the SFTP server.
    pub(crate) fn start_with(sftp: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        open_to_all(home.path());
        let folder = home.path().join("out");
        fs::create_dir(&folder).expect("a folder");
        // Nobody's rights are not those of the tests' user where that is root.
        let user = match run("id", &["-u"]).as_str() {
            "0" => "nobody".to_owned(),
            _ => run("id", &["-un"]),
        };
        let at = |name: &str| home.path().join(name);
        let host_key = key(&at("host_ed25519"), "ed25519", "");
        key(&at("login"), "ed25519", "");
        fs::copy(at("login.pub"), at("authorized")).expect("a copy");
        let config = format!(
            "HostKey {0}/host_ed25519\nAuthorizedKeysFile {0}/authorized\nStrictModes no\nUsePAM no\nPasswordAuthentication yes\n\
             PermitRootLogin yes\nSubsystem sftp internal-sftp {sftp}\nPidFile none\nLogLevel VERBOSE\n",
            home.path().display()
        );
        fs::write(at("config"), config).expect("a file");
        if user == "nobody" {
            // Debian's sshd wants it, and only its service makes it.
            fs::create_dir_all("/run/sshd").expect("a folder");
        }
        let mut server = Self {
            folder,
            host_key,
            user,
            port: 0,
            wire: Arc::default(),
            accepting: None,
            is_up: Arc::default(),
            home,
        };
        server.own(&server.folder);
        server.up();
        server
    }

    /// Gives a folder to the user that logs in.
    pub(crate) fn own(&self, folder: &Path) {
        if self.user == "nobody" {
            let id = run("id", &["-u", "nobody"]).parse().expect("a number");
            chown(folder, Some(id), None).expect("it is given away");
        }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Gives the server another host key besides, and returns its fingerprint.
    pub(crate) fn add_host_key(&self, kind: &str) -> String {
        let path = self.at(&format!("host_{kind}"));
        let fingerprint = key(&path, kind, "");
        self.configure(&format!("HostKey {}\n", path.display()));
        fingerprint
    }

    /// Lines of the configuration of connections to come.
    pub(crate) fn configure(&self, lines: &str) {
        let mut config = fs::read_to_string(self.at("config")).expect("the configuration");
        config.push_str(lines);
        fs::write(self.at("config"), config).expect("the configuration");
    }

    /// A key that may log in, and has a passphrase.
    pub(crate) fn add_login(&self, name: &str, kind: &str, passphrase: &str) -> PathBuf {
        key(&self.at(name), kind, passphrase);
        let public = fs::read_to_string(self.at(&format!("{name}.pub"))).expect("a key");
        let mut authorized = fs::read_to_string(self.at("authorized")).expect("keys");
        authorized.push_str(&public);
        fs::write(self.at("authorized"), authorized).expect("keys");
        self.at(name)
    }

    /// `[flow.source.sftp]`; `more`: what differs from the usual.
    pub(crate) fn table(&self, more: &str) -> String {
        let mut table = String::from("[sftp]\n");
        for (setting, value) in [
            ("host", "127.0.0.1".to_owned()),
            ("user", self.user.clone()),
            ("key_file", self.at("login").display().to_string()),
            ("host_key", self.host_key.clone()),
            ("folder", self.folder.display().to_string()),
            ("after", "delete".to_owned()),
            ("poll_every", "100ms".to_owned()),
        ] {
            let is_password = setting == "key_file" && more.contains("password_file");
            if !more.contains(&format!("{setting} =")) && !is_password {
                table.push_str(&format!("{setting} = \"{value}\"\n"));
            }
        }
        format!("{table}port = {}\n{more}", self.port)
    }

    /// As careful systems drop.
    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let hidden = self.folder.join(format!(".{name}.part"));
        fs::write(&hidden, content).expect("a file");
        fs::rename(hidden, self.folder.join(name)).expect("a rename");
    }

    /// The same, with a time.
    pub(crate) fn put_at(&self, name: &str, content: impl AsRef<[u8]>, seconds: u64) {
        self.put(name, content);
        set_time(&self.folder.join(name), seconds);
    }

    pub(crate) fn files(&self) -> Vec<String> {
        names(&self.folder)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.folder.join(name).exists()
    }

    /// Accepts connections, on the port that it had.
    pub(crate) fn up(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).expect("a port");
        self.port = listener.local_addr().expect("an address").port();
        *lock(&self.is_up) = true;
        let (wire, is_up) = (Arc::clone(&self.wire), Arc::clone(&self.is_up));
        let config = self.at("config");
        let log = self.at("log");
        self.accepting = Some(std::thread::spawn(move || {
            for stream in listener.incoming() {
                if !*lock(&is_up) {
                    return;
                }
                serve(stream.expect("a connection"), &config, &log, &wire).expect("a server");
            }
        }));
    }

    /// The server dies with all its connections.
    pub(crate) fn down(&mut self) {
        *lock(&self.is_up) = false;
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        self.hang_up();
    }

    /// All connections die.
    pub(crate) fn hang_up(&self) {
        for (child, stream) in &lock(&self.wire).connections {
            // Its children live on as long as their pipes do.
            let _ = stream.shutdown(Shutdown::Both);
            end(child);
        }
    }

    /// Each connection is cut after so many bytes; `None`: no more.
    pub(crate) fn cut_after(&self, bytes: Option<u64>) {
        lock(&self.wire).cut_after = bytes;
    }

    /// Does something once a connection has carried so many bytes.
    pub(crate) fn at_bytes(&self, bytes: u64, action: impl FnOnce() + Send + 'static) {
        lock(&self.wire).at_bytes = Some((bytes, Box::new(action)));
    }

    /// Bytes that the server sent over each connection.
    pub(crate) fn sent(&self) -> Vec<u64> {
        lock(&self.wire).sent.clone()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.down();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}

fn end(child: &Mutex<Child>) {
    let mut child = lock(child);
    let _ = child.kill();
    let _ = child.wait();
}

/// Whatever the umask is.
pub(crate) fn open_to_all(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("rights");
}

pub(crate) fn set_time(file: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let file = fs::File::options()
        .append(true)
        .open(file)
        .expect("the file");
    file.set_modified(time).expect("a time");
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn serve(stream: TcpStream, config: &Path, log: &Path, wire: &Arc<Mutex<Wire>>) -> io::Result<()> {
    let mut child = Command::new(SSHD)
        .args(["-i", "-E"])
        .arg(log)
        .arg("-f")
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{SSHD} is needed for this test ({error}); install it: apt-get install openssh-server"));
    let mut to = child.stdin.take().expect("a pipe");
    let mut from = child.stdout.take().expect("a pipe");
    let child = Arc::new(Mutex::new(child));
    let number = {
        let mut wire = lock(wire);
        wire.connections
            .push((Arc::clone(&child), stream.try_clone()?));
        wire.sent.push(0);
        wire.sent.len() - 1
    };
    stream.set_nodelay(true)?;
    let (mut client, mut answers) = (stream.try_clone()?, stream);
    std::thread::spawn(move || {
        // Not `io::copy`: it splices, and what came was held back.
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = client.read(&mut buffer) {
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
    });
    let wire = Arc::clone(wire);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let (action, is_cut) = count(&wire, number, read as u64);
            if let Some(action) = action {
                action();
            }
            if is_cut || answers.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = answers.shutdown(Shutdown::Both);
        end(&child);
    });
    Ok(())
}

/// Counts what is about to be sent: what is to be done now, and whether the wire is cut instead.
fn count(
    wire: &Mutex<Wire>,
    number: usize,
    bytes: u64,
) -> (Option<Box<dyn FnOnce() + Send>>, bool) {
    let mut wire = lock(wire);
    wire.sent[number] += bytes;
    let sent = wire.sent[number];
    let action = wire.at_bytes.take_if(|(at, _)| sent >= *at);
    let is_cut = wire.cut_after.is_some_and(|after| sent > after);
    (action.map(|(_, action)| action), is_cut)
}
