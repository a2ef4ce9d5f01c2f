//! Goes over JSON piece by piece and holds it to its grammar. RFC 8259.

use memchr::memchr2;

use super::{DEPTH_MAX, NUMBER_BYTES_MAX};

/// What stands next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// An object (`{`) or array (`[`) begins.
    Begin(u8),
    /// The innermost object or array ends.
    End,
    /// A number, `true`, `false` or `null`.
    Scalar,
    /// A string or a part of one.
    Text { key: bool, first: bool, last: bool },
    /// White space, a colon, a comma.
    Passed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    Nothing,
}

/// What is wrong, and how many bytes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) what: String,
}

fn wrong<T>(at: usize, what: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong {
        at,
        what: what.into(),
    })
}

/// Where in a text the next bytes stand.
#[derive(Debug)]
pub(super) struct Scan {
    open: Vec<u8>,
    expect: Expect,
    /// Within a string: whether it is a key.
    string: Option<bool>,
}

type Found = Result<Option<(Event, usize)>, Wrong>;

impl Scan {
    pub(super) fn new() -> Self {
        Self {
            open: Vec::new(),
            expect: Expect::Value,
            string: None,
        }
    }

    /// How many objects and arrays are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// The event with which `bytes` begin, and its length; `None` where more bytes are needed, or nothing is left.
    #[inline]
    pub(super) fn next(&mut self, bytes: &[u8], last: bool) -> Found {
        if let Some(key) = self.string {
            return self.text(bytes, 0, key, last);
        }
        let Some(&first) = bytes.first() else {
            return if last { self.ended() } else { Ok(None) };
        };
        match first {
            b' ' | b'\t' | b'\n' | b'\r' => {
                let length = bytes
                    .iter()
                    .position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
                Ok(Some((Event::Passed, length.unwrap_or(bytes.len()))))
            }
            b'"' => {
                let key = matches!(self.expect, Expect::Key | Expect::KeyOrEnd);
                if !key {
                    self.value(first)?;
                }
                self.text(bytes, 1, key, last)
            }
            b'{' | b'[' => {
                self.value(first)?;
                if self.open.len() == DEPTH_MAX {
                    return wrong(
                        0,
                        format!(
                            "objects and arrays stand in one another more than {DEPTH_MAX} deep"
                        ),
                    );
                }
                self.open.push(first);
                self.expect = if first == b'{' {
                    Expect::KeyOrEnd
                } else {
                    Expect::ValueOrEnd
                };
                Ok(Some((Event::Begin(first), 1)))
            }
            b'}' | b']' => self.end(first),
            b':' if self.expect == Expect::Colon => {
                self.expect = Expect::Value;
                Ok(Some((Event::Passed, 1)))
            }
            b',' if self.expect == Expect::CommaOrEnd => {
                self.expect = if self.open.last() == Some(&b'{') {
                    Expect::Key
                } else {
                    Expect::Value
                };
                Ok(Some((Event::Passed, 1)))
            }
            _ => self.scalar(bytes, last),
        }
    }

    fn ended(&self) -> Found {
        match (self.expect, self.open.is_empty()) {
            (Expect::Nothing, _) => Ok(None),
            (_, true) => wrong(0, "there is no JSON value"),
            (_, false) => wrong(0, "the JSON ends before what it began; it is cut"),
        }
    }

    /// A value begins here, if it may.
    fn value(&self, first: u8) -> Result<(), Wrong> {
        if matches!(self.expect, Expect::Value | Expect::ValueOrEnd) {
            return Ok(());
        }
        self.unexpected(first)
    }

    fn unexpected<T>(&self, found: u8) -> Result<T, Wrong> {
        let close = if self.open.last() == Some(&b'{') {
            "}"
        } else {
            "]"
        };
        let expected = match self.expect {
            Expect::Value => "a value".into(),
            Expect::ValueOrEnd => "a value or \"]\"".into(),
            Expect::Key => "a key in double quotes".into(),
            Expect::KeyOrEnd => "a key in double quotes or \"}\"".into(),
            Expect::Colon => "a colon".into(),
            Expect::CommaOrEnd => format!("a comma or \"{close}\""),
            Expect::Nothing => "nothing, as the value is complete,".into(),
        };
        wrong(
            0,
            format!(
                "\"{}\" stands where {expected} is expected",
                found.escape_ascii()
            ),
        )
    }

    fn end(&mut self, found: u8) -> Found {
        let (open, empty) = if found == b'}' {
            (b'{', Expect::KeyOrEnd)
        } else {
            (b'[', Expect::ValueOrEnd)
        };
        let may = self.expect == Expect::CommaOrEnd || self.expect == empty;
        if self.open.last() != Some(&open) || !may {
            return self.unexpected(found);
        }
        self.open.pop();
        self.after_value();
        Ok(Some((Event::End, 1)))
    }

    fn after_value(&mut self) {
        self.expect = if self.open.is_empty() {
            Expect::Nothing
        } else {
            Expect::CommaOrEnd
        };
    }

