//! The system calls of a site's daemons, by strace.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dray_tests::daemon::Daemon;

/// What an audit looks at.
pub(crate) const WATCHED: &str =
    "trace=fdatasync,fsync,pwrite64,write,rename,renameat,renameat2,openat";

/// strace attached to a running daemon.
pub(crate) struct Trace {
    child: Child,
}

impl Trace {
    /// Attaches and waits until it is.
    pub(crate) fn attach(daemon: &Daemon, arguments: &[&str]) -> Self {
        let mut child = Command::new("strace")
            .args(["-f", "-p", &daemon.pid().to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace; \"make tools\" installs it");
        let mut said = BufReader::new(child.stderr.take().expect("it was asked for")).lines();
        let attached = said.any(|line| line.is_ok_and(|line| line.contains("attached")));
        assert!(attached, "strace did not attach: may this user trace?");
        std::thread::spawn(move || said.for_each(drop));
        Self { child }
    }

    /// Attaches, and writes what [`calls`] reads.
    pub(crate) fn watch(daemon: &Daemon, to: &Path) -> Self {
        let to = to.to_str().expect("UTF-8");
        Self::attach(daemon, &["-ttt", "-T", "-y", "-o", to, "-e", WATCHED])
    }

    pub(crate) fn detach(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("our own child");
        self.child.wait().expect("our own child");
    }
}

/// A system call that succeeded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// Seconds since 1970.
    pub(crate) began: f64,
    pub(crate) ended: f64,
    /// As strace writes it, with paths behind descriptors: `fdatasync(7</a/b>)`.
    pub(crate) text: String,
}

impl Call {
    pub(crate) fn is(&self, names: &[&str]) -> bool {
        let name = self.text.split('(').next().unwrap_or_default();
        names.contains(&name)
    }

    pub(crate) fn is_sync(&self) -> bool {
        self.is(&["fdatasync", "fsync"])
    }

    pub(crate) fn is_write(&self) -> bool {
        self.is(&["write", "pwrite64"])
    }

    /// The path behind the first descriptor.
    pub(crate) fn path(&self) -> &str {
        let behind = self.text.split_once('<').map_or("", |(_, rest)| rest);
        behind.split_once('>').map_or("", |(path, _)| path)
    }

    /// The path that a rename made.
    pub(crate) fn renamed_to(&self) -> Option<&str> {
        if !self.is(&["rename", "renameat", "renameat2"]) {
            return None;
        }
        self.text.split('"').nth(3)
    }
}

/// The calls of a trace that succeeded, in the order of their ends.
pub(crate) fn calls(trace: &Path) -> Vec<Call> {
    let text = std::fs::read_to_string(trace).expect("a trace");
    let mut unfinished: Vec<(&str, f64, &str)> = Vec::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((thread, time, said)) = parts(line) else {
            continue;
        };
        if let Some(begun) = said.strip_suffix("<unfinished ...>") {
            unfinished.push((thread, time, begun));
            continue;
        }
        let resumed = said.starts_with("<... ").then(|| {
            let at = unfinished.iter().position(|(of, ..)| *of == thread)?;
            let rest = said.split_once("resumed>")?.1;
            let (_, began, begun) = unfinished.remove(at);
            Some((began, format!("{begun}{rest}")))
        });
        let (began, whole) = match resumed {
            None => (time, said.to_owned()),
            Some(Some(joined)) => joined,
            Some(None) => continue,
        };
        calls.extend(finished(began, &whole));
    }
    calls.sort_by(|one, other| one.ended.total_cmp(&other.ended));
    calls
}

/// Thread, time and call of one line of `strace -f -ttt`.
fn parts(line: &str) -> Option<(&str, f64, &str)> {
    let (thread, rest) = line.split_once(' ')?;
    let (time, call) = rest.trim_start().split_once(' ')?;
    Some((thread, time.parse().ok()?, call.trim_end()))
}

/// `call(...) = 0 <0.000123>`, unless it failed.
fn finished(began: f64, whole: &str) -> Option<Call> {
    let (text, result) = whole.rsplit_once(" = ")?;
    let took = result.rsplit_once('<')?.1.strip_suffix('>')?;
    (!result.starts_with('-')).then(|| Call {
        began,
        ended: began + took.parse().unwrap_or(0.0),
        text: text.trim_end().to_owned(),
    })
}

#[test]
fn a_call_that_another_thread_interrupts_is_put_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("trace");
    let text = "7  10.5 fdatasync(3</b/db> <unfinished ...>\n\
                8  10.6 pwrite64(4</b/x>, \"a = b\", 5, 0) = 5 <0.000100>\n\
                7  10.7 <... fdatasync resumed>) = 0 <0.200000>\n\
                7  10.8 fsync(5</b>) = -1 EIO (Input/output error) <0.000100>\n\
                7  10.9 rename(\"/b/t\", \"/b/g\") = 0 <0.000100>\n";
    std::fs::write(&path, text).expect("a file");
    let found = calls(&path);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].is_write() && found[0].path() == "/b/x");
    assert!(found[1].is_sync() && found[1].path() == "/b/db");
    assert_eq!((found[1].began, found[1].ended), (10.5, 10.7));
    assert_eq!(found[2].renamed_to(), Some("/b/g"));
}
