//! Ranges as a text, each counted from the one before: `805+1@359000 3` is 805 to 806, missed at 359,000, and 809 at the same time.

use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

use super::Gap;

/// One range, behind another.
pub(super) fn one(last: Option<&Gap>, gap: &Gap) -> String {
    let from = match last {
        // Ids of both ends of 64 bits are further apart than 64 bits hold.
        Some(last) => i128::from(gap.0) - i128::from(last.1),
        None => i128::from(gap.0),
    };
    let mut text = from.to_string();
    if gap.1 != gap.0 {
        text.push_str(&format!("+{}", i128::from(gap.1) - i128::from(gap.0)));
    }
    if last.is_none_or(|last| last.2 != gap.2) {
        text.push_str(&format!("@{}", gap.2));
    }
    text
}

pub(super) fn serialize<S: Serializer>(gaps: &[Gap], serializer: S) -> Result<S::Ok, S::Error> {
    let mut last = None;
    let mut text = String::new();
    for gap in gaps {
        if last.is_some() {
            text.push(' ');
        }
        text.push_str(&one(last, gap));
        last = Some(gap);
    }
    serializer.serialize_str(&text)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Gap>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut gaps: Vec<Gap> = Vec::new();
    for part in text.split(' ') {
        let gap = read(gaps.last(), part);
        gaps.push(gap.ok_or_else(|| D::Error::custom(format!("\"{part}\" is no range")))?);
    }
    Ok(gaps)
}

fn read(last: Option<&Gap>, part: &str) -> Option<Gap> {
    let (range, since) = match part.split_once('@') {
        Some((range, since)) => (range, since.parse().ok()?),
        None => (part, last?.2),
    };
    let (from, more) = match range.split_once('+') {
        Some((from, more)) => (from, more.parse::<u64>().ok()?),
        None => (range, 0),
    };
    let from = from.parse::<i128>().ok()?;
    let from = match last {
        Some(_) if from <= 0 => return None,
        Some(last) => i128::from(last.1).checked_add(from)?,
        None => from,
    };
    let to = i64::try_from(from.checked_add(i128::from(more))?).ok()?;
    Some(Gap(i64::try_from(from).ok()?, to, since))
}
