//! Where calls wait for the flow's thread, and their callers for its answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dray_adapter::CallOutcome;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::Call;
use crate::content::Content;

/// Calls that wait to be decoded, at most: with what each keeps in memory, 16 MiB.
pub(crate) const WAITING_MAX: usize = 256;

/// Tellings that wait for the thread that serves; more go to the callers one by one.
const TOLD_MAX: usize = 64;

/// Why calls are turned away.
pub(super) const FULL: &str = "nothing can be appended now: look why the flow waits";

/// Why a call can't be taken in.
pub(super) const UNKEPT: &str = "it can't be kept while it waits: look at the disk of the agent's data folder, and at limits.waiting_bytes_max";
/// Why calls are turned away at the end.
pub(super) const ENDED: &str = "the flow ended or began anew meanwhile";
/// Why a call that was taken can't be read.
pub(crate) const UNREADABLE: &str =
    "the file in which it waits can't be read: look at the disk of the agent's data folder";

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is on stable storage; `repeated`: by an earlier try.
    Stored { records: u64, repeated: bool },
    /// It is wrong: the same again is refused again.
    Refused(String),
    /// Not now, and why.
    Later(&'static str),
}

impl Answer {
    /// What is counted.
    pub(crate) fn outcome(&self) -> CallOutcome {
        match self {
            Self::Stored {
                repeated: false, ..
            } => CallOutcome::Stored,
            Self::Stored { repeated: true, .. } => CallOutcome::Repeated,
            Self::Refused(_) => CallOutcome::Refused,
            Self::Later(_) => CallOutcome::Later,
        }
    }
}

/// A call that waits.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) call: Arc<Call>,
    pub(crate) content: Content,
    pub(crate) received_us: i64,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// Who waits for an answer, and the answer.
pub(crate) type Told = (oneshot::Sender<Answer>, Answer);

#[derive(Default)]
struct State {
    waiting: VecDeque<Message>,
    busy: Option<&'static str>,
    wake: Option<Arc<dyn Fn() + Send + Sync>>,
    /// To the thread that serves, while there is one.
    answers: Option<mpsc::Sender<Vec<Told>>>,
}

/// Between the threads that serve and the one that decodes.
#[derive(Default)]
pub(crate) struct Exchange(Mutex<State>);

impl Exchange {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whom to wake when a call comes.
    pub(crate) fn wakes(&self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.state().wake = Some(wake);
    }

    /// Hands a call over.
    ///
    /// # Errors
    /// Why there is no room for it.
    pub(crate) fn submit(&self, message: Message) -> Result<(), &'static str> {
        let mut state = self.state();
        if let Some(why) = state.busy {
            return Err(why);
        }
        if state.waiting.len() == WAITING_MAX {
            return Err("as many calls wait to be read as may");
        }
        state.waiting.push_back(message);
        let wake = (state.waiting.len() == 1)
            .then(|| state.wake.clone())
            .flatten();
        drop(state);
        if let Some(wake) = wake {
            wake();
        }
        Ok(())
    }

    /// What is to be told to callers, from now on: whoever serves them waits for it. One waking of that thread stands for all that
    /// was committed together.
    pub(crate) fn answers(&self) -> mpsc::Receiver<Vec<Told>> {
        let (answers, told) = mpsc::channel(TOLD_MAX);
        self.state().answers = Some(answers);
        told
    }

    /// Answers callers.
    pub(crate) fn answer(&self, told: Vec<Told>) {
        if told.is_empty() {
            return;
        }
        let left = match &self.state().answers {
            Some(answers) => answers.try_send(told).err().map(TrySendError::into_inner),
            None => Some(told),
        };
        tell(left.unwrap_or_default());
    }

    /// The next call.
    pub(crate) fn next(&self) -> Option<Message> {
        self.state().waiting.pop_front()
    }

    /// Why calls are turned away until further notice, if they are. Those that wait are too.
    pub(crate) fn set_busy(&self, busy: Option<&'static str>) {
        let mut state = self.state();
        state.busy = busy;
        let turned_away = match busy {
            Some(_) => std::mem::take(&mut state.waiting),
            None => VecDeque::new(),
        };
        drop(state);
        let why = busy.unwrap_or_default();
        let later = |message: Message| (message.reply, Answer::Later(why));
        tell(turned_away.into_iter().map(later));
    }
}

/// Who does not wait any longer needs no answer.
pub(crate) fn tell(told: impl IntoIterator<Item = Told>) {
    for (reply, answer) in told {
        let _ = reply.send(answer);
    }
}
