//! A folder of logs and a source over it.

use std::cell::RefCell;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Once;
use std::time::{Duration, Instant};

use dray_adapter::Source;
use dray_adapter::conformance::{Agent, Pace, shown};
use dray_file_drop::tail::{FileTail, FileTailConfig};

type Deed = Box<dyn FnOnce()>;

thread_local! {
    static BETWEEN: RefCell<Option<Deed>> = const { RefCell::new(None) };
}

/// Does this in the next scan that this thread makes, once the names are read and before the first file is looked at.
pub(crate) fn between_names_and_looks(deed: impl FnOnce() + 'static) {
    static ARMED: Once = Once::new();
    ARMED.call_once(|| {
        let pass = || {
            if let Some(deed) = BETWEEN.take() {
                deed();
            }
        };
        fail::cfg_callback("file_drop.before_looks", pass).expect("an edge");
    });
    BETWEEN.set(Some(Box::new(deed)));
}

/// Whether it was done.
pub(crate) fn was_scanned() -> bool {
    BETWEEN.with_borrow(Option::is_none)
}

#[derive(Clone)]
pub(crate) struct Logs {
    folder: Rc<tempfile::TempDir>,
    pub(crate) path: PathBuf,
    settings: String,
}

impl Logs {
    /// `settings`: lines of `[flow.source]` besides the usual.
    pub(crate) fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("logs");
        fs::create_dir(&path).expect("a folder");
        Self {
            folder: Rc::new(folder),
            path,
            settings: settings.to_owned(),
        }
    }

    pub(crate) fn config(&self) -> FileTailConfig {
        let mut text = format!(
            "kind = \"file-tail\"\nfolder = \"{}\"\nscan_every = \"10ms\"\n",
            self.path.display()
        );
        if !self.settings.contains("pattern =") {
            text.push_str("pattern = \"app.log\"\n");
        }
        if !self.settings.contains("format.kind") {
            text.push_str(
                "format.kind = \"csv\"\nformat.header = false\nformat.columns = [\"N\"]\n",
            );
        }
        text.push_str(&self.settings);
        toml::from_str(&text).unwrap_or_else(|error| panic!("{text}\n{error}"))
    }

    pub(crate) fn source(&self) -> Box<dyn Source> {
        Box::new(FileTail::new("north/log", self.config()).expect("a good configuration"))
    }

    pub(crate) fn agent(&self) -> Agent {
        Agent::open(self.source())
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a file that is younger than all that was written before, and older than all that is written after: births have
    /// the grain of a clock tick, and what a program does to one file and to the next seldom shares one.
    pub(crate) fn create(&self, name: &str, content: impl AsRef<[u8]>) {
        self.wait_tick();
        fs::File::create_new(self.at(name)).expect("a new file");
        self.wait_tick();
        self.append(name, content);
    }

    /// Waits until files are younger than any by now.
    fn wait_tick(&self) {
        let probe = self.folder.path().join("probe");
        let born = || {
            let file = fs::File::create_new(&probe).expect("a new file");
            let born = file.metadata().and_then(|metadata| metadata.created());
            fs::remove_file(&probe).expect("it is removed");
            born.expect("a birth")
        };
        let (now, end) = (born(), Instant::now() + Duration::from_secs(10));
        while born() <= now {
            assert!(Instant::now() < end, "the clock stands still");
        }
    }

    pub(crate) fn append(&self, name: &str, content: impl AsRef<[u8]>) {
        let file = fs::File::options().append(true).open(self.at(name));
        file.and_then(|mut file| file.write_all(content.as_ref()))
            .expect("an append");
    }

    pub(crate) fn truncate(&self, name: &str) {
        let file = fs::File::options().write(true).open(self.at(name));
        file.and_then(|file| file.set_len(0))
            .expect("it is truncated");
    }

    /// As an editor saves: the same file with other content.
    pub(crate) fn rewrite(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.at(name), content).expect("it is written");
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.at(from), self.at(to)).expect("a rename");
    }

    /// As logrotate's copytruncate does.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        let content = fs::read(self.at(from)).expect("the file");
        self.create(to, content);
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.at(name)).expect("it is removed");
    }
}

pub(crate) fn acking() -> Pace {
    Pace {
        acks: true,
        ..Pace::default()
    }
}

/// Works until `entries` are appended and nothing more comes, and says what they are.
pub(crate) fn work(agent: &mut Agent, entries: usize) -> Vec<String> {
    agent.finish(entries, acking());
    texts(agent)
}

pub(crate) fn texts(agent: &Agent) -> Vec<String> {
    shown(&agent.log).into_iter().map(str::to_owned).collect()
}

/// The cells of what was appended, and `!` for what is no record.
pub(crate) fn cells(agent: &Agent) -> Vec<String> {
    let cell = |text: &String| match text.split_once(": ") {
        Some((_, cell)) => cell.to_owned(),
        None => "!".to_owned(),
    };
    texts(agent).iter().map(cell).collect()
}

/// Polls and appends until it is so.
pub(crate) fn until(agent: &mut Agent, mut done: impl FnMut(&Agent) -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done(agent) {
        assert!(Instant::now() < end, "it never is so: {:#?}", agent.log);
        agent.poll();
        while agent.append() {
            agent.commit();
        }
    }
}

/// No two ids are the same.
pub(crate) fn ids_differ(agent: &Agent) {
    let ids: std::collections::HashSet<_> = agent.log.iter().map(|entry| entry.id).collect();
    assert_eq!(ids.len(), agent.log.len(), "two entries share an id");
}
