//! New log files, the cap, and files that nobody needs any more.

use dray_edges::edge;
use dray_proto::{FlowName, Offset};

use super::LogWriter;
use crate::sqlite::log_file::{self, LogFile};
use crate::sqlite::{Shared, state};

impl LogWriter {
    pub(super) fn begin_file_if_due(&mut self) -> Result<(), String> {
        let folder = self.shared.log_folder();
        let path = log_file::path(&folder, self.number);
        let bytes = |end: &str| {
            let mut name = path.clone().into_os_string();
            name.push(end);
            std::fs::metadata(name).map_or(0, |metadata| metadata.len())
        };
        if bytes("") + bytes("-wal") < self.shared.options.file_bytes {
            return Ok(());
        }
        // The old file is left whole, so that readers of it need no WAL.
        let _ = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let mut log = self.shared.lock();
        let number = self.number + 1;
        self.connection = log_file::open_writer(&folder, number, self.shared.id, &log.heads)
            .map_err(|error| format!("{}: {error}", log_file::path(&folder, number).display()))?;
        self.number = number;
        let file = LogFile::new(number, &log.heads);
        log.files.push(file);
        Ok(())
    }

    /// Below the cap, or with room made by files that nobody needs any more.
    pub(super) fn make_room(&self, bytes: u64) -> Result<(), String> {
        let max = self.shared.options.bytes_max;
        let fits = || self.shared.log_bytes().saturating_add(bytes * 2) <= max;
        if fits() {
            return Ok(());
        }
        let cursors = state::all_cursors(&self.state_path).map_err(|error| error.to_string())?;
        let dropped =
            drop_files(&self.shared, &cursors, |_| true).map_err(|error| error.to_string())?;
        if dropped > 0 && fits() {
            return Ok(());
        }
        let newest = |flow: &FlowName| {
            self.shared
                .lock()
                .heads
                .get(flow)
                .map_or(0, |held| held.newest_offset.0)
        };
        let behind = cursors
            .iter()
            .max_by_key(|(_, flow, through)| newest(flow).saturating_sub(through.0));
        let who = behind.map_or_else(
            || "raise log.bytes_max".to_owned(),
            |(consumer, flow, _)| format!("{consumer} is farthest behind, in flow {flow}: mend it, detach it, or raise log.bytes_max"),
        );
        Err(format!("the log has reached its cap of {max} bytes; {who}"))
    }
}

/// Deletes files from the oldest on, as long as each is below every cursor and `may` agrees; never
/// the one that is written.
pub(crate) fn drop_files(
    shared: &Shared,
    cursors: &[(String, FlowName, Offset)],
    may: impl Fn(&LogFile) -> bool,
) -> std::io::Result<usize> {
    let mut dropped = 0;
    loop {
        let mut log = shared.lock();
        let [oldest, next, ..] = log.files.as_slice() else {
            return Ok(dropped);
        };
        let needed = cursors
            .iter()
            .any(|(_, flow, through)| *through < next.opened_at(flow));
        if needed || !may(oldest) {
            return Ok(dropped);
        }
        let number = oldest.number;
        let next = next.clone();
        log.files.remove(0);
        for (flow, held) in &mut log.heads {
            held.oldest_offset = held.oldest_offset.max(Offset(next.opened_at(flow).0 + 1));
        }
        drop(log);
        shared.readers.forget(number);
        let path = log_file::path(&shared.log_folder(), number);
        edge!("store.before_file_removal");
        for end in ["-wal", "-shm", ""] {
            let mut name = path.clone().into_os_string();
            name.push(end);
            match std::fs::remove_file(&name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            edge!("store.between_file_removals");
        }
        tracing::info!(file = %path.display(), "a log file was dropped");
        dropped += 1;
    }
}
