//! The agent's configuration: read whole and checked whole before anything opens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dray_mapping::{Mapper, MappingConfig};
use dray_proto::FlowName;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::block_maker::BlockMaker;
use crate::config_error::{ConfigError, Mistake};
use crate::config_flows::read_flows;
use crate::config_head::{read_buffer, read_head};
use crate::config_parts::{Reader, take};
use crate::registry::Configured;

/// Where the configuration is looked for when nothing is said.
pub const DEFAULT_FILE: &str = "/etc/dray/agent.toml";
/// A configuration file's bytes, at most: a person wrote it.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Flows of one agent, at most: each has a thread and up to two batches in memory.
pub const FLOWS_MAX: usize = 64;
/// The smallest buffer: a flow that holds half of it waits alone, and the other half takes two generations, which sled writes
/// about twice.
pub const BUFFER_BYTES_MIN: u64 = 256 * 1024 * 1024;
/// `data_dir`'s length in bytes, at most: the path of a local socket has 108 (unix(7)).
pub const DATA_DIR_BYTES_MAX: usize = 90;

/// All of it.
#[derive(Debug)]
pub struct Config {
    /// The file that it came from.
    pub file: PathBuf,
    /// The place that the agent stands at.
    pub site: String,
    /// Holds `buffer/`, `identity/` and `admin.sock`.
    pub data_dir: PathBuf,
    /// Host and port.
    pub collector: String,
    /// Where metrics are served; `None`: nowhere.
    pub metrics: Option<SocketAddr>,
    /// The buffer's cap in bytes.
    pub buffer_bytes_max: u64,
    /// At least one.
    pub flows: Vec<FlowConfig>,
}

/// One flow.
#[derive(Debug)]
pub struct FlowConfig {
    /// `site/flow`.
    pub name: FlowName,
    /// Its weight on the uplink.
    pub timeliness: Timeliness,
    /// Goes with every event; from 1.
    pub schema_version: u32,
    /// What becomes of records that no mapping takes.
    pub otherwise: Otherwise,
    /// Its source, configured and not opened.
    pub source: Box<dyn Configured>,
    /// At least one; they compile.
    pub mappings: Vec<MappingConfig>,
}

impl FlowConfig {
    /// What makes blocks of its batches.
    ///
    /// # Errors
    /// A sentence: the mappings do not compile.
    pub fn maker(&self) -> Result<BlockMaker, String> {
        let mapper = Mapper::compile(&self.mappings, self.schema_version)
            .map_err(|_| "the mappings do not compile; run dray-agent check".to_owned())?;
        Ok(BlockMaker::new(mapper, self.otherwise))
    }
}

/// How soon a flow's events are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Timeliness {
    /// Weight 16.
    Urgent,
    /// Weight 4.
    #[default]
    Normal,
    /// Weight 1.
    Bulk,
}

impl Timeliness {
    /// The share of the uplink when it is narrow.
    #[must_use]
    pub fn weight(self) -> u32 {
        match self {
            Self::Urgent => 16,
            Self::Normal => 4,
            Self::Bulk => 1,
        }
    }
}

/// What becomes of a record that no mapping takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Otherwise {
    /// Somebody shall see it.
    #[default]
    DeadLetter,
    /// It is counted and left behind.
    Skip,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error: &dyn std::fmt::Display| {
            let way_out = "write one (packaging/agent.toml explains each setting), or name it with --config FILE";
            ConfigError::unreadable(file, format!("cannot be read: {error}; {way_out}"))
        };
        let length = std::fs::metadata(file)
            .map_err(|error| unreadable(&error))?
            .len();
        if length > FILE_BYTES_MAX {
            let sentence = format!(
                "has {length} bytes, at most {FILE_BYTES_MAX} are read; is this the right file?"
            );
            return Err(ConfigError::unreadable(file, sentence));
        }
        let bytes = std::fs::read(file).map_err(|error| unreadable(&error))?;
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(file, &text),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes());
                let sentence =
                    "this is not UTF-8: save the file as UTF-8 without a byte order mark"
                        .to_owned();
                Err(ConfigError::new(
                    file,
                    &text,
                    vec![Mistake {
                        span: Some(at..at),
                        sentence,
                    }],
                ))
            }
        }
    }

    /// Reads and checks a file's text.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let syntax = |error: &toml::de::Error| Mistake {
                span: error.span(),
                sentence: syntax_sentence(
                    error.message(),
                    error
                        .span()
                        .and_then(|span| text.get(span))
                        .unwrap_or_default(),
                ),
            };
            return Err(ConfigError::new(
                file,
                text,
                errors.iter().map(syntax).collect(),
            ));
        }
        let mut reader = Reader::default();
        let config = read(&mut reader, file, document);
        let mistakes = reader.into_mistakes();
        match config {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(ConfigError::new(file, text, mistakes)),
        }
    }

    /// The folder of the buffer.
    #[must_use]
    pub fn buffer_dir(&self) -> PathBuf {
        self.data_dir.join("buffer")
    }

    /// The folder of key, certificate and CA.
    #[must_use]
    pub fn identity_dir(&self) -> PathBuf {
        self.data_dir.join("identity")
    }

    /// What a flow's source keeps for itself: `sources/<flow>/`. A source makes it when it first needs it, and says in
    /// its own crate what is in it. It goes neither with the buffer nor with the flow's last event.
    #[must_use]
    pub fn source_dir(&self, flow: &FlowName) -> PathBuf {
        self.data_dir.join("sources").join(flow.flow())
    }

    /// The local socket of a running agent.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.data_dir.join("admin.sock")
    }
}

/// `found` is the text at which the parser stopped.
fn syntax_sentence(message: &str, found: &str) -> String {
    let bare_word = found.starts_with(|letter: char| letter.is_alphabetic());
    let way_out = match message {
        said if said.contains("duplicate key") => "it stands twice: delete one",
        said if bare_word || said.contains("string") || said.contains("quote") => {
            "texts stand in quotes: name = \"value\"; a \\ in them is written \\\\"
        }
        _ => "a setting is written name = \"value\" or name = 3, a section [name] or [[name]]",
    };
    format!(
        "this is not TOML: {}; {way_out}",
        message.lines().next().unwrap_or_default()
    )
}

fn read(reader: &mut Reader, file: &Path, document: Spanned<DeTable<'_>>) -> Option<Config> {
    let mut table = document.into_inner();
    let buffer = take(&mut table, "buffer").map(|(_, part)| part);
    let flows = take(&mut table, "flow");
    // What the rest lacks is told of the file's first line.
    let head = read_head(reader, &Spanned::new(0..0, DeValue::Table(table)));
    let buffer_bytes_max = read_buffer(reader, buffer);
    let flows = read_flows(
        reader,
        flows,
        head.as_ref().map_or("site", |head| &head.site),
        head.as_ref().and_then(|head| head.metrics),
    );
    let head = head?;
    Some(Config {
        file: file.to_owned(),
        site: head.site,
        data_dir: head.data_dir,
        collector: head.collector,
        metrics: head.metrics,
        buffer_bytes_max: buffer_bytes_max?,
        flows: flows?,
    })
}
