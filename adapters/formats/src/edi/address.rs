//! Where a column's text stands, as people of EDI write it.
//!
//! ```text
//! W0502              element 02 of the segment W05
//! SV101-2            its second component; EDIFACT counts these from 1 too, and 1 is meant where none is named
//! REF02[PO]          of the first REF whose element 01 (EDIFACT: its first component) is PO
//! REF02[PO|CO]       … is PO or CO
//! PIA02-1[02-2=SA]   … of which another element is SA
//! N401[ST]           of the N4 in the loop of the first N1 that is ST
//! NTE02#2            of the second such segment
//! PO106/UP           from 06 on stand pairs of a qualifier and its value: the value behind UP.
//!                    EDIFACT has value and qualifier in one element: PIA02/SA, LIN03/EN
//! N1[ST].REF02[DP]   of the REF in the loop of that N1, where REF02[DP] alone would be another
//! PALLET = LX01      any of these under a name of its own
//! ```

/// Steps before the last, at most.
const STEPS_MAX: usize = 4;

/// A condition on a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Test {
    pub element: u8,
    /// From 1; 0 is the whole element.
    pub component: u8,
    /// One of these it must be.
    pub values: Vec<String>,
}

/// A segment's name, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub tag: String,
    pub test: Option<Test>,
}

/// Where a column's text stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// What the column is called.
    pub name: String,
    /// The loops on the way.
    pub steps: Vec<Step>,
    pub segment: Step,
    pub element: u8,
    /// From 1; 0 is the whole element.
    pub component: u8,
    /// Which of the segments that fit, from 1.
    pub nth: u16,
    /// The qualifier of a pair.
    pub pair: Option<String>,
}

/// Reads a column of a configuration: `ADDRESS` or `NAME = ADDRESS`.
pub(super) fn column(text: &str) -> Result<Address, String> {
    let (name, address) = match named(text) {
        Some((name, address)) => (name.trim(), address.trim()),
        None => (text.trim(), text.trim()),
    };
    let refused = |what: &str| {
        format!(
            "\"{text}\": {what}; a column is written W0502, REF02[PO], N401[ST], SV101-2 or NAME = W0502"
        )
    };
    if name.is_empty() && !address.is_empty() {
        return Err(refused("the name before = is empty"));
    }
    let mut parts = split_steps(address);
    let last = parts.pop().unwrap_or("");
    if parts.len() > STEPS_MAX {
        return Err(refused("it has too many steps"));
    }
    let steps = parts
        .into_iter()
        .map(|part| step(part).map_err(|what| refused(&what)))
        .collect::<Result<_, _>>()?;
    let (last, nth) = match last.rsplit_once('#') {
        None => (last, 1),
        Some((last, nth)) => match nth.parse() {
            Ok(nth) if nth > 0 => (last, nth),
            _ => return Err(refused("behind # belongs a number from 1 on")),
        },
    };
    let (last, pair) = match last.split_once('/') {
        None => (last, None),
        Some((_, "")) => return Err(refused("behind / belongs a qualifier")),
        Some((last, pair)) => (last, Some(pair.to_owned())),
    };
    let (place, test) = tested(last).map_err(|what| refused(&what))?;
    let (place, component) = component(place).map_err(|what| refused(&what))?;
    let digits = place
        .len()
        .checked_sub(2)
        .filter(|at| place.is_char_boundary(*at));
    let (tag, element) = place.split_at(digits.unwrap_or(0));
    let element = element
        .parse()
        .ok()
        .filter(|element| *element > 0)
        .ok_or_else(|| refused("it ends with no element of two digits, e.g. 02"))?;
    if pair.is_some() && component > 1 {
        return Err(refused("a pair has no components to choose from"));
    }
    Ok(Address {
        name: name.to_owned(),
        steps,
        segment: Step {
            tag: checked_tag(tag).map_err(|what| refused(&what))?,
            test,
        },
        element,
        component,
        nth,
        pair,
    })
}

/// A segment and its condition: `N1`, `N1[ST]`, `HL[03=S]`.
pub(super) fn step(text: &str) -> Result<Step, String> {
    let (tag, test) = tested(text)?;
    Ok(Step {
        tag: checked_tag(tag)?,
        test,
    })
}

/// Name and address, at a `=` that is no condition's.
fn named(text: &str) -> Option<(&str, &str)> {
    let at = text.find('=')?;
    (!text[..at].contains('[')).then(|| (&text[..at], &text[at + 1..]))
}

