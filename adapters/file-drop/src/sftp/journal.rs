//! What was picked up, as it stands in `archive/.dray/sftp-FLOW`.
//!
//! ```text
//! landing  BYTES  MTIME  SHA256  PART  NAME    the part is synced; from the next step on it has landed
//! landed   NAME                                its name is synced
//! gone     NAME                                the file there is deleted or moved: a new one may come
//! ```
//! A line a step, its parts divided by tabs; the newest line of a name counts. A last line without its end is one that a
//! power cut took: it is as if it had not been written. The file is written anew at each start, and when it
//! has many more lines than names.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::archive::{OWN, make, sync};
use crate::plain;

use super::listing::Remote;

/// Names that are remembered. Files that are kept there stay in it as long as they are listed.
pub(crate) const NAMES_MAX: usize = 100_000;
/// Lines more than names, at which it is written anew.
const LINES_SPARE: usize = 10_000;
/// Bytes that are read of it: about five times what the names need.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What is known of the newest file of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) remote: Remote,
    pub(crate) sha256: [u8; 32],
    pub(crate) state: State,
}

/// How far it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// It has landed if this part is gone.
    Landing(String),
    Landed,
}

/// The journal, open.
#[derive(Debug)]
pub(crate) struct Journal {
    root: PathBuf,
    name: String,
    file: File,
    entries: HashMap<String, Entry>,
    lines: usize,
    /// Half a line may stand at its end, or a sync failed: it is written anew before the next line.
    is_torn: bool,
}

impl Journal {
    /// Opens it, or makes it. `flow`: what tells flows of one folder apart.
    pub(crate) fn open(root: &Path, flow: &str) -> io::Result<Self> {
        let name = format!("sftp-{flow}");
        make(root, OWN)?;
        let own = root.join(OWN);
        let entries = read(&own.join(&name))?;
        let file = write(&own, &name, &entries)?;
        Ok(Self {
            root: root.to_owned(),
            name,
            file,
            lines: entries.len(),
            entries,
            is_torn: false,
        })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Whether this very file was picked up, as far as name, size and time tell.
    pub(crate) fn knows(&self, remote: &Remote) -> bool {
        self.get(&remote.name)
            .is_some_and(|entry| entry.remote == *remote)
    }

    /// Files of which only the part tells whether they have landed: at most one, but for a journal that was edited.
    pub(crate) fn landing(&self) -> Vec<Entry> {
        let landing = |entry: &&Entry| matches!(entry.state, State::Landing(_));
        self.entries.values().filter(landing).cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// A file is about to land. On stable storage when this returns.
    pub(crate) fn begin(&mut self, entry: Entry) -> io::Result<()> {
        self.write_anew_if_long()?;
        self.line(&lines_of(&entry))?;
        // What a second sync of the same file says would be worth nothing.
        self.is_torn = true;
        self.file.sync_all()?;
        self.is_torn = false;
        self.entries.insert(entry.remote.name.clone(), entry);
        Ok(())
    }

    /// It has landed. Not synced: without this line the part tells it.
    pub(crate) fn landed(&mut self, name: &str) -> io::Result<()> {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.state = State::Landed;
        }
        self.line(&format!("landed\t{name}\n"))
    }

    /// It is not there any more, or has not landed. Not synced: without this line the next file of the same name, size and
    /// second is compared before it lands.
    pub(crate) fn forget(&mut self, name: &str) -> io::Result<()> {
        self.entries.remove(name);
        self.line(&format!("gone\t{name}\n"))
    }

    /// Forgets what is not listed any more, if it is too much to be remembered. Not before: a share that is away lists
    /// nothing, and all of it would come again.
    pub(crate) fn shrink(&mut self, is_listed: impl Fn(&str) -> bool) -> io::Result<()> {
        if self.entries.len() >= NAMES_MAX {
            self.entries.retain(|name, _| is_listed(name));
            self.write_anew()?;
        }
        Ok(())
    }

    fn write_anew_if_long(&mut self) -> io::Result<()> {
        if self.lines > self.entries.len() + LINES_SPARE {
            self.write_anew()?;
        }
        Ok(())
    }

    fn write_anew(&mut self) -> io::Result<()> {
        self.file = write(&self.root.join(OWN), &self.name, &self.entries)?;
        self.lines = self.entries.len();
        self.is_torn = false;
        Ok(())
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        if self.is_torn {
            self.write_anew()?;
        }
        self.lines += 1;
        self.is_torn = true;
        self.file.write_all(line.as_bytes())?;
        self.is_torn = false;
        Ok(())
    }
}

fn lines_of(entry: &Entry) -> String {
    let Remote { name, bytes, mtime } = &entry.remote;
    let sha256 = hex::encode(entry.sha256);
    match &entry.state {
        State::Landing(part) => format!("landing\t{bytes}\t{mtime}\t{sha256}\t{part}\t{name}\n"),
        State::Landed => {
            format!("landing\t{bytes}\t{mtime}\t{sha256}\t-\t{name}\nlanded\t{name}\n")
        }
    }
}

fn read(path: &Path) -> io::Result<HashMap<String, Entry>> {
    let mut entries = HashMap::new();
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(entries),
        Err(error) => return Err(error),
        Ok(metadata) if metadata.len() > BYTES_MAX => {
            return Err(io::Error::other(format!(
                "it has {} bytes, more than {BYTES_MAX}",
                metadata.len()
            )));
        }
        Ok(_) => {}
    }
    let mut text = Vec::new();
    plain::open(path)?.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    for line in text.split_inclusive('\n') {
        // The last one, cut.
        let Some(line) = line.strip_suffix('\n') else {
            break;
        };
        if apply(&mut entries, line).is_none() {
            tracing::warn!(file = %path.display(), line, "a line that can't be read is passed over");
        }
    }
    Ok(entries)
}

