//! What a command asks for is checked, and left for the source.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dray_formats::FormatConfig;

use super::Wanted;
use super::pass::{Pass, Places, Step};
use super::request::{ORDINALS_MAX, Records, Request, Which};
use crate::archive::{ARCHIVE, PENDING, called, original};
use crate::config::{After, FileDropConfig, Repeat};
use crate::decide::repeat_from;
use crate::ledger::{LEDGER, Ledger};
use crate::notice::origin;
use crate::position::Content;

/// How many times the same file may have been sent within a microsecond of its time.
const REPEATS_MAX: u64 = 100;

/// What names a record.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    Lines(u64, u64),
    Ordinal(u64),
    /// A dead letter's id: the file's part, and the ordinal.
    Id([u8; 10], u64),
}

impl FileDropConfig {
    /// Leaves a request for the source of the flow with this full name; what was asked for, in sentences.
    ///
    /// # Errors
    /// A sentence: what is named is not there, or can't be read again.
    pub fn redrive(&self, flow: &str, own: &Path, wanted: &Wanted) -> Result<Vec<String>, String> {
        let failed = |error: std::io::Error| {
            format!(
                "the request can't be written in {}: {error}; ask as root, or as the user whom the agent runs as",
                own.display()
            )
        };
        if wanted.records.is_empty() {
            let files = self.whole_files(own, wanted)?;
            self.are_called_so(&files)?;
            let told = files.iter().map(|name| format!("{name} is read again"));
            let told = told.collect();
            let files = files.into_iter().map(OsString::from).collect();
            Request::Files(files).write(own).map_err(failed)?;
            return Ok(told);
        }
        let [file] = wanted.files.as_slice() else {
            return Err("records are those of one file: name it, e.g. redrive shipments SHP_1.txt --record 12".into());
        };
        if wanted.all {
            return Err("--all is for files; name the records of one file with --record".into());
        }
        let named: Vec<Named> = wanted
            .records
            .iter()
            .map(|text| parse(text))
            .collect::<Result<_, _>>()?;
        let mut told = Vec::new();
        for records in self.records(flow, own, file, &named)? {
            let name = records.name.to_string_lossy().into_owned();
            told.push(match &records.which {
                Which::Ordinals(ordinals) if ordinals.len() == 1 => {
                    format!("1 record of {name} is read again")
                }
                Which::Ordinals(ordinals) => {
                    format!("{} records of {name} are read again", ordinals.len())
                }
                Which::Lines(first, last) => {
                    format!("what begins on lines {first} to {last} of {name} is read again")
                }
            });
            Request::Records(records).write(own).map_err(failed)?;
        }
        Ok(told)
    }

    fn whole_files(&self, own: &Path, wanted: &Wanted) -> Result<Vec<String>, String> {
        let there: BTreeSet<String> = self
            .redrivable(own)?
            .into_iter()
            .map(|file| file.name)
            .collect();
        let place = match self.after {
            After::Move => format!("in {}", self.folder.join(crate::archive::FAILED).display()),
            After::Keep => format!("among the files of {} that failed", self.folder.display()),
        };
        if wanted.all {
            if there.is_empty() {
                return Err(format!("there is nothing {place}"));
            }
            return Ok(there.into_iter().collect());
        }
        for name in &wanted.files {
            if !there.contains(name) {
                return Err(format!(
                    "{name} is not {place}; without a name the command lists what is there. Of a file that was read, name the records: --record"
                ));
            }
        }
        Ok(wanted.files.clone())
    }

    /// A name that is no text is shown with other letters than it has, and is not found under them.
    fn are_called_so(&self, files: &[String]) -> Result<(), String> {
        let folder = match self.after {
            After::Move => self.folder.join(crate::archive::FAILED),
            After::Keep => self.folder.clone(),
        };
        let unlike = files.iter().find(|name| !folder.join(name).exists());
        unlike.map_or(Ok(()), |name| {
            Err(format!(
                "{name} is not in {} by this name: it was moved, or its name is no UTF-8 and it needs another one; name the files that are to be read again",
                folder.display()
            ))
        })
    }

