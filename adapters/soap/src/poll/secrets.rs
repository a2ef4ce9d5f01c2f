//! Who we are, from files that are read before each request: a password that was changed needs no restart.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;

use super::SoapPollConfig;
use crate::security::Account;

/// Bytes of a secret's file, at most.
const SECRET_BYTES_MAX: usize = 64 * 1024;

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
            let password = secret("basic.password_file", &basic.password_file)?;
            let pair = STANDARD.encode(format!("{}:{password}", basic.user));
            secrets.authorization = Some(header(&format!("Basic {pair}"), &basic.password_file)?);
            secrets.hidden.extend([password, pair]);
        }
        if let Some(bearer) = &config.bearer {
            let token = secret("bearer.token_file", &bearer.token_file)?;
            secrets.authorization = Some(header(&format!("Bearer {token}"), &bearer.token_file)?);
            secrets.hidden.push(token);
        }
        if let Some(token) = &config.username_token {
            let password = secret("username_token.password_file", &token.password_file)?;
            secrets.hidden.push(password.clone());
            secrets.token = Some(Account {
                user: token.user.clone(),
                password,
            });
        }
        Ok(secrets)
    }
}

/// The first line of a secret's file.
fn secret(setting: &str, file: &Path) -> Result<String, String> {
    let text = fs::read_to_string(file)
        .map_err(|error| format!("{setting} {} can't be read: {error}", file.display()))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() || text.len() > SECRET_BYTES_MAX {
        return Err(format!(
            "{setting} {}: its first line is the secret, and it is empty or too long",
            file.display()
        ));
    }
    Ok(line.to_owned())
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
