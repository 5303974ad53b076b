//! The HTTP client of the commands: where the server is, who asks, and what an answer means.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::rt::TokioExecutor;
use serde_json::Value as Json;

use crate::failure::{Failure, Outcome};
use crate::tls;
use crate::transport::connect::Connector;

/// Where the server is and who asks, as given on the command line or in the environment.
#[derive(Debug, Clone, clap::Args)]
pub struct Connection {
    /// Base URL of a server or gateway, as http://127.0.0.1:8383; a path is ignored
    #[arg(long, value_name = "URL", env = "EVERCUBE_SERVER")]
    pub server: String,
    /// User to sign in as; the password comes from --password-file or EVERCUBE_PASSWORD
    #[arg(long, value_name = "NAME", env = "EVERCUBE_USER")]
    pub user: Option<String>,
    /// File that holds an access token, instead of a user and password
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// PEM file with the authority behind the server's certificate; without it those this machine
    /// trusts
    #[arg(long, value_name = "FILE", env = "EVERCUBE_CA")]
    pub ca: Option<PathBuf>,
}

/// Secrets of the environment, read once at the edge.
#[derive(Default)]
pub struct Secrets {
    pub password: Option<String>,
    pub token: Option<String>,
}

impl Secrets {
    pub fn from_environment() -> Self {
        let set = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
        Self { password: set("EVERCUBE_PASSWORD"), token: set("EVERCUBE_TOKEN") }
    }
}

/// A client for one base URL.
#[derive(Clone)]
pub struct Client {
    /// Scheme, host and port, without a trailing slash.
    base: String,
    authorization: Option<HeaderValue>,
    pool: Pool<Connector, Full<Bytes>>,
}

const CONNECT_LIMIT: Duration = Duration::from_secs(5);

impl Client {
    /// # Errors
    /// `Usage` for a URL, user or file that cannot be used.
    pub fn new(at: &Connection, password_file: Option<&Path>, secrets: &Secrets) -> Outcome<Self> {
        let base = base_url(&at.server)?;
        let roots = tls::roots(at.ca.as_deref(), base.starts_with("https:"))?;
        let config = tls::client_config(roots)?;
        let connector = Connector::new(config, CONNECT_LIMIT, None);
        Ok(Self {
            base,
            authorization: authorization(at, password_file, secrets)?,
            pool: Pool::builder(TokioExecutor::new()).build(connector),
        })
    }

    pub async fn get(&self, path: &str) -> Outcome<Bytes> {
        self.send(Method::GET, path, Bytes::new(), None).await
    }

    /// Posts under `request_id`, so that a repetition is answered and not executed again.
    pub async fn post(&self, path: &str, body: Bytes, request_id: &str) -> Outcome<Bytes> {
        self.send(Method::POST, path, body, Some(request_id)).await
    }

    pub async fn delete(&self, path: &str, request_id: &str) -> Outcome<Bytes> {
        self.send(Method::DELETE, path, Bytes::new(), Some(request_id)).await
    }

    pub async fn post_json(&self, path: &str, body: &Json, request_id: &str) -> Outcome<Bytes> {
        self.post(path, Bytes::from(body.to_string()), request_id).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        request_id: Option<&str>,
    ) -> Outcome<Bytes> {
        let url = format!("{}{path}", self.base);
        let mut request = Request::builder().method(method.clone()).uri(&url);
        if let Some(value) = &self.authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(id) = request_id {
            request = request.header("X-Evercube-Request-Id", id);
        }
        let request = request
            .body(Full::new(body.clone()))
            .map_err(|e| Failure::Usage(format!("cannot ask '{url}': {e}")))?;
        let answer = self.pool.request(request).await.map_err(|e| {
            if e.is_connect() {
                let check =
                    if self.base.starts_with("https:") { "--server, --ca" } else { "--server" };
                Failure::Unreachable(format!(
                    "cannot reach the server at {}: {}; check {check} and that it runs",
                    self.base,
                    tls::explained(&e)
                ))
            } else {
                self.lost(request_id, &tls::explained(&e))
            }
        })?;
        let status = answer.status();
        let misdirected = status == StatusCode::MISDIRECTED_REQUEST;
        let bytes = answer
            .into_body()
            .collect()
            .await
            .map_err(|e| self.lost(request_id, &tls::explained(&e)))?
            .to_bytes();
        if status.is_success() {
            return Ok(bytes);
        }
        let message = of_error(&bytes, "message").unwrap_or_else(|| match status.as_u16() {
            401 => "the server wants to know who asks".into(),
            404 => format!("'{url}' is not known there: is it an Evercube server?"),
            _ => format!("the server at {} answered {status}", self.base),
        });
        if misdirected && let Some(other) = self.elsewhere(&bytes).await {
            return Box::pin(other.send(method, path, body, request_id)).await;
        }
        // A file or storage that failed its server is not a server that nobody reaches.
        let by_source = of_error(&bytes, "kind").is_some_and(|kind| kind == "Source");
        Err(match status.as_u16() {
            401 if self.authorization.is_some() => Failure::Refused(format!(
                "{message} What was given is not taken: check --user and its password, or the token"
            )),
            401 => Failure::Refused(format!(
                "{message} Give --user and --password-file, or --token-file"
            )),
            502..=504 if !by_source => Failure::Unreachable(message),
            _ => Failure::Refused(message),
        })
    }

