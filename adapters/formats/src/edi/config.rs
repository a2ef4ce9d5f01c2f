//! What both `[flow.source.format]` tables of EDI have, and its compilation.

use std::collections::HashMap;
use std::sync::Arc;

use dray_adapter::Shape;
use serde::Deserialize;

use super::making::Making;
use super::plan::Plan;
use super::schema::Schema;
use super::{Characters, Syntax, address};

/// Elements of a segment with `otherwise = "segments"`, at most: standards have about 30.
pub(super) const SEGMENT_COLUMNS: usize = 99;

/// The `[flow.source.format]` table of a file of X12 or EDIFACT. `kind` alone is enough for the built-in sets.
///
/// ```toml
/// kind = "x12"
/// records = ["940", "940.line"]                 # all records unless said
///
/// [[record]]
/// type = "940.line"
/// columns = ["W0115", "PALLET = LX01"]
///
/// [[set]]
/// set = "214"
/// loops = "B10! L11 (N1 N3 N4) (LX+ status:(AT7 MS1 MS2) L11)"
/// ```
///
/// ```toml
/// kind = "edifact"
/// records = ["DESADV.line"]
///
/// [[record]]
/// type = "DESADV.line"
/// columns = ["BATCH = PIA02/NB", "DTM01-2[361]"]
///
/// [[set]]
/// set = "SLSRPT"
/// loops = "BGM! DTM (NAD RFF) (LOC DTM line:(LIN PIA MOA QTY))"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdiConfig {
    /// How text is encoded. Of X12 UTF-8 unless said. Of EDIFACT where the syntax identifier does not say: private ones, and UNOA and UNOB,
    /// which promise ASCII; unless said, the latter are UTF-8 where they can be, else windows-1252.
    pub encoding: Option<String>,
    /// What becomes of documents of other sets.
    #[serde(default)]
    pub otherwise: Otherwise,
    /// The types of record that are wanted; all where none is named.
    #[serde(default)]
    pub records: Vec<String>,
    /// Sets that are not built in.
    #[serde(default)]
    pub set: Vec<SetConfig>,
    /// Columns beyond the built-in ones.
    #[serde(default)]
    pub record: Vec<RecordConfig>,
}

/// What becomes of documents for whose set no loops are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Otherwise {
    /// Each is a bad record.
    #[default]
    Reject,
    /// Each of their segments is a record of type `segment`: `SET`, `DOCUMENT`, `NUMBER`, `TAG`, `01`, `02`, …
    Segments,
}

/// The loops of a set, where it is none of the built-in ones, or other than those.
///
/// ```text
/// W05!                       a segment that must stand there exactly once
/// N9 G62 NTE                 segments that may
/// (N1 N2 N3 N4)              a loop: it begins with its first segment
/// (LX line:(W01+ G69 N9))    loops nest; "line" is a record of its own, and so is the document
/// W76?                       at most once; + is at least once
/// order:(HL[03=O] PRF)       a loop of segments with this value
/// tree HL01 HL02             HL are a tree: 01 is a loop's number, 02 that of the one above
/// ```
/// A segment belongs to the innermost open loop that lists it or begins another with it. One that no loop of the set lists stays where it
/// stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetConfig {
    /// What documents say that they are: `940`, `ORDERS`.
    pub set: String,
    /// Segments and loops: `B10! (LX stop:(AT7 MS1))`.
    pub loops: String,
}

/// More of a record. A column is an address, or `NAME = ADDRESS`:
///
/// ```text
/// W0502              element 02 of the segment W05
/// SV101-2            its second component; EDIFACT means the first where none is named
/// REF02[PO]          of the first REF whose element 01 (EDIFACT: its first component) is PO; [PO|CO] either
/// PIA02-1[02-2=SA]   of which another element is SA
/// N401[ST]           of the N4 in the loop of the first N1 that is ST
/// NTE02#2            of the second such segment
/// PO106/UP           of the pairs of qualifier and value from 06 on, the value behind UP; EDIFACT: PIA02/SA
/// N1[ST].REF02[DP]   of the REF in that loop, where REF02[DP] alone would be another
/// ```
/// Records of inner loops have the columns of those around them too, as `940.W0502`; in a tree `856.order.PRF01`. An element that is
/// empty is no value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordConfig {
    /// Its type: `940`, `940.line`.
    #[serde(rename = "type")]
    pub record_type: String,
    /// Columns, behind the built-in ones: `W0502`, `REF02[PO]`, `PALLET = LX01`.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Segments that documents have in its loop and that are not among the known ones.
    #[serde(default)]
    pub segments: Vec<String>,
    /// Whether the built-in columns are left out.
    #[serde(default)]
    pub replace: bool,
}

