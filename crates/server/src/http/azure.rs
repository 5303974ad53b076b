//! The addresses by which clients of the cloud find a server: the alias `link://HOST/link/NAME` and
//! the server `asazure://HOST/NAME`. A server is found where it was looked for; an alias leads there
//! too, unless the group says where else.

use evercube_base::Error;
use evercube_service::operations::links::SERVER_NAME;
use http::{HeaderValue, Method, StatusCode};
use serde_json::json;

use super::answer::{Answer, answer, failed};
use super::asked::{Asked, percent_decode};
use super::body::AnswerBody;

/// Where messages go once the server was found.
pub const XMLA: &str = "/webapi/xmla";
/// Holds the name of the server that was found, with `:rw` where it is to take writes.
pub const SERVER: &str = "x-ms-xmlaserver";
const RESOLVE: &str = "/webapi/clusterresolve";
const ALIAS: &str = "/link";
/// On the answer to a gateway: the alias leads to the group itself, by the gateway's address.
pub const LEADS_HERE: &str = "x-evercube-link-here";

/// Whether somebody looks for a server; neither way needs a login.
pub fn is_asked(asked: &Asked) -> bool {
    let alias =
        asked.path.strip_prefix(ALIAS).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    (asked.method == Method::GET && alias.is_some())
        || (asked.method == Method::POST && asked.path.eq_ignore_ascii_case(RESOLVE))
}

/// The name of the alias that is asked for, which may be empty.
pub fn alias(asked: &Asked) -> Option<String> {
    let rest = asked.path.strip_prefix(ALIAS).filter(|_| asked.method == Method::GET)?;
    percent_decode(rest.trim_matches('/'))
}

/// The answer for an alias that leads to another group.
pub fn led(target: String) -> Answer {
    answer(StatusCode::OK, "text/plain; charset=utf-8", target)
}

/// Where the server is: where it was looked for.
pub fn found(asked: &Asked) -> Answer {
    let host = asked.header("host").and_then(|h| h.parse::<http::uri::Authority>().ok());
    let Some(host) = host else {
        return failed(&Error::invalid("the request does not say which host it is for"));
    };
    if asked.method == Method::GET {
        let name = asked.path.strip_prefix(ALIAS).unwrap_or_default().trim_matches('/');
        let name = if name.is_empty() { SERVER_NAME } else { name };
        let text = format!("asazure://{host}/{name}");
        return led(text);
    }
    let wanted: Option<serde_json::Value> = serde_json::from_slice(&asked.body).ok();
    let name = wanted.as_ref().and_then(|w| w["serverName"].as_str()).unwrap_or(SERVER_NAME);
    // The client goes on with the port it came to.
    let found = json!({ "clusterFQDN": host.host(), "coreServerName": name, "tenantId": "" });
    answer(StatusCode::OK, "application/json", found.to_string())
}

/// Whether the request comes over the transport of the cloud.
pub fn is_transport(path: &str) -> bool {
    path.eq_ignore_ascii_case(XMLA)
}

/// An answer as that transport wants it: with the flags it looks for, and a zero byte at the end,
/// without which clients take it for cut off.
pub fn carried(answer: Answer) -> Answer {
    let mut answer = answer.map(|body| AnswerBody::ended(body, b"\0"));
    let flags = HeaderValue::from_static("0,0,0,0,0");
    answer.headers_mut().insert("x-ms-xmlacaps-negotiation-flags", flags);
    answer
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::BodyExt as _;

    use super::*;

    async fn told(method: Method, path: &str, body: &'static str) -> String {
        let mut headers = http::HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("bi.example:8443"));
        let asked = Asked {
            method,
            path: path.into(),
            query: String::new(),
            headers,
            body: Bytes::from_static(body.as_bytes()),
            held: std::sync::Arc::default(),
            patience: None,
            deadline: None,
        };
        if !is_asked(&asked) {
            return String::new();
        }
        let bytes = found(&asked).into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_server_is_found_where_it_was_looked_for() {
        assert_eq!(told(Method::GET, "/link", "").await, "asazure://bi.example:8443/evercube");
        assert_eq!(told(Method::GET, "/link/s:rw", "").await, "asazure://bi.example:8443/s:rw");
        assert_eq!(told(Method::GET, "/linked", "").await, "");
        let body = r#"{"databaseName":null,"serverName":"sales:rw"}"#;
        let found = told(Method::POST, "/webapi/clusterResolve", body).await;
        let expected = r#"{"clusterFQDN":"bi.example","coreServerName":"sales:rw","tenantId":""}"#;
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn a_carried_answer_ends_with_a_zero_byte() {
        let (sender, pieces) = tokio::sync::mpsc::channel(2);
        sender.send(Ok(Bytes::from_static(b"ab"))).await.unwrap();
        drop(sender);
        let streamed = super::super::answer::streamed("text/xml", pieces);
        for given in [answer(StatusCode::OK, "text/xml", "ab"), streamed] {
            let bytes = carried(given).into_body().collect().await.unwrap().to_bytes();
            assert_eq!(&bytes[..], b"ab\0");
        }
    }
}
