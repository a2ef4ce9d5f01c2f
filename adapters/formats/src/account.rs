//! What a file says of itself besides its records: counts and totals that were checked, and what names its content.

use dray_adapter::FileChecks;

use crate::edi::{Interchange, Receipt};
use crate::typed::Tracker;

/// Names of a file of which is told, at most; more are counted.
pub const IDENTITIES_MAX: usize = 10_000;

/// What a decoder tells of a file. It costs per check and per name, never per record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Counts and totals; the last of them may be the one that did not hold.
    pub checks: FileChecks,
    /// Interchanges or documents, in the file's order, as far as the decoder tells of them.
    pub identities: Vec<Identity>,
    /// How many there are in all, as far as they are counted.
    pub identities_in_all: u64,
}

/// Which kind of thing an [`Identity`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityKind {
    /// An interchange of EDI.
    Interchange,
    /// A document: an IDoc.
    Document,
}

/// What names a part of a file's content wherever it comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What it names.
    pub kind: IdentityKind,
    /// Who numbers it, and for whom: `SENDER>RECEIVER`, of ISA06 and ISA08 or UNB02 and UNB03; empty for an IDoc.
    pub parties: String,
    /// ISA13, UNB05 (data element 0020) or DOCNUM.
    pub number: String,
}

impl Account {
    /// Of EDI.
    pub(crate) fn of_receipt(receipt: &Receipt, checks: &FileChecks) -> Self {
        let identity = |one: &Interchange| Identity {
            kind: IdentityKind::Interchange,
            parties: format!("{}>{}", one.sender.id, one.receiver.id),
            number: one.number.clone(),
        };
        Self {
            checks: checks.clone(),
            identities: receipt.interchanges.iter().map(identity).collect(),
            identities_in_all: receipt.interchanges.len() as u64 + receipt.interchanges_left_out,
        }
    }

    /// Of IDocs.
    pub(crate) fn of_documents(documents: &[String]) -> Self {
        let identity = |number: &String| Identity {
            kind: IdentityKind::Document,
            parties: String::new(),
            number: number.clone(),
        };
        Self {
            identities: documents.iter().map(identity).collect(),
            identities_in_all: documents.len() as u64,
            ..Self::default()
        }
    }

    /// Of record types with counts and totals.
    pub(crate) fn of_types(tracker: Option<&Tracker>) -> Self {
        Self {
            checks: tracker.map_or_else(FileChecks::default, |tracker| tracker.checks.clone()),
            ..Self::default()
        }
    }

    /// What the next file of an archive tells.
    pub(crate) fn extend(&mut self, next: Self) {
        self.checks.extend(&next.checks);
        let room = IDENTITIES_MAX - self.identities.len();
        self.identities
            .extend(next.identities.into_iter().take(room));
        self.identities_in_all += next.identities_in_all;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::{Packed, Packing};
    use crate::{Format, Tally};

    fn account(format: &str, file: &[u8]) -> (Account, Result<(), String>) {
        let config = toml::from_str(format).expect(format);
        let format = Format::new(&config, &|_| Ok(String::new())).expect("a format");
        let packed: Packed = format.packed(Packing {
            compression: crate::packed::Compression::None,
            inflated_bytes_max: 1 << 30,
        });
        let mut decoder = packed.decoder(0);
        let decoded = decoder.decode(file, true, &mut Tally::new(100));
        (
            decoder.account(),
            decoded.map(|_| ()).map_err(|fault| fault.0),
        )
    }

    /// `name says/found`, and the identities.
    fn shown(account: &Account) -> Vec<String> {
        let checks = account
            .checks
            .first
            .iter()
            .map(|check| format!("{} {}/{}", check.name, check.expected, check.found));
        let identities = account
            .identities
            .iter()
            .map(|one| format!("{:?} {} {}", one.kind, one.parties, one.number));
        checks.chain(identities).collect()
    }

    const TYPED: &str = "kind = \"csv\"\ndelimiter = \"|\"\ntype_column = 1\nheader = false\n[[record]]\nname = \"D\"\ncolumns = [\"TYPE\", \"SKU\", \"QTY\"]\n\
        [[record]]\nname = \"T\"\ncolumns = [\"TYPE\", \"LINES\", \"SUM\"]\ntrailer = true\n\
        counts = [{ field = \"LINES\", of = \"D\" }]\ntotals = [{ field = \"SUM\", of = \"D\", sum = \"QTY\" }]\n";

    const X12: &str = "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *200101*1200*U*00401*000000009*0*P*:~\n\
        GS*OW*A*B*200101*1200*7*X*004010~\nST*997*0001~\nAK1*OW*7~\nAK9*A*1*1*1~\nSE*4*0001~\nGE*1*7~\nIEA*1*000000009~\n";

    #[test]
    fn counts_and_totals_of_trailers_are_told_with_what_was_found() {
        let (good, decoded) = account(TYPED, b"D|A|3\nD|B|4.5\nT|2|7.5\n");
        assert_eq!(decoded, Ok(()));
        assert_eq!(
            shown(&good),
            ["LINES of T, line 3 2/2", "SUM of T, line 3 7.5/7.5"]
        );
        let (bad, decoded) = account(TYPED, b"D|A|3\nD|B|4.5\nT|2|8.5\n");
        assert!(decoded.is_err());
        assert_eq!(
            shown(&bad),
            ["LINES of T, line 3 2/2", "SUM of T, line 3 8.5/7.5"]
        );
    }

    #[test]
    fn an_interchange_tells_its_counts_and_whose_it_is() {
        let (told, decoded) = account("kind = \"x12\"", X12.as_bytes());
        assert_eq!(decoded, Ok(()));
        let expected = [
            "SE01 of 0001 4/4",
            "GE01 of 7 1/1",
            "IEA01 of 000000009 1/1",
            "Interchange SENDER>RECEIVER 000000009",
        ];
        assert_eq!(shown(&told), expected);
        let (cut, decoded) = account("kind = \"x12\"", X12.replace("SE*4", "SE*5").as_bytes());
        assert!(decoded.is_err());
        assert_eq!(
            shown(&cut),
            ["SE01 of 0001 5/4", "Interchange SENDER>RECEIVER 000000009"]
        );
        let edifact = "UNB+UNOC:3+S:14+R:14+260101:1200+R9'\nUNH+M1+CONTRL:D:3:UN'\nUCI+1+A+B+7'\nUNT+3+M1'\nUNZ+1+R9'\n";
        let (told, decoded) = account("kind = \"edifact\"", edifact.as_bytes());
        assert_eq!(decoded, Ok(()));
        let expected = ["UNT of M1 3/3", "UNZ of R9 1/1", "Interchange S>R R9"];
        assert_eq!(shown(&told), expected);
    }
}
