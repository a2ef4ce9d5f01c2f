//! The acknowledgements of a file: one for each of its interchanges, with a name and a number that follow from that interchange alone.
//!
//! Whoever writes them may die and write them again: it is the same bytes under the same name. Our interchange's number is
//! [`FIRST_NUMBER`] and the last eight digits of the number that it acknowledges: as unique as its sender keeps its own, and far
//! from those that the system beside us counts for what it sends to the same partner. A number with letters counts by its hash.
//! What is rejected whole, and may be mended and taken later, has numbers of its own: a partner may drop a number that came before.

use sha2::{Digest as _, Sha256};

use super::{Receipt, Stamp};
use crate::{FileFault, edifact, x12};

/// The numbers of our interchanges begin here, and are nine digits long as ISA13 wants them.
const FIRST_NUMBER: u32 = 900_000_000;
/// And those of files that are rejected whole.
const FIRST_REJECTED: u32 = 800_000_000;
/// How many there are.
const NUMBERS: u32 = 100_000_000;
/// Characters of an interchange's number that a file's name shows.
const NAME_MAX: usize = 35;

/// How the files of a format are acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// X12's functional acknowledgement.
    By997,
    /// EDIFACT's syntax and service report.
    ByContrl,
}

/// A file to be sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// E.g. `997_000000905.x12`. Two senders may count alike: then two have one name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The acknowledgements of a file's interchanges, in their order. `date` and `time` as in [`Stamp`]; with a `fault` all are rejected, as
/// nothing of the file is taken. Acknowledgements are not acknowledged.
#[must_use]
pub fn acknowledgements(
    by: Acknowledged,
    receipt: &Receipt,
    (date, time): (&str, &str),
    fault: Option<&FileFault>,
) -> Vec<Acknowledgement> {
    let first = match fault {
        Some(_) => FIRST_REJECTED,
        None => FIRST_NUMBER,
    };
    let mut all = Vec::new();
    for interchange in &receipt.interchanges {
        let stamp = Stamp {
            number: first + number_of(&interchange.number),
            date,
            time,
        };
        let mut one = Receipt::default();
        one.interchanges.push(interchange.clone());
        let (bytes, kind, ending) = match by {
            Acknowledged::By997 => (x12::acknowledge(&one, &stamp, fault), "997", "x12"),
            Acknowledged::ByContrl => (edifact::contrl(&one, &stamp, fault), "CONTRL", "edi"),
        };
        if !bytes.is_empty() {
            let name = format!("{kind}_{}.{ending}", plain(&interchange.number));
            all.push(Acknowledgement { name, bytes });
        }
    }
    all
}

fn number_of(number: &str) -> u32 {
    let counted = number.parse::<u64>().unwrap_or_else(|_| {
        let hash = Sha256::digest(number);
        u64::from(u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]))
    });
    (counted % u64::from(NUMBERS)) as u32
}

/// A number as a part of a file's name.
fn plain(number: &str) -> String {
    let letter = |letter: char| match letter {
        letter if letter.is_ascii_alphanumeric() || letter == '-' => letter,
        _ => '_',
    };
    let plain: String = number.chars().take(NAME_MAX).map(letter).collect();
    if plain.is_empty() {
        return "0".into();
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edi::tests::{format, receipt_of, shown_of};

    #[test]
    fn each_interchange_has_an_acknowledgement_whose_name_and_number_follow_from_it() {
        let one = |number: &str| {
            format!(
                "ISA*00*          *00*          *ZZ*S              *ZZ*R              *200101*1200*U*00401*{number}*0*T*:~\n\
                 GS*OW*A*B*20200101*1200*7*X*004010~\nST*940*0001~\nW05*N*1~\nSE*3*0001~\nGE*1*7~\nIEA*1*{number}~\n"
            )
        };
        let file = one("000000905") + &one("123456789");
        let receipt = receipt_of("kind = \"x12\"", &file);
        let stamp = ("20261126", "0930");
        let made = acknowledgements(Acknowledged::By997, &receipt, stamp, None);
        let names: Vec<&str> = made.iter().map(|one| &*one.name).collect();
        assert_eq!(names, ["997_000000905.x12", "997_123456789.x12"]);
        for (one, number) in made.iter().zip(["900000905", "923456789"]) {
            let text = String::from_utf8(one.bytes.clone()).expect("text");
            assert!(text.contains(&format!("IEA*1*{number}~")), "{text}");
            let records = shown_of(&format("kind = \"x12\""), &text);
            assert!(!records.is_empty(), "we can read it");
        }
        let again = acknowledgements(Acknowledged::By997, &receipt, stamp, None);
        assert_eq!(made, again);
        let fault = FileFault("counts".into());
        let rejected = acknowledgements(Acknowledged::By997, &receipt, stamp, Some(&fault));
        let text = String::from_utf8(rejected[0].bytes.clone()).expect("text");
        assert!(text.contains("IEA*1*800000905~"), "{text}");
    }

    #[test]
    fn any_number_has_a_name_and_nine_digits() {
        for (number, named, counted) in [
            ("R9", "R9", None),
            ("../a b", "___a_b", None),
            ("", "0", None),
            ("20261126093001", "20261126093001", Some(26_093_001)),
            ("7", "7", Some(7)),
        ] {
            assert_eq!(plain(number), named);
            let made = number_of(number);
            assert!(made < NUMBERS, "{made}");
            assert!(counted.is_none_or(|counted| counted == made), "{made}");
        }
        assert_ne!(number_of("R9"), number_of("R8"));
        assert_eq!(plain(&"x".repeat(99)).len(), NAME_MAX);
    }
}
