//! Files in a folder, each event in one of them: JSON lines, CSV, XML, fixed width.
//!
//! Deliveries gather until the file's rule closes it: so long, so many events, so many bytes, or as many deliveries as
//! there can be at once. Then each flow's events become a file, and only when it has its name and its folder is synced are
//! they delivered.
//!
//! ```text
//! FOLDER/.dray-TARGET/lock        one process writes here
//! FOLDER/.dray-TARGET/NAME.part   the whole file, synced
//! FOLDER/.dray-TARGET/NAME.ids    after it, synced: which events are in it
//! FOLDER/NAME                     NAME.part, renamed
//! ```
//! What a kill leaves is told apart at the next start: a part without ids is thrown away, a part with its ids gets its
//! name, and ids without a part are of a file that had it, whether or not somebody has taken it meanwhile. The ids of
//! events that cannot come again (the flow's cursor is past them) go; those of retried dead letters stay. What is replayed
//! is kept away by lists of replayed events alone: that it was in a file before is why somebody asked.
//!
//! Where files go to a server, NAME.part stays until the server has the file under its name: it is sent whole under another
//! one, then NAME.sent says so here, then it is renamed there. After a kill, a file that was sent and is there no more under
//! its first name was renamed.
//!
//! As everywhere, an event leaves when the outcome of the one before it of its key is on disk: so a key stands in a file
//! once, and its next event in a later file.

mod gather;
mod layout;
mod sftp;
mod shelf;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dray_proto::{FlowName, Offset};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::{Connector, Delivery, Promise, Rendered, Told, Verdict};
use crate::columns::{self, Columns};
use crate::config::TargetConfig;
use crate::config::file::{FileConfig, Format};
use crate::outcome::Outcome;

use gather::{Gather, Group, Record};
use layout::Layout;
use sftp::Remote;
use shelf::Shelf;

/// See the module.
#[derive(Debug)]
struct Files {
    config: FileConfig,
    layout: Layout,
    columns: Columns,
    gather: Mutex<Gather>,
    shelf: Arc<Shelf>,
    /// One thread at a time waits for a disk: it may hang for long, and threads are few.
    desk: Arc<Semaphore>,
    /// Deliveries that there can be at once.
    at_once: usize,
    /// How long the disk may take.
    timeout: Duration,
}

/// The fields of a line, as they are configured.
pub(super) fn columns(config: &TargetConfig) -> Result<Columns, String> {
    let file = config.file.as_ref().ok_or("file: its table is missing")?;
    let sources = file.fields.iter();
    let sources = sources.map(|field| (field.name.as_str(), field.value.as_str()));
    Columns::compile("file.field", sources, &config.vars, &config.bodies)
}

/// The connector of a target; opens nothing.
pub(super) fn build(config: &TargetConfig) -> Result<Arc<dyn Connector>, String> {
    let file = config.file.as_ref().ok_or("file: its table is missing")?;
    let columns = columns(config)?;
    Ok(Arc::new(Files {
        config: file.clone(),
        layout: Layout::new(file)?,
        columns,
        gather: Mutex::default(),
        shelf: Arc::new(match &file.sftp {
            None => Shelf::new(&file.folder, &config.name),
            Some(sftp) => Shelf::new(&file.folder, &config.name)
                .leading_to(Remote::new(sftp, config.timeout)?),
        }),
        desk: Arc::new(Semaphore::new(1)),
        at_once: config.concurrency,
        timeout: config.timeout,
    }))
}

impl Files {
    async fn tell(&self, delivery: Delivery) -> Told {
        let records: Vec<_> = delivery
            .events
            .iter()
            .map(|piece| self.record(&delivery.body[piece.json.clone()], piece))
            .collect();
        let (answer, told) = oneshot::channel();
        let (joined, full) = {
            let mut gather = self.gather.lock().unwrap_or_else(PoisonError::into_inner);
            let joined = gather.join(records, answer);
            let full = self.is_full(&gather);
            (joined, full.then(|| gather.take()))
        };
        if let Some(group) = full {
            self.close(group).await;
        } else if joined.is_first {
            let waited = timeout(self.config.every, joined.closed).await;
            if waited.is_err() {
                let group = {
                    let mut gather = self.gather.lock().unwrap_or_else(PoisonError::into_inner);
                    gather.take_if(joined.number)
                };
                if let Some(group) = group {
                    self.close(group).await;
                }
            }
        }
        match told.await {
            Ok(outcomes) => Told {
                kept: std::collections::BTreeMap::new(),
                verdict: Verdict::Each(outcomes.into_iter().map(Into::into).collect()),
                has_begun: false,
                exchange: None,
            },
            Err(_) => Outcome::Unknown(format!(
                "no file within {:?}: the disk does not answer in time",
                self.timeout
            ))
            .into(),
        }
    }

