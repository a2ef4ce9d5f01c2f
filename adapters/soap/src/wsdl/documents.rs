//! A WSDL and all that it imports.

use std::collections::{HashMap, HashSet, VecDeque};

use super::location::local;
use super::other;
use super::tree::{Node, SCHEMA, Tree, Vocabulary, XML};
use super::{BYTES_MAX, DOCUMENTS_MAX, ELEMENTS_MAX, Load};

/// Namespaces whose schemas change nothing that is looked at here; nearly every WSDL names one of them at its own server.
const NOT_NEEDED: [&str; 5] = [
    XML,
    SCHEMA,
    "http://schemas.xmlsoap.org/soap/encoding/",
    "http://www.w3.org/2003/05/soap-encoding",
    "http://www.w3.org/2005/05/xmlmime",
];

/// Files that are not there, of which so many are named.
const MISSING_TOLD: usize = 10;

/// An element of one of the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct At {
    pub(super) document: usize,
    pub(super) node: usize,
}

/// A document by its path from the WSDL's folder; the WSDL's own is empty.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) path: String,
    pub(super) tree: Tree,
}

/// The WSDL is the first.
#[derive(Debug)]
pub(super) struct Documents {
    pub(super) all: Vec<Document>,
    /// From an import or include to the document it names.
    links: HashMap<At, usize>,
}

/// The attribute of an import or include that says where the document is.
pub(super) fn location(vocabulary: Vocabulary, name: &str) -> Option<&'static str> {
    match (vocabulary, name) {
        (Vocabulary::Wsdl, "import") => Some("location"),
        (Vocabulary::Schema, "import" | "include" | "redefine" | "override") => {
            Some("schemaLocation")
        }
        _ => None,
    }
}

/// Where a document is that another imports: a path from the WSDL's folder; `None` where it is not needed.
///
/// # Errors
/// A sentence: it is nowhere below that.
pub(super) fn imported(
    from: &str,
    written: &str,
    namespace: Option<&str>,
) -> Result<Option<String>, String> {
    if written.is_empty() {
        return Ok(None);
    }
    match local(from, written) {
        Ok(path) => Ok(Some(path)),
        Err(_) if namespace.is_some_and(|uri| NOT_NEEDED.contains(&uri)) => Ok(None),
        Err(why) => Err(format!("the location {why}")),
    }
}

impl Documents {
    /// # Errors
    /// A sentence that begins with the document it is about, if that is not the WSDL itself.
    pub(super) fn gather(bytes: &[u8], load: &Load<'_>) -> Result<Self, String> {
        let mut elements = ELEMENTS_MAX;
        let mut bytes_left = BYTES_MAX;
        let mut gathered = Self {
            all: Vec::new(),
            links: HashMap::new(),
        };
        gathered.add(String::new(), bytes, &mut elements, &mut bytes_left)?;
        let mut waiting = VecDeque::from([0]);
        while let Some(document) = waiting.pop_front() {
            let mut missing: Vec<(String, String)> = Vec::new();
            for (node, path) in gathered.imports(document)? {
                let known = gathered.all.iter().position(|known| known.path == path);
                let linked = match known {
                    Some(known) => known,
                    None => {
                        let bytes = match load(&path) {
                            Ok(bytes) => bytes,
                            Err(why) => {
                                missing.push((path, why));
                                continue;
                            }
                        };
                        gathered.add(path, &bytes, &mut elements, &mut bytes_left)?;
                        waiting.push_back(gathered.all.len() - 1);
                        gathered.all.len() - 1
                    }
                };
                gathered.links.insert(At { document, node }, linked);
            }
            if !missing.is_empty() {
                return Err(about(&gathered.all[document].path, &not_there(missing)));
            }
        }
        Ok(gathered)
    }

    pub(super) fn node(&self, at: At) -> &Node {
        &self.all[at.document].tree.nodes[at.node]
    }