    fn scalar(&mut self, bytes: &[u8], last: bool) -> Found {
        self.value(bytes[0])?;
        let is_number = matches!(bytes[0], b'-' | b'0'..=b'9');
        let belongs = |byte: &u8| match byte {
            b'-' | b'+' | b'.' | b'0'..=b'9' | b'e' | b'E' if is_number => true,
            byte => !is_number && byte.is_ascii_alphabetic(),
        };
        let max = if is_number {
            NUMBER_BYTES_MAX
        } else {
            b"false".len()
        };
        let length = bytes
            .iter()
            .take(max + 1)
            .position(|byte| !belongs(byte))
            .unwrap_or(bytes.len().min(max + 1));
        let token = &bytes[..length];
        if length == bytes.len() && length <= max && !last {
            return Ok(None);
        }
        let is_good = if is_number {
            number(token)
        } else {
            matches!(token, b"true" | b"false" | b"null")
        };
        if is_good && length <= max {
            self.after_value();
            return Ok(Some((Event::Scalar, length)));
        }
        if length == 0 {
            return self.unexpected(bytes[0]);
        }
        if is_number && length > max {
            return wrong(
                0,
                format!("a number is longer than {NUMBER_BYTES_MAX} digits"),
            );
        }
        wrong(
            0,
            format!(
                "{} is no JSON value",
                token[..length.min(40)].escape_ascii()
            ),
        )
    }

    /// Bytes of a string; `from`: after its quote, or at the beginning where it goes on. What stands before a fault goes out
    /// first: it may be at fault by its place, and is then, however the bytes are cut.
    fn text(&mut self, bytes: &[u8], from: usize, key: bool, last: bool) -> Found {
        let found = self.text_to_its_end(bytes, from, key, last);
        let Err(Wrong {
            at: length @ 1.., ..
        }) = found
        else {
            return found;
        };
        self.string = Some(key);
        let part = Event::Text {
            key,
            first: from > 0,
            last: false,
        };
        Ok(Some((part, length)))
    }

    fn text_to_its_end(&mut self, bytes: &[u8], from: usize, key: bool, last: bool) -> Found {
        let first = from > 0;
        let mut at = from;
        let part = |length| {
            Ok((length > from || first).then_some((
                Event::Text {
                    key,
                    first,
                    last: false,
                },
                length,
            )))
        };
        let found = loop {
            let Some(found) = memchr2(b'"', b'\\', &bytes[at..]).map(|found| at + found) else {
                let length = at + plain(&bytes[at..], !last).map_err(|wrong| wrong.on(at))?;
                if last {
                    return wrong(length, "the JSON ends within a string; it is cut");
                }
                break part(length);
            };
            plain(&bytes[at..found], false).map_err(|wrong| wrong.on(at))?;
            if bytes[found] == b'"' {
                self.string = None;
                if key {
                    self.expect = Expect::Colon;
                } else {
                    self.after_value();
                }
                return Ok(Some((
                    Event::Text {
                        key,
                        first,
                        last: true,
                    },
                    found + 1,
                )));
            }
            match escape(&bytes[found..]).map_err(|wrong| wrong.on(found))? {
                Some(length) => at = found + length,
                None if last => return wrong(found, "the JSON ends within a string; it is cut"),
                None => break part(found),
            }
        };
        self.string = Some(key);
        found
    }
}

impl Wrong {
    fn on(self, bytes: usize) -> Self {
        Self {
            at: self.at + bytes,
            ..self
        }
    }
}

/// How much of `bytes` is characters of a string: all, but for a cut one at the end where that is `open`.
fn plain(bytes: &[u8], open: bool) -> Result<usize, Wrong> {
    let (good, mut what) = match std::str::from_utf8(bytes) {
        Ok(_) => (bytes.len(), None),
        Err(error) => {
            let good = error.valid_up_to();
            let is_cut = open && error.error_len().is_none();
            (
                good,
                (!is_cut).then(|| format!("byte 0x{:02X} is not UTF-8", bytes[good])),
            )
        }
    };
    let mut end = good;
    if bytes[..good]
        .iter()
        .fold(false, |found, byte| found | (*byte < b' '))
    {
        end = bytes.iter().position(|byte| *byte < b' ').unwrap_or(good);
        what = Some(format!(
            "control character 0x{:02X} stands in a string; it is written \\u{:04X}",
            bytes[end], bytes[end]
        ));
    }
    match what {
        None => Ok(good),
        Some(what) => wrong(end, what),
    }
}

/// How long an escape is; `None` where it goes on behind `bytes`.
fn escape(bytes: &[u8]) -> Result<Option<usize>, Wrong> {
    match bytes.get(1) {
        None => Ok(None),
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(Some(2)),
        Some(b'u') => {
            let digits = &bytes[2..bytes.len().min(6)];
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return wrong(0, "\\u is not followed by four hexadecimal digits");
            }
            Ok((digits.len() == 4).then_some(6))
        }
        Some(other) => wrong(0, format!("\\{} is no escape", other.escape_ascii())),
    }
}

/// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`
fn number(bytes: &[u8]) -> bool {
    let digits = |bytes: &[u8]| {
        bytes
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(bytes.len())
    };
    let mut rest = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent
            .strip_prefix(b"+")
            .or(exponent.strip_prefix(b"-"))
            .unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}
