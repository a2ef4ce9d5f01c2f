//! Who we are, from files that are read before each request: a password that was changed needs no restart.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;

use super::SoapPollConfig;
use crate::secret;
use crate::security::Account;

/// What a request carries.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// Of HTTP.
    pub(super) authorization: Option<HeaderValue>,
    /// Of WS-Security.
    pub(super) token: Option<Account>,
    /// What no message may show.
    pub(super) hidden: Vec<String>,
}

impl Secrets {
    pub(super) fn read(config: &SoapPollConfig) -> Result<Self, String> {
        let mut secrets = Self::default();
        if let Some(basic) = &config.basic {
            let password = secret::read("basic.password_file", &basic.password_file)?;
            let pair = STANDARD.encode(format!("{}:{password}", basic.user));
            secrets.authorization = Some(header(&format!("Basic {pair}"), &basic.password_file)?);
            secrets.hidden.extend([password, pair]);
        }
        if let Some(bearer) = &config.bearer {
            let token = secret::read("bearer.token_file", &bearer.token_file)?;
            secrets.authorization = Some(header(&format!("Bearer {token}"), &bearer.token_file)?);
            secrets.hidden.push(token);
        }
        if let Some(token) = &config.username_token {
            let setting = "username_token.password_file";
            let account = secret::account(setting, &token.user, &token.password_file)?;
            secrets.hidden.push(account.password.clone());
            secrets.token = Some(account);
        }
        Ok(secrets)
    }
}

fn header(text: &str, file: &Path) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        format!(
            "{} holds a character that no header may hold",
            file.display()
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}
