//! A drop folder of EDI, and the folder in which it is answered.

use std::fs;
use std::path::PathBuf;

use dray_adapter::conformance::{self, Place};
use dray_adapter::{Batch, IdScope, Origin, Position, Source};
use dray_file_drop::{FileDrop, FileDropConfig};
use dray_formats::{Format, FormatConfig, Gather};

use crate::support::Drops;

/// A drop folder, and beside it the one for acknowledgements.
pub(crate) struct Answered {
    pub(crate) drops: Drops,
    pub(crate) back: PathBuf,
    added: u64,
}

impl Answered {
    pub(crate) fn new(kind: &str, settings: &str) -> Self {
        let drops = Drops::new(&format!(
            "format.kind = \"{kind}\"\nacknowledge.folder = \"/set/below\"\n{settings}"
        ));
        let back = drops.path.with_file_name("back");
        fs::create_dir(&back).expect("a folder");
        Self {
            drops,
            back,
            added: 0,
        }
    }

    pub(crate) fn config(&self) -> FileDropConfig {
        let mut config = self.drops.config();
        if let Some(acknowledge) = &mut config.acknowledge {
            acknowledge.folder.clone_from(&self.back);
        }
        config
    }

    pub(crate) fn agent_source(&self) -> Box<dyn Source> {
        Box::new(FileDrop::new("north/stock", self.config()).expect("a good configuration"))
    }

    /// What the agent appends of a file, as the suite writes it.
    fn shown(&self, name: &str, text: &str) -> Vec<String> {
        let format = Format::new(&self.config().format, &|_| Err("no text is named".into()));
        let mut decoder = format.expect("a format").decoder(0);
        let (mut rest, mut all, mut done) = (text.as_bytes(), Vec::new(), false);
        while !done {
            let mut gather = Gather::default();
            let decoded = decoder
                .decode(rest, true, &mut gather)
                .expect("it is whole");
            (rest, done) = (&rest[decoded.bytes..], decoded.done);
            let batch = Batch {
                reports: Vec::new(),
                origin: Origin {
                    scope: IdScope::of(&[]),
                    file: name.into(),
                    message_id: "".into(),
                    change_position: "".into(),
                },
                records: gather.records,
                rejects: gather.rejects,
                marks: Vec::new(),
                position: Position::default(),
                captured_us: 1,
                ends_unit: done,
            };
            all.extend(
                conformance::entries(&batch)
                    .into_iter()
                    .map(|entry| entry.shown),
            );
        }
        all
    }

    /// What was written, by name.
    pub(crate) fn answers(&self) -> Vec<(String, String)> {
        let entries = fs::read_dir(&self.back).expect("the folder");
        let mut found: Vec<(String, String)> = entries
            .map(|entry| {
                let entry = entry.expect("a file");
                let text = fs::read_to_string(entry.path()).expect("text");
                (entry.file_name().to_string_lossy().into_owned(), text)
            })
            .collect();
        found.sort();
        found
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.answers().into_iter().map(|(name, _)| name).collect()
    }
}

/// An interchange of 940s: each has one line, or lacks its W05.
pub(crate) fn interchange(number: u64, documents: &[bool]) -> String {
    let mut text = format!(
        "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *260101*1200*U*00401*{number:09}*0*P*:~\n\
         GS*OW*A*B*20260101*1200*7*X*004010~\n"
    );
    for (index, is_good) in documents.iter().enumerate() {
        let head = if *is_good { "W05*N*SO-1~\n" } else { "" };
        let segments = if *is_good { 5 } else { 4 };
        text.push_str(&format!(
            "ST*940*{index:04}~\n{head}LX*1~\nW01*{number}*EA**VN*SKU-{index}~\nSE*{segments}*{index:04}~\n"
        ));
    }
    text + &format!("GE*{}*7~\nIEA*1*{number:09}~\n", documents.len())
}

pub(crate) fn message(number: &str, is_good: bool) -> String {
    let line = if is_good {
        "LIN+1++5:EN'\nQTY+21:5'\n"
    } else {
        "PIA+1+x'\n"
    };
    let segments = if is_good { 6 } else { 5 };
    format!(
        "UNB+UNOC:3+S:14+R:14+260101:1200+{number}'\nUNH+M1+ORDERS:D:96A:UN'\nBGM+220+A'\n{line}UNS+S'\nUNT+{segments}+M1'\nUNZ+1+{number}'\n"
    )
}

/// It is a file that we would take ourselves, and no document in it is bad.
pub(crate) fn we_can_read(kind: &str, text: &str) {
    let config: FormatConfig =
        toml::from_str(&format!("kind = \"{kind}\"\notherwise = \"segments\"")).expect("a format");
    let format = Format::new(&config, &|_| Err("no text is named".into())).expect("a format");
    let mut gather = Gather::default();
    let decoded = format.decoder(0).decode(text.as_bytes(), true, &mut gather);
    assert!(decoded.is_ok_and(|decoded| decoded.done), "{text}");
    assert!(gather.rejects.is_empty(), "{text}: {:?}", gather.rejects);
    assert!(!gather.records.is_empty(), "{text}");
}

/// Files as they come: good, partly bad, set aside, of many batches.
impl Place for Answered {
    fn source(&self) -> Box<dyn Source> {
        self.agent_source()
    }

    fn add(&mut self) -> Option<Vec<String>> {
        self.added += 1;
        let name = format!("f{}.txt", self.added);
        let documents: &[bool] = match self.added {
            1 => &[true, false],
            2 => &[true; 100],
            3 => &[true],
            4 => &[true],
            _ => return None,
        };
        let mut text = interchange(self.added, documents);
        if self.added == 2 {
            // Two batches by their bytes.
            text = text.replace("SKU-", &"y".repeat(30_000));
        }
        if self.added == 3 {
            text = text.replace("SE*5*", "SE*6*");
        }
        self.drops.put(&name, &text);
        if self.added == 3 {
            return Some(vec![format!("{name}:0! source")]);
        }
        Some(self.shown(&name, &text))
    }
}

/// Whatever happened: a file that moved is acknowledged, once, and nothing half-written has a name.
impl Drop for Answered {
    fn drop(&mut self) {
        if std::thread::panicking() || self.added == 0 {
            return;
        }
        let names = self.names();
        for folder in ["archive/pending", "archive", "failed"] {
            for file in self.drops.files(folder) {
                let number = file.trim_matches(|letter: char| !letter.is_ascii_digit());
                let named = format!("997_{number:0>9}.x12");
                assert!(
                    names.contains(&named),
                    "{folder}/{file} is not among {names:?}"
                );
            }
        }
        assert!(names.len() <= 4, "{names:?}");
        for (name, text) in self.answers() {
            let number = &name[12..13];
            let first = if number == "3" { 8 } else { 9 };
            assert!(
                text.ends_with(&format!("IEA*1*{first}0000000{number}~\n")),
                "{name}: {text}"
            );
        }
    }
}