    /// A client for a server that the answer says to ask instead, if one can be reached.
    async fn elsewhere(&self, answer: &[u8]) -> Option<Self> {
        let body: Json = serde_json::from_slice(answer).ok()?;
        for address in body.get("ask")?.as_array()?.iter().filter_map(Json::as_str) {
            let scheme = self.base.split_once("://").map_or("http", |(scheme, _)| scheme);
            let base = base_url(&format!("{scheme}://{address}")).ok()?;
            let other = Self { base, ..self.clone() };
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return Some(other);
            }
        }
        None
    }

    fn lost(&self, request_id: Option<&str>, cause: &str) -> Failure {
        let told = request_id.map_or(String::new(), |id| {
            format!("; whether it was done is not known, its request id is {id}")
        });
        Failure::Unreachable(format!("the answer of {} was lost: {cause}{told}", self.base))
    }
}

/// The answer as JSON.
pub fn json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Outcome<T> {
    serde_json::from_slice(bytes).map_err(|e| {
        Failure::Refused(format!("cannot understand the answer: {e}; is it an Evercube server?"))
    })
}

/// A new random request id: 32 hexadecimal digits.
pub fn request_id() -> Outcome<String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| Failure::Refused(format!("cannot draw a request id: {e}")))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// `text` as one segment of a path or one value of a query string.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// Scheme, host and port of a server's URL.
///
/// # Errors
/// `Usage` for a text that names no server.
pub fn base_url(text: &str) -> Outcome<String> {
    let wrong = |why: &str| Failure::Usage(format!("the server '{text}' cannot be used: {why}"));
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let uri: Uri = full.parse().map_err(|e| wrong(&format!("{e}")))?;
    let scheme = match uri.scheme_str() {
        Some(known @ ("http" | "https")) => known,
        _ => return Err(wrong("it must begin with http:// or https://")),
    };
    let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("a URL carries no password here, use --user and --password-file"));
    }
    let names_port = authority.as_str() != authority.host();
    if names_port && authority.port_u16().is_none_or(|port| port == 0) {
        return Err(wrong("its port is no number from 1 to 65535"));
    }
    // A word alone is more likely a mistake than a host at the port of the web.
    if !names_port && !text.contains("://") {
        return Err(wrong("write it as http://host:8383"));
    }
    Ok(format!("{scheme}://{authority}"))
}

/// Files before the environment, a token before a password, as each stands alone.
fn authorization(
    at: &Connection,
    password_file: Option<&Path>,
    secrets: &Secrets,
) -> Outcome<Option<HeaderValue>> {
    let value = if let Some(file) = &at.token_file {
        return bearer(&secret_of(file)?).map(Some);
    } else if let Some(user) = &at.user {
        let password = match (password_file, &secrets.password, &secrets.token) {
            (Some(file), ..) => secret_of(file)?,
            (None, Some(password), _) => password.clone(),
            (None, None, Some(token)) => return bearer(token).map(Some),
            (None, None, None) => {
                return Err(Failure::Usage(format!(
                    "no password for '{user}': set EVERCUBE_PASSWORD or give --password-file (for backups that is \
                     the backup's own), or sign in with --token-file"
                )));
            }
        };
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        format!("Basic {pair}")
    } else if password_file.is_some() {
        return Err(Failure::Usage(
            "a password needs a user: give --user or set EVERCUBE_USER".into(),
        ));
    } else if let Some(token) = &secrets.token {
        return bearer(token).map(Some);
    } else {
        return Ok(None);
    };
    sensitive(&value).map(Some)
}

fn bearer(token: &str) -> Outcome<HeaderValue> {
    sensitive(&format!("Bearer {token}"))
}

fn sensitive(value: &str) -> Outcome<HeaderValue> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Failure::Usage("the token holds characters no header can carry".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The text of a file without the line end that editors add.
pub fn secret_of(file: &Path) -> Outcome<String> {
    let text = std::fs::read_to_string(file).map_err(|e| {
        Failure::Usage(format!("cannot read the secret in '{}': {e}", file.display()))
    })?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(Failure::Usage(format!(
            "the file '{}' holds no secret: it is empty",
            file.display()
        ))),
        secret => Ok(secret.to_owned()),
    }
}

/// A part of the error that a server answered with: `message` or `kind`.
fn of_error(bytes: &[u8], part: &str) -> Option<String> {
    let body: Json = serde_json::from_slice(bytes).ok()?;
    body.get("error")?.get(part)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_liberally() {
        for text in ["http://h:1", "h:1", "http://h:1/", "http://h:1/xmla?read=any"] {
            assert_eq!(base_url(text).unwrap(), "http://h:1", "{text}");
        }
        assert_eq!(base_url("https://h/xmla").unwrap(), "https://h");
        for text in ["ftp://h", "http://", "http://u:p@h", "", "h", "h:0", "http://h:99999", "h:x"]
        {
            assert!(matches!(base_url(text), Err(Failure::Usage(_))), "{text}");
        }
    }

    #[test]
    fn names_travel_in_paths() {
        assert_eq!(percent_encode("A b/ü&1"), "A%20b%2F%C3%BC%261");
    }
}
