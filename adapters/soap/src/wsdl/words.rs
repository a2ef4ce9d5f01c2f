//! What names of elements say.

use sha2::{Digest as _, Sha256};

/// Its words in capitals: `BatchNo` is BATCH NO, `XMLData` is XML DATA.
pub(super) fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut fresh = true;
    for (at, letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            fresh = true;
            continue;
        }
        let before = at.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(at + 1);
        let is_hump = letter.is_uppercase()
            && (before.is_some_and(|before| before.is_lowercase() || before.is_numeric())
                || (before.is_some_and(char::is_uppercase)
                    && after.is_some_and(|after| after.is_lowercase())));
        if fresh || is_hump {
            words.push(String::new());
        }
        fresh = false;
        if let Some(word) = words.last_mut() {
            word.extend(letter.to_uppercase());
        }
    }
    words
}

/// A column's name for a way of names.
pub(super) fn column(names: &[&str]) -> String {
    let words: Vec<String> = names.iter().flat_map(|name| words(name)).collect();
    words.join("_")
}

/// Letters of a file's or flow's name, at most.
const HYPHENED_MAX: usize = 40;
/// Of them, what stands for the rest of a longer name.
const REST_LETTERS: usize = 6;

/// Words of a file's or flow's name, small, with hyphens. A name that is cut ends with letters that tell it from others with its beginning.
pub(super) fn hyphened(name: &str) -> String {
    let plain =
        |letter: &char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || *letter == '-';
    let words = words(name).join("-").to_lowercase();
    let whole: String = words.chars().filter(plain).collect();
    let whole = whole.trim_matches('-');
    if whole.len() <= HYPHENED_MAX {
        return whole.to_owned();
    }
    let begin = whole[..HYPHENED_MAX - REST_LETTERS - 1].trim_end_matches('-');
    let rest = hex::encode(Sha256::digest(name));
    format!("{begin}-{}", &rest[..REST_LETTERS])
}

fn has(words: &[String], any: &[&str]) -> bool {
    words.iter().any(|word| any.contains(&word.as_str()))
}

/// Whether it ends as names of identities do.
pub(super) fn is_id(name: &str) -> bool {
    let words = words(name);
    let ends = [
        "ID", "NO", "NR", "NUM", "NUMBER", "GUID", "UUID", "KEY", "CODE",
    ];
    words
        .last()
        .is_some_and(|last| ends.contains(&last.as_str()))
}

/// Whether it is the identity of a message, and not of a thing that several messages may be about.
pub(super) fn is_message_id(name: &str) -> bool {
    let of = [
        "MESSAGE",
        "MSG",
        "REQUEST",
        "TRANSACTION",
        "TRANSMISSION",
        "INTERCHANGE",
        "BATCH",
        "CORRELATION",
        "IDEMPOTENCY",
    ];
    is_id(name) && has(&words(name), &of)
}

/// What a request's leaf seems to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Only what came since.
    Watermark,
    /// A page by its number.
    Page,
    /// How much a page holds.
    PageSize,
    /// What the last answer said to go on with.
    Token,
}

