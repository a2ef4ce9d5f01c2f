//! Files that a configuration names.

use std::fs::File;
use std::path::{Path, PathBuf};

/// Settings, and the files that they name.
pub(crate) type Named<'p> = Vec<(String, &'p PathBuf)>;

/// Those of these settings that are written.
pub(crate) fn named<'p>(
    files: impl IntoIterator<Item = (&'static str, Option<&'p PathBuf>)>,
) -> Named<'p> {
    let files = files.into_iter();
    files
        .filter_map(|(setting, file)| Some((setting.to_owned(), file?)))
        .collect()
}

/// What is wrong with their paths.
pub(crate) fn faults(files: &Named<'_>) -> Vec<(String, String)> {
    let faults = files
        .iter()
        .filter_map(|(setting, file)| Some((setting.clone(), fault(file)?)));
    faults.collect()
}

/// A sentence for each that is not there, or may not be read.
pub(crate) fn missing(files: &Named<'_>) -> Vec<String> {
    let missing = files.iter().filter_map(|(setting, file)| {
        let error = File::open(file).err()?;
        Some(format!(
            "{setting} {} can't be read: {error}",
            file.display()
        ))
    });
    missing.collect()
}

/// A relative path would depend on where the agent is started: `check` in one folder, the service in another.
fn fault(file: &Path) -> Option<String> {
    (!file.is_absolute()).then(|| {
        format!(
            "\"{}\" is not an absolute path; begin it with \"/\"",
            file.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::poll::SoapPollConfig;
    use crate::receive::SoapReceiveConfig;
    use crate::webhook::WebhookConfig;

    const TLS: &str = "tls = { certificate = \"a\", key = \"b\"";
    const BASIC: &str = "basic = { user = \"u\", password_file = \"c\" }\n";
    const TOKEN: &str = "username_token = { user = \"u\", password_file = \"d\" }\n";

    fn check(faults: Vec<(String, String)>, expected: &[&str]) {
        let settings: Vec<&str> = faults.iter().map(|(setting, _)| setting.as_str()).collect();
        assert_eq!(settings, expected);
        let says =
            |sentence: &str| sentence.ends_with("is not an absolute path; begin it with \"/\"");
        assert!(
            faults.iter().all(|(_, sentence)| says(sentence)),
            "{faults:?}"
        );
    }

    #[test]
    fn a_relative_path_is_refused_wherever_it_stands() {
        let calls: SoapReceiveConfig = toml::from_str(&format!(
            "kind = \"soap-receive\"\nlisten = \"127.0.0.1:80\"\nwsdl = \"w.wsdl\"\n{TLS}, client_ca = \"e\" }}\n{BASIC}{TOKEN}operation = [{{ name = \"Put\", root = \"Put\", fields = {{ ID = \"Id\" }}, response = \"r.xml\" }}]"
        ))
        .expect("a configuration");
        let secure = ["tls.certificate", "tls.key"];
        let of_calls = [
            "wsdl",
            "username_token.password_file",
            "basic.password_file",
        ];
        let more = ["tls.client_ca", "operation.0.response"];
        check(calls.faults(), &[&of_calls[..], &secure, &more].concat());
        let hooks: WebhookConfig = toml::from_str(&format!(
            "kind = \"webhook\"\nlisten = \"127.0.0.1:80\"\n{TLS} }}\n{BASIC}signature = {{ header = \"S\", secret_file = \"s\" }}\napi_key = {{ header = \"K\", key_file = \"k\" }}\nhook = [{{ name = \"any\", format = {{ kind = \"json\", record = \"\", fields = {{ ID = \"id\" }} }} }}]"
        ))
        .expect("a configuration");
        let of_hooks = [
            "signature.secret_file",
            "api_key.key_file",
            "basic.password_file",
        ];
        check(hooks.faults(), &[&of_hooks[..], &secure].concat());
        let asks = |who: &str| -> SoapPollConfig {
            toml::from_str(&format!(
                "kind = \"soap-poll\"\nurl = \"https://wms.local\"\nrequest = \"list.xml\"\nroot = \"List\"\nfields = {{ ID = \"Id\" }}\n{TLS}, ca = \"e\" }}\n{TOKEN}{who}"
            ))
            .expect("a configuration")
        };
        for (who, setting) in [
            (BASIC, "basic.password_file"),
            ("bearer = { token_file = \"t\" }", "bearer.token_file"),
        ] {
            let of_asks = ["request", setting, "username_token.password_file", "tls.ca"];
            check(asks(who).faults(), &[&of_asks[..], &secure].concat());
        }
    }

    #[test]
    fn all_files_that_are_missing_are_told_at_once() {
        let calls: SoapReceiveConfig = toml::from_str(
            "kind = \"soap-receive\"\nlisten = \"127.0.0.1:0\"\nwsdl = \"/nowhere/w.wsdl\"\nbasic = { user = \"u\", password_file = \"/nowhere/p\" }\noperation = [{ name = \"Put\", root = \"Put\", key = \"Id\", fields = { ID = \"Id\" }, response = \"/nowhere/r.xml\" }]",
        )
        .expect("a configuration");
        let wrong = calls.check("flow").into_iter().filter_map(|one| match one {
            crate::Finding::Wrong(sentence) => Some(sentence),
            _ => None,
        });
        let wrong: Vec<String> = wrong.collect();
        let begin = [
            "wsdl /nowhere/w.wsdl can't be read: ",
            "basic.password_file /nowhere/p can't be read: ",
            "operation.0.response /nowhere/r.xml can't be read: ",
        ];
        assert_eq!(wrong.len(), begin.len(), "{wrong:?}");
        for (sentence, begin) in wrong.iter().zip(begin) {
            assert!(sentence.starts_with(begin), "{sentence}");
        }
    }
}
