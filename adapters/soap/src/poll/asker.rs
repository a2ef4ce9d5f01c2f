//! The thread that asks: requests are sent and answers are read whole in it, so that a poll never waits for either.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use jiff::Timestamp;
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};

use super::answer::{self, Answer, Head};
use super::client::{Client, unpacking};
use super::failure::{Cause, Failure, masked};
use super::plan::Ask;
use super::secrets::Secrets;
use super::service::Service;
use crate::content::Content;
use crate::multipart;

/// One question is asked at a time.
const QUESTIONS_MAX: usize = 1;

pub(super) type Found = Result<Answer, Failure>;
type Slot = Arc<Mutex<Option<Found>>>;

/// Asks when it is told to. Dropped, it asks no more.
pub(super) struct Asker {
    questions: mpsc::Sender<Ask>,
    slot: Slot,
    /// Its end is seen by the thread, in the middle of a request too.
    _ends: oneshot::Sender<()>,
}

impl Asker {
    /// `wake`: an answer is there.
    pub(super) fn start(
        service: Arc<Service>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Self, String> {
        let (questions, mut asked) = mpsc::channel(QUESTIONS_MAX);
        let (ends, mut ended) = oneshot::channel::<()>();
        let slot = Slot::default();
        let found = Arc::clone(&slot);
        let failed =
            |error: std::io::Error| format!("no thread can be started to ask the service: {error}");
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let run = move || {
            let span = tracing::info_span!("ask", url = %service.config.url);
            let _inside = span.enter();
            let mut client = None;
            while let Some(ask) = runtime.block_on(next(&mut asked, &mut ended)) {
                let Some(answer) =
                    runtime.block_on(unless_ended(one(&service, &mut client, &ask), &mut ended))
                else {
                    return;
                };
                *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
                wake();
            }
        };
        thread::Builder::new()
            .name("soap-poll".into())
            .spawn(run)
            .map_err(failed)?;
        Ok(Self {
            questions,
            slot,
            _ends: ends,
        })
    }

    /// Asks; whether it could. The answer is found in [`Self::found`] later.
    pub(super) fn ask(&self, ask: Ask) -> bool {
        self.questions.try_send(ask).is_ok()
    }

    /// Whether its thread is gone, as no thread of ours should be.
    pub(super) fn has_ended(&self) -> bool {
        self.questions.is_closed()
    }

    /// The answer, once.
    pub(super) fn found(&self) -> Option<Found> {
        self.slot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

async fn next(asked: &mut mpsc::Receiver<Ask>, ended: &mut oneshot::Receiver<()>) -> Option<Ask> {
    unless_ended(asked.recv(), ended).await.flatten()
}

async fn unless_ended<T>(
    work: impl Future<Output = T>,
    ended: &mut oneshot::Receiver<()>,
) -> Option<T> {
    tokio::select! {
        made = work => Some(made),
        _ = ended => None,
    }
}

/// Asks once. The client is made again after a request that came to nothing: certificates may be new by then.
async fn one(service: &Service, client: &mut Option<Client>, ask: &Ask) -> Found {
    let here = |reason: String| Failure::new(Cause::Here, reason);
    let secrets = Secrets::read(&service.config).map_err(here)?;
    let message = service
        .message(ask, &secrets, rand::random())
        .map_err(here)?;
    let way = match client.take() {
        Some(way) => way,
        None => Client::new(service).map_err(here)?,
    };
    let (head, content, content_type) = way.ask(service, message, &secrets).await?;
    let found = taken(
        service,
        &head,
        content,
        &content_type,
        &secrets.hidden,
        Timestamp::now(),
    );
    *client = found.is_ok().then_some(way);
    found
}

/// What an answer says, in one part or in several.
pub(super) fn taken(
    service: &Service,
    head: &Head,
    content: Content,
    content_type: &str,
    hidden: &[String],
    now: Timestamp,
) -> Found {
    let content = whole(service, content, content_type, hidden)?;
    answer::read(service, head, content, hidden, now)
}

/// The message, where the answer is parts of one.
fn whole(
    service: &Service,
    content: Content,
    content_type: &str,
    hidden: &[String],
) -> Result<Content, Failure> {
    let Some(related) = multipart::boundary(content_type) else {
        return Ok(content);
    };
    let bytes_max = service.config.limits.message_bytes_max.as_u64();
    multipart::joined(content, &related, bytes_max, &service.folder).map_err(|fault| match fault {
        multipart::Fault::Wrong(reason) => Failure::new(
            Cause::Answer,
            format!(
                "the answer's parts can't be read: {}; ask who runs the service",
                masked(&reason, hidden)
            ),
        ),
        multipart::Fault::Disk(error) => unpacking(&error, service),
    })
}
