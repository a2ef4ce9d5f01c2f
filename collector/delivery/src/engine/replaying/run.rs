//! The replay that runs, as far as it needs no engine.

use std::collections::{HashMap, HashSet, VecDeque};

use dray_proto::{FlowName, Offset};
use dray_store::{AuditEntry, Cursor, Replay, ReplayNote, ReplayProgress, ReplayState};

use crate::catalogue::Phase;
use crate::cursor::Finished;
use crate::phase::passed::Passed;
use crate::policy::KeyId;
use crate::replay::{Item, Pace, Pages, Picked, Plan, What, entry};

/// The replay that runs.
pub(in crate::engine) struct Replaying {
    pub(super) id: u64,
    pub(super) run: u32,
    pub(super) approved_by: String,
    pub(super) plan: Plan,
    pub(super) edited: Vec<u8>,
    pub(super) total: u64,
    pub(super) pace: Pace,
    pub(super) settled: Finished,
    pub(super) progress: ReplayProgress,
    /// Of each of its keys: the newest offset that was delivered and is not of the replay.
    pub(super) newest: HashMap<KeyId, u64>,
    /// What of its flows passed by unsent, and which flows' changed since the last step.
    pub(super) passed: HashMap<FlowName, Passed>,
    pub(super) passed_dirty: HashSet<FlowName>,
    /// What its selection is, until it is surveyed.
    pub(super) unread: Option<Picked>,
    /// Whether what was finished when it began is on disk: only then the store knows of each event whether it was delivered or became an
    /// exception. What is delivered later is noted as it comes.
    pub(super) ground: Written,
    pub(super) is_surveyed: bool,
    pub(super) pages: Option<Box<Pages>>,
    pub(super) page: VecDeque<Item>,
    pub(super) all_read: bool,
    /// Lanes that hold one of it.
    pub(super) busy: HashSet<u64>,
    pub(super) refused_in_row: u32,
    pub(super) notes: Vec<ReplayNote>,
    pub(super) dirty: bool,
    pub(super) becomes: Option<(ReplayState, AuditEntry)>,
    /// Nothing more of it is sent.
    pub(super) stopped: bool,
}

/// How far what was finished before is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Written {
    /// The next step takes it.
    Not,
    /// A step with all of it is under way.
    Soon,
    /// It is on disk.
    Whole,
}

/// Of one event.
pub(super) enum End {
    Delivered,
    Accepted,
    Refused(String),
    Overtaken(u64),
    Held,
    /// Nothing of its flow is sent.
    Closed(Phase),
    Gone(String),
}

impl Replaying {
    /// One whose turn it is.
    pub(super) fn new(run: u32, replay: Replay, plan: Plan, mut picked: Picked) -> Self {
        let cursor = Cursor {
            through: Offset(replay.progress.through),
            above: replay.progress.above.clone(),
        };
        Self {
            id: replay.id,
            run,
            approved_by: replay.approved_by,
            total: picked.len(),
            pace: Pace::new(plan.rate),
            plan,
            edited: std::mem::take(&mut picked.edited),
            settled: Finished::new(&cursor),
            progress: replay.progress,
            newest: HashMap::new(),
            passed: HashMap::new(),
            passed_dirty: HashSet::new(),
            unread: Some(picked),
            ground: Written::Not,
            is_surveyed: false,
            pages: None,
            page: VecDeque::new(),
            all_read: false,
            busy: HashSet::new(),
            refused_in_row: 0,
            notes: Vec::new(),
            dirty: false,
            becomes: None,
            stopped: false,
        }
    }

    /// The first that may enter its lane: none of its lane is there, or before it on the page. `is_open`: of which flows.
    pub(super) fn next_item(&mut self, is_open: impl Fn(&FlowName) -> bool) -> Option<Item> {
        let mut passed: HashSet<u64> = HashSet::new();
        let at = self.page.iter().position(|item| match &item.what {
            What::Event(loaded) => {
                let lane = loaded.events[0].lane;
                !self.busy.contains(&lane) && passed.insert(lane) && is_open(&loaded.place.flow)
            }
            What::Letter(_) | What::Gone(..) => true,
        })?;
        self.page.remove(at)
    }

    /// Counts what came of one; the note that it leaves.
    pub(super) fn count(&mut self, end: End) -> Option<String> {
        let progress = &mut self.progress;
        let (count, note) = match end {
            End::Delivered => (&mut progress.delivered, None),
            End::Accepted => (&mut progress.accepted, None),
            End::Refused(reason) => (&mut progress.refused, Some(format!("refused: {reason}"))),
            End::Overtaken(0) => (&mut progress.overtaken, Some("a later event of its key was delivered".to_owned())),
            End::Overtaken(newer) => (
                &mut progress.overtaken,
                Some(format!(
                    "a later event of its key was delivered since, or left to the old way: offset {newer}"
                )),
            ),
            End::Held => (
                &mut progress.held,
                Some("its key waits behind a dead letter, or for the target: settle that, then plan it anew".to_owned()),
            ),
            End::Closed(phase) => (
                &mut progress.held,
                Some(format!(
                    "its flow is in phase {phase} at this target: nothing of it is sent; plan it anew once it is live"
                )),
            ),
            End::Gone(reason) => (&mut progress.gone, Some(format!("gone: {reason}"))),
        };
        *count += 1;
        if note.is_none() {
            self.refused_in_row = 0;
        }
        note
    }

    /// The target got it: it passed by no longer.
    pub(super) fn sent(&mut self, flow: &FlowName, offset: Offset) {
        let passed = self.passed.get_mut(flow);
        if passed.is_some_and(|passed| passed.take_out(offset)) {
            self.passed_dirty.insert(flow.clone());
        }
    }

    /// It gets another state with the next step; nothing more of it is sent.
    pub(super) fn becomes(&mut self, state: ReplayState, action: &str, detail: &str) {
        self.becomes = Some((state, entry("collector", action, self.id, detail, 0)));
        self.stopped = true;
        self.dirty = true;
    }

    pub(super) fn settled_count(&self) -> u64 {
        self.settled.through().0 + self.settled.above()
    }

    pub(super) fn summary(&self) -> String {
        let ReplayProgress {
            delivered,
            accepted,
            refused,
            overtaken,
            held,
            gone,
            ..
        } = &self.progress;
        format!(
            "{delivered} delivered, {accepted} taken on, {refused} refused, {overtaken} overtaken, {held} held, {gone} gone of {}",
            self.total
        )
    }
}
