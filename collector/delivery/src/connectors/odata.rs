//! Entities of an OData service, version 2 or 4, in order per key.
//!
//! Each event becomes an entity (its set and its JSON by templates) and goes its way ([`write`]): looked at, made, changed.
//! What several events need at once travels as one $batch, in JSON or multipart, each in a request of its own or all in one
//! changeset. Parts are judged one by one, by the target's rules first. Of a changeset with a part that failed none stands,
//! whatever its other parts say: SAP CAP (10.1) answers 201 for what it rolls back. A part without an answer is *unknown*.
//!
//! After a lost reply or a kill, upserts and patches are sent again; creates look first, as they would be there twice.

mod found;
mod json_batch;
mod key;
mod make;
mod multipart;
mod part;
mod same;
mod send;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dray_proto::EventId;

use super::{Connector, Delivery, Exchange, Fate, Promise, Rendered, Told, Verdict};
use crate::account::Account;
use crate::config::TargetConfig;
use crate::outcome::Outcome;

use make::Maker;
use part::{Part, Request};
use send::{Sent, Service};
use write::{Manner, Meaning, Step, Walk};

/// See the module.
#[derive(Debug)]
struct Odata {
    service: Service,
    maker: Arc<Maker>,
    manner: Manner,
    atomic: bool,
    settle: Duration,
}

/// The connector of a target; reads its secrets.
pub(super) fn build(
    config: &TargetConfig,
    account: Option<Arc<Account>>,
) -> Result<Arc<dyn Connector>, String> {
    let odata = config.odata.as_ref().ok_or("odata: its table is missing")?;
    let maker = Arc::new(Maker::new(config, odata)?);
    Ok(Arc::new(Odata {
        service: Service::new(config, odata, account, Arc::clone(&maker))?,
        maker,
        manner: Manner::new(odata),
        atomic: odata.atomic,
        settle: odata.settle,
    }))
}

/// What [`build`] would refuse of the table itself.
pub(super) fn check(config: &TargetConfig) -> Result<(), String> {
    let odata = config.odata.as_ref().ok_or("odata: its table is missing")?;
    Maker::new(config, odata).map(|_| ())
}

/// A delivery under way.
struct Course {
    walks: Vec<Walk>,
    /// The last request and answer of each.
    last: Vec<Option<(Request, Part)>>,
    events: Vec<EventId>,
    has_begun: bool,
}

impl Odata {
    async fn tell(self: &Arc<Self>, delivery: Delivery) -> Told {
        let in_doubt = delivery.in_doubt;
        let making = self.making(delivery);
        if in_doubt && self.manner.verifies() {
            // What broke off may still be worked on: looked at too soon, it would be missed, and be there twice.
            tokio::time::sleep(self.settle).await;
        }
        let mut course = making.await;
        match self.go(&mut course).await {
            Some((outcome, exchange)) => Told {
                exchange: exchange.filter(|_| outcome.concerns_events()),
                verdict: Verdict::All(outcome),
                has_begun: course.has_begun,
                kept: BTreeMap::new(),
            },
            None => self.told(course),
        }
    }

    /// What would be written of one event: looks are made, and nothing else.
    async fn dry(self: &Arc<Self>, delivery: Delivery) -> Result<Rendered, Outcome> {
        let mut course = self.making(delivery).await;
        while let Step::Look(_) = course.walks[0].step() {
            if let Some((outcome, _)) = self.look(&mut course, &[0]).await {
                return Err(outcome);
            }
        }
        let walk = &course.walks[0];
        match walk.step() {
            Step::Over(Outcome::Done) => Ok(Rendered {
                request: String::new(),
                document: None,
            }),
            Step::Over(outcome) => Err(outcome.clone()),
            Step::Look(_) | Step::Write(_) => {
                let request = self.requests(&course, &[0]).remove(0);
                let shown = self.service.shown(&request, course.events[0]);
                Ok(Rendered {
                    request: shown.map_err(Outcome::Poison)?,
                    document: request.body.map(Into::into),
                })
            }
        }
    }