    /// The elements within one that have this name.
    pub(super) fn children<'d>(
        &'d self,
        parent: At,
        vocabulary: Vocabulary,
        name: &'d str,
    ) -> impl Iterator<Item = At> + 'd {
        let document = parent.document;
        let children = self.all[document]
            .tree
            .children(parent.node, vocabulary, name);
        children.map(move |node| At { document, node })
    }

    /// The elements within one.
    pub(super) fn all_children(&self, parent: At) -> impl Iterator<Item = At> + '_ {
        let document = parent.document;
        let children = self.node(parent).children.iter();
        children.map(move |node| At {
            document,
            node: *node,
        })
    }

    /// The document that an import or include names.
    pub(super) fn linked(&self, import: At) -> Option<usize> {
        self.links.get(&import).copied()
    }

    fn add(
        &mut self,
        path: String,
        bytes: &[u8],
        elements: &mut usize,
        bytes_left: &mut usize,
    ) -> Result<(), String> {
        if self.all.len() == DOCUMENTS_MAX {
            return Err(format!(
                "with {path} there are more than {DOCUMENTS_MAX} documents: put schemas together, or leave out what the service doesn't use"
            ));
        }
        *bytes_left = bytes_left.checked_sub(bytes.len()).ok_or_else(|| {
            format!("with {path} the WSDL and what it imports are longer than {BYTES_MAX} bytes: leave out what the service doesn't use")
        })?;
        if let Some(kind) = other::kind(bytes) {
            return Err(about(&path, &other::no_wsdl(&path, kind)));
        }
        let tree = Tree::read(&path, bytes, elements).map_err(|why| about(&path, &why))?;
        let root = &tree.nodes[0];
        let is_wsdl = root.is(Vocabulary::Wsdl, "definitions");
        let is_schema = root.is(Vocabulary::Schema, "schema");
        let is_imported_schema = is_schema && !path.is_empty();
        if !is_wsdl && !is_imported_schema {
            let why = match other::of_root(&root.name).filter(|_| path.is_empty()) {
                Some(kind) => other::no_wsdl(&path, kind),
                None => format!(
                    "the root element is <{}>, where a WSDL has <definitions>",
                    root.name
                ),
            };
            return Err(about(&path, &why));
        }
        self.all.push(Document { path, tree });
        Ok(())
    }

    /// What a document imports: the elements that say so, and the paths.
    fn imports(&self, document: usize) -> Result<Vec<(usize, String)>, String> {
        let Document { path, tree } = &self.all[document];
        let mut imports = Vec::new();
        for (number, node) in tree.nodes.iter().enumerate() {
            let at = location(node.vocabulary, &node.name);
            let written = at
                .and_then(|attribute| node.attribute(attribute))
                .unwrap_or_default();
            let found = imported(path, written, node.attribute("namespace"));
            let found = found.map_err(|why| about(path, &why))?;
            imports.extend(found.map(|path| (number, path)));
        }
        Ok(imports)
    }
}

/// That files are not there which a document imports, and why the first of them is not.
fn not_there(mut missing: Vec<(String, String)>) -> String {
    let mut told = HashSet::new();
    missing.retain(|(path, _)| told.insert(path.clone()));
    let why = &missing[0].1;
    let paths: Vec<&str> = missing
        .iter()
        .take(MISSING_TOLD)
        .map(|(path, _)| path.as_str())
        .collect();
    let more = match missing.len().saturating_sub(MISSING_TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "it imports {}{more}, which can't be read: {why}; what is imported is not fetched: save it under that name beside the WSDL, from the address that the WSDL came from",
        paths.join(", ")
    )
}

