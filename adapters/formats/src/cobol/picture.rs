//! PICTURE strings: what a field's bytes mean.
//!
//! `S9(5)V99`: five digits, two decimals, a sign. `X(10)`: ten characters. `ZZ9.99-`: characters, as a report shows a number.
//! Source: IBM Enterprise COBOL for z/OS, Language Reference, "PICTURE clause".

/// Bytes that one field may have.
const FIELD_BYTES_MAX: usize = 32_767;

/// What a PICTURE says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Picture {
    /// So many characters: letters, or a number edited for people.
    Text {
        /// How many.
        characters: usize,
    },
    /// A number without a visible point.
    Number {
        /// Digits that are kept.
        digits: usize,
        /// How many of them are decimals; with `VP(2)9`, more than there are digits.
        decimals: usize,
        /// Zeros that are meant before the point and not kept (`9(3)P(2)`).
        zeros: usize,
        /// Whether there is an S.
        signed: bool,
    },
}

/// Reads what stands behind PIC.
///
/// # Errors
/// A sentence: what in it means nothing.
pub(super) fn parse(text: &str) -> Result<Picture, String> {
    let wrong = |what: &str| format!("PIC {text}: {what}");
    let symbols = expand(text).map_err(|what| wrong(&what))?;
    let characters: usize = symbols.iter().map(|(_, count)| count).sum();
    if characters == 0 || characters > FIELD_BYTES_MAX {
        return Err(wrong(&format!(
            "a field has 1 to {FIELD_BYTES_MAX} characters"
        )));
    }
    if !symbols
        .iter()
        .all(|(symbol, _)| matches!(symbol, 'S' | '9' | 'V' | 'P'))
    {
        return text_picture(&symbols).map_err(|what| wrong(&what));
    }
    let (mut digits, mut decimals, mut zeros, mut signed) = (0, 0, 0, false);
    let mut point = false;
    for (at, (symbol, count)) in symbols.iter().copied().enumerate() {
        match symbol {
            'S' if at == 0 && count == 1 => signed = true,
            'S' => return Err(wrong("S stands once, in front")),
            'V' if point || count > 1 => return Err(wrong("there is one point at most")),
            'V' => point = true,
            '9' => {
                digits += count;
                decimals += if point { count } else { 0 };
            }
            // P before the digits: the point is meant to stand before it.
            _ if digits == 0 => {
                point = true;
                decimals += count;
            }
            _ => zeros += count,
        }
    }
    let most = super::number::DIGITS_MAX;
    if digits == 0 || digits + zeros > most || decimals > most {
        return Err(wrong("it has no digits, or too many"));
    }
    if zeros > 0 && decimals > 0 {
        return Err(wrong("P stands before the digits or behind them"));
    }
    Ok(Picture::Number {
        digits,
        decimals,
        zeros,
        signed,
    })
}

/// Letters, digits and editing: each symbol is a character, but for V, P and the CR and DB of two.
fn text_picture(symbols: &[(char, usize)]) -> Result<Picture, String> {
    let mut characters = 0;
    for (symbol, count) in symbols {
        characters += match symbol {
            'V' | 'P' => 0,
            'X' | 'A' | '9' | 'Z' | '*' | '+' | '-' | ',' | '.' | '$' | 'B' | '0' | '/' | 'C'
            | 'R' | 'D' => *count,
            'S' => return Err("S is for numbers alone".into()),
            'N' | 'G' => return Err("double-byte characters (N, G) can't be read".into()),
            other => return Err(format!("{other} means nothing")),
        };
    }
    Ok(Picture::Text { characters })
}

/// Symbols with their counts: `9(3)V9` becomes 9 three times, V once, 9 once.
fn expand(text: &str) -> Result<Vec<(char, usize)>, String> {
    let mut symbols: Vec<(char, usize)> = Vec::new();
    let mut rest = text;
    while let Some(symbol) = rest.chars().next() {
        rest = &rest[symbol.len_utf8()..];
        let mut count = 1;
        if let Some(behind) = rest.strip_prefix('(') {
            let (inside, after) = behind.split_once(')').ok_or("a bracket is not closed")?;
            count = inside
                .parse()
                .map_err(|_| format!("({inside}) is no count"))?;
            rest = after;
        }
        if count > FIELD_BYTES_MAX {
            return Err(format!("({count}) is too many"));
        }
        symbols.push((symbol.to_ascii_uppercase(), count));
    }
    Ok(symbols)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Picture, &str>) {
        match (parse(text), expected) {
            (Err(found), Err(words)) => assert!(found.contains(words), "{found}"),
            (found, expected) => assert_eq!(
                found.as_ref().ok(),
                expected.as_ref().ok(),
                "{text}: {found:?}"
            ),
        }
    }

    fn number(
        digits: usize,
        decimals: usize,
        zeros: usize,
        signed: bool,
    ) -> Result<Picture, &'static str> {
        Ok(Picture::Number {
            digits,
            decimals,
            zeros,
            signed,
        })
    }

    #[test]
    fn pictures_mean_what_the_manual_says() {
        check("9(5)", number(5, 0, 0, false));
        check("S9(5)V99", number(7, 2, 0, true));
        check("s9(3)v9(2)", number(5, 2, 0, true));
        check("99V", number(2, 0, 0, false));
        check("9(3)P(2)", number(3, 0, 2, false));
        check("VP(2)9", number(1, 3, 0, false));
        check("PP99", number(2, 4, 0, false));
        check("X(10)", Ok(Picture::Text { characters: 10 }));
        check("XX", Ok(Picture::Text { characters: 2 }));
        check("A(3)9", Ok(Picture::Text { characters: 4 }));
        check("9(8).9(2)", Ok(Picture::Text { characters: 11 }));
        check("ZZ,ZZ9.99-", Ok(Picture::Text { characters: 10 }));
        check("$9.99CR", Ok(Picture::Text { characters: 7 }));
        check("9S", Err("in front"));
        check("9V9V9", Err("one point"));
        check("X(a)", Err("no count"));
        check("X(3", Err("not closed"));
        check("X(99999)", Err("too many"));
        check("", Err("1 to"));
        check("X(0)", Err("1 to"));
        check("N(3)", Err("double-byte"));
        check("9(39)", Err("too many"));
        check("9P(38)", Err("too many"));
        check("VP(38)9", Err("too many"));
        check("P9P", Err("before the digits or behind"));
        check("SX", Err("numbers alone"));
        check("9?", Err("? means nothing"));
    }
}
