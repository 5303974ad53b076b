//! Requests that a page of somebody else has a browser send. A browser adds what it signs in with
//! whoever wrote the page, so they are told by what else it says.

use evercube_base::{Error, ErrorKind, Result};
use http::{HeaderMap, Method};

/// The host that a client of a proxy or gateway asked for.
pub const FORWARDED_HOST: &str = "x-forwarded-host";

/// Refuses what could change something and was sent by a page of another origin.
///
/// # Errors
/// `Denied`.
pub fn check(method: &Method, headers: &HeaderMap) -> Result<()> {
    let said = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or_default());
    if method.is_safe() {
        // Its answer is not shown to the page.
        return Ok(());
    }
    let is_ours = match (said("sec-fetch-site"), said("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let origin = origin.split_once("://").map_or("", |(_, host)| host);
            hosts(headers).any(|host| host.eq_ignore_ascii_case(origin))
        }
        // No browser.
        (None, None) => true,
    };
    match is_ours {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Denied,
            "a page of another origin had the browser send this request, which is not done",
        )),
    }
}

/// Where everybody is the administrator, refuses names that somebody else could have given to this
/// machine: a page that was loaded under one could ask what it likes and read the answers.
/// `advertised` is the address that clients are told.
///
/// # Errors
/// `Denied`.
pub fn check_name(headers: &HeaderMap, advertised: &str) -> Result<()> {
    let Some(foreign) = hosts(headers).find(|host| !is_of_this_machine(host, advertised)) else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::Denied,
        format!(
            "the server was asked as '{foreign}'. With --no-auth it answers to addresses, localhost, names without dots and what --advertise says"
        ),
    ))
}

/// The hosts that the request is for, as the client of a proxy and as the proxy wrote them.
fn hosts(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let all = headers.get_all(http::header::HOST).iter().chain(headers.get_all(FORWARDED_HOST));
    all.map(|v| v.to_str().unwrap_or("?.").trim())
}

fn is_of_this_machine(host: &str, advertised: &str) -> bool {
    let name = |text: &str| {
        let without_port = match text.strip_prefix('[') {
            Some(rest) => rest.split(']').next(),
            None => text.split(':').next(),
        };
        without_port.unwrap_or_default().trim_end_matches('.').to_ascii_lowercase()
    };
    let (host, advertised) = (name(host), name(advertised));
    host == advertised
        || !host.contains('.')
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    #[test]
    fn pages_of_others_change_nothing() {
        for (lines, ours) in [
            (vec![("host", "cube:8383")], true),
            (vec![("host", "cube:8383"), ("origin", "http://cube:8383")], true),
            (vec![("host", "cube:8383"), ("origin", "http://CUBE:8383")], true),
            (vec![("host", "cube:8383"), ("origin", "http://cube:9999")], false),
            (vec![("host", "cube:8383"), ("origin", "http://evil.example")], false),
            (vec![("host", "cube:8383"), ("origin", "null")], false),
            (
                vec![("host", "inner"), ("x-forwarded-host", "cube"), ("origin", "https://cube")],
                true,
            ),
            (vec![("host", "cube"), ("sec-fetch-site", "cross-site")], false),
            (
                vec![("host", "cube"), ("sec-fetch-site", "same-site"), ("origin", "http://cube")],
                false,
            ),
            (
                vec![("host", "inner"), ("sec-fetch-site", "same-origin"), ("origin", "http://a")],
                true,
            ),
        ] {
            let headers = headers(&lines);
            assert_eq!(check(&Method::POST, &headers).is_ok(), ours, "{lines:?}");
            assert!(check(&Method::GET, &headers).is_ok(), "{lines:?}");
        }
    }

    #[test]
    fn everybody_is_the_administrator_under_names_of_this_machine_only() {
        for (host, known) in [
            ("127.0.0.1:8383", true),
            ("[::1]:8383", true),
            ("localhost", true),
            ("app.localhost:1", true),
            ("box", true),
            ("cube.corp:8383", true),
            ("evil.example:8383", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example.", false),
        ] {
            let named = headers(&[("host", host)]);
            assert_eq!(check_name(&named, "cube.corp:443").is_ok(), known, "{host}");
            let behind = headers(&[("host", "127.0.0.1"), (FORWARDED_HOST, host)]);
            assert_eq!(check_name(&behind, "cube.corp:443").is_ok(), known, "{host}");
        }
        assert!(check_name(&headers(&[]), "").is_ok());
    }
}
