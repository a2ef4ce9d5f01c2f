//! Rows in the order of a key of one column or several. Pure.

/// What holds for rows behind this one. Names and values are SQL.
pub(super) fn behind(names: &[String], values: &[String]) -> String {
    let mut pairs = names.iter().zip(values).rev();
    let Some((name, value)) = pairs.next() else {
        return String::new();
    };
    let last = format!("{name} > {value}");
    // An index is entered by what holds of its first column alone.
    pairs.fold(last, |rest, (name, value)| {
        format!("{name} >= {value} AND ({name} > {value} OR ({rest}))")
    })
}

/// Names as SQL Server lists them: `[site], [the ]] sign]`.
pub(super) fn listed(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut letters = text.chars().peekable();
    while letters.any(|letter| letter == '[') {
        let mut name = String::new();
        while let Some(letter) = letters.next() {
            if letter == ']' && letters.next_if_eq(&']').is_none() {
                break;
            }
            name.push(letter);
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_behind_one_are_told_by_all_of_its_key() {
        let owned = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        for (names, values, expected) in [
            (&["a"][..], &["1"][..], "a > 1"),
            (
                &["a", "b"],
                &["1", "'x'"],
                "a >= 1 AND (a > 1 OR (b > 'x'))",
            ),
            (
                &["a", "b", "c"],
                &["1", "2", "3"],
                "a >= 1 AND (a > 1 OR (b >= 2 AND (b > 2 OR (c > 3))))",
            ),
        ] {
            assert_eq!(behind(&owned(names), &owned(values)), expected);
        }
    }

    #[test]
    fn names_are_read_as_the_server_lists_them() {
        for (text, expected) in [
            ("", &[][..]),
            ("[id]", &["id"]),
            (
                "[site], [a, b], [the ]] sign]",
                &["site", "a, b", "the ] sign"],
            ),
        ] {
            assert_eq!(listed(text), expected, "{text}");
        }
    }
}
