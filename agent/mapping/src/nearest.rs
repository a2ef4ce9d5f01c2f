//! The name that was meant.

/// Names longer than this are not compared.
const NAME_LETTERS_MAX: usize = 80;

/// The name that is at most a third of its letters away from `unknown`.
pub(crate) fn nearest<'a>(
    unknown: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if unknown.chars().count() > NAME_LETTERS_MAX {
        return None;
    }
    known
        .into_iter()
        .filter(|name| name.len() <= NAME_LETTERS_MAX)
        .map(|name| (distance(unknown, name), name))
        .filter(|(distance, name)| {
            let length = name.len().max(unknown.len());
            *distance <= length.div_ceil(3) && *distance < length
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `did you mean "quantity"?`, or all that there are.
pub(crate) fn instead<'a>(
    unknown: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    match nearest(unknown, known.clone()) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => {
            let all: Vec<&str> = known.into_iter().collect();
            format!("possible are {}", all.join(", "))
        }
    }
}

/// Letters to insert, delete or replace (Levenshtein); case counts for nothing.
fn distance(a: &str, b: &str) -> usize {
    let lower = |text: &str| -> Vec<char> { text.chars().flat_map(char::to_lowercase).collect() };
    let (a, b) = (lower(a), lower(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["quantity", "item_number", "unit", "X"];
        for (unknown, expected) in [
            ("quantitty", Some("quantity")),
            ("itemnumber", Some("item_number")),
            ("UNIT", Some("unit")),
            ("colour", None),
            ("K", None),
        ] {
            assert_eq!(nearest(unknown, known), expected, "{unknown}");
        }
        assert_eq!(
            instead("colour", known),
            "possible are quantity, item_number, unit, X"
        );
    }
}