impl Asked {
    /// What stands for it in a request's template.
    pub(super) fn placeholder(self) -> &'static str {
        match self {
            Self::Watermark => "{{ watermark }}",
            Self::Page => "{{ page }}",
            Self::PageSize => "{{ page_size }}",
            Self::Token => "{{ token }}",
        }
    }

    /// By its name, and the type where the name alone may mean a place as well (`FromBin`). A `Token` alone may be a password.
    pub(super) fn of(name: &str, type_name: &str) -> Option<Self> {
        let words = words(name);
        let has = |any: &[&str]| has(&words, any);
        let is_one = |any: &[&str]| words.len() == 1 && has(any);
        let goes_on = has(&["TOKEN"])
            && has(&[
                "PAGE",
                "PAGING",
                "NEXT",
                "CONTINUE",
                "CONTINUATION",
                "RESUME",
                "RESUMPTION",
            ]);
        if goes_on || has(&["CURSOR", "BOOKMARK"]) {
            return Some(Self::Token);
        }
        let most = has(&["MAX", "MAXIMUM"])
            && has(&["ROWS", "RESULTS", "RECORDS", "ITEMS", "ENTRIES", "COUNT"]);
        if most
            || (has(&["PAGE"]) && has(&["SIZE", "LENGTH", "LIMIT"]))
            || is_one(&["LIMIT", "TOP"])
        {
            return Some(Self::PageSize);
        }
        if is_one(&["PAGE"]) || (has(&["PAGE"]) && has(&["NO", "NR", "NUM", "NUMBER", "INDEX"])) {
            return Some(Self::Page);
        }
        let beginning = has(&["FROM", "START", "BEGIN"])
            && (is_time(type_name) || has(&["DATE", "TIME", "TIMESTAMP"]));
        let last = has(&["LAST"])
            && has(&[
                "ID", "SEQ", "SEQUENCE", "SEQNO", "SEEN", "READ", "SYNC", "RUN", "CHANGE",
            ]);
        if has(&["SINCE", "AFTER", "WATERMARK"]) || beginning || last || is_one(&["FROM"]) {
            return Some(Self::Watermark);
        }
        None
    }
}

/// Whether an answer's leaf says what the next page is asked with. That there is more, and no word of what, does not; and when
/// something starts next is said of the goods.
pub(super) fn is_next(name: &str, type_name: &str) -> bool {
    let words = words(name);
    let is_one = |any: &str| words.len() == 1 && words[0] == any;
    let next = !is_time(type_name)
        && has(&words, &["NEXT"])
        && has(
            &words,
            &[
                "PAGE", "START", "OFFSET", "KEY", "LINK", "POSITION", "MARKER", "BATCH",
            ],
        );
    let is_named = Asked::of(name, type_name) == Some(Asked::Token)
        || next
        || is_one("NEXT")
        || is_one("MORE");
    is_named && type_name != "boolean"
}

/// Whether an answer's leaf says that there is more, and not what.
pub(super) fn is_more(name: &str, type_name: &str) -> bool {
    let words = words(name);
    type_name == "boolean"
        && has(
            &words,
            &["MORE", "NEXT", "CONTINUE", "CONTINUED", "TRUNCATED"],
        )
}

/// Whether an operation of this name changes what the service has.
pub(super) fn is_write(name: &str) -> bool {
    const WRITES: [&str; 26] = [
        "CREATE",
        "UPDATE",
        "CONFIRM",
        "DELETE",
        "SET",
        "PUT",
        "POST",
        "CANCEL",
        "ADD",
        "INSERT",
        "REMOVE",
        "SAVE",
        "STORE",
        "WRITE",
        "SUBMIT",
        "SEND",
        "BOOK",
        "CLOSE",
        "RELEASE",
        "ACKNOWLEDGE",
        "MODIFY",
        "CHANGE",
        "UPSERT",
        "MERGE",
        "REPLACE",
        "REGISTER",
    ];
    words(name)
        .first()
        .is_some_and(|first| WRITES.contains(&first.as_str()))
}

/// Whether an operation of this name gives what the service has, and changes nothing.
pub(super) fn is_read(name: &str) -> bool {
    const READS: [&str; 16] = [
        "LIST", "GET", "FIND", "SEARCH", "QUERY", "READ", "FETCH", "LOOKUP", "RETRIEVE", "SELECT",
        "DESCRIBE", "COUNT", "BROWSE", "SHOW", "VIEW", "POLL",
    ];
    words(name)
        .first()
        .is_some_and(|first| READS.contains(&first.as_str()))
}

/// Whether values of this type of XML Schema are numbers, of which 0 or 1 is one.
pub(super) fn is_number(type_name: &str) -> bool {
    matches!(
        type_name,
        "int"
            | "integer"
            | "long"
            | "short"
            | "byte"
            | "nonNegativeInteger"
            | "positiveInteger"
            | "unsignedInt"
            | "unsignedLong"
            | "unsignedShort"
            | "unsignedByte"
            | "decimal"
            | "float"
            | "double"
    )
}

/// Whether values of this type of XML Schema are days or points in time.
pub(super) fn is_time(type_name: &str) -> bool {
    matches!(type_name, "dateTime" | "date" | "dateTimeStamp")
}

