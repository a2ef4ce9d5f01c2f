//! Which files are read, and which of them were rotated.

use globset::{Glob, GlobMatcher};

/// Endings of rotated files that were packed since: what is in them was read before.
const PACKED: [&str; 8] = [".gz", ".bz2", ".xz", ".zst", ".zip", ".Z", ".lz4", ".7z"];

/// What some programs put behind the name of the one file before.
const OLD: [&str; 3] = [".old", ".bak", ".prev"];

/// The names, compiled.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pattern: GlobMatcher,
    /// Empty: they are told by number or date.
    rotated: Vec<GlobMatcher>,
}

impl Names {
    /// # Errors
    /// The setting and a sentence.
    pub(super) fn new(pattern: &str, rotated: &[String]) -> Result<Self, (&'static str, String)> {
        let rotated = rotated.iter().map(|glob| compile("rotated", glob));
        Ok(Self {
            pattern: compile("pattern", pattern)?,
            rotated: rotated.collect::<Result<_, _>>()?,
        })
    }

    /// Whether a file of this name is read at all.
    pub(super) fn takes(&self, name: &str) -> bool {
        let is_passed_over = name.starts_with('.')
            || name.ends_with(".tmp")
            || name.ends_with(".part")
            || PACKED.iter().any(|ending| name.ends_with(ending));
        !is_passed_over
            && (self.pattern.is_match(name)
                || self.rotated.iter().any(|glob| glob.is_match(name))
                || (self.rotated.is_empty() && self.bases(name).next().is_some()))
    }

    /// Whether a file of this name may have come by rotation from one that was called `base`.
    pub(super) fn is_rotated_from(&self, name: &str, base: &str) -> bool {
        // Most names are told apart by a look: there may be thousands of them.
        if name.len() <= base.len() && self.rotated.is_empty() || name == base {
            return false;
        }
        if self.rotated.is_empty() {
            return self.bases(name).any(|one| one == base);
        }
        self.rotated.iter().any(|glob| glob.is_match(name)) && self.pattern.is_match(base)
    }

    /// The name under which a file's records are sent: the one that it had before it was rotated, where that can be
    /// told. `is_there`: whether a file of this name is, or was, read.
    pub(super) fn first_name(&self, name: &str, is_there: impl Fn(&str) -> bool) -> String {
        if self.rotated.is_empty() {
            let is_live = self.pattern.is_match(name);
            // A date may be part of a live file's own name.
            let base = self.bases(name).find(|base| !is_live || is_there(base));
            return base.unwrap_or_else(|| name.to_owned());
        }
        let is_rotated = self.rotated.iter().any(|glob| glob.is_match(name));
        let pattern = self.pattern.glob().glob();
        // A pattern without wildcards is the one name that there is.
        if is_rotated && !self.pattern.is_match(name) && !pattern.contains(['*', '?', '[', '{']) {
            return pattern.to_owned();
        }
        name.to_owned()
    }

    /// Names that fit the pattern, of which this one is a rotated form.
    fn bases(&self, name: &str) -> impl Iterator<Item = String> {
        let old = OLD.iter().find_map(|old| name.strip_suffix(old));
        let behind = without_number(name);
        let before = name.rsplit_once('.').and_then(|(stem, ending)| {
            let is_ending = !ending.bytes().all(|byte| byte.is_ascii_digit());
            let stem = without_number(stem).filter(|_| is_ending)?;
            Some(format!("{stem}.{ending}"))
        });
        let found = [old.map(str::to_owned), behind.map(str::to_owned), before];
        found
            .into_iter()
            .flatten()
            .filter(|base| self.pattern.is_match(base))
    }
}

/// What stands before a number or a date at the end: `app.log` of `app.log.1`, `app.log-20240131`, `app.log.2024-01-31_13`.
fn without_number(name: &str) -> Option<&str> {
    let is_part =
        |letter: char| letter.is_ascii_digit() || matches!(letter, '-' | '_' | '.' | ':' | 'T');
    let base = name.trim_end_matches(is_part);
    let tail = &name[base.len()..];
    let number = tail.trim_start_matches(['-', '_', '.']);
    let digit = |letter: char| letter.is_ascii_digit();
    let is_number =
        number.len() < tail.len() && number.starts_with(digit) && number.ends_with(digit);
    (is_number && !base.is_empty()).then_some(base)
}

fn compile(setting: &'static str, glob: &str) -> Result<GlobMatcher, (&'static str, String)> {
    if glob.contains('/') {
        return Err((
            setting,
            format!("\"{glob}\" is matched with the file's name alone; folders are not searched"),
        ));
    }
    Glob::new(glob)
        .map(|glob| glob.compile_matcher())
        .map_err(|error| {
            (
                setting,
                format!("\"{glob}\": {}; write e.g. \"app.log*\"", error.kind()),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pattern: &str, rotated: &[&str]) -> Names {
        let rotated: Vec<String> = rotated.iter().map(|&glob| glob.into()).collect();
        Names::new(pattern, &rotated).expect("good globs")
    }

    #[test]
    fn rotated_names_are_told_by_number_and_date() {
        let found = names("app.log", &[]);
        for name in [
            "app.log.1",
            "app.log.12",
            "app.log-20240131",
            "app.log.2024-01-31",
            "app.log-20240131-1706745600",
            "app.log.2024-01-31T13",
            "app-20240131.log",
            "app.1.log",
            "app-2024-01-31_2.log",
            "app.log.old",
        ] {
            assert!(found.takes(name), "{name}");
            assert!(found.is_rotated_from(name, "app.log"), "{name}");
            assert_eq!(found.first_name(name, |_| false), "app.log");
        }
        assert!(found.takes("app.log"));
        for name in [
            "app.log.gz",
            "app.log.1.gz",
            "app.log.x",
            "app.log.",
            "app2.log",
            "other.log.1",
            ".app.log.1",
            "1",
            "",
        ] {
            assert!(!found.takes(name), "{name}");
        }
    }

    #[test]
    fn a_date_in_a_live_name_is_no_rotation_unless_there_is_a_file_without_it() {
        let found = names("*.log", &[]);
        assert_eq!(
            found.first_name("app-20240131.log", |_| false),
            "app-20240131.log"
        );
        assert_eq!(
            found.first_name("app-20240131.log", |name| name == "app.log"),
            "app.log"
        );
        assert_eq!(found.first_name("app.log.1", |_| false), "app.log");
        let found = names("app-*.log", &[]);
        assert_eq!(
            found.first_name("app-20240131.log", |_| true),
            "app-20240131.log"
        );
    }

    #[test]
    fn globs_say_what_is_rotated_where_they_are_given() {
        let found = names("app.log", &["archive_*"]);
        assert!(found.takes("archive_7") && !found.takes("app.log.1"));
        assert!(found.is_rotated_from("archive_7", "app.log"));
        assert!(!found.is_rotated_from("app.log", "app.log"));
        assert_eq!(found.first_name("archive_7", |_| false), "app.log");
        assert_eq!(
            names("app.*", &["archive_*"]).first_name("archive_7", |_| true),
            "archive_7"
        );
    }
}
