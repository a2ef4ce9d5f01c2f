//! An OpenSSH server: a process a connection, so that each can be killed.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{free_port, up};

pub struct Sftp {
    home: tempfile::TempDir,
    user: String,
    host_key: String,
    port: u16,
    process: Option<Child>,
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let output =
        output.unwrap_or_else(|error| panic!("{program}: {error}: apt-get install openssh-server"));
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn key(path: &Path) -> String {
    let path = path.to_str().expect("a path");
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", path]);
    let shown = run("ssh-keygen", &["-lf", path]);
    shown.split(' ').nth(1).expect("a fingerprint").to_owned()
}

impl Sftp {
    pub fn start() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(home.path(), open).expect("a folder of ours");
        let at = |name: &str| home.path().join(name);
        fs::create_dir(at("in")).expect("a folder");
        let host_key = key(&at("host"));
        key(&at("login"));
        fs::copy(at("login.pub"), at("authorized")).expect("a copy");
        let user = match run("id", &["-u"]).as_str() {
            "0" => {
                // Debian's sshd wants it, and only its service makes it.
                fs::create_dir_all("/run/sshd").expect("a folder");
                let id = run("id", &["-u", "nobody"]).parse().expect("a number");
                chown(at("in"), Some(id), None).expect("it is given away");
                "nobody".to_owned()
            }
            _ => run("id", &["-un"]),
        };
        let config = format!(
            "ListenAddress 127.0.0.1\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nStrictModes no\nUsePAM no\n\
             MaxStartups 1000\nSubsystem sftp internal-sftp\nPidFile none\n",
            home.path().display()
        );
        fs::write(at("config"), config).expect("a file");
        let mut server = Self {
            user,
            host_key,
            port: free_port(),
            process: None,
            home,
        };
        server.run();
        server
    }

    fn run(&mut self) {
        let (config, port) = (self.home.path().join("config"), self.port);
        let spawn = || {
            Command::new("/usr/sbin/sshd")
                .arg("-D")
                .arg("-f")
                .arg(&config)
                .args(["-p", &port.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                // Its connections die with it.
                .process_group(0)
                .spawn()
                .expect("a server")
        };
        let answers = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        self.process = Some(up(spawn, answers));
    }

    /// kill -9 of the server, and a start. What served a connection sees its end.
    pub fn crash(&mut self) {
        self.end();
        self.run();
    }

    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            let group = rustix::process::Pid::from_child(&process);
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = process.wait();
        }
    }

    /// The folder there.
    pub fn folder(&self) -> PathBuf {
        self.home.path().join("in")
    }

    /// `[file.sftp]`.
    pub fn table(&self) -> String {
        format!(
            "[file.sftp]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\nkey_file = \"{}\"\nhost_key = \"{}\"\nfolder = \"{}\"\n",
            self.port,
            self.user,
            self.home.path().join("login").display(),
            self.host_key,
            self.folder().display()
        )
    }
}

impl Drop for Sftp {
    fn drop(&mut self) {
        self.end();
    }
}
