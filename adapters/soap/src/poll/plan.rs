//! What to ask for next, and where an answer leads. No clock, no socket: both are told.
//!
//! ```text
//!             ask                 answered                    turn
//! cycle over ─────▶ page 0 asked ─────────▶ page 0 handed out ─────▶ page 1 … ─────▶ cycle over: the watermark moves
//! ```
//! The watermark moves with the last page alone: whatever ends a cycle before, the next one asks from the same place.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use dray_adapter::Position;
use jiff::Timestamp;

use super::config::{PagesBy, PagesConfig, WatermarkType};
use super::place::{At, Place, UnderWay};
use super::watermark::{Rule, TakenFrom, Window};

/// What of an answer says where to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Good ones.
    pub(super) records: u64,
    pub(super) rejects: u64,
    /// Of what the records hold, in hexadecimal digits.
    pub(super) content: String,
    /// The largest value of the watermark's column.
    pub(super) highest: Option<String>,
    /// The watermark that stands in the answer.
    pub(super) value: Option<String>,
    /// What names the next page.
    pub(super) token: Option<String>,
    /// What the service's clock said.
    pub(super) served: Option<Timestamp>,
}

/// What a request is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) window: Option<Window>,
    /// Its number, and how much it holds.
    pub(super) page: Option<(u64, Option<u64>)>,
    pub(super) token: String,
    pub(super) now: Timestamp,
}

/// A page that is to be handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    /// So many of its records were appended before.
    pub(super) skip: u64,
    /// It was under way with another content: what was appended of it is told by the key, or not at all.
    pub(super) differs: bool,
    content: String,
    after: Place,
}

/// Where a source stands, and how it goes on.
#[derive(Debug)]
pub(super) struct Plan {
    rule: Option<Rule>,
    pages: Option<PagesConfig>,
    place: Place,
    /// The content of the page before, of this cycle.
    before: Option<String>,
    /// Hashes of the tokens of this cycle's pages, as far as they were turned since the start: at most `pages_max`.
    turned: HashSet<u64>,
    /// The cycle was begun anew already.
    began_again: bool,
}

impl Plan {
    pub(super) fn new(
        rule: Option<Rule>,
        pages: Option<PagesConfig>,
        resume: Option<Place>,
    ) -> Result<Self, String> {
        let start = rule.as_ref().map_or("", |rule| &rule.start);
        let mut place = resume.unwrap_or_else(|| Place::start(start));
        if let Some(rule) = &rule {
            if place.from.is_empty() {
                start.clone_into(&mut place.from);
            }
            if !rule.reads(&place.from) && place.from != rule.start {
                return Err(format!(
                    "the watermark that was reached, \"{}\", is not of watermark.type = \"{}\": write the type that it was, or give the flow another name, so that it begins anew",
                    place.from,
                    name(rule.kind())
                ));
            }
        }
        // A page of another setting names nothing here.
        place.under_way = place.under_way.filter(|way| {
            way.page == 0
                || pages
                    .as_ref()
                    .is_some_and(|pages| way.token.is_empty() == (pages.by == PagesBy::Number))
        });
        Ok(Self {
            rule,
            pages,
            place,
            before: None,
            turned: HashSet::new(),
            began_again: false,
        })
    }

    pub(super) fn cycle(&self) -> u64 {
        self.place.cycle
    }

    /// The page that is asked for, from 0.
    pub(super) fn page(&self) -> u64 {
        self.place.under_way.as_ref().map_or(0, |way| way.page)
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.place.under_way.is_some()
    }

    /// The next request. It is the same until it is answered, but for `now`.
    pub(super) fn ask(&mut self, now: Timestamp) -> Result<Ask, String> {
        let (rule, from) = (self.rule.as_ref(), &self.place.from);
        let way = self.place.under_way.get_or_insert_with(|| UnderWay {
            until: rule.map_or(now, |rule| rule.end(now)).as_microsecond(),
            high: from.clone(),
            ..UnderWay::default()
        });
        let until = Timestamp::from_microsecond(way.until).unwrap_or(now);
        let window = rule.map(|rule| rule.window(from, until)).transpose()?;
        let page = self
            .pages
            .as_ref()
            .map(|pages| (pages.first.saturating_add(way.page), pages.size));
        Ok(Ask {
            window,
            page,
            token: way.token.clone(),
            now,
        })
    }

    /// What was asked for came. It is handed out, and then [`Self::turn`] is said.
    pub(super) fn answered(&mut self, facts: &Facts) -> Result<Turn, String> {
        let Some(way) = &self.place.under_way else {
            return Err("an answer came that nobody asked for".into());
        };
        let at = way.at.as_ref();
        let is_same = at.is_some_and(|at| at.content == facts.content);
        let high = self.high(way, facts)?;
        let next = self.next(way, facts)?;
        let mut after = self.place.clone();
        after.under_way = None;
        match next {
            Some(token) => {
                after.under_way = Some(UnderWay {
                    until: way.until,
                    high,
                    page: way.page + 1,
                    token,
                    at: None,
                });
            }
            None => {
                after.cycle += 1;
                after.from = high;
            }
        }
        Ok(Turn {
            skip: at.filter(|_| is_same).map_or(0, |at| at.ordinal),
            differs: at.is_some() && !is_same,
            content: facts.content.clone(),
            after,
        })
    }

