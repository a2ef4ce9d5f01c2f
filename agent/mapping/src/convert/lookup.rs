//! The source's codes to the words that everybody shares.

/// Codes and their texts.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    /// Sorted by code. Such tables have a handful of codes: searching beats hashing.
    codes: Vec<(Box<str>, Box<str>)>,
    otherwise: Otherwise,
}

/// What becomes of a code that the table doesn't have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Otherwise {
    Fail,
    Keep,
    Default,
}

/// What a code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning<'a> {
    Text(&'a str),
    /// The field's default.
    Default,
    Unknown,
}

impl Lookup {
    pub(crate) fn new<'a>(
        codes: impl Iterator<Item = (&'a str, &'a str)>,
        otherwise: Otherwise,
    ) -> Self {
        let mut codes: Vec<(Box<str>, Box<str>)> = codes
            .map(|(code, text)| (code.into(), text.into()))
            .collect();
        codes.sort();
        Self { codes, otherwise }
    }

    #[inline]
    pub(crate) fn meaning<'a>(&'a self, code: &'a str) -> Meaning<'a> {
        match (
            self.codes
                .binary_search_by(|(known, _)| known.as_ref().cmp(code)),
            self.otherwise,
        ) {
            (Ok(index), _) => Meaning::Text(&self.codes[index].1),
            (Err(_), Otherwise::Keep) => Meaning::Text(code),
            (Err(_), Otherwise::Default) => Meaning::Default,
            (Err(_), Otherwise::Fail) => Meaning::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_looked_up_or_treated_as_said() {
        let codes = [("S", "SHIPPED"), ("B", "BACKORDER"), ("10", "OPEN")];
        for (otherwise, code, expected) in [
            (Otherwise::Fail, "S", Meaning::Text("SHIPPED")),
            (Otherwise::Fail, "10", Meaning::Text("OPEN")),
            (Otherwise::Fail, "X", Meaning::Unknown),
            (Otherwise::Fail, "s", Meaning::Unknown),
            (Otherwise::Keep, "X", Meaning::Text("X")),
            (Otherwise::Default, "X", Meaning::Default),
        ] {
            assert_eq!(
                Lookup::new(codes.into_iter(), otherwise).meaning(code),
                expected
            );
        }
    }
}