/// Splits at dots that stand in no condition.
fn split_steps(text: &str) -> Vec<&str> {
    let mut within = false;
    text.split(|letter| {
        within = letter == '[' || (within && letter != ']');
        letter == '.' && !within
    })
    .collect()
}

fn tested(text: &str) -> Result<(&str, Option<Test>), String> {
    let Some((before, test)) = text.split_once('[') else {
        return Ok((text, None));
    };
    let test = test
        .strip_suffix(']')
        .ok_or("a [ is not closed at the end by ]")?;
    let (place, values) = test.split_once('=').unwrap_or(("01", test));
    let (element, part) = component(place)?;
    let element = element
        .parse()
        .ok()
        .filter(|element| *element > 0)
        .ok_or_else(|| format!("\"{element}\" before = is no element, e.g. 03"))?;
    let values: Vec<String> = values.split('|').map(str::to_owned).collect();
    if values.iter().any(String::is_empty) {
        return Err("there is no value within [ ]".into());
    }
    Ok((
        before,
        Some(Test {
            element,
            component: part,
            values,
        }),
    ))
}

fn component(text: &str) -> Result<(&str, u8), String> {
    let Some((before, part)) = text.split_once('-') else {
        return Ok((text, 0));
    };
    match part.parse() {
        Ok(part) if part > 0 => Ok((before, part)),
        _ => Err(format!("\"{part}\" behind - is no component, e.g. 2")),
    }
}

fn checked_tag(tag: &str) -> Result<String, String> {
    let fits = (2..=3).contains(&tag.len())
        && tag.starts_with(|letter: char| letter.is_ascii_uppercase())
        && tag
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if fits {
        return Ok(tag.to_owned());
    }
    Err(format!(
        "\"{tag}\" is no segment: those have 2 or 3 capital letters and digits"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(step: &Step) -> String {
        let test = step.test.as_ref().map(|test| {
            format!(
                "[{}-{}={}]",
                test.element,
                test.component,
                test.values.join("|")
            )
        });
        format!("{}{}", step.tag, test.unwrap_or_default())
    }

    fn check(text: &str, expected: Result<&str, &str>) {
        let found = column(text).map(|found| {
            let steps: String = found.steps.iter().map(|step| shown(step) + " ").collect();
            let pair = found.pair.map(|pair| format!("/{pair}"));
            format!(
                "{}: {steps}{} {}-{}{} #{}",
                found.name,
                shown(&found.segment),
                found.element,
                found.component,
                pair.unwrap_or_default(),
                found.nth
            )
        });
        match (&found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(found), Err(words)) => assert!(found.contains(words), "{found}"),
            _ => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn addresses_are_read_or_refused_in_words() {
        check(
            "W0502",
            Ok("W0502: W05 5-0 #1".replace("5-0", "2-0").as_str()),
        );
        check("N104[ST]", Ok("N104[ST]: N1[1-0=ST] 4-0 #1"));
        check("B1001", Ok("B1001: B10 1-0 #1"));
        check("SV101-2", Ok("SV101-2: SV1 1-2 #1"));
        check(
            "PIA02-1[02-2=SA]",
            Ok("PIA02-1[02-2=SA]: PIA[2-2=SA] 2-1 #1"),
        );
        check("A = REF02[PO|CO]#2", Ok("A: REF[1-0=PO|CO] 2-0 #2"));
        check("PO106/UP", Ok("PO106/UP: PO1 6-0/UP #1"));
        check(
            "N1[ST].REF02[DP]",
            Ok("N1[ST].REF02[DP]: N1[1-0=ST] REF[1-0=DP] 2-0 #1"),
        );
        check("REF02[A.B]", Ok("REF02[A.B]: REF[1-0=A.B] 2-0 #1"));
        check("", Err("no element of two digits"));
        check("W05", Err("\"W\" is no segment"));
        check("w0502", Err("\"w05\" is no segment"));
        check("W0500", Err("no element of two digits"));
        check("ü", Err("no element of two digits"));
        check("REF02[PO", Err("not closed"));
        check("REF02[]", Err("no value within"));
        check("REF02[x=PO]", Err("\"x\" before = is no element"));
        check("SV101-x", Err("\"x\" behind - is no component"));
        check("NTE02#0", Err("behind # belongs a number"));
        check("PO106/", Err("behind / belongs a qualifier"));
        check("= W0502", Err("the name before = is empty"));
        check("A.B.C.D.E.W0502", Err("too many steps"));
        check("Nn.W0502", Err("\"Nn\" is no segment"));
    }
}
