//! A round: the folder there is listed, and what is complete lands here, in order.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

use dray_edges::edge;

use crate::config::{FileDropConfig, Order};
use crate::matcher::Matcher;

use super::Failure;
use super::config::{Afterwards, SftpConfig};
use super::journal::{Journal, NAMES_MAX};
use super::land::{Landing, Part};
use super::listing::{Listing, Remote, Stillness};
use super::session::{No, Session, broken};

/// The pickup of one flow, between its connections.
pub(crate) struct Round {
    pub(super) config: SftpConfig,
    matcher: Matcher,
    order: Order,
    landing: Landing,
    pub(super) journal: Option<Journal>,
    flow: String,
    still: Stillness,
    began: Instant,
    /// Whether no part can be there that belongs to no file: one of an earlier life, or of a download that broke off.
    is_swept: bool,
    /// Files that landed and that the server does not let go: they are not downloaded again.
    pub(super) stays: HashSet<Remote>,
    /// The first file that can't be taken, and why, and how many there are; of the newest round.
    trouble: Option<(String, String)>,
    troubles: usize,
    /// Files that the server shows otherwise in a listing than by themselves.
    shown_otherwise: HashMap<String, Remote>,
    /// What was said of entries that are passed over.
    told: HashMap<String, &'static str>,
}

/// What became of a file.
pub(super) enum Taken {
    /// It is here, and what was to be done there is done.
    Yes,
    /// Those after it wait for it.
    Waits(Duration),
    /// It can't be taken; others go on.
    No(String),
}

impl Round {
    /// `flow`: what tells flows of one folder apart.
    pub(crate) fn new(
        flow: &str,
        config: &FileDropConfig,
        sftp: &SftpConfig,
    ) -> Result<Self, String> {
        Ok(Self {
            matcher: config.matcher()?,
            order: config.order,
            landing: Landing::new(&config.folder, flow),
            journal: None,
            flow: flow.to_owned(),
            still: Stillness::new(sftp.ready, sftp.quiet),
            began: Instant::now(),
            is_swept: false,
            stays: HashSet::new(),
            trouble: None,
            troubles: 0,
            shown_otherwise: HashMap::new(),
            told: HashMap::new(),
            config: sftp.clone(),
        })
    }

    /// What is wrong with single files.
    pub(crate) fn trouble(&self) -> Option<String> {
        let (name, reason) = self.trouble.as_ref()?;
        let more = match self.troubles {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        Some(format!("{name}: {reason}{more}"))
    }

    /// Works through one listing; how long until the next. `listed` is called when it is there: the work may take hours.
    pub(crate) async fn run(
        &mut self,
        session: &Session,
        listed: impl Fn(),
    ) -> Result<Duration, Failure> {
        self.recover()?;
        let listing = self.list(session).await?;
        listed();
        self.still.listed(&listing);
        self.sweep(&listing)?;
        if !self.stays.is_empty() {
            let listed: HashSet<&Remote> = listing.files.values().collect();
            self.stays.retain(|stays| listed.contains(stays));
        }
        if !self.shown_otherwise.is_empty() {
            let listed: HashSet<&str> = listing.files.values().map(|file| &*file.name).collect();
            self.shown_otherwise
                .retain(|name, _| listed.contains(&**name));
        }
        (self.trouble, self.troubles) = (None, 0);
        let now = self.began.elapsed();
        for remote in listing.files.values() {
            if let Some(wait) = self.still.waits(remote, now) {
                self.look_at_others(&listing, now);
                return Ok(wait.min(self.config.poll_every));
            }
            self.is_swept = false;
            let taken = self.take(session, remote).await?;
            self.is_swept = true;
            match taken {
                Taken::Yes => {}
                Taken::Waits(wait) => return Ok(wait.min(self.config.poll_every)),
                Taken::No(reason) => self.tell(&remote.name, reason),
            }
        }
        let more = listing.is_cut && self.troubles == 0;
        Ok(if more {
            Duration::ZERO
        } else {
            self.config.poll_every
        })
    }

    /// Those after one that waits begin to stand still as well.
    fn look_at_others(&mut self, listing: &Listing, now: Duration) {
        for remote in listing.files.values() {
            let _ = self.still.waits(remote, now);
        }
    }

    fn tell(&mut self, name: &str, reason: String) {
        tracing::debug!(file = name, reason, "a file there can't be taken now");
        self.troubles += 1;
        self.trouble.get_or_insert((name.to_owned(), reason));
    }

    pub(super) fn journal(&mut self) -> Result<&mut Journal, Failure> {
        if self.journal.is_none() {
            let opened = Journal::open(&self.landing.root, &self.flow);
            self.journal = Some(opened.map_err(|error| {
                Failure::Here(format!(
                    "archive/.dray/sftp-{} in {} can't be written: {error}; give the agent's user the right to",
                    self.flow,
                    self.landing.root.display()
                ))
            })?);
        }
        self.journal
            .as_mut()
            .ok_or_else(|| Failure::Here("the journal is not open".into()))
    }

    pub(super) fn here(&self, what: &str, error: &io::Error) -> Failure {
        let root = self.landing.root.display();
        Failure::Here(match error.kind() {
            io::ErrorKind::AlreadyExists => format!(
                "{what} waits: a file of that name lies in {root} and is not read yet; it lands once that one is"
            ),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                format!("{what} has no room in {root}: {error}; make room, it goes on by itself")
            }
            _ => format!(
                "{what} can't be written in {root}: {error}; look at the disk, and at the rights of the agent's user"
            ),
        })
    }