    fn is_full(&self, gather: &Gather) -> bool {
        self.config.every.is_zero()
            || gather.events() >= self.config.events_max
            || gather.bytes() as u64 >= self.config.bytes_max.as_u64()
            || gather.deliveries() >= self.at_once
    }

    fn record(&self, json: &[u8], piece: &super::Piece) -> Result<Record, Outcome> {
        let poison = |poison: crate::body::Poison| Outcome::Poison(poison.0);
        let event = self.columns.read(json).map_err(poison)?;
        let line = if self.is_plain() {
            self.layout.plain(json)
        } else {
            let values = self.columns.values(&event).map_err(poison)?;
            self.layout.record(&values)
        };
        Ok(Record {
            flow: event.flow(),
            offset: event.offset(),
            id: piece.id,
            again: piece.again,
            replayed: piece.replayed,
            line: line.map_err(Outcome::Rejected)?,
        })
    }

    /// Whether events stand in files as they are.
    fn is_plain(&self) -> bool {
        self.config.fields.is_empty() && self.config.format == Format::Jsonl
    }

    /// The line that one event would be.
    fn rendered(&self, delivery: &Delivery) -> Result<Rendered, Outcome> {
        let piece = &delivery.events[0];
        let json = delivery.document();
        let line = self.record(&json, piece)?.line;
        let document = if self.is_plain() {
            json
        } else {
            let poison = |poison: crate::body::Poison| Outcome::Poison(poison.0);
            let event = self.columns.read(&json).map_err(poison)?;
            let values = self.columns.values(&event).map_err(poison)?;
            let names = self.config.fields.iter().map(|field| field.name.as_str());
            columns::document(names, values)
        };
        Ok(Rendered {
            request: String::from_utf8_lossy(&line).trim_end().to_owned(),
            document: Some(document),
        })
    }

    /// Writes the group's files and answers its deliveries.
    async fn close(&self, group: Group) {
        let (shelf, layout) = (Arc::clone(&self.shelf), self.layout.clone());
        let name = self.config.name.clone();
        let limits = (
            self.config.events_max,
            usize::try_from(self.config.bytes_max.as_u64()).unwrap_or(usize::MAX),
        );
        let Group { records, waiting } = group;
        let desk = Arc::clone(&self.desk).acquire_owned();
        let Ok(Ok(turn)) = timeout(self.timeout, desk).await else {
            return;
        };
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut outcomes: Vec<_> = records
                .iter()
                .map(|record| record.as_ref().err().cloned())
                .collect();
            for (indexes, flow) in gather::by_file(&records, limits) {
                let of = indexes.iter().filter_map(|at| records[*at].as_ref().ok());
                let done = match shelf.publish(&layout, &name, &flow, of.collect()) {
                    Ok(()) => Outcome::Done,
                    Err(outcome) => outcome,
                };
                for at in indexes {
                    outcomes[at] = Some(done.clone());
                }
            }
            outcomes
        });
        let gone = || Outcome::Unknown("the disk did not answer in time".into());
        let outcomes = match timeout(self.timeout, work).await {
            Ok(Ok(outcomes)) => outcomes
                .into_iter()
                .map(|outcome| outcome.unwrap_or_else(gone)),
            _ => return,
        };
        let mut outcomes: Vec<_> = outcomes.collect();
        for (count, answer) in waiting {
            let rest = outcomes.split_off(count);
            let _ = answer.send(std::mem::replace(&mut outcomes, rest));
        }
    }
}

impl Connector for Files {
    fn deliver(self: Arc<Self>, delivery: Delivery) -> Promise<'static, Told> {
        Box::pin(async move { self.tell(delivery).await })
    }

    fn render(self: Arc<Self>, delivery: Delivery) -> Promise<'static, Result<Rendered, Outcome>> {
        Box::pin(std::future::ready(self.rendered(&delivery)))
    }

    fn settled(&self, through: &[(FlowName, Offset)]) {
        self.shelf.settled(through);
    }

    fn knock(&self, wait: Duration) -> Promise<'_, bool> {
        Box::pin(async move {
            let Some(sftp) = &self.config.sftp else {
                return self.config.folder.is_dir();
            };
            let server = TcpStream::connect((sftp.host.as_str(), sftp.port));
            matches!(timeout(wait, server).await, Ok(Ok(_)))
        })
    }
}
