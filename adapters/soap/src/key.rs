//! Puts the parts of a business key together, as they stand in the ids of calls and events.

/// One part stands as it is; several behind their lengths, so that no two lists read the same: `2:1:B1/7`.
///
/// Ids are made of it: another text for the same parts would make every retry a new call.
pub(crate) fn composed(parts: &[&str]) -> String {
    match parts {
        [one] => (*one).to_owned(),
        several => {
            let lengths = several.iter().map(|part| format!("{}:", part.len()));
            lengths.collect::<String>() + &several.join("/")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_put_together_as_it_always_was() {
        for (parts, expected) in [
            (&["B1"][..], "B1"),
            (&["a/b:c"], "a/b:c"),
            (&["B1", "7"], "2:1:B1/7"),
            (&["B", "17"], "1:2:B/17"),
            (&["a/b", "c"], "3:1:a/b/c"),
            (&["a", "b/c"], "1:3:a/b/c"),
            // Bytes, not characters.
            (&["Größe", "x", "y"], "7:1:1:Größe/x/y"),
            (&[], ""),
        ] {
            assert_eq!(composed(parts), expected, "{parts:?}");
        }
    }
}
