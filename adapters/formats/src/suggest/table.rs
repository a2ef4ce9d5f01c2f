//! A proposal as a configuration has it: the `[flow.source.format]` table.

use super::{Column, RecordType, Suggestion};
use crate::edi::Characters;
use crate::edifact::Edifact;
use crate::x12::X12;

/// A record's bytes where nothing tells them: a punched card's.
const STAND_IN_BYTES: usize = 80;

/// How the file's `encoding` is written for a format of this kind; `None` where it need not be.
///
/// # Errors
/// A sentence: the format is not read in this encoding.
pub(super) fn encoding(
    kind: &str,
    found: &'static str,
    text: &str,
) -> Result<Option<&'static str>, String> {
    let refused = || {
        format!(
            "It looks like kind = \"{kind}\", but in {found}, in which that is not read; have it written in UTF-8."
        )
    };
    match kind {
        "csv" | "fixed" => Ok(Some(found)),
        // The declaration says it; of text without one the guess does, where it is not UTF-8 or UTF-16 with its mark.
        "xml" | "idoc" if text.trim_start().starts_with('<') => {
            let start = text.get(..text.floor_char_boundary(200)).unwrap_or(text);
            let says = start.contains("encoding=") || found.starts_with("utf-");
            Ok((!says).then_some(found))
        }
        "idoc" => Ok(Some(found)),
        // Of eight bits a character DOS is hard to tell from Windows, and what is written in DOS has no name here.
        "x12" | "edifact" if Characters::of_name(found).is_none() && found != "cp850" => {
            Err(refused())
        }
        "x12" if found == "utf-8" => Ok(Some(found)),
        "x12" => Ok(Some("windows-1252")),
        // UNB says it.
        "edifact" => Ok(None),
        "json" | "json-lines" if found != "utf-8" => Err(refused()),
        _ => Ok(Some(found)),
    }
}

/// A text as TOML has it.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\t' => quoted.push_str("\\t"),
            letter if letter.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(letter)));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

impl Suggestion {
    /// The format as a configuration has it, e.g. with `table` "flow.source.format"; `None` where nothing fits. A file of a
    /// mainframe needs a copybook, and `copybook` says where that will be.
    #[must_use]
    pub fn to_toml(&self, table: &str, copybook: &str) -> Option<String> {
        let kind = self.kind?;
        let mut out = Out {
            table,
            head: format!("[{table}]\n"),
            below: String::new(),
        };
        out.set("kind", &quoted(kind));
        match kind {
            "csv" => self.csv(&mut out),
            "fixed" => self.fixed(&mut out),
            "copybook" => self.copybook(&mut out, copybook),
            "x12" | "edifact" => self.edi(&mut out, kind),
            "idoc" => self.idoc(&mut out),
            "xml" => self.xml(&mut out),
            "json" | "json-lines" => self.json(&mut out),
            _ => {}
        }
        Some(out.head + &out.below)
    }

    /// A copybook to begin with until the sender's is there: all of a record is one text. `None` where none is needed.
    #[must_use]
    pub fn copybook_stand_in(&self) -> Option<String> {
        let bytes = self.record_bytes.unwrap_or(STAND_IN_BYTES);
        (self.kind == Some("copybook"))
            .then(|| format!("       01  RECORD.\n           05  ALL-OF-IT  PIC X({bytes}).\n"))
    }

    fn encoding(&self, out: &mut Out<'_>) {
        if let Some(encoding) = self.encoding.filter(|encoding| *encoding != "utf-8") {
            out.set("encoding", &quoted(encoding));
        }
    }

    fn csv(&self, out: &mut Out<'_>) {
        out.set(
            "delimiter",
            &quoted(&self.delimiter.unwrap_or(',').to_string()),
        );
        match self.quote {
            _ if self.quotes_are_text => out.set("quote", "\"\""),
            Some(quote) if quote != '"' => out.set("quote", &quoted(&quote.to_string())),
            _ => {}
        }
        self.encoding(out);
        if !self.record_types.is_empty() {
            out.set("header", "false");
            out.set("type_column", "1");
            for one in &self.record_types {
                out.record(&one.name);
                out.below += &format!("columns = [{}]\n", names(&one.columns));
            }
            return;
        }
        match self.header {
            Some(false) => {
                out.set("header", "false");
                out.set("columns", &format!("[{}]", names(&self.columns)));
            }
            _ => out.set("header", "true"),
        }
    }

