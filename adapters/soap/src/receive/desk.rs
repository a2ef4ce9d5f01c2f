//! Answers one request, however its bytes come: admits it, takes its body, reads it, and hands it to the flow.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dray_adapter::Calls;
use hyper::http::request::Parts;
use hyper::{Method, Request};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::body::{Incoming, Intake, pass_over};
use super::exchange::{Answer, ENDED, Exchange, Message, UNKEPT};
use super::noted::UnderWay;
use super::serve::Settings;
use super::{Call, Dialect, Reply, Trouble};
use crate::content::Content;

/// What all connections share.
pub(super) struct Desk {
    dialect: Arc<dyn Dialect>,
    exchange: Arc<Exchange>,
    pub(super) calls: Arc<Calls>,
    intake: Intake,
    answer_within: Duration,
}

/// An answer, and whether the connection ends with it.
pub(super) type Answered = (Reply, bool);

impl Desk {
    pub(super) fn new(
        settings: &Settings,
        dialect: Arc<dyn Dialect>,
        exchange: Arc<Exchange>,
        calls: Arc<Calls>,
    ) -> Self {
        Self {
            dialect,
            exchange,
            calls,
            intake: Intake::new(&settings.limits, Arc::clone(&settings.folder)),
            answer_within: settings.limits.answer_within,
        }
    }

    /// Answers it, and counts what became of it.
    pub(super) async fn answer(&self, request: Request<impl Incoming>, peer: IpAddr) -> Answered {
        let (parts, body) = request.into_parts();
        let call = UnderWay::new(&self.calls, peer);
        if let Some(page) = self.dialect.page(&parts) {
            match parts.method {
                Method::GET | Method::HEAD | Method::OPTIONS => call.forget(),
                _ => call.answered(&page),
            }
            return (page, false);
        }
        let answered = self.decide(parts, body).await;
        call.answered(&answered.0);
        answered
    }

    async fn decide(&self, parts: Parts, mut body: impl Incoming) -> Answered {
        if let Err(reply) = self.dialect.admit(&parts) {
            let is_whole = body.is_end_stream();
            pass_over(&parts, &mut body).await;
            return (reply, !is_whole);
        }
        let content = match self.intake.take(&parts, &mut body).await {
            Ok(content) => content,
            Err(trouble) => return (self.not_taken(&parts, &mut body, trouble).await, true),
        };
        let parts = Arc::new(parts);
        let (call, content) = match self.read(Arc::clone(&parts), content).await {
            Ok(read) => read,
            Err(reply) => return (reply, false),
        };
        (self.submit(&parts, call, content).await, false)
    }

    async fn not_taken(&self, parts: &Parts, body: &mut impl Incoming, trouble: Trouble) -> Reply {
        let mut reply = self.dialect.trouble(parts, trouble);
        if let Some(reason) = for_the_operator(trouble) {
            reply.reason = reason.into();
        }
        if !matches!(trouble, Trouble::Slow | Trouble::Broken | Trouble::Framing) {
            pass_over(parts, body).await;
        }
        reply
    }

    /// What waits in a file is read by another thread, so that others are answered meanwhile.
    async fn read(
        &self,
        parts: Arc<Parts>,
        mut content: Content,
    ) -> Result<(Call, Content), Reply> {
        let now_us = jiff::Timestamp::now().as_microsecond();
        if let Content::Memory(_) = content {
            let call = self.dialect.read(&parts, &mut content, now_us)?;
            return Ok((call, content));
        }
        let dialect = Arc::clone(&self.dialect);
        let busy = self.dialect.trouble(&parts, Trouble::Busy);
        let read = tokio::task::spawn_blocking(move || {
            let call = dialect.read(&parts, &mut content, now_us)?;
            Ok((call, content))
        });
        read.await.unwrap_or(Err(busy))
    }

    async fn submit(&self, parts: &Parts, call: Call, content: Content) -> Reply {
        let (reply, answer) = oneshot::channel();
        let call = Arc::new(call);
        let message = Message {
            call: Arc::clone(&call),
            content,
            received_us: jiff::Timestamp::now().as_microsecond(),
            reply,
        };
        if let Err(reason) = self.exchange.submit(message) {
            return Reply {
                reason: reason.into(),
                ..self.dialect.trouble(parts, Trouble::Busy)
            };
        }
        let answer = match timeout(self.answer_within, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Answer::Later(ENDED),
            Err(_) => Answer::Later(
                "it was not stored within limits.answer_within: look why the flow waits, or raise it",
            ),
        };
        self.dialect.reply(&call, &answer)
    }
}

/// Where a setting decided: which, and the way out.
pub(super) fn for_the_operator(trouble: Trouble) -> Option<&'static str> {
    match trouble {
        Trouble::TooLarge => Some(
            "it is larger, packed or unpacked, than limits.message_bytes_max: raise it, or have less sent in one call",
        ),
        Trouble::Slow => Some(
            "it did not come within limits.body_within: look at the caller and the network between, or raise it",
        ),
        Trouble::Busy => Some(UNKEPT),
        Trouble::Packing | Trouble::Framing | Trouble::Broken => None,
    }
}