/// A sentence about a document, with its name.
pub(super) fn about(path: &str, what: &str) -> String {
    if path.is_empty() {
        what.to_owned()
    } else {
        format!("{path}: {what}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WSDL: &str = "<definitions xmlns='http://schemas.xmlsoap.org/wsdl/' xmlns:s='http://www.w3.org/2001/XMLSchema'>";

    fn gathered(wsdl: &str, beside: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let text = format!("{WSDL}{wsdl}</definitions>");
        let load = |path: &str| {
            let found = beside.iter().find(|(known, _)| *known == path);
            found
                .map(|(_, text)| text.as_bytes().to_vec())
                .ok_or_else(|| "no such file".to_owned())
        };
        let documents = Documents::gather(text.as_bytes(), &load)?;
        Ok(documents
            .all
            .into_iter()
            .map(|document| document.path)
            .collect())
    }

    fn schema(inside: &str) -> String {
        format!("<schema xmlns='http://www.w3.org/2001/XMLSchema'>{inside}</schema>")
    }

    #[test]
    fn each_document_is_read_once_wherever_it_is_imported() {
        let a = schema("<include schemaLocation='../b/b.xsd'/><import namespace='urn:x'/>");
        let b = schema("<include schemaLocation='../a/a.xsd'/>");
        let wsdl = "<import namespace='urn:o' location='other.wsdl'/><types><s:schema><s:import schemaLocation='a/a.xsd'/></s:schema></types>";
        let other = format!("{WSDL}<import location='./other.wsdl'/></definitions>");
        let beside = [
            ("a/a.xsd", a.as_str()),
            ("b/b.xsd", &b),
            ("other.wsdl", &other),
        ];
        let paths = gathered(wsdl, &beside).expect("all are there");
        assert_eq!(paths, ["", "other.wsdl", "a/a.xsd", "b/b.xsd"]);
    }

    #[test]
    fn schemas_of_xml_itself_are_not_asked_for() {
        let import = "<types><s:schema><s:import namespace='http://www.w3.org/XML/1998/namespace' schemaLocation='http://www.w3.org/2001/xml.xsd'/></s:schema></types>";
        assert_eq!(gathered(import, &[]).expect("none is needed"), [""]);
    }

    #[test]
    fn what_can_not_be_read_is_told_with_the_document_and_the_way_out() {
        let bad = "<a>";
        let climbs = schema("<include schemaLocation='../c.xsd'/>");
        for (wsdl, beside, expected) in [
            (
                "<import location='a.xsd'/>",
                ("b.xsd", bad),
                "it imports a.xsd, which can't be read: no such file; what is imported is not fetched: save it",
            ),
            (
                "<import location='a.xsd'/>",
                ("a.xsd", bad),
                "a.xsd: line 1: ",
            ),
            (
                "<import location='a.xsd'/>",
                ("a.xsd", &climbs),
                "a.xsd: the location \"../c.xsd\" climbs",
            ),
            (
                "<import location='http://wms/a.xsd'/>",
                ("a.xsd", bad),
                "nothing is fetched: save that file beside the WSDL",
            ),
        ] {
            let why = gathered(wsdl, &[beside]).expect_err(expected);
            assert!(why.contains(expected), "{why}");
        }
        let why = Documents::gather(schema("").as_bytes(), &|_| Err(String::new()))
            .expect_err("a schema");
        assert!(why.starts_with("it is a schema (XSD)"), "{why}");
        let two = "<import location='a.xsd'/><import location='b.xsd'/><import location='a.xsd'/>";
        let why = gathered(two, &[]).expect_err("two are missing");
        assert!(why.starts_with("it imports a.xsd, b.xsd, which"), "{why}");
    }

    #[test]
    fn what_is_no_wsdl_is_told_by_what_it_is_with_where_a_wsdl_is() {
        let message = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'/>";
        for (text, expected) in [
            ("", "it is empty, and no WSDL; a service usually gives"),
            (" \r\n", "it is empty"),
            ("\n<!DOCTYPE html><html/>", "it is a page of HTML"),
            ("<?xml version='1.0'?><html/>", "it is a page of HTML"),
            (
                "<?xml version='1.0'?>\n<!DOCTYPE html><html/>",
                "it is a page of HTML",
            ),
            ("{\"openapi\": 3}", "it is JSON"),
            ("\u{1f}\u{8b}", "line 1"),
            (message, "it is a SOAP message"),
            (
                "<application xmlns='http://wadl.dev.java.net/2009/02'/>",
                "it is a WADL",
            ),
        ] {
            let why = Documents::gather(text.as_bytes(), &|_| Err(String::new()));
            let why = why.expect_err(expected);
            assert!(why.contains(expected), "{text}: {why}");
        }
        let import = "<import location='a.xsd'/>";
        let saved = "and neither WSDL nor schema: save again";
        for (text, expected) in [
            ("<html>", "a.xsd: it is a page of HTML, "),
            (message, "a.xsd: line 1: it is a SOAP message, "),
        ] {
            let why = gathered(import, &[("a.xsd", text)]).expect_err(expected);
            assert!(why.starts_with(expected) && why.contains(saved), "{why}");
        }
    }

    #[test]
    fn a_description_that_speaks_of_html_is_read() {
        let spoken = "<!-- <html> -->";
        let documented = "<documentation><![CDATA[<!DOCTYPE html><html>]]></documentation>";
        let text = format!("<?xml version='1.0'?>{spoken}{WSDL}{documented}</definitions>");
        let read = Documents::gather(text.as_bytes(), &|_| Err(String::new()));
        assert_eq!(read.map(|documents| documents.all.len()), Ok(1));
    }

    #[test]
    fn a_chain_without_an_end_is_cut_at_the_limit() {
        let text = format!("{WSDL}<import location='0.xsd'/></definitions>");
        let endless = |path: &str| {
            let number: usize = path.trim_end_matches(".xsd").parse().expect("a number");
            Ok(schema(&format!("<include schemaLocation='{}.xsd'/>", number + 1)).into_bytes())
        };
        let why = Documents::gather(text.as_bytes(), &endless).expect_err("too many");
        assert!(why.contains("more than 100 documents"), "{why}");
    }
}