/// A set that is built in.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    pub set: &'static str,
    pub loops: &'static str,
    /// Names of records, as in the loops, and their columns between blanks.
    pub columns: &'static [(&'static str, &'static str)],
}

/// All sets, compiled.
#[derive(Debug)]
pub(crate) struct Plans {
    sets: HashMap<String, Arc<Plan>>,
    pub(super) encoding: Option<Characters>,
    pub(super) has_segments: bool,
    pub(super) segment_shape: Arc<Shape>,
}

impl Plans {
    pub(super) fn of(&self, set: &str) -> Option<Arc<Plan>> {
        self.sets.get(set).cloned()
    }
}

/// The setting's path, and a sentence.
type Fault = (String, String);

impl EdiConfig {
    /// Compiles all sets.
    ///
    /// # Errors
    /// All that is wrong: the setting, and a sentence with the way out.
    pub(crate) fn compile<S: Syntax>(&self) -> Result<Plans, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut makings = self.makings::<S>(&mut faults);
        self.extend(&mut makings, &mut faults);
        self.check_wanted(&makings, &mut faults);
        let encoding = self.encoding.as_deref().and_then(|name| {
            let known = Characters::of_name(name);
            if known.is_none() {
                faults.push(("encoding".into(), format!("encoding = \"{name}\" is not known or can't be cut at separators; write e.g. \"utf-8\", \"iso-8859-1\" or \"windows-1252\"")));
            }
            known
        });
        let wanted = |name: &str| {
            self.records.is_empty() || self.records.iter().any(|record| record == name)
        };
        let mut sets = HashMap::new();
        for (making, path) in makings {
            match making.finish(wanted) {
                Ok(plan) => drop(sets.insert(plan.set.clone(), Arc::new(plan))),
                Err(sentence) => faults.push((path.unwrap_or_else(|| "record".into()), sentence)),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let fixed = ["SET", "DOCUMENT", "NUMBER", "TAG"].map(str::to_owned);
        let elements = (1..=SEGMENT_COLUMNS).map(|element| format!("{element:02}"));
        Ok(Plans {
            sets,
            encoding,
            has_segments: self.otherwise == Otherwise::Segments,
            segment_shape: Arc::new(Shape {
                record_type: "segment".into(),
                columns: fixed.into_iter().chain(elements).collect(),
            }),
        })
    }

    /// The sets with their loops and built-in columns; those of the configuration with the path of their loops.
    fn makings<S: Syntax>(&self, faults: &mut Vec<Fault>) -> Vec<(Making, Option<String>)> {
        let mut makings = Vec::new();
        for (index, config) in self.set.iter().enumerate() {
            let path = format!("set.{index}.loops");
            if self.set[..index].iter().any(|one| one.set == config.set) {
                let sentence = format!("set {} stands twice; leave one out", config.set);
                faults.push((format!("set.{index}.set"), sentence));
            } else if config.set.trim() != config.set || config.set.is_empty() {
                let sentence = "write what documents say that they are, e.g. set = \"940\"".into();
                faults.push((format!("set.{index}.set"), sentence));
            }
            match Schema::parse(S::BEGIN, &config.loops) {
                Ok(schema) => {
                    let mut making = Making::new::<S>(&config.set, schema);
                    self.add_segments(&mut making, faults);
                    making.compile();
                    makings.push((making, Some(path)));
                }
                Err(sentence) => faults.push((path, sentence)),
            }
        }
        for known in S::SETS {
            if self.set.iter().any(|config| config.set == known.set) {
                continue;
            }
            match self.known::<S>(known, faults) {
                Ok(making) => makings.push((making, None)),
                Err(sentence) => faults.push((format!("built-in {}", known.set), sentence)),
            }
        }
        makings
    }

    /// A built-in set. A test sees to it that nothing is wrong with those.
    fn known<S: Syntax>(&self, known: &Known, faults: &mut Vec<Fault>) -> Result<Making, String> {
        let mut making = Making::new::<S>(known.set, Schema::parse(S::BEGIN, known.loops)?);
        self.add_segments(&mut making, faults);
        making.compile();
        let records: Vec<(String, usize)> = making.records().collect();
        for (name, columns) in known.columns {
            let name = making.type_name(name);
            let is_replaced = |config: &RecordConfig| config.record_type == name && config.replace;
            if self.record.iter().any(is_replaced) {
                continue;
            }
            let found = records.iter().find(|(known, _)| *known == name);
            let (_, loop_) = found.ok_or_else(|| format!("there is no {name}"))?;
            for column in columns.split_whitespace() {
                making.add_column(*loop_, address::column(column)?)?;
            }
        }
        Ok(making)
    }

    fn add_segments(&self, making: &mut Making, faults: &mut Vec<Fault>) {
        let records: Vec<(String, usize)> = making.records().collect();
        for (index, config) in self.record.iter().enumerate() {
            let Some((_, loop_)) = records.iter().find(|(name, _)| *name == config.record_type)
            else {
                continue;
            };
            for (number, tag) in config.segments.iter().enumerate() {
                let added = address::step(tag).and_then(|step| match step.test {
                    None => making.add_segment(*loop_, &step.tag),
                    Some(_) => Err(format!("\"{tag}\": write the segment alone, e.g. \"PKG\"")),
                });
                if let Err(sentence) = added {
                    faults.push((format!("record.{index}.segments.{number}"), sentence));
                }
            }
        }
    }

    /// The columns of the configuration.
    fn extend(&self, makings: &mut [(Making, Option<String>)], faults: &mut Vec<Fault>) {
        for (index, config) in self.record.iter().enumerate() {
            let of_type = |making: &Making| {
                let mut records = making.records();
                records
                    .find(|(name, _)| *name == config.record_type)
                    .map(|(_, loop_)| loop_)
            };
            let found = makings
                .iter_mut()
                .find_map(|(making, _)| of_type(making).map(|loop_| (making, loop_)));
            let Some((making, loop_)) = found else {
                faults.push((
                    format!("record.{index}.type"),
                    self.no_such(&config.record_type, makings),
                ));
                continue;
            };
            for (number, column) in config.columns.iter().enumerate() {
                let added =
                    address::column(column).and_then(|address| making.add_column(loop_, address));
                if let Err(sentence) = added {
                    faults.push((format!("record.{index}.columns.{number}"), sentence));
                }
            }
        }
    }

    fn check_wanted(&self, makings: &[(Making, Option<String>)], faults: &mut Vec<Fault>) {
        for (index, name) in self.records.iter().enumerate() {
            if !is_record(name, makings) {
                faults.push((format!("records.{index}"), self.no_such(name, makings)));
            }
        }
    }

    fn no_such(&self, name: &str, makings: &[(Making, Option<String>)]) -> String {
        let set = name.split('.').next().unwrap_or("");
        let mut all: Vec<String> = makings
            .iter()
            .flat_map(|(making, _)| making.records().map(|(name, _)| name).collect::<Vec<_>>())
            .collect();
        all.sort_unstable();
        let of_set = |known: &&String| known.split('.').next() == Some(set);
        let near: Vec<&str> = all.iter().filter(of_set).map(String::as_str).collect();
        if near.is_empty() {
            let sets = all.iter().filter(|name| !name.contains('.'));
            let sets: Vec<&str> = sets.map(String::as_str).collect();
            return format!(
                "there is no record \"{name}\"; the sets are {}; declare others under [[flow.source.format.set]]",
                sets.join(", ")
            );
        }
        format!(
            "there is no record \"{name}\"; set {set} has {}",
            near.join(", ")
        )
    }
}

fn is_record(name: &str, makings: &[(Making, Option<String>)]) -> bool {
    makings
        .iter()
        .any(|(making, _)| making.records().any(|(known, _)| known == name))
}
