//! A site one of whose daemons dies at an edge under load, and what became of the load.

use std::collections::HashSet;
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dray_tests::daemon::Daemon;
use dray_tests::drops::{drop_file, movements};
use dray_tests::families::{FAMILIES, Family, number};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use dray_tests::verdict::{Verdict, judge};

use crate::{folder, target_table};

/// Lines of each file, and its items.
const LINES: u64 = 300;
const ITEMS: u64 = 70;
/// Files at once, before each is followed by another until the daemon dies.
const FILES: u64 = 8;
/// Each commit or two begins a new file.
const SMALL_FILES: [(&str, &str); 2] = [
    ("DRAY_GENERATION_BYTES", "16384"),
    ("DRAY_LOG_FILE_BYTES", "200000"),
];
/// The format whose senders are told.
const ANSWERED: &str = "x12";
/// Where they are told.
const BACK: &str = "back";
/// How long a daemon may pass its other edges before it must have died.
const DIES_WITHIN: Duration = Duration::from_secs(20);

/// Which daemon dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dies {
    Agent,
    Collector,
}

impl Dies {
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Agent => "dray-agent",
            Self::Collector => "dray-collector",
        }
    }
}

/// What its files are, and where they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// Lines, to the archive.
    Moving,
    /// Lines that stay where they are.
    Keeping,
    /// Documents whose senders are told that they came.
    Answering,
}

/// What the harness found.
#[derive(Debug)]
pub(crate) enum Found {
    /// The daemon did not die at its edge: the harness shows nothing.
    NotPassed,
    /// The daemon did not come back.
    NoStart(String),
    /// Something is lost, doubled, out of order or stuck.
    NotWhole(String),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPassed => write!(f, "the edge was not passed in {DIES_WITHIN:?}"),
            Self::NoStart(said) => write!(f, "it does not start again: {said}"),
            Self::NotWhole(said) => f.write_str(said),
        }
    }
}

/// See the module.
pub(crate) struct Dying {
    folder: tempfile::TempDir,
    pub(crate) site: Site,
    pub(crate) erp: Target,
    files: u64,
    /// How long nothing may arrive before what is missing counts as lost.
    pub(crate) patience: Duration,
    /// Whether the log may be without its beginning.
    log_is_trimmed: bool,
    flow: Flow,
}

impl Dying {
    /// A site that has carried one file. `plant`: the bug that both daemons have.
    pub(crate) fn new(plant: Option<&str>, log_settings: &str) -> Self {
        Self::with_flow(plant, log_settings, Flow::Moving)
    }

    /// The same, with a folder in which nothing moves.
    pub(crate) fn keeping() -> Self {
        Self::with_flow(None, "", Flow::Keeping)
    }

    /// The same, with documents whose senders are told that they came.
    pub(crate) fn answering() -> Self {
        Self::with_flow(None, "", Flow::Answering)
    }

