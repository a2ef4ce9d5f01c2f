//! The body of a request, as a template to edit.

use super::description::{Description, Operation};
use super::element::Element;
use super::going_on;
use super::prefixes::Prefixes;
use super::words::{Asked, is_number};

/// Lines of a template, at most: a person fills them in.
const LINES_MAX: usize = 500;

/// The content of the body that asks an operation, in minijinja's syntax; the envelope is not part of it. Comments are the
/// template's own, and don't travel. Empty where the body is.
#[must_use]
pub fn request_template(description: &Description, operation: &Operation) -> String {
    let Some(root) = description.body(&operation.input) else {
        return String::new();
    };
    let answer = operation.output.as_ref();
    let answer = answer.and_then(|output| description.body(output));
    let goes_on = answer.is_some_and(|answer| going_on::next(&answer).is_some());
    // One value has one place: where a token has its own, a page beside it is a number.
    let by_token = goes_on && !takes_token(&root);
    written(&root, Some(Asks { by_token }))
}

/// The content of the body that an operation answers, where it is another than the empty element that is answered by itself: called
/// after the operation's element, with `Response` behind it.
#[must_use]
pub fn response_template(description: &Description, operation: &Operation) -> Option<String> {
    let answer = description.body(operation.output.as_ref()?)?;
    let asked = operation.input.root.as_ref()?;
    let by_itself = answer.name.namespace == asked.namespace
        && answer.name.name == format!("{}Response", asked.name)
        && answer.children.iter().all(|child| child.min == 0)
        && !answer.has_text
        && answer
            .attributes
            .iter()
            .all(|attribute| !attribute.is_required);
    (!by_itself).then(|| written(&answer, None))
}

/// How values that page on have their places.
#[derive(Debug, Clone, Copy)]
struct Asks {
    /// The answer says what the next page is asked with, and the page's place takes it: no number is counted.
    by_token: bool,
}

fn written(root: &Element, asks: Option<Asks>) -> String {
    let mut writer = Writer {
        asks,
        pages: pages(root),
        ..Writer::default()
    };
    writer.element(root, 0);
    let declarations = writer.prefixes.declarations();
    // The first tag is the root's, and its name has no such letters.
    let at = writer.out.find(['>', ' ', '/']).unwrap_or(writer.out.len());
    writer.out.insert_str(at, &declarations);
    writer.out
}

fn pages(element: &Element) -> bool {
    let asked = Asked::of(&element.name.name, &element.type_name);
    matches!(asked, Some(Asked::Page | Asked::Token)) || element.children.iter().any(pages)
}

fn takes_token(element: &Element) -> bool {
    let is_value = element.has_text && element.children.is_empty();
    let asked = Asked::of(&element.name.name, &element.type_name);
    (is_value && asked == Some(Asked::Token)) || element.children.iter().any(takes_token)
}

#[derive(Debug, Default)]
struct Writer {
    asks: Option<Asks>,
    /// A page can be asked for, and so its size is one that we say.
    pages: bool,
    prefixes: Prefixes,
    out: String,
    lines: usize,
}

impl Writer {
    fn element(&mut self, element: &Element, depth: usize) {
        let indent = "  ".repeat(depth);
        if self.lines >= LINES_MAX {
            if self.lines == LINES_MAX {
                self.lines += 1;
                self.out += &format!("{indent}{{# and so on: more than {LINES_MAX} elements #}}\n");
            }
            return;
        }
        self.lines += 1;
        let name = self.prefixes.write(&element.name);
        let attributes = self.attributes(element);
        let notes = notes(element);
        self.out += &format!("{indent}<{name}{attributes}");
        if element.children.is_empty() {
            if element.has_text {
                let value = self.placeholder(element).unwrap_or("?");
                self.out += &format!(">{value}</{name}>{notes}\n");
            } else {
                self.out += &format!("/>{notes}\n");
            }
            return;
        }
        self.out += &format!(">{notes}\n");
        for child in &element.children {
            self.element(child, depth + 1);
        }
        self.out += &format!("{indent}</{name}>\n");
    }

