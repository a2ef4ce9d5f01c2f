//! What is asked for, until it stands in a place.
//!
//! A table that is asked for is looked at first, so that what can't be done is refused at once. One that is taken back is so before anything else: nothing
//! is asked of the database for that.

use std::collections::VecDeque;

use tracing::info;

use super::Queue;
use super::question::Question;
use super::stream::Chunks;
use crate::reader::{Told, Trouble, Wish, now_us};

/// What a look at a table led to.
pub(super) type Checked = (String, Result<(), Trouble>);

/// Wishes that stand in no place yet: what asks has a bound ([`super::ASKED_MAX`]).
pub(super) struct Wishes<'c> {
    /// Tables that are not looked at yet.
    waiting: VecDeque<String>,
    looked_at: String,
    pub(super) checking: Question<'c, Checked>,
    /// What can be done at the next place.
    accepted: Vec<Wish>,
}

impl<'c> Wishes<'c> {
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            looked_at: String::new(),
            checking: Question::none(),
            accepted: Vec::new(),
        }
    }

    /// Nothing can be done at this place.
    pub(super) fn is_idle(&self) -> bool {
        self.accepted.is_empty()
    }

    /// One more.
    pub(super) fn add(&mut self, wish: Wish) {
        match wish {
            Wish::Load(table) => self.waiting.push_back(table),
            Wish::Cancel(table) => {
                self.waiting.retain(|waits| *waits != table);
                if self.looked_at == table {
                    self.looked_at.clear();
                    self.checking = Question::none();
                }
                let load = Wish::Load(table);
                self.accepted.retain(|accepted| *accepted != load);
                if let Wish::Load(table) = load {
                    self.accepted.push(Wish::Cancel(table));
                }
            }
        }
    }

    /// Looks at the next table, if none is being looked at.
    pub(super) fn check<C: Chunks + 'c>(&mut self, model: &C) {
        if !self.checking.is_none() {
            return;
        }
        let Some(table) = self.waiting.pop_front() else {
            return;
        };
        self.looked_at.clone_from(&table);
        let mut chunks = model.another();
        self.checking.ask(async move {
            let looked = chunks.look(&table).await;
            (table, looked.map(drop))
        });
    }

    /// A table is looked at; why it is refused.
    pub(super) fn checked(&mut self, (table, looked): Checked) -> Option<(String, String)> {
        self.looked_at.clear();
        match looked {
            Ok(()) => {
                self.accepted.push(Wish::Load(table));
                None
            }
            Err(Trouble::Person(reason) | Trouble::Passing(reason)) => Some((table, reason)),
        }
    }

    /// What can be done stands in the place from now on; what is to be said of it behind that.
    pub(super) fn stand<P>(&mut self, queue: &mut Queue) -> (Vec<Wish>, Vec<Told<P>>) {
        let mut told = Vec::new();
        let done = std::mem::take(&mut self.accepted);
        for wish in &done {
            match wish {
                Wish::Load(table) => {
                    if let Err(reason) = queue.add(table, now_us()) {
                        told.push(Told::Refused(table.clone(), reason));
                    }
                }
                Wish::Cancel(table) => {
                    if let Some(load) = queue.cancel(table) {
                        info!(
                            table,
                            rows = load.rows,
                            "its rows are not read again any more: that was taken back"
                        );
                    }
                    told.push(Told::Cancelled(table.clone()));
                }
            }
        }
        (done, told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand(wishes: &mut Wishes<'_>, queue: &mut Queue) -> String {
        let (_, told) = wishes.stand::<()>(queue);
        let told = told.iter().map(|told| match told {
            Told::Refused(table, _) => format!("{table} refused"),
            Told::Cancelled(table) => format!("{table} taken back"),
            other => panic!("{other:?}"),
        });
        told.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn what_is_taken_back_is_so_wherever_it_stands() {
        let (mut wishes, mut queue) = (Wishes::new(), Queue::default());
        let load = |wishes: &mut Wishes<'_>, table: &str| {
            assert!(wishes.checked((table.into(), Ok(()))).is_none());
        };
        let cancel = |wishes: &mut Wishes<'_>, table: &str| wishes.add(Wish::Cancel(table.into()));
        load(&mut wishes, "a");
        load(&mut wishes, "a");
        assert_eq!(stand(&mut wishes, &mut queue), "a refused");
        assert!(wishes.is_idle() && queue.of("a").is_some());
        // It stands in the place; another one is only accepted, and a third one not looked at yet.
        load(&mut wishes, "b");
        wishes.add(Wish::Load("c".into()));
        for table in ["a", "b", "c", "a"] {
            cancel(&mut wishes, table);
        }
        assert!(wishes.waiting.is_empty());
        let told = "a taken back, b taken back, c taken back, a taken back";
        assert_eq!(stand(&mut wishes, &mut queue), told);
        assert!(!queue.has_any());
        // Asked for once more behind that, in the same moment.
        load(&mut wishes, "a");
        stand(&mut wishes, &mut queue);
        cancel(&mut wishes, "a");
        load(&mut wishes, "a");
        assert_eq!(stand(&mut wishes, &mut queue), "a taken back");
        assert_eq!(queue.of("a").map(|load| load.number), Some(3));
    }

    #[test]
    fn a_table_that_is_being_looked_at_is_taken_back_too() {
        let mut wishes = Wishes::new();
        wishes.looked_at = "a".into();
        wishes.checking.ask(async { ("a".to_owned(), Ok(())) });
        wishes.add(Wish::Cancel("b".into()));
        assert!(!wishes.checking.is_none());
        wishes.add(Wish::Cancel("a".into()));
        assert!(wishes.checking.is_none());
        let refused = wishes.checked(("a".into(), Err(Trouble::Passing("no".into()))));
        assert_eq!(refused, Some(("a".into(), "no".into())));
    }
}