    fn with_flow(plant: Option<&str>, log_settings: &str, flow: Flow) -> Self {
        let folder = folder("edge");
        let erp = Target::start(false).expect("a target");
        let targets = log_settings.to_owned() + &target_table("erp", &erp.url(), "");
        let spec = flow.spec(folder.path());
        let mut site = Site::lay_out(folder.path(), &[spec], &targets).expect("a folder");
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let planted = plant.map(|plant| ("DRAY_PLANT", plant));
        site.environment = SMALL_FILES.into_iter().chain(planted).map(owned).collect();
        site.start_collector().expect("a collector");
        site.enrol().expect("an identity");
        site.start_agent().expect("an agent");
        let mut dying = Self {
            folder,
            site,
            erp,
            files: 0,
            patience: Duration::from_secs(30),
            log_is_trimmed: !log_settings.is_empty(),
            flow,
        };
        dying.carry_next();
        dying
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Drops the next file.
    pub(crate) fn drop_next(&mut self) {
        let file = self.flow.file(self.files);
        let name = format!("{:04}.txt", self.files);
        drop_file(&self.site.drops("movements"), &name, &file).expect("a drop");
        self.files += 1;
    }

    /// The next file is set aside, as if it had failed.
    pub(crate) fn set_aside_next(&mut self) {
        let file = self.flow.file(self.files);
        let failed = self.site.drops("movements").join("failed");
        std::fs::create_dir_all(&failed).expect("a folder");
        let name = format!("{:04}.txt", self.files);
        std::fs::write(failed.join(name), file).expect("a file");
        self.files += 1;
    }

    /// Drops the next file and waits until it has arrived and its place is written.
    pub(crate) fn carry_next(&mut self) {
        self.drop_next();
        self.judge().expect("nobody was killed");
    }

    /// Kills the daemon, starts it again with this edge, loads it until it dies there by itself, starts it a last
    /// time, and judges.
    pub(crate) fn die_at(&mut self, dies: Dies, edge: &str) -> Result<(), Found> {
        self.stop(dies);
        self.start_to_die(dies, edge);
        for _ in 0..FILES {
            self.drop_next();
        }
        self.wait_death(dies)?;
        self.start_again(dies)?;
        self.drop_next();
        self.judge()
    }

    /// From their next start on both daemons have this bug.
    pub(crate) fn plant(&mut self, plant: &str) {
        let planted = ("DRAY_PLANT".into(), plant.into());
        self.site.environment.push(planted);
    }

    pub(crate) fn stop(&mut self, dies: Dies) {
        let mut daemon = self.daemon(dies).take().expect("it runs");
        daemon.kill().expect("a kill");
    }

    /// Starts it with the edge at which it is to die, which may come before it is heard of.
    pub(crate) fn start_to_die(&mut self, dies: Dies, edge: &str) {
        let mut environment = self.site.environment.clone();
        environment.push(("DRAY_KILL_AT".into(), edge.into()));
        let config = self.config(dies);
        let started = Daemon::start_in(dies.program(), &config, &environment);
        *self.daemon(dies) = Some(started.expect("a daemon"));
    }

    /// Waits until the daemon has died by SIGKILL; meanwhile more files keep coming.
    pub(crate) fn wait_death(&mut self, dies: Dies) -> Result<(), Found> {
        self.wait_death_within(dies, DIES_WITHIN)
    }

    pub(crate) fn wait_death_within(&mut self, dies: Dies, limit: Duration) -> Result<(), Found> {
        let end = Instant::now() + limit;
        loop {
            let daemon = self.daemon(dies).as_mut().expect("it was started");
            let ended = daemon
                .wait_end(Duration::from_millis(400))
                .expect("our own child");
            match ended {
                Some(status) if status.signal() == Some(9) => return Ok(()),
                Some(status) => return Err(Found::NoStart(format!("it ended with {status}"))),
                None if Instant::now() > end => return Err(Found::NotPassed),
                None => self.drop_next(),
            }
        }
    }

    /// Starts the daemon without an edge.
    pub(crate) fn start_again(&mut self, dies: Dies) -> Result<(), Found> {
        let started = match dies {
            Dies::Agent => self.site.start_agent(),
            Dies::Collector => self.site.start_collector(),
        };
        started.map_err(|error| Found::NoStart(format!("{error:#}")))
    }

    /// Waits until everything arrived and every file is archived, or nothing comes any more; then judges target and log.
    pub(crate) fn judge(&self) -> Result<(), Found> {
        let not_whole = |said: String| Err(Found::NotWhole(said));
        let mut waited = Instant::now() + self.patience;
        let mut known = (0, 0);
        let at_target = loop {
            let now = (self.erp.events(), self.archived());
            let verdict = judge(self.sent(), &self.erp.arrivals());
            let is_over = verdict.lost == 0 && now.1 >= self.files;
            if is_over || Instant::now() > waited {
                break verdict;
            }
            if now != known {
                (known, waited) = (now, Instant::now() + self.patience);
            }
            self.erp
                .wait(Duration::from_millis(25), |events| events > now.0);
        };
        if !at_target.clean() {
            return not_whole(format!("at the target: {at_target}"));
        }
        if self.archived() != self.files {
            return not_whole(format!(
                "{} files, {} archived",
                self.files,
                self.archived()
            ));
        }
        let arrivals = match self.site.log_arrivals() {
            Ok(arrivals) => arrivals,
            Err(error) => return not_whole(format!("the log can't be read: {error:#}")),
        };
        let in_log = judge(self.sent(), &arrivals);
        let lost = if self.log_is_trimmed { 0 } else { in_log.lost };
        let clean = Verdict {
            lost,
            ..in_log.clone()
        }
        .clean();
        if !clean || in_log.repeats > 0 {
            return not_whole(format!("in the log: {in_log}"));
        }
        if self.flow == Flow::Answering && self.told() != self.files {
            return not_whole(format!("{} files, {} told of", self.files, self.told()));
        }
        Ok(())
    }

    fn sent(&self) -> impl Iterator<Item = String> + use<> {
        let code = match self.flow {
            Flow::Moving | Flow::Keeping => "MV",
            Flow::Answering => family(ANSWERED).code,
        };
        (0..self.files * LINES).map(|n| number(code, n))
    }

    /// How many acknowledgements stand in their folder, each of another file. What has no name yet does not count.
    fn told(&self) -> u64 {
        let entries = std::fs::read_dir(self.at(BACK)).expect("the folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        let mut texts = HashSet::new();
        for name in names.filter(|name| !name.starts_with('.')) {
            let text = std::fs::read_to_string(self.at(BACK).join(name)).expect("a text");
            assert!(
                text.contains("AK9*A*1*1*1~") && text.contains("IEA*1*"),
                "{text}"
            );
            assert!(texts.insert(text), "one is there twice");
        }
        texts.len() as u64
    }

    fn archived(&self) -> u64 {
        if self.flow == Flow::Keeping {
            let ledger = self.at("agent/sources/movements/ledger");
            let text = std::fs::read_to_string(ledger).unwrap_or_default();
            let acked = text.lines().filter(|line| line.starts_with("acked\t"));
            let names: HashSet<_> = acked.filter_map(|line| line.split('\t').nth(9)).collect();
            return names.len() as u64;
        }
        files_in(&self.site.drops("movements").join("archive"))
    }

    fn daemon(&mut self, dies: Dies) -> &mut Option<Daemon> {
        match dies {
            Dies::Agent => &mut self.site.agent,
            Dies::Collector => &mut self.site.collector,
        }
    }

    fn config(&self, dies: Dies) -> PathBuf {
        match dies {
            Dies::Agent => self.site.agent_config(),
            Dies::Collector => self.site.collector_config(),
        }
    }
}

impl Flow {
    fn spec(self, folder: &Path) -> FlowSpec {
        let mut spec = match self {
            Self::Moving | Self::Keeping => FlowSpec::movements("movements"),
            Self::Answering => family(ANSWERED).flow(folder).expect("a flow"),
        };
        spec.name = "movements".into();
        // A restarted agent has not seen its files being closed, and waits for them to be quiet.
        spec.source += "quiet = \"50ms\"\nscan_every = \"200ms\"\n";
        match self {
            Self::Moving => {}
            Self::Keeping => spec.source += "after = \"keep\"\n",
            Self::Answering => {
                let back = folder.join(BACK);
                std::fs::create_dir(&back).expect("a folder");
                spec.source += &format!("acknowledge.folder = \"{}\"\n", back.display());
            }
        }
        spec
    }

    /// The file of this number.
    fn file(self, number: u64) -> Vec<u8> {
        let first = number * LINES;
        match self {
            Self::Moving | Self::Keeping => movements(first, LINES, ITEMS).into_bytes(),
            Self::Answering => family(ANSWERED).file(first, LINES, ITEMS),
        }
    }
}

fn family(name: &str) -> &'static Family {
    let mut families = FAMILIES.iter();
    families
        .find(|family| family.name == name)
        .expect("it is one")
}

fn files_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().is_file()).count() as u64
}