    fn fixed(&self, out: &mut Out<'_>) {
        self.encoding(out);
        if let Some(bytes) = self.record_bytes {
            out.set("record_bytes", &bytes.to_string());
        }
        let of_all = RecordType {
            name: String::new(),
            columns: self.columns.clone(),
        };
        let types = match self.record_types.is_empty() {
            true => std::slice::from_ref(&of_all),
            false => &self.record_types[..],
        };
        for one in types {
            out.record(&one.name);
            if !one.name.is_empty() {
                out.below += &format!("match = [{{ at = 1, text = {} }}]\n", quoted(&one.name));
            }
            out.below += "field = [\n";
            for column in &one.columns {
                let (at, width) = column.at.unwrap_or((0, 1));
                out.below += &format!(
                    "  {{ name = {}, at = {}, width = {width} }},\n",
                    quoted(&column.name),
                    at + 1
                );
            }
            out.below += "]\n";
        }
    }

    fn copybook(&self, out: &mut Out<'_>, copybook: &str) {
        out.set("copybook", &quoted(copybook));
        self.encoding(out);
        match self.record_bytes {
            _ if self.is_prefixed => out.set("framing", "\"rdw\""),
            Some(bytes) => {
                out.set("framing", "\"fixed\"");
                out.set("record_bytes", &bytes.to_string());
            }
            None => {}
        }
    }

    fn edi(&self, out: &mut Out<'_>, kind: &str) {
        self.encoding(out);
        let is_known = |set: &String| match kind {
            "x12" => X12::is_known(set),
            _ => Edifact::is_known(set),
        };
        if !self.sets.iter().all(is_known) {
            out.set("otherwise", "\"segments\"");
        }
    }

    fn idoc(&self, out: &mut Out<'_>) {
        let names: Vec<String> = self
            .record_types
            .iter()
            .map(|one| quoted(&one.name))
            .collect();
        out.set("records", &format!("[{}]", names.join(", ")));
        out.set("ignore", "[\"*\"]");
        self.encoding(out);
        for one in self
            .record_types
            .iter()
            .filter(|one| !one.columns.is_empty())
        {
            out.below += &format!("[[{}.segment]]\nname = {}\n", out.table, quoted(&one.name));
            let field = |column: &Column| match column.at {
                Some((_, width)) => {
                    format!("{{ name = {}, width = {width} }}", quoted(&column.name))
                }
                None => format!("{{ name = {} }}", quoted(&column.name)),
            };
            let fields: Vec<String> = one.columns.iter().map(field).collect();
            out.below += &format!("field = [{}]\n", fields.join(", "));
        }
    }

    fn xml(&self, out: &mut Out<'_>) {
        out.set(
            "record",
            &quoted(self.record_path.as_deref().unwrap_or("/*")),
        );
        self.encoding(out);
        out.fields(&self.columns, ("TEXT", "."));
    }

    fn json(&self, out: &mut Out<'_>) {
        if let Some(path) = &self.record_path {
            out.set("record", &quoted(path));
        }
        out.fields(&self.columns, ("VALUE", ""));
    }
}

fn names(columns: &[Column]) -> String {
    let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    names.join(", ")
}

/// A table, and those below it.
struct Out<'a> {
    table: &'a str,
    head: String,
    below: String,
}

impl Out<'_> {
    fn set(&mut self, name: &str, value: &str) {
        self.head += &format!("{name} = {value}\n");
    }

    fn record(&mut self, name: &str) {
        self.below += &format!("[[{}.record]]\n", self.table);
        if !name.is_empty() {
            self.below += &format!("name = {}\n", quoted(name));
        }
    }

    /// `otherwise`: a column that is always there.
    fn fields(&mut self, columns: &[Column], otherwise: (&str, &str)) {
        self.below += &format!("[{}.fields]\n", self.table);
        if columns.is_empty() {
            self.below += &format!("{} = {}\n", otherwise.0, quoted(otherwise.1));
        }
        for column in columns {
            let path = column.path.as_ref().unwrap_or(&column.name);
            self.below += &format!("{} = {}\n", quoted(&column.name), quoted(path));
        }
    }
}
