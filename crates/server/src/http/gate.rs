//! Who is answered on the address for members: servers whose certificate the group's authority
//! signed, while they belong to the group, and servers that ask for one with a join token.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evercube_base::{Error, ErrorKind, Result};
use evercube_service::Service;
use http::StatusCode;
use http::request::Parts;

use super::answer::{Answer, answer};
use crate::tls::accept::{Notes, Shown};
use crate::tls::authority::{PublicKey, issue, member_of};
use crate::tls::enroll::{Ask, Given};
use crate::transport::SENDER;

/// What a request for a certificate may be long.
pub const ASK_LIMIT: usize = 16 << 10;
/// Below `/peer/`: where a server without a certificate asks for one.
pub const ENROLL: &str = "enroll";

pub struct Gate {
    /// How long certificates are good for.
    pub life: Duration,
    pub notes: Notes,
}

impl Gate {
    pub fn new(life: Duration) -> Self {
        Self { life, notes: Notes::default() }
    }

    /// Why a request is not answered; before its body is read.
    pub fn refusal(&self, service: &Service, head: &Parts, path: &str) -> Option<Error> {
        if path == ENROLL {
            return None;
        }
        let why = match head.extensions.get::<Shown>() {
            None => Some(Error::new(
                ErrorKind::Denied,
                "this address is for the members of the group, which show a certificate",
            )),
            Some(shown) => match member_of(&shown.0) {
                None => Some(Error::new(ErrorKind::Denied, "the certificate is not a member's")),
                Some(id) => {
                    let says = head.headers.get(SENDER).and_then(|v| v.to_str().ok());
                    service.stranger(id, says, path)
                }
            },
        }?;
        let from = head.extensions.get::<SocketAddr>().copied();
        self.notes.refused(from.unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into()), &why.message);
        Some(why)
    }

    /// Answers a server that asks for a certificate.
    pub async fn enroll(
        &self,
        service: &Arc<Service>,
        body: &[u8],
        from: Option<SocketAddr>,
    ) -> Answer {
        match self.sign(service, body).await {
            Ok(given) => {
                let text = serde_json::to_vec(&given).unwrap_or_default();
                answer(StatusCode::OK, "application/json", text)
            }
            Err(e) => {
                self.notes.refused(from.unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into()), &e.message);
                refused(&e)
            }
        }
    }

    async fn sign(&self, service: &Arc<Service>, body: &[u8]) -> Result<Given> {
        let wrong = |e: &dyn std::fmt::Display| {
            Error::invalid(format!("a request for a certificate cannot be read: {e}"))
        };
        let ask: Ask = serde_json::from_slice(body).map_err(|e| wrong(&e))?;
        let key = STANDARD.decode(&ask.public_key).map_err(|e| wrong(&e))?;
        // A point of the curve, uncompressed.
        if key.len() != 65 || key.first() != Some(&4) {
            return Err(wrong(&"its key is of another kind"));
        }
        let authority = service.admit_by_token(&ask.secret, ask.node_id).await?;
        let certificate = issue(&authority, ask.node_id, &PublicKey(key), self.life)
            .map_err(|e| Error::internal(e.to_string()))?;
        let authority = service.trusted_authorities().join("\n");
        Ok(Given { authority, certificate })
    }
}

/// An error as members read it.
pub fn refused(error: &Error) -> Answer {
    let status = match error.kind {
        ErrorKind::Denied => StatusCode::FORBIDDEN,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    answer(status, "application/json", serde_json::to_vec(error).unwrap_or_default())
}
