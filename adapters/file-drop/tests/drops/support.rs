//! A drop folder and a source over it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use dray_adapter::conformance::{Agent, Pace, shown};
use dray_adapter::{Mark, MarkState, Seen, Source};
use dray_file_drop::{FileDrop, FileDropConfig};

/// A buffer that knows nothing.
pub(crate) struct Nothing;

impl Seen for Nothing {
    fn seen(&self, _: &Mark) -> MarkState {
        MarkState::New
    }
}

/// Bytes that this thread read, ever.
pub(crate) fn bytes_read() -> u64 {
    let io = fs::read_to_string("/proc/thread-self/io").expect("Linux tells");
    let line = io.lines().find_map(|line| line.strip_prefix("rchar: "));
    line.and_then(|bytes| bytes.parse().ok()).expect("a number")
}

pub(crate) struct Drops {
    _folder: tempfile::TempDir,
    pub(crate) path: PathBuf,
    settings: String,
    pattern: &'static str,
}

impl Drops {
    /// `settings`: lines of `[flow.source]` besides the usual.
    pub(crate) fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("drops");
        fs::create_dir(&path).expect("a folder");
        Self {
            _folder: folder,
            path,
            settings: settings.to_owned(),
            pattern: "*.txt",
        }
    }

    pub(crate) fn with_pattern(pattern: &'static str, settings: &str) -> Self {
        Self {
            pattern,
            ..Self::new(settings)
        }
    }

    pub(crate) fn config(&self) -> FileDropConfig {
        self.config_with(&self.settings)
    }

    /// With other settings than those of before.
    pub(crate) fn config_with(&self, settings: &str) -> FileDropConfig {
        let text = self.text_with(settings);
        toml::from_str(&text).unwrap_or_else(|error| panic!("{text}\n{error}"))
    }

    /// `[flow.source]`, for a process of its own.
    #[cfg(feature = "failpoints")]
    pub(crate) fn text(&self) -> String {
        self.text_with(&self.settings)
    }

    fn text_with(&self, settings: &str) -> String {
        let quiet = if settings.contains("quiet =") {
            ""
        } else {
            "quiet = \"20ms\"\n"
        };
        let scan = if settings.contains("scan_every =") {
            ""
        } else {
            "scan_every = \"20ms\"\n"
        };
        let format = if settings.contains("format.kind") {
            ""
        } else if settings.contains("format.") {
            "format.kind = \"csv\"\n"
        } else {
            "format.kind = \"csv\"\nformat.delimiter = \"|\"\n"
        };
        format!(
            "kind = \"file-drop\"\nfolder = \"{}\"\npattern = \"{}\"\n{scan}{quiet}{format}{}",
            self.path.display(),
            self.pattern,
            settings
        )
    }

    pub(crate) fn source(&self) -> Box<dyn Source> {
        self.source_with(&self.settings)
    }

    /// With other settings than those of before.
    pub(crate) fn source_with(&self, settings: &str) -> Box<dyn Source> {
        let source = FileDrop::new("north/stock", self.config_with(settings));
        let source = source.expect("a good configuration");
        Box::new(source.with_own_folder(self.own()))
    }

    /// The source's own folder.
    pub(crate) fn own(&self) -> PathBuf {
        self.path.with_file_name("own").join("stock")
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// As careful systems drop: under another name, then renamed. Old enough to be complete for
    /// whoever finds it at the start.
    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let hidden = self.path.join(format!(".{name}"));
        fs::write(&hidden, content).expect("a file");
        age(&hidden, Duration::from_secs(60));
        fs::rename(hidden, self.at(name)).expect("a rename");
    }

    pub(crate) fn append(&self, name: &str, text: &str) {
        let file = fs::File::options().append(true).open(self.at(name));
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("an append");
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.at(name).exists()
    }

    /// The files of a folder below the drop folder, in order.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.at(folder)) else {
            return Vec::new();
        };
        let files = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
        let mut names: Vec<String> = files
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

pub(crate) fn age(path: &Path, age: Duration) {
    let file = fs::File::options()
        .append(true)
        .open(path)
        .expect("the file");
    file.set_modified(SystemTime::now() - age)
        .expect("its time is set");
}

/// `lines` after a header of two columns.
pub(crate) fn table(lines: &[&str]) -> String {
    format!("SKU|QTY\n{}\n", lines.join("\n"))
}

pub(crate) fn acking() -> Pace {
    Pace {
        acks: true,
        ..Pace::default()
    }
}

/// Works until `entries` are appended, and says what they are.
pub(crate) fn work(agent: &mut Agent, entries: usize) -> Vec<String> {
    agent.finish(entries, acking());
    shown(&agent.log).into_iter().map(str::to_owned).collect()
}

/// Polls, appends and commits until it is so.
pub(crate) fn until(agent: &mut Agent, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "it never is so");
        agent.poll();
        while agent.append() {}
        while agent.commit() {}
    }
}