    /// The way of each event of a delivery, as it begins; made from now on, awaited or not.
    fn making(self: &Arc<Self>, delivery: Delivery) -> impl Future<Output = Course> + use<> {
        let (maker, in_doubt) = (Arc::clone(&self.maker), delivery.in_doubt);
        let events: Vec<_> = delivery.events.iter().map(|piece| piece.id).collect();
        let manner = self.manner.clone();
        // Templates take milliseconds: not on a thread that serves sockets.
        let making = tokio::task::spawn_blocking(move || {
            let make =
                |piece: &super::Piece| match maker.document(&delivery.body[piece.json.clone()]) {
                    Ok(document) => manner.walk(document, in_doubt),
                    Err(outcome) => Walk::over(outcome),
                };
            delivery.events.iter().map(make).collect::<Vec<_>>()
        });
        async move {
            let walks = match making.await {
                Ok(walks) => walks,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
            Course {
                last: walks.iter().map(|_| None).collect(),
                walks,
                events,
                has_begun: false,
            }
        }
    }

    /// Each document's way to its end. `Some`: what came of all alike.
    async fn go(&self, course: &mut Course) -> Option<(Outcome, Option<Exchange>)> {
        loop {
            let at = |wanted: fn(&Step) -> bool| -> Vec<usize> {
                let all = course.walks.iter().enumerate();
                let wanted = all.filter(|(_, walk)| wanted(walk.step()));
                wanted.map(|(at, _)| at).collect()
            };
            let looks = at(|step| matches!(step, Step::Look(_)));
            let writes = at(|step| matches!(step, Step::Write(_)));
            let all = if !looks.is_empty() {
                self.look(course, &looks).await
            } else if !writes.is_empty() {
                self.write(course, &writes).await
            } else {
                return None;
            };
            if all.is_some() {
                return all;
            }
        }
    }

    async fn look(
        &self,
        course: &mut Course,
        looks: &[usize],
    ) -> Option<(Outcome, Option<Exchange>)> {
        let requests = self.requests(course, looks);
        let of_all =
            looks.len() == course.walks.len() && !course.walks.iter().any(Walk::was_refused);
        match self
            .service
            .send(&requests, false, course.events[looks[0]])
            .await
        {
            Sent::Parts(parts) => {
                // Some services end with the first part that failed, as what is absent does: the others are looked at next.
                let some_answered = parts.iter().any(Option::is_some);
                for ((at, request), part) in looks.iter().zip(requests).zip(parts) {
                    if part.is_none() && some_answered {
                        continue;
                    }
                    let meaning = self.service.meaning(part.as_ref());
                    {
                        let answer = part.as_ref().map(Part::answer);
                        let walk = &mut course.walks[*at];
                        self.manner.saw(walk, answer.as_ref(), meaning);
                    }
                    course.heard(*at, request, part);
                    // Rules may take a while for each: others are served in between.
                    tokio::task::yield_now().await;
                }
                None
            }
            Sent::Whole {
                outcome, exchange, ..
            } if of_all && looks.len() > 1 => Some((outcome, exchange)),
            Sent::Whole { outcome, .. } => {
                for at in looks {
                    let meaning = Meaning {
                        outcome: alone(outcome.clone(), looks.len()),
                        is_ruled: false,
                    };
                    self.manner.saw(&mut course.walks[*at], None, meaning);
                }
                None
            }
        }
    }

    async fn write(
        &self,
        course: &mut Course,
        writes: &[usize],
    ) -> Option<(Outcome, Option<Exchange>)> {
        let requests = self.requests(course, writes);
        let is_group = self.atomic && writes.len() > 1;
        let of_all = writes.len() == course.walks.len() && writes.len() > 1;
        let parts = match self
            .service
            .send(&requests, is_group, course.events[writes[0]])
            .await
        {
            Sent::Parts(parts) => parts,
            Sent::Whole {
                outcome,
                has_begun,
                exchange,
            } => {
                course.has_begun |= has_begun;
                if of_all {
                    return Some((outcome, exchange));
                }
                let outcome = alone(outcome, writes.len());
                writes
                    .iter()
                    .for_each(|at| course.walks[*at].give_up(outcome.clone()));
                return None;
            }
        };
        course.has_begun = true;
        let mut meanings = Vec::with_capacity(parts.len());
        for part in &parts {
            let meaning = self.service.meaning(part.as_ref());
            meanings.push(match part {
                Some(part) if is_group => in_a_group(meaning, part),
                _ => meaning,
            });
            tokio::task::yield_now().await;
        }
        let status = |part: &Option<Part>| part.as_ref().map(|part| part.status);
        let failed = meanings
            .iter()
            .any(|meaning| meaning.outcome != Outcome::Done);
        let mut told: Vec<_> = (0..writes.len()).collect();
        if is_group && failed {
            // None stands. Whose refusal a look may explain is looked at; the others are sent again with what comes of that.
            told.retain(|n| {
                let walk = &course.walks[writes[*n]];
                self.manner
                    .may_look(walk, status(&parts[*n]), &meanings[*n])
            });
            let is_of_all = |part: &Option<Part>| part.as_ref().is_none_or(|part| part.of_all);
            let all_alike = told.len() == writes.len()
                && told
                    .iter()
                    .any(|n| course.walks[writes[*n]].makes_something());
            if told.is_empty() || all_alike || parts.iter().any(is_of_all) {
                return self.group_failed(course, writes, requests, parts, meanings);
            }
        }
        let mut heard: Vec<_> = requests.into_iter().zip(parts).map(Some).collect();
        for n in told {
            let at = writes[n];
            if let Some((request, part)) = heard[n].take() {
                let walk = &mut course.walks[at];
                self.manner.wrote(walk, status(&part), meanings[n].clone());
                course.heard(at, request, part);
            }
        }
        None
    }

    /// A group of which a part failed, and none stands: the gravest of what its parts were told holds for all.
    fn group_failed(
        &self,
        course: &mut Course,
        writes: &[usize],
        requests: Vec<Request>,
        parts: Vec<Option<Part>>,
        meanings: Vec<Meaning>,
    ) -> Option<(Outcome, Option<Exchange>)> {
        let all = requests.into_iter().zip(parts).zip(meanings).zip(writes);
        let gravest = all
            .filter(|((_, meaning), _)| meaning.outcome != Outcome::Done)
            .max_by_key(|((_, meaning), _)| gravity(&meaning.outcome))?;
        let (((request, part), meaning), at) = gravest;
        let status = part.as_ref().map(|part| part.status);
        let outcome = self.manner.end(&course.walks[*at], status, meaning);
        if writes.len() == course.walks.len() {
            let exchange =
                part.map(|part| self.service.exchange(&request, &part, course.events[*at]));
            return Some((outcome, exchange));
        }
        let outcome = alone(outcome, writes.len());
        writes
            .iter()
            .for_each(|at| course.walks[*at].give_up(outcome.clone()));
        None
    }

    fn requests(&self, course: &Course, which: &[usize]) -> Vec<Request> {
        let made = which.iter().map(|at| {
            let walk = &course.walks[*at];
            self.maker
                .request(walk.step(), &walk.document, course.events[*at])
        });
        made.collect()
    }

    /// Each document's end.
    fn told(&self, course: Course) -> Told {
        let Course {
            walks,
            last,
            events,
            has_begun,
        } = course;
        let kept = match &last[..] {
            [Some((_, part))] => self.service.kept(part),
            _ => BTreeMap::new(),
        };
        let mut fates: Vec<_> = walks
            .iter()
            .zip(last)
            .zip(events)
            .map(|((walk, last), event)| {
                let outcome = match walk.step() {
                    Step::Over(outcome) => outcome.clone(),
                    Step::Look(_) | Step::Write(_) => {
                        Outcome::Unknown("it was not finished".into())
                    }
                };
                let last = last.filter(|_| outcome.concerns_events());
                Fate {
                    exchange: last
                        .map(|(request, part)| self.service.exchange(&request, &part, event)),
                    outcome,
                }
            })
            .collect();
        let (verdict, exchange) = match fates.len() {
            1 => {
                let only = fates.remove(0);
                (Verdict::All(only.outcome), only.exchange)
            }
            _ => (Verdict::Each(fates), None),
        };
        Told {
            verdict,
            has_begun,
            exchange,
            kept,
        }
    }
}

impl Course {
    fn heard(&mut self, at: usize, request: Request, part: Option<Part>) {
        if let Some(part) = part {
            self.last[at] = Some((request, part));
        }
    }
}

/// What a part of a group means for it. One that failed undid the others, also where a rule takes its failure for delivered,
/// as of what is there already: that counts once it is sent alone.
fn in_a_group(meaning: Meaning, part: &Part) -> Meaning {
    if meaning.outcome != Outcome::Done || (200..300).contains(&part.status) {
        return meaning;
    }
    Meaning {
        outcome: Outcome::Rejected(part.answer().reason(None)),
        is_ruled: true,
    }
}

/// What something that was said of several together means for one of them: refused, nobody knows which it was, so it is
/// sent again, without those that ended meanwhile.
fn alone(outcome: Outcome, together: usize) -> Outcome {
    match outcome {
        Outcome::Rejected(said)
        | Outcome::Conflict(said)
        | Outcome::Poison(said)
        | Outcome::TooLarge(said)
            if together > 1 =>
        {
            Outcome::Transient(said)
        }
        Outcome::Missing(missing) if together > 1 => Outcome::Transient(missing.reason),
        other => other,
    }
}

/// Which of several outcomes of a group holds for it: first what no other try would change, then what asks for time, then
/// what refuses one of its events (it is found by halves), then what may be better soon.
fn gravity(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Auth(_) | Outcome::Misconfigured(_) => 4,
        Outcome::Throttled(..) => 3,
        Outcome::Rejected(_)
        | Outcome::Conflict(_)
        | Outcome::Poison(_)
        | Outcome::TooLarge(_)
        | Outcome::Missing(_) => 2,
        Outcome::Transient(_) | Outcome::Unknown(_) | Outcome::Unreachable(_) => 1,
        Outcome::Done | Outcome::Accepted(..) | Outcome::Confirm(..) => 0,
    }
}

impl Connector for Odata {
    fn deliver(self: Arc<Self>, delivery: Delivery) -> Promise<'static, Told> {
        Box::pin(async move { self.tell(delivery).await })
    }

    fn render(self: Arc<Self>, delivery: Delivery) -> Promise<'static, Result<Rendered, Outcome>> {
        Box::pin(async move { self.dry(delivery).await })
    }

    fn verifies(&self) -> bool {
        self.manner.verifies()
    }

    fn knock(&self, wait: Duration) -> Promise<'_, bool> {
        Box::pin(self.service.knock(wait))
    }
}
