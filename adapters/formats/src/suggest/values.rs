//! Numbers among a column's values.

use super::ColumnType;

/// What numbers they are, if they are.
pub(super) fn of(values: &[&str]) -> ColumnType {
    if values.iter().all(|value| integer(value).is_some()) {
        let is_code = |value: &&str| value.len() > 1 && value.starts_with('0');
        // More digits than a number of things has: a number of a carton or an account.
        let is_long = values.iter().any(|value| value.len() > 18);
        return match values.iter().any(is_code) || is_long {
            true => ColumnType::Text,
            false => ColumnType::Integer,
        };
    }
    for comma in [false, true] {
        let decimals = values.iter().map(|value| decimals(value, comma));
        let decimals: Option<Vec<usize>> = decimals.collect();
        if let Some(decimals) = decimals.and_then(|all| all.into_iter().max()) {
            return ColumnType::Decimal { decimals, comma };
        }
    }
    ColumnType::Text
}

/// Without its sign, before or behind.
fn unsigned(text: &str) -> &str {
    let before = text.strip_prefix(['-', '+']);
    before.or_else(|| text.strip_suffix('-')).unwrap_or(text)
}

fn integer(text: &str) -> Option<&str> {
    let digits = unsigned(text);
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

/// The digits behind the decimal sign.
fn decimals(text: &str, comma: bool) -> Option<usize> {
    let number = unsigned(text);
    let sign = if comma { ',' } else { '.' };
    let (whole, fraction) = number.split_once(sign).unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let grouped = |text: &str| {
        let mut groups = text.split('.');
        let first = groups.next().unwrap_or_default();
        (1..=3).contains(&first.len())
            && digits(first)
            && groups.all(|group| group.len() == 3 && digits(group))
    };
    let is_whole = digits(whole) || comma && grouped(whole);
    (is_whole && digits(fraction) && !(whole.is_empty() && fraction.is_empty()))
        .then_some(fraction.len())
}
