//! A WSDL and all that it imports.

use std::collections::{HashMap, VecDeque};

use super::location::local;
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
            for (node, path) in gathered.imports(document)? {
                let known = gathered.all.iter().position(|known| known.path == path);
                let linked = match known {
                    Some(known) => known,
                    None => {
                        let bytes = load(&path).map_err(|error| {
                            about(&gathered.all[document].path, &format!(
                                "it imports {path}, which can't be read: {error}; save that file beside the WSDL"
                            ))
                        })?;
                        gathered.add(path, &bytes, &mut elements, &mut bytes_left)?;
                        waiting.push_back(gathered.all.len() - 1);
                        gathered.all.len() - 1
                    }
                };
                gathered.links.insert(At { document, node }, linked);
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
        let tree = Tree::read(bytes, elements).map_err(|why| about(&path, &why))?;
        let root = &tree.nodes[0];
        let is_wsdl = root.is(Vocabulary::Wsdl, "definitions");
        let is_schema = root.is(Vocabulary::Schema, "schema");
        let is_imported_schema = is_schema && !path.is_empty();
        if !is_wsdl && !is_imported_schema {
            let hint = if is_schema {
                ": name the WSDL that imports this schema"
            } else {
                ""
            };
            return Err(about(
                &path,
                &format!(
                    "the root element is <{}>, where a WSDL has <definitions>{hint}",
                    root.name
                ),
            ));
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
                "it imports a.xsd, which can't be read: no such file; save that file",
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
        assert!(
            why.contains("name the WSDL that imports this schema"),
            "{why}"
        );
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