    fn recover(&mut self) -> Result<(), Failure> {
        self.journal()?;
        let Some(journal) = &mut self.journal else {
            return Ok(());
        };
        match self.landing.recover(journal) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.here("a file that was picked up", &error)),
        }
    }

    async fn list(&mut self, session: &Session) -> Result<Listing, Failure> {
        let keeps = self.config.after == Some(Afterwards::Keep);
        let mut listed = HashSet::new();
        self.journal()?;
        let Some(journal) = &mut self.journal else {
            return Ok(Listing::default());
        };
        let is_full = journal.len() >= NAMES_MAX;
        let found = session
            .list(
                &self.config.folder,
                (&self.matcher, self.order),
                |remote| keeps && journal.knows(remote),
                |name| {
                    if is_full && journal.get(name).is_some() {
                        listed.insert(name.to_owned());
                    }
                },
            )
            .await;
        let listing = match found {
            Ok(listing) => listing,
            Err(No::Line(said)) => return Err(broken(&self.config, &said)),
            Err(no) => {
                return Err(Failure::Away(format!(
                    "{} can't be listed: {}; make the folder there, correct folder, or ask the server's operator",
                    self.config.place(),
                    no.said()
                )));
            }
        };
        if is_full {
            let shrunk = journal.shrink(|name| listed.contains(name));
            let is_full = journal.len() >= NAMES_MAX;
            shrunk.map_err(|error| self.here("the journal", &error))?;
            if is_full {
                return Err(Failure::Here(format!(
                    "{} holds more than {NAMES_MAX} files that were picked up; take old ones away there, or use after = \"delete\" or \"move:FOLDER\"",
                    self.config.place()
                )));
            }
        }
        self.tell_passed_over(&listing);
        Ok(listing)
    }

    fn tell_passed_over(&mut self, listing: &Listing) {
        let mut told = HashMap::new();
        for (name, reason) in &listing.passed_over {
            if self.told.get(name) != Some(reason) {
                tracing::warn!(place = self.config.place(), file = ?name, reason, "a file there is not picked up");
            }
            told.insert(name.clone(), *reason);
        }
        self.told = told;
    }

    fn sweep(&mut self, listing: &Listing) -> Result<(), Failure> {
        let Some(journal) = self.journal.as_ref().filter(|_| !self.is_swept) else {
            return Ok(());
        };
        self.landing
            .sweep(listing.files.values(), journal)
            .map_err(|error| self.here("a part", &error))?;
        self.is_swept = true;
        Ok(())
    }

    /// Brings one file here, unless it is here.
    async fn take(&mut self, session: &Session, remote: &Remote) -> Result<Taken, Failure> {
        let name = &remote.name;
        if self.stays.contains(remote) {
            return self.put_away(session, remote).await;
        }
        if let Some(taken) = self.is_shown_otherwise(session, remote).await? {
            return Ok(taken);
        }
        if !self.journal()?.knows(remote) {
            self.is_free(name)?;
        }
        let part = self.landing.part(remote).await;
        let mut part = part.map_err(|error| self.here(name, &error))?;
        self.has_room(remote, &part)?;
        let is_whole = match self.download(session, remote, &mut part).await? {
            Ok(is_whole) => is_whole,
            Err(No::Missing) => {
                self.landing.drop_part(&part.name);
                return Ok(Taken::Yes);
            }
            Err(no) => {
                self.landing.drop_part(&part.name);
                return Ok(Taken::No(format!(
                    "it can't be read there: {}; give {} the right to",
                    no.said(),
                    self.config.user
                )));
            }
        };
        if !is_whole || !self.is_as_listed(session, remote, &part).await? {
            self.tell(name, "it changes while it is downloaded; it lands once it stands still, and those after it wait".into());
            self.landing.drop_part(&part.name);
            // The newest listing is out of date.
            return Ok(Taken::Waits(self.config.quiet));
        }
        self.land(remote, part)?;
        edge!("file_drop.sftp_before_remote");
        self.put_away(session, remote).await
    }

    /// A listing that shows a file otherwise than the file itself is out of date; or the server always does so, and the file
    /// can't be known again.
    async fn is_shown_otherwise(
        &mut self,
        session: &Session,
        remote: &Remote,
    ) -> Result<Option<Taken>, Failure> {
        let name = &remote.name;
        let now = match session.look(&self.config, name).await {
            Ok(now) if now == *remote => {
                self.shown_otherwise.remove(name);
                return Ok(None);
            }
            Ok(now) => now,
            Err(No::Missing) => return Ok(Some(Taken::Yes)),
            Err(No::Line(said)) => return Err(broken(&self.config, &said)),
            Err(no) => {
                let said = no.said();
                return Ok(Some(Taken::No(format!(
                    "it can't be looked at there: {said}; give {} the right to",
                    self.config.user
                ))));
            }
        };
        let before = self.shown_otherwise.insert(name.clone(), now.clone());
        if before.as_ref() != Some(&now) {
            // The next listing knows.
            return Ok(Some(Taken::Waits(self.config.quiet)));
        }
        Ok(Some(Taken::No(
            "the server lists it with another size or time than it shows of the file itself; ask its operator".into(),
        )))
    }

    /// Whether a file of this name may land.
    fn is_free(&self, name: &str) -> Result<(), Failure> {
        match self.landing.is_taken(name) {
            Ok(false) => Ok(()),
            Ok(true) => Err(self.here(name, &io::ErrorKind::AlreadyExists.into())),
            Err(error) => Err(self.here(name, &error)),
        }
    }

    fn has_room(&self, remote: &Remote, part: &Part) -> Result<(), Failure> {
        let missing = remote.bytes.saturating_sub(part.bytes);
        let room = self.landing.has_room(missing);
        match room.map_err(|error| self.here(&remote.name, &error))? {
            Ok(()) => Ok(()),
            Err(free) => Err(Failure::Here(format!(
                "{} needs {missing} bytes and 512 MiB to spare, and {} has {free} free; make room, it goes on by itself",
                remote.name,
                self.landing.root.display()
            ))),
        }
    }

    async fn download(
        &self,
        session: &Session,
        remote: &Remote,
        part: &mut Part,
    ) -> Result<Result<bool, No>, Failure> {
        let path = self.config.path_of(&remote.name);
        let range = (part.bytes, remote.bytes);
        let (mut reads, handle) = match session.read(path, range, self.config.timeout).await {
            Ok(opened) => opened,
            Err(No::Line(said)) => return Err(broken(&self.config, &said)),
            Err(no) => return Ok(Err(no)),
        };
        let ended = loop {
            match reads.next().await.map_err(No::from) {
                Ok(Some(piece)) => {
                    if let Err(error) = part.write(&piece) {
                        session.end(handle);
                        return Err(self.here(&remote.name, &error));
                    }
                    edge!("file_drop.sftp_in_download");
                }
                Ok(None) => break session.is_end(&handle, remote.bytes).await,
                Err(no) => break Err(no),
            }
        };
        session.end(handle);
        match ended {
            Err(No::Line(said)) => Err(broken(&self.config, &said)),
            ended => Ok(ended),
        }
    }

    async fn is_as_listed(
        &self,
        session: &Session,
        remote: &Remote,
        part: &Part,
    ) -> Result<bool, Failure> {
        match session.look(&self.config, &remote.name).await {
            Ok(now) => Ok(now == *remote && part.bytes == remote.bytes),
            Err(No::Line(said)) => Err(broken(&self.config, &said)),
            // What could be looked at before is gone now.
            Err(_) => Ok(false),
        }
    }

    /// Lets a whole part land, unless it is what had landed before.
    fn land(&mut self, remote: &Remote, part: Part) -> Result<(), Failure> {
        let name = &remote.name;
        let sha256 = part.sha256();
        let journal = self.journal()?;
        let is_known = journal.knows(remote);
        if is_known
            && journal
                .get(name)
                .is_some_and(|entry| entry.sha256 == sha256)
        {
            tracing::info!(
                file = name,
                "it landed before the restart; it is not landed again"
            );
            self.landing.drop_part(&part.name);
            return Ok(());
        }
        self.is_free(name)?;
        let Some(journal) = &mut self.journal else {
            return Ok(());
        };
        let bytes = part.bytes;
        match self.landing.land(part, remote, journal) {
            Ok(()) => {
                tracing::debug!(file = name, bytes, "a file was picked up");
                Ok(())
            }
            Err(error) => Err(self.here(name, &error)),
        }
    }
}
