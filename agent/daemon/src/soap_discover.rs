//! `dray-agent soap-discover`: a flow for a service that a WSDL describes.
//!
//! The flow goes to the standard output, so that `dray-agent soap-discover WSDL >> agent.toml` adds it; the templates that it names are
//! written as files. Nothing is called or fetched.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use dray_soap::wsdl::{self, Choice, Way, unfilled};

use crate::cli::SoapDiscoverArguments;
use crate::failure::Failure;
use crate::out;

/// Runs the command.
///
/// # Errors
/// [`Failure`] where the description can't be read, has nothing of what is wanted, or a template can't be written.
pub fn command(wanted: &SoapDiscoverArguments) -> Result<(), Failure> {
    let of_file = |reason: String| Failure::Failed(format!("{}: {reason}", wanted.wsdl.display()));
    let bytes = fs::read(&wanted.wsdl).map_err(|error| of_file(unread(&wanted.wsdl, &error)))?;
    let folder = wanted.wsdl.parent().unwrap_or(Path::new("."));
    let load = |path: &str| fs::read(folder.join(path)).map_err(|error| error.to_string());
    let description = wsdl::read(&bytes, &load).map_err(of_file)?;
    let operations: Vec<&str> = wanted.operations.iter().map(String::as_str).collect();
    let absolute = |path: &Path| {
        let absolute = std::path::absolute(path);
        absolute.map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
    };
    let (named, folder) = (absolute(&wanted.wsdl)?, absolute(&wanted.templates)?);
    let (named, folder) = (named.to_string_lossy(), folder.to_string_lossy());
    let choice = Choice {
        way: if wanted.receive {
            Way::Receive
        } else {
            Way::Ask
        },
        wsdl: &named,
        templates: &folder,
        port: wanted.port.as_deref(),
        operations: &operations,
    };
    let proposal = wsdl::propose(&description, &choice).map_err(of_file)?;
    for (name, text) in &proposal.templates {
        eprintln!("{}", write(&wanted.templates.join(name), text)?);
    }
    out::put(&proposal.flow);
    for warning in &proposal.warnings {
        eprintln!("! {warning}");
    }
    for (name, _) in &proposal.templates {
        let file = wanted.templates.join(name);
        // As it is there: somebody may have filled it in before.
        let text = fs::read_to_string(&file).unwrap_or_default();
        if let Some(sentence) = unfilled::sentence(&file.display().to_string(), &text) {
            eprintln!("! {sentence}");
        }
    }
    Ok(())
}

/// Why there is no description.
fn unread(file: &Path, error: &std::io::Error) -> String {
    let written = file.to_string_lossy();
    if written.starts_with("http://") || written.starts_with("https://") {
        return "nothing is fetched: save what is there (curl -o service.wsdl URL), with what it imports beside it, and name the file".into();
    }
    error.to_string()
}

/// Writes a file that is not there yet; what came of it.
fn write(file: &Path, text: &str) -> Result<String, Failure> {
    let shown = file.display();
    match File::create_new(file).and_then(|mut new| new.write_all(text.as_bytes())) {
        Ok(()) => Ok(format!("{shown} is written: the flow names it")),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Ok(match fs::read_to_string(file) {
                Ok(there) if there == text => format!("{shown} is there already, just so"),
                _ => format!(
                    "{shown} is there already and stays as it is: look whether it is of this operation, or name another folder with --templates"
                ),
            })
        }
        Err(error) => Err(Failure::Failed(format!(
            "{shown} can't be written: {error}; name another folder with --templates"
        ))),
    }
}
