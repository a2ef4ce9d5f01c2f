//! Who asked for a table's rows, or that they don't come, and waits for an answer.

use dray_adapter::{LoadRequest, Polled};

use super::LogSource;
use crate::again::{ASKED_MAX, stands_already};
use crate::reader::{Log, Place, Wish, now_us};

/// Somebody waits for what was asked of a table.
pub(super) struct Asked {
    pub(super) request: LoadRequest,
    /// The request's number in the place that holds it, among those of its kind; `None`: none does yet.
    pub(super) number: Option<u64>,
    /// Requests that the place held before: its own number is behind that.
    pub(super) before: u64,
}

impl Asked {
    pub(super) fn wish(&self) -> Wish {
        let table = self.request.table().to_owned();
        match self.request.cancels() {
            true => Wish::Cancel(table),
            false => Wish::Load(table),
        }
    }

    /// Of a table that no place holds yet.
    fn is_open(&self, table: &str, cancels: bool) -> bool {
        let request = &self.request;
        request.table() == table && request.cancels() == cancels && self.number.is_none()
    }
}

impl<L: Log> LogSource<L> {
    /// Why a table's rows can't come again, as far as that is known without its server.
    pub(super) fn refusal(&self, table: &str) -> Option<String> {
        let tables = self.log.tables();
        if tables.is_empty() {
            return Some(
                "a source of this kind can't give a table's rows again: PostgreSQL's and MariaDB's change logs can (kind = \"postgres\", \"mariadb\")"
                    .to_owned(),
            );
        }
        if let Some(reason) = self.unread(table) {
            return Some(reason);
        }
        if self.place.is_none() {
            return Some(
                "the flow has not begun yet: its server was not reached so far, or the rows that were there before are about to be read for the first time; ask again when it has".to_owned(),
            );
        }
        if self.place.as_ref().is_some_and(Place::is_loading) {
            return Some(
                "the rows that were there before are still being read for the first time, and this table's are among them: ask again when that is done"
                    .to_owned(),
            );
        }
        let place = self.place.as_ref();
        let standing = place.and_then(|place| place.queue()?.of(table));
        let mut waiting = self.asked.iter();
        let is_taken_back = waiting.any(|asked| asked.is_open(table, true));
        let mut waiting = self.asked.iter();
        let is_waiting = waiting.any(|asked| asked.is_open(table, false));
        if is_waiting || (standing.is_some() && !is_taken_back) {
            return Some(stands_already(table));
        }
        self.is_full()
    }

    /// Why a table is none of the flow's.
    fn unread(&self, table: &str) -> Option<String> {
        let tables = self.log.tables();
        let is_read = tables.iter().any(|known| known.name == table);
        let names: Vec<_> = tables.iter().map(|known| &*known.name).collect();
        (!is_read).then(|| {
            format!(
                "the flow does not read {table}; it reads {}",
                names.join(", ")
            )
        })
    }

    fn is_full(&self) -> Option<String> {
        (self.asked.len() >= ASKED_MAX)
            .then(|| "too many requests wait already: ask again later".to_owned())
    }

    /// A table is taken back.
    pub(super) fn cancel(&mut self, request: LoadRequest) {
        let table = request.table();
        let open = self
            .asked
            .extract_if(.., |asked| asked.is_open(table, false));
        let mut was_open = false;
        for asked in open {
            was_open = true;
            let reason = format!("{table} was taken back before its request stood anywhere");
            asked.request.refuse(&reason);
        }
        // What is not appended may be gone with the agent, and what is appended come again with it.
        let places = [self.place.as_ref(), self.appended.as_ref()];
        let queues = places.into_iter().flatten();
        let mut queues = queues.filter_map(Place::queue);
        let is_named = queues.any(|queue| queue.names(table));
        drop(queues);
        let is_taken_back = self.asked.iter().any(|asked| asked.is_open(table, true));
        if !was_open && !is_taken_back && !is_named {
            return match self.unread(table) {
                None => request.stands(),
                Some(reason) => request.refuse(&reason),
            };
        }
        if let Some(reason) = self.is_full() {
            return request.refuse(&reason);
        }
        self.hand_on(request);
    }

    pub(super) fn hand_on(&mut self, request: LoadRequest) {
        let queue = self.place.as_ref().and_then(Place::queue);
        let asked = Asked {
            request,
            number: None,
            before: queue.map_or(0, |queue| queue.taken),
        };
        if let Some(reader) = &self.reader {
            reader.ask(asked.wish());
        }
        self.asked.push(asked);
    }

    /// While no thread reads, as where its server does not answer, what is taken back is so in the place itself.
    pub(super) fn cancel_here(&mut self) -> Option<Polled> {
        let mut place = self.place.clone()?;
        let queue = place.queue_mut()?;
        let open = self.asked.iter_mut();
        let open = open.filter(|asked| asked.request.cancels() && asked.number.is_none());
        let before = queue.cancelled;
        for asked in open {
            queue.cancel(asked.request.table());
            asked.number = Some(queue.cancelled);
        }
        if queue.cancelled == before {
            return None;
        }
        let hindered = self.hindered.take();
        let polled = self.looked(place, now_us());
        // The database has said nothing to that.
        self.hindered = hindered;
        Some(polled)
    }

    /// The thread took a table back, in the place that was polled last.
    pub(super) fn cancelled(&mut self, table: &str) {
        let number = self.place.as_ref().and_then(Place::queue);
        let number = number.map(|queue| queue.cancelled);
        let mut asked = self.asked.iter();
        let Some(at) = asked.position(|asked| asked.is_open(table, true)) else {
            return;
        };
        let appended = self.appended.as_ref().and_then(Place::queue);
        match appended.map(|queue| queue.cancelled) >= number {
            true => self.asked.remove(at).request.stands(),
            false => self.asked[at].number = number,
        }
    }

    /// The thread refuses a table.
    pub(super) fn refused(&mut self, table: &str, reason: &str) {
        let asked = self.asked.iter();
        let at = asked
            .enumerate()
            .find_map(|(at, asked)| asked.is_open(table, false).then_some(at));
        if let Some(at) = at {
            self.asked.remove(at).request.refuse(reason);
        }
    }
}
