//! The description of an endpoint, as it is served at `?wsdl`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use hyper::header::{HOST, HeaderValue};
use hyper::http::request::Parts;

use crate::wsdl;

/// Stands for the address while a description is read for the first time.
const SOME_ADDRESS: &str = "http://localhost/";

/// A WSDL and the documents beside it that it links.
#[derive(Debug)]
pub(super) struct Description {
    wsdl: Vec<u8>,
    /// By their paths from the WSDL's folder.
    documents: BTreeMap<String, Vec<u8>>,
    /// How callers reach the endpoint; `None`: as they asked.
    address: Option<String>,
    scheme: &'static str,
}

impl Description {
    /// Reads it from its file and those beside it.
    pub(super) fn read(
        file: &Path,
        address: Option<String>,
        scheme: &'static str,
    ) -> Result<Self, String> {
        let of_file = |reason: String| format!("{}: {reason}", file.display());
        let wsdl = fs::read(file).map_err(|error| of_file(error.to_string()))?;
        let folder = file.parent().unwrap_or(Path::new("."));
        let load = |path: &str| fs::read(folder.join(path)).map_err(|error| error.to_string());
        let all = wsdl::publish(&wsdl, &load, SOME_ADDRESS).map_err(of_file)?;
        let linked = all.iter().filter(|(path, _)| !path.is_empty());
        let documents = linked.map(|(path, _)| Ok((path.clone(), load(path)?)));
        let documents = documents.collect::<Result<_, String>>().map_err(of_file)?;
        Ok(Self {
            wsdl,
            documents,
            address,
            scheme,
        })
    }

    /// The document that `query` asks for; `None`: there is none of that name.
    pub(super) fn document(&self, address: &str, query: &str) -> Result<Option<String>, String> {
        let load = |path: &str| self.documents.get(path).cloned().ok_or_else(String::new);
        let all = wsdl::publish(&self.wsdl, &load, address)?;
        let found = all.into_iter().find(|(path, _)| {
            if path.is_empty() {
                return matches!(query, "wsdl" | "WSDL" | "singleWsdl");
            }
            wsdl::link(address, path).ends_with(&format!("?{query}"))
        });
        let found = found.map(|(_, bytes)| String::from_utf8(bytes));
        found.transpose().map_err(|error| error.to_string())
    }

    /// How the caller reaches the endpoint; `None`: he does not say.
    pub(super) fn address(&self, request: &Parts) -> Option<String> {
        if let Some(address) = &self.address {
            return Some(address.clone());
        }
        let host = request.headers.get(HOST).map(HeaderValue::to_str)?.ok()?;
        Some(format!("{}://{host}{}", self.scheme, request.uri.path()))
    }
}