    fn records(
        &self,
        flow: &str,
        own: &Path,
        name: &str,
        named: &[Named],
    ) -> Result<Vec<Records>, String> {
        let paths = match self.after {
            After::Move => self.in_archive(name),
            After::Keep => vec![self.folder.join(name)],
        };
        let mut refused = None;
        let mut chosen = Vec::new();
        for path in paths {
            let looked = self.look(&path, named)?;
            match self.identity(flow, own, name, &path, &looked, named) {
                Ok(content) => chosen.push((path, looked, content)),
                Err(reason) => refused = Some(reason),
            }
        }
        match chosen.as_slice() {
            [(path, looked, content)] => self.choose(name, path, looked, *content, named),
            [] => Err(refused.unwrap_or_else(|| {
                format!(
                    "{name} is not in {}/{ARCHIVE}: it was pruned, or never read",
                    self.folder.display()
                )
            })),
            several => {
                let names: Vec<String> = several
                    .iter()
                    .map(|(path, _, _)| {
                        path.file_name()
                            .unwrap_or_default()
                            .to_string_lossy()
                            .into()
                    })
                    .collect();
                Err(format!(
                    "several files of this name were read; name one of {}, or the records by their dead letters' ids",
                    names.join(", ")
                ))
            }
        }
    }

    /// The files in the archive that had this name, or have it.
    fn in_archive(&self, name: &str) -> Vec<PathBuf> {
        let folders = [ARCHIVE, PENDING].map(|folder| self.folder.join(folder));
        let exact: Vec<PathBuf> = folders
            .iter()
            .map(|folder| folder.join(name))
            .filter(|path| path.is_file())
            .collect();
        // A name with a part of the hash is meant as it stands.
        if original(name.as_ref()).is_some() && !exact.is_empty() {
            return exact;
        }
        let others = folders
            .iter()
            .filter_map(|folder| fs::read_dir(folder).ok());
        let others = others.flatten().flatten().map(|entry| entry.path());
        let had = |path: &PathBuf| {
            let now = path.file_name().unwrap_or_default();
            let own = original(now).map(|(own, _)| own);
            path.is_file() && called(name.as_ref()).any(|name| own.as_ref() == Some(&name))
        };
        exact.into_iter().chain(others.filter(had)).collect()
    }

    fn look(&self, path: &Path, named: &[Named]) -> Result<Looked, String> {
        let failed = |error: std::io::Error| format!("{} can't be read: {error}", path.display());
        let mut pass = Pass::begin(path, &self.format()?).map_err(failed)?;
        let mut places = Places::default();
        for name in named {
            if let Named::Lines(first, last) = name {
                places.lines.push((*first, *last));
            }
        }
        loop {
            let until = Instant::now() + Duration::from_secs(1);
            match pass.step(&mut places, until).map_err(failed)? {
                Step::More => {}
                Step::End => break,
                Step::Full => {
                    return Err(format!(
                        "more than {ORDINALS_MAX} records begin on these lines; name fewer at once"
                    ));
                }
                Step::Fault(reason) => {
                    return Err(format!("{} can't be read: {reason}", path.display()));
                }
            }
        }
        let (look, sha256) = (pass.look, pass.sha256());
        Ok(Looked {
            places,
            look,
            sha256,
        })
    }

    /// The content under which the file was sent.
    fn identity(
        &self,
        flow: &str,
        own: &Path,
        name: &str,
        path: &Path,
        looked: &Looked,
        named: &[Named],
    ) -> Result<Content, String> {
        let first = match self.repeat {
            Repeat::Report => 0,
            Repeat::Send => repeat_from(looked.look),
        };
        let mut content = Content {
            sha256: looked.sha256,
            bytes: looked.look.bytes,
            repeat: first,
        };
        if self.after == After::Keep {
            let ledger = Ledger::read(&own.join(LEDGER))?;
            let line = ledger
                .get(name.as_ref())
                .filter(|line| line.ended.is_sent());
            let line = line.filter(|line| line.content.is_copy_of(&content));
            content = line
                .map(|line| line.content)
                .ok_or_else(|| format!("{} was not sent as it is now", path.display()))?;
        }
        let is_of =
            |content: &Content, scope: &[u8; 10]| origin(flow, name, content).scope.0 == *scope;
        let ids: Vec<&[u8; 10]> = named
            .iter()
            .filter_map(|name| match name {
                Named::Id(scope, _) => Some(scope),
                _ => None,
            })
            .collect();
        let tries = if self.repeat == Repeat::Send {
            REPEATS_MAX
        } else {
            1
        };
        for _ in 0..tries {
            if ids.iter().all(|scope| is_of(&content, scope)) {
                return Ok(content);
            }
            content.repeat += 1;
        }
        Err(format!(
            "a dead letter with one of these ids is not of {}, or not of flow {flow}",
            path.display()
        ))
    }