/// Whether it says when something changed.
pub(super) fn is_change(name: &str) -> bool {
    has(
        &words(name),
        &[
            "CHANGED",
            "CHANGE",
            "MODIFIED",
            "UPDATED",
            "UPDATE",
            "TIMESTAMP",
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_where_a_person_would() {
        for (name, expected) in [
            ("BatchNo", "BATCH_NO"),
            ("SKU", "SKU"),
            ("orderID", "ORDER_ID"),
            ("XMLData", "XML_DATA"),
            ("line-no.2", "LINE_NO_2"),
            ("qty2Ship", "QTY2_SHIP"),
            ("Größe", "GRÖSSE"),
            ("_", ""),
        ] {
            assert_eq!(column(&[name]), expected, "{name}");
        }
        assert_eq!(hyphened("ListMovements"), "list-movements");
        assert_eq!(hyphened("Größe!"), "grsse");
    }

    #[test]
    fn names_that_are_cut_stay_apart() {
        let long = |end: &str| hyphened(&format!("ConfirmInventoryMovementsOfTheWarehouse{end}"));
        let (one, other) = (long("North"), long("South"));
        assert!(
            one.starts_with("confirm-inventory-movements-of-th"),
            "{one}"
        );
        assert_ne!(one, other);
        assert_eq!((one.len(), other.len()), (HYPHENED_MAX, HYPHENED_MAX));
    }

    #[test]
    fn what_the_next_page_is_asked_with_is_told_by_its_name() {
        for (name, type_name, expected) in [
            ("NextPage", "int", true),
            ("nextToken", "string", true),
            ("NextCursor", "string", true),
            ("more", "string", true),
            ("more", "boolean", false),
            ("HasNextPage", "boolean", false),
            ("NextDelivery", "date", false),
            ("NextStartDate", "date", false),
            ("NextBatch", "string", true),
            ("Page", "int", false),
            ("MoreText", "string", false),
        ] {
            assert_eq!(is_next(name, type_name), expected, "{name}");
            let is_flag = type_name == "boolean";
            assert_eq!(is_more(name, type_name), is_flag, "{name}");
        }
    }

    #[test]
    fn operations_that_write_are_told_by_their_first_word() {
        for name in ["CreateOrder", "putMovements", "CONFIRM_PICK", "cancel"] {
            assert!(is_write(name) && !is_read(name), "{name}");
        }
        for name in [
            "ListMovements",
            "GetUpdates",
            "Settings",
            "PostalCodes",
            "ReadPut",
        ] {
            assert!(!is_write(name), "{name}");
        }
    }

    #[test]
    fn operations_that_only_read_are_told_by_their_first_word() {
        for name in ["ListMovements", "getStock", "FIND_ORDERS", "query"] {
            assert!(is_read(name), "{name}");
        }
        for name in ["ReportShipment", "Listing", "PutList", "GetterOf", "Op"] {
            assert!(!is_read(name), "{name}");
        }
    }

    #[test]
    fn what_a_request_asks_for_is_told_by_its_name() {
        use Asked::{Page, PageSize, Token, Watermark};
        for (name, type_name, expected) in [
            ("Since", "dateTime", Some(Watermark)),
            ("changedAfter", "string", Some(Watermark)),
            ("From", "string", Some(Watermark)),
            ("FromDate", "string", Some(Watermark)),
            ("lastSequence", "long", Some(Watermark)),
            ("validFrom", "dateTime", Some(Watermark)),
            ("FromBin", "string", None),
            ("LastName", "string", None),
            ("Page", "int", Some(Page)),
            ("pageNumber", "int", Some(Page)),
            ("PageSize", "int", Some(PageSize)),
            ("maxRows", "int", Some(PageSize)),
            ("nextPageToken", "string", Some(Token)),
            ("Cursor", "string", Some(Token)),
            ("SessionToken", "string", None),
            ("Token", "string", None),
            ("Warehouse", "string", None),
        ] {
            assert_eq!(Asked::of(name, type_name), expected, "{name}");
        }
    }
}