    /// What goes on from answer to answer in an element's place.
    fn placeholder(&self, element: &Element) -> Option<&'static str> {
        let asks = self.asks?;
        let is_number = is_number(&element.type_name);
        match Asked::of(&element.name.name, &element.type_name)? {
            Asked::PageSize if !self.pages => None,
            // The first page's token is empty, and nothing is no number: strict services refuse the first request. Pages are counted
            // from 1, and what a cursor begins with is 0, so that no record is passed over.
            Asked::Page if asks.by_token && is_number => Some("{{ token or 1 }}"),
            Asked::Page if asks.by_token => Some(Asked::Token.placeholder()),
            Asked::Token if is_number => Some("{{ token or 0 }}"),
            asked => Some(asked.placeholder()),
        }
    }

    fn attributes(&mut self, element: &Element) -> String {
        let mut out = String::new();
        for attribute in element
            .attributes
            .iter()
            .filter(|attribute| attribute.is_required)
        {
            out += &format!(" {}=\"?\"", self.prefixes.write(&attribute.name));
        }
        out
    }
}

/// What a person needs to know to fill an element in. Names of types are plain names, and end no comment.
fn notes(element: &Element) -> String {
    let mut notes = Vec::new();
    if element.has_text && element.children.is_empty() && !element.type_name.is_empty() {
        notes.push(element.type_name.clone());
    }
    if element.is_choice {
        notes.push("one of several".into());
    } else if element.min == 0 {
        notes.push("may be left out".into());
    }
    if element.repeats() {
        notes.push("may repeat".into());
    }
    if element.is_cut {
        notes.push("what is in it is not told".into());
    }
    for attribute in &element.attributes {
        let may = if attribute.is_required {
            ""
        } else {
            "may have "
        };
        notes.push(format!(
            "{may}@{}: {}",
            attribute.name.name, attribute.type_name
        ));
    }
    if notes.is_empty() {
        return String::new();
    }
    format!(" {{# {} #}}", notes.join(", "))
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::super::samples::{RPC, WMS, alone, operation, with_schema};
    use super::*;
    use crate::template::Template;

    /// The proposed request, and what it becomes when it is filled in.
    fn check(wsdl: &str, name: &str, expected: &str, filled: &str) {
        let description = alone(wsdl);
        let text = request_template(&description, operation(&description, name));
        assert_eq!(text, expected, "{name}");
        let values =
            context! { watermark => "2026-11-23T08:15:00Z", page_size => 100, token => "<&>" };
        let made = Template::new(&text, true).and_then(|template| template.render(values));
        let made: Vec<String> = made
            .expect(name)
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        assert_eq!(made.join("\n"), filled, "{name}");
    }

    #[test]
    fn a_request_has_places_for_what_goes_on_and_comments_for_the_rest() {
        check(
            WMS,
            "ListMovements",
            "<w:ListMovements xmlns:w=\"urn:example:wms\">
  <w:Since>{{ watermark }}</w:Since> {# dateTime, may be left out #}
  <w:Warehouse>?</w:Warehouse> {# string #}
  <w:PageSize>{{ page_size }}</w:PageSize> {# int #}
  <w:PageToken>{{ token }}</w:PageToken> {# string, may be left out #}
</w:ListMovements>
",
            "<w:ListMovements xmlns:w=\"urn:example:wms\">
  <w:Since>2026-11-23T08:15:00Z</w:Since>
  <w:Warehouse>?</w:Warehouse>
  <w:PageSize>100</w:PageSize>
  <w:PageToken>&lt;&amp;&gt;</w:PageToken>
</w:ListMovements>",
        );
        check(
            RPC,
            "PutOrders",
            "<w:PutOrders xmlns:w=\"urn:call\" xmlns:w2=\"urn:types\">
  <TransactionId>?</TransactionId> {# string #}
  <Orders>
    <w2:Order> {# may repeat, may have @site: string #}
      <w2:OrderNo>?</w2:OrderNo> {# int #}
    </w2:Order>
  </Orders>
</w:PutOrders>
",
            "<w:PutOrders xmlns:w=\"urn:call\" xmlns:w2=\"urn:types\">
  <TransactionId>?</TransactionId>
  <Orders>
    <w2:Order>
      <w2:OrderNo>?</w2:OrderNo>
    </w2:Order>
  </Orders>
</w:PutOrders>",
        );
    }

    /// What a changed request becomes for a page's token.
    fn places(changes: &[(&str, &str)], token: &str, expected: &[&str]) {
        let changed = changes
            .iter()
            .fold(WMS.to_owned(), |wsdl, (from, to)| wsdl.replace(from, to));
        let description = alone(&changed);
        let text = request_template(&description, operation(&description, "ListMovements"));
        let values = context! { watermark => "", page_size => 100, page => 7, token => token };
        let made = Template::new(&text, true).and_then(|template| template.render(values));
        let made = made.expect(&text);
        for place in expected {
            assert!(made.contains(place), "{place}: {text}: {made}");
        }
    }

    #[test]
    fn a_first_page_is_asked_for_with_a_number_where_the_request_wants_one() {
        const TOKEN: &str = "name=\"PageToken\" type=\"x:string\"";
        let number = [(TOKEN, "name=\"Page\" type=\"x:int\"")];
        places(&number, "", &["<w:Page>1</w:Page>"]);
        places(&number, "2", &["<w:Page>2</w:Page>"]);
        let text = [(TOKEN, "name=\"Page\" type=\"x:string\"")];
        places(&text, "", &["<w:Page></w:Page>"]);
        let cursor = [(TOKEN, "name=\"Cursor\" type=\"x:long\"")];
        places(&cursor, "", &["<w:Cursor>0</w:Cursor>"]);
    }

    #[test]
    fn a_page_beside_a_token_is_a_number() {
        let both = [(
            "name=\"Warehouse\" type=\"x:string\"",
            "name=\"Page\" type=\"x:int\"",
        )];
        let expected = ["<w:Page>7</w:Page>", "<w:PageToken>next</w:PageToken>"];
        places(&both, "next", &expected);
    }

    #[test]
    fn attributes_and_empty_elements_are_written() {
        let inside = "<x:choice><x:element name='A'><x:complexType><x:attribute name='no' type='x:int' use='required'/></x:complexType></x:element><x:element name='B' type='x:int'/></x:choice>";
        let schema = format!(
            "<x:schema targetNamespace='urn:t'><x:element name='In'><x:complexType>{inside}</x:complexType></x:element></x:schema>"
        );
        check(
            &with_schema(&schema),
            "Op",
            "<w:In xmlns:w=\"urn:t\">\n  <A no=\"?\"/> {# one of several, @no: int #}\n  <B>?</B> {# int, one of several #}\n</w:In>\n",
            "<w:In xmlns:w=\"urn:t\">\n  <A no=\"?\"/>\n  <B>?</B>\n</w:In>",
        );
        check(
            &with_schema(""),
            "Op",
            "<w:In xmlns:w=\"urn:t\"/> {# what is in it is not told #}\n",
            "<w:In xmlns:w=\"urn:t\"/>",
        );
    }

    #[test]
    fn the_size_of_a_page_is_ours_only_where_pages_are_asked_for() {
        let description = alone(&WMS.replace("name=\"PageToken\"", "name=\"Other\""));
        let text = request_template(&description, operation(&description, "ListMovements"));
        assert!(
            text.contains("<w:PageSize>?</w:PageSize> {# int #}"),
            "{text}"
        );
    }

    #[test]
    fn a_namespace_writes_no_expressions() {
        let uri = "urn:{{ token }}&quot;&lt;";
        let wsdl = with_schema("").replace(
            "<part name='p' element='t:In'/>",
            &format!("<part name='p' element='e:In' xmlns:e='{uri}'/>"),
        );
        let description = alone(&wsdl);
        let text = request_template(&description, operation(&description, "Op"));
        assert!(
            text.contains("xmlns:w=\"urn:&#123;&#123; token }}&quot;&lt;\""),
            "{text}"
        );
    }

    #[test]
    fn an_answer_needs_a_template_where_the_empty_one_does_not_do() {
        for (wsdl, name, expected) in [
            (WMS, "PutMovements", None),
            (WMS, "ReportShipment", None),
            (
                RPC,
                "PutOrders",
                Some(
                    "<w:PutOrdersResponse xmlns:w=\"urn:call\">\n  <Result>?</Result> {# boolean #}\n</w:PutOrdersResponse>\n",
                ),
            ),
        ] {
            let description = alone(wsdl);
            let text = response_template(&description, operation(&description, name));
            assert_eq!(text.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_long_request_ends_with_a_word() {
        let children: String = (0..600)
            .map(|number| format!("<x:element name='E{number}' type='x:int'/>"))
            .collect();
        let schema = format!(
            "<x:schema targetNamespace='urn:t'><x:element name='In'><x:complexType><x:sequence>{children}</x:sequence></x:complexType></x:element></x:schema>"
        );
        let description = alone(&with_schema(&schema));
        let text = request_template(&description, operation(&description, "Op"));
        assert!(
            text.ends_with("  {# and so on: more than 500 elements #}\n</w:In>\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), LINES_MAX + 2);
    }
}