    fn choose(
        &self,
        name: &str,
        path: &Path,
        looked: &Looked,
        content: Content,
        named: &[Named],
    ) -> Result<Vec<Records>, String> {
        let mut ordinals = BTreeSet::new();
        let mut ranges = Vec::new();
        for wanted in named {
            match wanted {
                Named::Ordinal(ordinal) | Named::Id(_, ordinal) => {
                    if *ordinal >= looked.places.count {
                        return Err(format!(
                            "{name} has {} records as it is read now, counted from #0; there is no #{ordinal}",
                            looked.places.count
                        ));
                    }
                    ordinals.insert(*ordinal);
                }
                Named::Lines(first, last) => {
                    let there: Vec<u64> = looked.places.on(*first, *last).collect();
                    match there.as_slice() {
                        [] => {
                            return Err(format!(
                                "no record of {name} begins on line {first}{}",
                                if first == last {
                                    String::new()
                                } else {
                                    format!(" to {last}")
                                }
                            ));
                        }
                        _ if is_of_documents(&self.format) => ranges.push((*first, *last)),
                        [_, _, ..] if first == last => {
                            return Err(format!(
                                "{} records of {name} begin on line {first}; name them by their dead letters' ids, or by #{} and so on",
                                there.len(),
                                there[0]
                            ));
                        }
                        there => ordinals.extend(there),
                    }
                }
            }
        }
        let mut which: Vec<Which> = ranges
            .into_iter()
            .map(|(first, last)| Which::Lines(first, last))
            .collect();
        let ordinals: Vec<u64> = ordinals.into_iter().collect();
        for part in ordinals.chunks(ORDINALS_MAX) {
            which.push(Which::Ordinals(part.iter().copied().collect()));
        }
        let now = path.file_name().unwrap_or_default().to_owned();
        let own = crate::archive::own_name(&now, &content.sha256);
        let records = |which| Records {
            name: own.clone(),
            now: now.clone(),
            content,
            look: looked.look,
            which,
        };
        Ok(which.into_iter().map(records).collect())
    }
}

/// What was seen of a file.
struct Looked {
    places: Places,
    look: crate::ready::Look,
    sha256: [u8; 32],
}

impl Places {
    /// The ordinals of the records that begin on these lines.
    fn on(&self, first: u64, last: u64) -> impl Iterator<Item = u64> {
        let found = self.found.iter();
        let on = found.filter(move |(line, _)| (first..=last).contains(line));
        on.map(|(_, ordinal)| *ordinal)
    }
}

/// Whether what is bad may stand for several records.
fn is_of_documents(format: &FormatConfig) -> bool {
    matches!(
        format,
        FormatConfig::X12(_)
            | FormatConfig::Edifact(_)
            | FormatConfig::Idoc(_)
            | FormatConfig::Copybook(_)
    )
}

fn parse(text: &str) -> Result<Named, String> {
    let unknown = || {
        format!(
            "\"{text}\" names no record: write a line (12), the lines of a document (12-40), a number among the records (#5), or the id of a dead letter"
        )
    };
    if let Some(ordinal) = text.strip_prefix('#') {
        return ordinal.parse().map(Named::Ordinal).map_err(|_| unknown());
    }
    if text.len() == 32 {
        let mut id = [0; 16];
        hex::decode_to_slice(text, &mut id).map_err(|_| unknown())?;
        let (mut scope, mut ordinal) = ([0; 10], [0; 8]);
        scope.copy_from_slice(&id[..10]);
        ordinal[3..].copy_from_slice(&id[10..15]);
        return Ok(Named::Id(scope, u64::from_be_bytes(ordinal)));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let line = |text: &str| text.parse().ok().filter(|line| *line > 0);
    match (line(first), line(last)) {
        (Some(first), Some(last)) if first <= last => Ok(Named::Lines(first, last)),
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_named_by_line_lines_number_or_id() {
        for (text, expected) in [
            ("12", Some(Named::Lines(12, 12))),
            ("12-40", Some(Named::Lines(12, 40))),
            ("#0", Some(Named::Ordinal(0))),
            (
                "010101010101010101010000000007ff",
                Some(Named::Id([1; 10], 7)),
            ),
            ("0", None),
            ("40-12", None),
            ("x", None),
            ("", None),
            ("#", None),
        ] {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }
}