    /// The watermark that this page and those before lead to.
    fn high(&self, way: &UnderWay, facts: &Facts) -> Result<String, String> {
        let Some(rule) = &self.rule else {
            return Ok(way.high.clone());
        };
        let found = match rule.from {
            TakenFrom::Column(_) => facts.highest.clone(),
            TakenFrom::Answer => facts.value.clone(),
            TakenFrom::Window if way.page == 0 => Some(window_end(rule, way, facts)),
            TakenFrom::Window => Some(way.high.clone()),
        };
        match found {
            Some(found) if !rule.reads(&found) => Err(format!(
                "the answer's watermark \"{found}\" is not of watermark.type = \"{}\"; write the type that it is, or watermark.format",
                name(rule.kind())
            )),
            Some(found) if rule.grows(&way.high, &found) => Ok(found),
            None if facts.records > 0 => Err(match rule.from {
                TakenFrom::Column(_) => "no record of the answer has a watermark that can be read: look at watermark.column, its path in fields, watermark.type and watermark.format".into(),
                _ => "the answer has records and no watermark: look at watermark.path".into(),
            }),
            _ => Ok(way.high.clone()),
        }
    }

    /// The token of the next page, empty where pages have numbers; `None`: this was the last.
    fn next(&self, way: &UnderWay, facts: &Facts) -> Result<Option<String>, String> {
        let Some(pages) = &self.pages else {
            return Ok(None);
        };
        let entries = facts.records + facts.rejects;
        let token = match pages.by {
            PagesBy::Token => match facts.token.as_deref() {
                None | Some("") => return Ok(None),
                Some(token) if token == way.token || self.turned.contains(&hash(token)) => {
                    return Err(format!(
                        "the answer names page \"{token}\" as the next one, which was asked for already: the service does not turn pages, or the request does not send {{{{ token }}}}"
                    ));
                }
                Some(token) => token.to_owned(),
            },
            PagesBy::Number if entries == 0 || pages.size.is_some_and(|size| entries < size) => {
                return Ok(None);
            }
            PagesBy::Number if self.before.as_ref() == Some(&facts.content) => {
                return Err(format!(
                    "page {} holds the same as the page before: the service does not turn pages by {{{{ page }}}}; look at the request, or write pages.size if it answers its last page again",
                    pages.first.saturating_add(way.page)
                ));
            }
            PagesBy::Number => String::new(),
        };
        if way.page + 1 >= pages.pages_max {
            return Err(format!(
                "the answer has more than {} pages: raise pages.pages_max, or ask for less at a time",
                pages.pages_max
            ));
        }
        Ok(Some(token))
    }

    /// The position after a batch that ends within a page, before record `ordinal`. If the page has to be asked for again, it goes on there.
    pub(super) fn within(&mut self, turn: &Turn, ordinal: u64) -> Position {
        if let Some(way) = &mut self.place.under_way {
            way.at = Some(At {
                ordinal,
                content: turn.content.clone(),
            });
        }
        self.position()
    }

    /// A page is handed out whole: on to the next, or the cycle is over. Whether the watermark moved.
    pub(super) fn turn(&mut self, turn: &Turn) -> bool {
        let batch = self.place.batch;
        let is_over = turn.after.under_way.is_none();
        let moved = turn.after.from != self.place.from;
        match &self.place.under_way {
            Some(way) if !is_over => _ = self.turned.insert(hash(&way.token)),
            _ => self.turned.clear(),
        }
        self.before = (!is_over).then(|| turn.content.clone());
        self.began_again &= !is_over;
        self.place = turn.after.clone();
        self.place.batch = batch;
        moved
    }

    /// The position after a batch that ends with a page, once it is turned.
    pub(super) fn position(&mut self) -> Position {
        self.place.batch += 1;
        self.place.position()
    }

    /// The number of the newest batch.
    pub(super) fn batch(&self) -> u64 {
        self.place.batch
    }

    /// Asks from the cycle's first page again, where a later one is refused: a token may have ended meanwhile. Once a cycle.
    pub(super) fn begin_again(&mut self) -> bool {
        let can = self.page() > 0 && !self.began_again;
        if can {
            (self.place.under_way, self.before, self.began_again) = (None, None, true);
            self.turned.clear();
        }
        can
    }
}

/// The end of the window, or what the service's own clock leads to where that is behind ours: what it writes under a time that our
/// window has passed already would never be asked for.
fn window_end(rule: &Rule, way: &UnderWay, facts: &Facts) -> String {
    let until = Timestamp::from_microsecond(way.until).unwrap_or(Timestamp::MIN);
    let served = facts.served.map_or(until, |served| rule.end(served));
    until.min(served).to_string()
}

fn hash(token: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    token.hash(&mut hasher);
    hasher.finish()
}

fn name(kind: WatermarkType) -> &'static str {
    match kind {
        WatermarkType::Time => "time",
        WatermarkType::Number => "number",
        WatermarkType::Opaque => "opaque",
    }
}
