//! What is asked of a database, beside other work.

use std::convert::Infallible;
use std::future::pending;
use std::pin::{Pin, pin};

/// A question, or the answer to it that nobody took yet, or neither.
pub(super) struct Question<'q, T> {
    asked: Option<Pin<Box<dyn Future<Output = T> + 'q>>>,
    answer: Option<T>,
}

impl<'q, T> Question<'q, T> {
    pub(super) fn none() -> Self {
        Self {
            asked: None,
            answer: None,
        }
    }

    pub(super) fn ask(&mut self, question: impl Future<Output = T> + 'q) {
        self.asked = Some(Box::pin(question));
        self.answer = None;
    }

    pub(super) fn is_none(&self) -> bool {
        self.asked.is_none() && self.answer.is_none()
    }

    /// Waits for the answer; without a question, for ever. May be dropped and called again.
    pub(super) async fn answered(&mut self) -> T {
        match (self.answer.take(), &mut self.asked) {
            (Some(answer), _) => answer,
            (None, None) => pending().await,
            (None, Some(asked)) => {
                let answer = asked.await;
                self.asked = None;
                answer
            }
        }
    }

    /// Sees to it that the question goes on, and keeps its answer.
    async fn goes_on(&mut self) -> Infallible {
        if let Some(asked) = &mut self.asked {
            let answer = asked.await;
            self.asked = None;
            self.answer = Some(answer);
        }
        pending().await
    }
}

/// Waits for other work, and lets two questions go on meanwhile: a session with an open transaction is not left alone by a flow that is held up.
pub(super) async fn beside<T, A, B>(
    work: impl Future<Output = T>,
    one: &mut Question<'_, A>,
    other: &mut Question<'_, B>,
) -> T {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        done = &mut work => done,
        never = one.goes_on() => match never {},
        never = other.goes_on() => match never {},
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn questions_go_on_while_something_else_is_waited_for() {
        let (tell, told) = oneshot::channel();
        let (mut one, mut other) = (Question::none(), Question::none());
        assert!(one.is_none());
        one.ask(async {
            tokio::task::yield_now().await;
            // The transaction is closed.
            tell.send(()).expect("somebody waits for that");
            7
        });
        other.ask(async { 8 });
        // Whoever holds the flow up waits for just that.
        beside(told, &mut one, &mut other)
            .await
            .expect("it is told");
        beside(tokio::task::yield_now(), &mut one, &mut other).await;
        assert!(!one.is_none() && !other.is_none(), "the answers are kept");
        assert_eq!((one.answered().await, other.answered().await), (7, 8));
        assert!(one.is_none() && other.is_none());
    }
}
