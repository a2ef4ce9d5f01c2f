//! From a token to an identity.

use std::path::Path;
use std::time::Duration;

use dray_proto::token::Token;
use dray_proto::v1::EnrolRequest;
use dray_proto::v1::enrolment_client::EnrolmentClient;
use thiserror::Error;
use tonic::Code;

use crate::identity::{self, Identity, IdentityError};
use crate::patience::Patience;
use crate::tls;

/// How long the collector may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Why no identity came of it.
#[derive(Debug, Error)]
pub enum EnrolError {
    /// The collector can't be reached, or isn't the one that made the token.
    #[error("{0}")]
    Link(String),
    /// The collector refuses.
    #[error("{0}")]
    Refused(String),
    /// The identity can't be kept.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Makes a key, has the collector at `host:port` sign it, and writes the identity into `folder`.
/// What was in the folder is replaced.
///
/// # Errors
/// [`EnrolError`]; the token is used up where an identity was written, where the collector's answer
/// got lost on the way, and perhaps with [`EnrolError::Identity`].
pub async fn enrol(collector: &str, token: &Token, folder: &Path) -> Result<Identity, EnrolError> {
    // Tried first: a token must not be used up for a folder that can't be written.
    std::fs::create_dir_all(folder).map_err(|error| IdentityError::File {
        path: folder.to_owned(),
        error,
    })?;
    let (key_pem, csr) = identity::new_key()
        .map_err(|error| EnrolError::Link(format!("no key can be made: {error}")))?;
    let config = tls::with_pin(token.ca_sha256).map_err(EnrolError::Link)?;
    let channel = tls::connect(collector, config, Patience::default().connect)
        .await
        .map_err(EnrolError::Link)?;
    let request = EnrolRequest {
        secret: token.secret_text(),
        csr,
    };
    let answer =
        tokio::time::timeout(ANSWER_TIMEOUT, EnrolmentClient::new(channel).enrol(request)).await;
    let reply = match answer {
        Err(_) => {
            return Err(EnrolError::Link(format!(
                "{collector}: it did not answer in 20 s"
            )));
        }
        Ok(Err(status)) if status.code() == Code::Unknown || status.code() == Code::Unavailable => {
            return Err(EnrolError::Link(tls::status_sentence(collector, &status)));
        }
        Ok(Err(status)) => return Err(EnrolError::Refused(status.message().to_owned())),
        Ok(Ok(reply)) => reply.into_inner(),
    };
    Identity::save(folder, &key_pem, &reply.certificate_pem, &reply.ca_pem)?;
    Identity::load(folder)?
        .ok_or_else(|| EnrolError::Refused("the collector's answer holds no certificate".into()))
}
