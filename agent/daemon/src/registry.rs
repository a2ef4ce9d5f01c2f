//! The adapters that this agent has. A new one is a folder, a dependency and a line of [`ADAPTERS`].

mod change_log;
mod file_drop;
mod file_tail;
mod soap;
mod table;

use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};

use dray_adapter::{Batch, KnownShape, Shape, Source};
use dray_proto::FlowName;
use serde::de::DeserializeOwned;
use toml::de::{Error, ValueDeserializer};

use crate::check::Finding;
use crate::cli::RedriveArguments;
use soap::Soap;

const NO_REDRIVE: &str = "a source of this kind keeps no copy that could be read again. The collector has what failed (dray-collector dead-letters list): after the cause is mended, its sender sends it once more under a new key or message id; of a poll, let its window reach back once (overlap)";

/// An adapter, by the `kind` that a configuration names it with.
pub struct Adapter {
    /// E.g. `file-drop`.
    pub kind: &'static str,
    /// Reads `[flow.source]`.
    pub read: fn(ValueDeserializer<'_>) -> Result<Box<dyn Configured>, Error>,
}

/// All of them.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        kind: "file-drop",
        read: read::<dray_file_drop::FileDropConfig>,
    },
    Adapter {
        kind: "file-tail",
        read: read::<dray_file_drop::tail::FileTailConfig>,
    },
    Adapter {
        kind: "mariadb",
        read: read::<dray_change_log::mysql::MySqlConfig>,
    },
    Adapter {
        kind: "mysql",
        read: read::<dray_change_log::mysql::MySqlConfig>,
    },
    Adapter {
        kind: "postgres",
        read: read::<dray_change_log::postgres::PostgresConfig>,
    },
    Adapter {
        kind: "soap-poll",
        read: |value| boxed(value, Soap::Poll),
    },
    Adapter {
        kind: "soap-receive",
        read: |value| boxed(value, Soap::Receive),
    },
    Adapter {
        kind: "sql",
        read: read::<dray_change_log::table::SqlConfig>,
    },
    Adapter {
        kind: "webhook",
        read: |value| boxed(value, Soap::Webhook),
    },
];

/// What a source takes of a folder, in which others may read too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// As it is written, but for what says nothing.
    pub folder: PathBuf,
    /// Which names it takes.
    pub pattern: String,
    /// The name of a file that it would take, where its pattern shows one.
    pub sample: Option<String>,
    /// Whether nobody else finds a file there that it took.
    pub moves: bool,
}

impl Share {
    fn new(folder: &Path, pattern: &str, sample: Option<String>, moves: bool) -> Self {
        let folder = folder.components();
        Self {
            folder: folder.filter(|part| *part != Component::CurDir).collect(),
            pattern: pattern.to_owned(),
            sample,
            moves,
        }
    }
}

/// A source as it is configured: nothing is opened.
pub trait Configured: Debug + Send + Sync {
    /// What is wrong with it by itself: the setting (`format.columns`) and a sentence with the way out.
    fn faults(&self) -> Vec<(String, String)>;

    /// What it reads, in words.
    fn place(&self) -> String;

    /// What it takes of a folder; `None` where it reads no files.
    fn share(&self) -> Option<Share>;

    /// Where others call it; `None` where nobody does.
    fn listens(&self) -> Option<SocketAddr> {
        None
    }

    /// Tries what it names: folders, rights. Changes nothing that stays. `own`: its own folder, which need not be there.
    fn check(&self, flow: &FlowName, own: &Path) -> Vec<Finding>;

    /// What its records are like, of each type, where the configuration alone tells all of them.
    fn shapes(&self) -> Vec<Shape> {
        Vec::new()
    }

    /// The same where what it reads tells it, which is asked for that once [`Self::check`] found nothing wrong. Empty: nobody can tell.
    ///
    /// # Errors
    /// A sentence: what it reads does not have what it names.
    fn known(&self) -> Result<Vec<KnownShape>, String> {
        Ok(self.shapes().into_iter().map(KnownShape::from).collect())
    }

    /// The path that finds a column of records of this type; `None` where none does.
    fn path(&self, _record_type: &str, _column: &str) -> Option<&str> {
        None
    }

    /// Whether it would take a file of this name.
    fn takes(&self, file_name: &str) -> bool;

    /// Reads a file's first records as the source would, and moves nothing. At least `records_max`
    /// of them, if there are; it may be a batch more.
    ///
    /// # Errors
    /// A sentence: the file can't be read.
    fn preview(
        &self,
        flow: &FlowName,
        file: &Path,
        records_max: usize,
    ) -> Result<Vec<Batch>, String>;

    /// What should be known of such a file besides its records, in sentences.
    fn doubts(&self, _flow: &FlowName, _file: &Path) -> Vec<String> {
        Vec::new()
    }

    /// What was set aside and could be read again: name, bytes, and why where that is known here.
    ///
    /// # Errors
    /// A sentence.
    fn redrivable(&self, _own: &Path) -> Result<Vec<(String, u64, String)>, String> {
        Err(NO_REDRIVE.into())
    }

    /// Asks for files, or records of one, to be read again: the source does it while it runs, or when it is started.
    /// What was asked for, in sentences.
    ///
    /// # Errors
    /// A sentence: what is named is not there.
    fn redrive(
        &self,
        _flow: &FlowName,
        _own: &Path,
        _wanted: &RedriveArguments,
    ) -> Result<Vec<String>, String> {
        Err(NO_REDRIVE.into())
    }

    /// The source, not opened. `own`: its own folder below the agent's data folder, which it makes when it first
    /// needs one; nobody else writes there, but for requests of the agent's commands.
    ///
    /// # Errors
    /// A sentence with the way out.
    fn make(&self, flow: &FlowName, own: &Path) -> Result<Box<dyn Source>, String>;
}

fn read<T: Configured + DeserializeOwned + 'static>(
    value: ValueDeserializer<'_>,
) -> Result<Box<dyn Configured>, Error> {
    Ok(Box::new(T::deserialize(value)?))
}

/// Of a kind that is one of several.
fn boxed<T: DeserializeOwned, C: Configured + 'static>(
    value: ValueDeserializer<'_>,
    of: fn(Box<T>) -> C,
) -> Result<Box<dyn Configured>, Error> {
    Ok(Box::new(of(Box::new(T::deserialize(value)?))))
}

/// The adapter of this kind.
#[must_use]
pub fn adapter(kind: &str) -> Option<&'static Adapter> {
    ADAPTERS.iter().find(|adapter| adapter.kind == kind)
}

/// The kinds, for a sentence.
#[must_use]
pub fn kinds() -> Vec<&'static str> {
    ADAPTERS.iter().map(|adapter| adapter.kind).collect()
}
