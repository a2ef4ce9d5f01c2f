//! What a converted value must be: a range, a length, a list of codes, a pattern.

use std::cmp::Ordering;
use std::collections::HashSet;

use dray_proto::decimal;
use regex::{Regex, RegexBuilder};

/// Codes of a list, at most: 10 MB of memory.
pub(crate) const CODES_MAX: usize = 100_000;
/// Bytes of a code, at most.
pub(crate) const CODE_BYTES_MAX: usize = 1_024;
/// Bytes of a pattern as it is written, at most.
pub(crate) const PATTERN_BYTES_MAX: usize = 1_000;
/// Bytes of a pattern as it is compiled, at most; the time to match is linear in the value in any case.
const PATTERN_COMPILED_BYTES_MAX: usize = 1024 * 1024;
/// So many codes are named in a sentence.
const TOLD_MAX: usize = 8;

/// The rules of a field.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(crate) min: Option<String>,
    pub(crate) max: Option<String>,
    /// In characters.
    pub(crate) min_length: Option<u32>,
    pub(crate) one_of: Option<Codes>,
    pub(crate) pattern: Option<(Regex, String)>,
}

impl Checks {
    pub(crate) fn is_empty(&self) -> bool {
        self.min.is_none()
            && self.max.is_none()
            && self.min_length.is_none()
            && self.one_of.is_none()
            && self.pattern.is_none()
    }

    /// What a value breaks, to stand behind it in a sentence, with the rule's name.
    pub(crate) fn broken(&self, value: &str) -> Option<String> {
        let bound = |bound: &Option<String>, wrong: Ordering, said: &str| {
            let bound = bound.as_ref()?;
            match decimal::compare(value, bound) {
                None => Some(format!("is not a decimal number, {said} is {bound}")),
                Some(order) if order == wrong => {
                    let side = if wrong == Ordering::Less {
                        "below"
                    } else {
                        "above"
                    };
                    Some(format!("is {side} {bound}, which is {said}"))
                }
                Some(_) => None,
            }
        };
        let short = || {
            let min = self
                .min_length
                .filter(|min| value.chars().count() < *min as usize)?;
            let count = value.chars().count();
            Some(format!("has {count} characters, min_length is {min}"))
        };
        let coded = || {
            let codes = self
                .one_of
                .as_ref()
                .filter(|codes| !codes.codes.contains(value))?;
            Some(format!("is not among {}", codes.told))
        };
        let shaped = || {
            let (_, written) = self
                .pattern
                .as_ref()
                .filter(|(regex, _)| !regex.is_match(value))?;
            Some(format!("does not match the pattern {written}"))
        };
        bound(&self.min, Ordering::Less, "min")
            .or_else(|| bound(&self.max, Ordering::Greater, "max"))
            .or_else(short)
            .or_else(coded)
            .or_else(shaped)
    }
}

/// A list of codes.
#[derive(Debug)]
pub(crate) struct Codes {
    codes: HashSet<Box<str>>,
    /// Behind "is not among".
    told: String,
}

impl Codes {
    /// Of the mapping itself.
    pub(crate) fn listed(codes: &[String]) -> Self {
        let named: Vec<_> = codes.iter().take(TOLD_MAX).map(String::as_str).collect();
        let more = if codes.len() > TOLD_MAX { ", ..." } else { "" };
        Self {
            told: format!("one_of: {}{more}", named.join(", ")),
            codes: codes.iter().map(|code| code.as_str().into()).collect(),
        }
    }

    /// Of a file's text: a code a line, white space around it dropped; empty lines and those that begin with `#` are none.
    ///
    /// # Errors
    /// A sentence with the file and the line.
    pub(crate) fn read(file: &str, text: &str) -> Result<Self, String> {
        let mut codes = HashSet::new();
        for (line, number) in text.lines().zip(1_usize..) {
            let code = line.trim();
            if code.is_empty() || code.starts_with('#') {
                continue;
            }
            if code.len() > CODE_BYTES_MAX {
                return Err(format!(
                    "{file}, line {number}: a code has at most {CODE_BYTES_MAX} bytes"
                ));
            }
            if codes.len() >= CODES_MAX {
                return Err(format!(
                    "{file}, line {number}: a list has at most {CODES_MAX} codes"
                ));
            }
            codes.insert(code.into());
        }
        if codes.is_empty() {
            return Err(format!("{file}: there is no code in it; write one a line"));
        }
        Ok(Self {
            told: format!("the {} codes of {file} (one_of_file)", codes.len()),
            codes,
        })
    }
}

/// A pattern that the whole value must match.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn whole(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("it has more than {PATTERN_BYTES_MAX} bytes"));
    }
    RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(PATTERN_COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_breaks_the_first_rule_that_does_not_hold() {
        let checks = || Checks {
            min: Some("0.5".into()),
            max: Some("100".into()),
            ..Checks::default()
        };
        for (value, expected) in [
            ("0.50", None),
            ("100.00", None),
            ("0.4999", Some("is below 0.5, which is min")),
            ("100.01", Some("is above 100, which is max")),
            ("-1", Some("is below 0.5, which is min")),
            ("x", Some("is not a decimal number, min is 0.5")),
        ] {
            assert_eq!(checks().broken(value).as_deref(), expected, "{value}");
        }
        let checks = Checks {
            min_length: Some(2),
            one_of: Some(Codes::listed(&["EA".into(), "ÄÖ".into(), "X1".into()])),
            pattern: Some((whole("[A-ZÄÖ]+").expect("a pattern"), "[A-ZÄÖ]+".into())),
            ..Checks::default()
        };
        for (value, expected) in [
            ("ÄÖ", None),
            ("E", Some("has 1 characters, min_length is 2")),
            ("CS", Some("is not among one_of: EA, ÄÖ, X1")),
            ("X1", Some("does not match the pattern [A-ZÄÖ]+")),
        ] {
            assert_eq!(checks.broken(value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn a_list_in_a_file_is_a_code_a_line() {
        let codes = Codes::read("u.txt", "# units\n EA\r\n\nCS\n").expect("a list");
        assert!(codes.codes.contains("EA") && codes.codes.contains("CS"));
        assert_eq!(codes.told, "the 2 codes of u.txt (one_of_file)");
        let long = format!("EA\n{}", "x".repeat(CODE_BYTES_MAX + 1));
        for (text, said) in [
            (
                long.as_str(),
                "u.txt, line 2: a code has at most 1024 bytes",
            ),
            ("#\n", "u.txt: there is no code in it; write one a line"),
        ] {
            assert_eq!(Codes::read("u.txt", text).expect_err("no list"), said);
        }
    }

    #[test]
    fn a_pattern_is_bounded() {
        assert!(whole(&"x".repeat(PATTERN_BYTES_MAX + 1)).is_err());
        assert!(whole("(a{1000}){1000}").is_err());
        assert!(whole("(").is_err());
    }
}