fn apply(entries: &mut HashMap<String, Entry>, line: &str) -> Option<()> {
    let (step, rest) = line.split_once('\t')?;
    match step {
        "landed" => entries.get_mut(rest)?.state = State::Landed,
        "gone" => {
            entries.remove(rest);
        }
        "landing" => {
            let mut parts = rest.splitn(5, '\t');
            let mut next = || parts.next();
            let (bytes, mtime) = (next()?.parse().ok()?, next()?.parse().ok()?);
            let mut sha256 = [0; 32];
            hex::decode_to_slice(next()?, &mut sha256).ok()?;
            let (part, name) = (next()?.to_owned(), next()?.to_owned());
            let remote = Remote {
                name: name.clone(),
                bytes,
                mtime,
            };
            let state = State::Landing(part);
            entries.insert(
                name,
                Entry {
                    remote,
                    sha256,
                    state,
                },
            );
        }
        _ => return None,
    }
    Some(())
}

/// Writes all of it beside the old one, and puts it in its place.
fn write(own: &Path, name: &str, entries: &HashMap<String, Entry>) -> io::Result<File> {
    let new = own.join(format!("{name}.new"));
    let mut file = File::create(&new)?;
    let mut writer = io::BufWriter::new(&mut file);
    for entry in entries.values() {
        writer.write_all(lines_of(entry).as_bytes())?;
    }
    writer.flush()?;
    drop(writer);
    file.sync_all()?;
    fs::rename(&new, own.join(name))?;
    sync(own)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, state: State) -> Entry {
        Entry {
            remote: Remote {
                name: name.to_owned(),
                bytes: 148,
                mtime: 1_700_000_000,
            },
            sha256: [0xAB; 32],
            state,
        }
    }

    fn part() -> State {
        State::Landing(".dray-0-1.part".into())
    }

    #[test]
    fn it_is_read_as_it_was_written_also_cut_at_any_byte() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(folder.path(), "f").expect("it opens");
        journal.begin(entry("a b.txt", part())).expect("a line");
        journal.landed("a b.txt").expect("a line");
        journal.begin(entry("gone.txt", part())).expect("a line");
        journal.forget("gone.txt").expect("a line");
        journal.begin(entry("ü.txt", part())).expect("a line");
        let path = folder.path().join(OWN).join("sftp-f");
        let whole = fs::read(&path).expect("the journal");
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).expect("a journal");
            let journal = Journal::open(folder.path(), "f").expect("it opens");
            let written = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
            let state = |name| journal.get(name).map(|entry| entry.state.clone());
            let first = [None, Some(part()), Some(State::Landed)][written.min(2)].clone();
            assert_eq!(state("a b.txt"), first, "{cut}");
            assert_eq!(state("gone.txt"), (written == 3).then(part), "{cut}");
            assert_eq!(state("ü.txt"), (written == 5).then(part), "{cut}");
            let again = Journal::open(folder.path(), "f").expect("it opens");
            assert_eq!(again.entries, journal.entries, "{cut}");
        }
    }

    #[test]
    fn half_a_line_does_not_swallow_the_next_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(folder.path(), "f").expect("it opens");
        journal.begin(entry("a", part())).expect("a line");
        // As a full disk leaves it.
        journal.file.write_all(b"landed\t").expect("half a line");
        journal.is_torn = true;
        journal.begin(entry("b", part())).expect("a line");
        let again = Journal::open(folder.path(), "f").expect("it opens");
        assert_eq!(again.entries, journal.entries);
        assert_eq!(again.len(), 2);
    }

    #[test]
    fn it_stays_short_however_many_files_came_and_went() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(folder.path(), "f").expect("it opens");
        journal.lines = LINES_SPARE;
        journal.begin(entry("a", part())).expect("a line");
        journal.landed("a").expect("a line");
        journal.begin(entry("b", part())).expect("a line");
        assert!(journal.lines < 5, "{} lines", journal.lines);
        let again = Journal::open(folder.path(), "f").expect("it opens");
        assert_eq!(again.entries, journal.entries);
    }

    #[test]
    fn another_file_of_the_name_is_not_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(folder.path(), "f").expect("it opens");
        journal.begin(entry("a", part())).expect("a line");
        let known = entry("a", part()).remote;
        assert!(journal.knows(&known));
        assert!(!journal.knows(&Remote {
            bytes: 149,
            ..known.clone()
        }));
        assert!(!journal.knows(&Remote { mtime: 1, ..known }));
    }
}
