//! New epochs, and the mending that ends in one.

use std::collections::HashSet;

use dray_edges::edge;

use super::Writer;
use crate::generation;
use crate::layout::Record;
use crate::mending;
use crate::opening;

impl Writer {
    /// A new epoch with all that is held.
    pub(super) fn renew(&mut self) -> Result<u64, crate::BufferError> {
        let renewed = self
            .patiently(Self::seal_all)
            .and_then(|()| self.patiently(Self::begin_epoch));
        renewed.map_err(|reason| {
            self.shared
                .stop(format!("no new epoch can begin: {reason}"))
        })
    }

    fn begin_epoch(&mut self) -> Result<u64, String> {
        let folder = self.shared.options.folder.clone();
        let firsts: Vec<u64> = self.shared.lock().slices.keys().copied().collect();
        let mut headers = Vec::new();
        for first in firsts {
            let placed = generation::summary(&folder.join(generation::name(first)))
                .map_err(|why| why.reason().to_owned())?;
            // One that was dropped meanwhile holds nothing.
            headers.extend(placed.iter().flat_map(|placed| opening::headers(placed)));
        }
        let epoch = rand::random::<u64>() | 1;
        let renewal = self.shared.lock().ledger.plan(epoch, headers.into_iter())?;
        edge!("buffer.before_epoch");
        self.begin(Record::Renewal(renewal.clone()))?;
        opening::tell(&renewal);
        edge!("buffer.after_epoch");
        let mut state = self.shared.lock();
        state.losses.clone_from(&renewal.losses);
        let acked = state.ledger.renew(&renewal);
        for number in acked {
            state.acked(number);
        }
        self.numbering = state.ledger.numbering();
        state.mending = None;
        drop(state);
        self.shared.drop_acked();
        self.shared.changed.send_modify(|version| *version += 1);
        Ok(epoch)
    }

    /// Puts a generation that can't be read aside; what is left of it begins a new epoch with the rest.
    pub(super) fn mend(&mut self, first: u64, reason: &str) -> Result<u64, crate::BufferError> {
        tracing::error!(reason, "a part of the buffer is damaged");
        // The damaged one may be the newest: what is written must not be open while it is mended.
        let mended = self
            .patiently(Self::roll)
            .and_then(|()| self.patiently(|writer| writer.aside.settle()))
            .and_then(|()| self.patiently(|writer| writer.put_in_place(first)));
        mended
            .and_then(|()| self.patiently(Self::seal_all))
            .and_then(|()| self.patiently(Self::begin_epoch))
            .map_err(|reason| self.shared.stop(format!("it can't be mended: {reason}")))
    }

    /// Puts what can be read of a damaged generation in its place.
    fn put_in_place(&mut self, first: u64) -> Result<(), String> {
        let mut open = self.shared.open.lock().expect("nobody panics holding it");
        open.close(first);
        let state = self.shared.lock();
        let next = state
            .slices
            .range(first + 1..)
            .next()
            .map(|(next, _)| *next);
        if !state.slices.contains_key(&first) {
            // All of it was acked meanwhile.
            return Ok(());
        }
        drop(state);
        let end = next.unwrap_or(self.next_number);
        let folder = &self.shared.options.folder;
        let placed = mending::mend(folder, first, end)?;
        let left: HashSet<u64> = opening::headers(&placed)
            .map(|(_, number, _)| number)
            .collect();
        let mut state = self.shared.lock();
        state.ledger.lose(first..end, &left);
        let held = state
            .ledger
            .numbers()
            .filter(|number| (first..end).contains(number))
            .count();
        if let Some(slice) = state.slices.get_mut(&first) {
            slice.held = held as u64;
        }
        Ok(())
    }
}
