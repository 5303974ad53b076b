//! Whom a server asks: the members of its group, and other groups by their URLs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::Transport;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;

use super::PeerClient;

/// The two differ in whose certificates they take: members are known by the group's authority,
/// other groups as by any client.
pub struct Reach {
    pub members: Arc<PeerClient>,
    pub groups: PeerClient,
}

/// What another group's REST interface says is wrong.
fn refusal(url: &str, answer: &http::Response<Bytes>) -> Error {
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let message = body.pointer("/error/message").and_then(|m| m.as_str());
    let status = answer.status();
    let kind = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Denied,
        s if s.is_server_error() => ErrorKind::Unavailable,
        _ => ErrorKind::Conflict,
    };
    Error::new(
        kind,
        match message {
            Some(message) => format!("the group at {url} says: {message}"),
            None => format!("the group at {url} answered {status}"),
        },
    )
}

#[async_trait]
impl Transport for Reach {
    async fn ask_group(
        &self,
        url: &str,
        path: &str,
        token: Option<&str>,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<Vec<u8>> {
        let mut request = Request::builder().method(Method::POST).uri(format!("{url}{path}"));
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| Error::invalid("the token holds characters no header can carry"))?;
            value.set_sensitive(true);
            request = request.header(http::header::AUTHORIZATION, value);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| Error::invalid(format!("'{url}' cannot be asked: {e}")))?;
        let answer = self.groups.send(request, timeout).await?;
        match answer.status().is_success() {
            true => Ok(answer.into_body().to_vec()),
            false => Err(refusal(url, &answer)),
        }
    }

    async fn call(
        &self,
        peer_address: &str,
        path: &str,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<Vec<u8>> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.members.member_url(peer_address, path))
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| Error::internal(format!("a peer request cannot be written: {e}")))?;
        self.members.introduce_sender(&mut request);
        let answer = self.members.send_over_slow_way(request, timeout).await?;
        if answer.status() == StatusCode::OK {
            return Ok(answer.into_body().to_vec());
        }
        Err(serde_json::from_slice(answer.body()).unwrap_or_else(|_| {
            Error::new(
                ErrorKind::Unknown,
                format!("the member at {peer_address} answered {}", answer.status()),
            )
        }))
    }

    fn introduce(&self, identity: &str) {
        self.members.introduce_as(identity);
    }
}
