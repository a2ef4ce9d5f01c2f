//! Values that a proposed template could not know, and that nobody has written since.

/// What stands for such a value, as text and in an attribute.
const MARKS: [&str; 2] = [">?<", "=\"?\""];
/// Lines that are named, at most.
const LINES_TOLD: usize = 20;

/// The lines of a template that hold one, from 1.
#[must_use]
pub fn unfilled(template: &str) -> Vec<usize> {
    let lines = template.lines().enumerate();
    let unfilled = lines.filter(|(_, line)| MARKS.iter().any(|mark| line.contains(mark)));
    unfilled.map(|(at, _)| at + 1).collect()
}

/// Where a template still holds some, and what to do; `None` where it holds none.
#[must_use]
pub fn sentence(file: &str, template: &str) -> Option<String> {
    let lines = unfilled(template);
    let told: Vec<String> = lines
        .iter()
        .take(LINES_TOLD)
        .map(ToString::to_string)
        .collect();
    let more = match lines.len().saturating_sub(LINES_TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let what = match lines.len() {
        0 => return None,
        1 => "line",
        _ => "lines",
    };
    Some(format!(
        "{file} still holds ? in {what} {}{more}: write the value there, or leave the element out where it may be.",
        told.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_nobody_filled_in_are_named() {
        let text = "<a>\n  <b>?</b> {# string #}\n  <c>why?</c>\n  <d no=\"?\"/>\n</a>\n";
        assert_eq!(unfilled(text), [2, 4]);
        assert_eq!(
            sentence("a.xml", text).as_deref(),
            Some(
                "a.xml still holds ? in lines 2, 4: write the value there, or leave the element out where it may be."
            )
        );
        assert_eq!(sentence("a.xml", "<a>{{ page }}</a>"), None);
        let many = "<b>?</b>\n".repeat(25);
        let told = sentence("a.xml", &many).unwrap_or_default();
        assert!(told.contains(", 20 and 5 more: "), "{told}");
    }
}
