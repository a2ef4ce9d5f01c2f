//! A copybook and its settings, compiled.

use std::path::Path;
use std::sync::Arc;

use super::characters::Characters;
use super::config::{BlankNumbers, CopybookConfig, Framing, Order, Tail, Trim};
use super::copybook;
use super::decoder::Decoder;
use super::framing::Rule;
use super::layout::Reader;
use super::types::Types;

/// A format, compiled. Makes a decoder for each pass over a file.
#[derive(Debug, Clone)]
pub struct Copybook(Arc<Compiled>);

#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) types: Types,
    pub(super) reader: Reader,
    pub(super) rule: Rule,
    pub(super) header: usize,
    pub(super) trailer: usize,
    pub(super) tail: Tail,
}

impl Copybook {
    /// Compiles a format. `read` reads the copybook's text.
    ///
    /// # Errors
    /// The first of [`CopybookConfig::faults`]; that the copybook can't be read; what is wrong with it, by its line.
    pub fn new(
        config: &CopybookConfig,
        read: &dyn Fn(&Path) -> Result<String, String>,
    ) -> Result<Self, String> {
        if let Some((_, sentence)) = config.faults().into_iter().next() {
            return Err(sentence);
        }
        let text = read(&config.copybook)?;
        let of = |sentence: String| format!("{}: {sentence}", config.copybook.display());
        let records = copybook::parse(&text).map_err(of)?;
        let reader = Reader {
            characters: Characters::new(config.encoding),
            trim_end: config.trim != Trim::None,
            trim_start: config.trim == Trim::Both,
            blank_is_null: config.blank_numbers == BlankNumbers::Null,
            native_little: config.comp_5 == Order::Little,
            padded: config.framing == Some(Framing::Lines),
        };
        let types = Types::new(config, &records, &reader).map_err(of)?;
        let rule = rule(config, &types).map_err(of)?;
        Ok(Self(Arc::new(Compiled {
            types,
            reader,
            rule,
            header: config.header_bytes,
            trailer: config.trailer_bytes,
            tail: config.tail,
        })))
    }

    /// A decoder for a file's beginning. Records and bad records whose ordinal is below `skip` are
    /// counted and not handed out: so a file is read on where an append ended.
    #[must_use]
    pub fn decoder(&self, skip: u64) -> Decoder {
        Decoder::new(&self.0, skip)
    }
}

/// How records are told from each other, as configured or as the layouts ask for.
fn rule(config: &CopybookConfig, types: &Types) -> Result<Rule, String> {
    let layouts = || types.types.iter().map(|one| &one.layout);
    let longest = layouts().map(|layout| layout.bytes_max).max().unwrap_or(0);
    let varies = layouts().find_map(|layout| layout.varies.as_ref());
    let rule = match (config.framing, config.record_bytes) {
        (None, None) if let Some(varies) = varies => {
            return Err(format!(
                "records have several lengths, by how often {varies} occurs; say how they are told from each other: framing = \"rdw\" (a length before each), \
                 \"layout\" (one behind the other, as long as their counts say), or \"fixed\" (the longest one's length)"
            ));
        }
        (None | Some(Framing::Fixed), bytes) => Rule::Fixed(bytes.unwrap_or(longest)),
        (Some(Framing::Layout), _) => Rule::Layout,
        (Some(Framing::Rdw), _) => Rule::Rdw(config.rdw.unwrap_or_default()),
        (Some(Framing::Lines), _) => Rule::Lines,
    };
    if let Rule::Fixed(bytes) = rule
        && bytes < longest
    {
        return Err(format!(
            "record_bytes = {bytes}, and the longest record has {longest}"
        ));
    }
    let not_text = layouts().find_map(|layout| layout.not_text.as_ref());
    match (rule, not_text) {
        (Rule::Lines, Some(field)) => Err(format!(
            "{field} is packed or binary, and its bytes could be a line end; lines hold text alone"
        )),
        _ => Ok(rule),
    }
}

impl Compiled {
    /// Why bytes behind a record's layout make it a bad one: a length of its own says that they belong to it.
    pub(super) fn excess(&self, kind: usize, used: usize, bytes: &[u8]) -> Option<String> {
        let behind = bytes.get(used..).filter(|behind| !behind.is_empty())?;
        let is_fixed = matches!(self.rule, Rule::Fixed(_));
        if is_fixed || self.reader.characters.trimmed(behind).is_empty() {
            return None;
        }
        let name = self.types.rules.types[kind].name();
        let of = if name.is_empty() {
            String::new()
        } else {
            format!(" of {name}")
        };
        Some(format!(
            "the record has {} bytes, and the layout{of} ends at {used}; describe what follows in the copybook, if only as FILLER",
            bytes.len()
        ))
    }
}
