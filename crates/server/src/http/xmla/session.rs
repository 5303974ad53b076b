//! Sessions of XMLA clients: what was fixed at open, what a request lays over it.

use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use evercube_service::Service;
use evercube_service::auth::Identity;
use evercube_service::call::{Call, CallNames};
use evercube_service::session::Session;
use evercube_xmla::SessionHeader;

use crate::http::asked::Asked;

/// The newest version the client's session has seen, sealed.
pub(super) const SEEN_COOKIE: &str = "evercube-seen";

/// Property: kilobytes a request may use.
const MEMORY_LIMIT: &str = "DbpropMsmdRequestMemoryLimit";

/// A request with its session.
pub(super) struct Opened {
    pub call: Call,
    /// To give back in the answer's header; `None` outside of a session.
    pub id: Option<String>,
    /// What the session fixed, as properties.
    pub properties: Vec<(String, String)>,
}

/// Finds, begins or ends the session of a request.
pub(super) fn open(
    service: &Service,
    asked: &Asked,
    header: Option<&SessionHeader>,
    given: &[(String, String)],
    by: &Identity,
) -> Result<Opened> {
    let mut call = asked.call()?;
    let own = Session {
        user: by.user.clone(),
        is_admin: by.is_admin,
        groups: by.groups.clone(),
        ..Session::default()
    };
    let (session, id) = match header {
        None => (own, None),
        Some(SessionHeader::Begin) => {
            let (session, id) = service.begin_session(laid_over(own, given))?;
            (session, Some(id))
        }
        Some(SessionHeader::Continue(id)) => (resumed(service, id, by)?, Some(id.clone())),
        Some(SessionHeader::End(id)) => (resumed(service, id, by)?, None),
    };
    if matches!(header, Some(SessionHeader::Continue(_))) {
        call.min_seq = asked.cookie(SEEN_COOKIE).and_then(|c| service.read_freshness(c));
    }
    let given_name = |name: &str| {
        let found = given.iter().rev().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, v)| v.trim().to_owned())
    };
    call.names = CallNames {
        session: id.clone(),
        activity: given_name("DbpropMsmdActivityID"),
        request: given_name("DbpropMsmdRequestID"),
    };
    let properties = as_properties(&session);
    call.session = laid_over(session, given);
    if call.session.acts() && !call.session.is_admin {
        return Err(Error::new(
            ErrorKind::Denied,
            "The properties Roles and EffectiveUserName need an administrator; the caller is not one.",
        ));
    }
    let timeout = given.iter().rev().find(|(n, _)| n.eq_ignore_ascii_case("Timeout"));
    let seconds = timeout.and_then(|(_, v)| v.trim().parse::<u64>().ok()).filter(|s| *s > 0);
    call.timeout = seconds.map(Duration::from_secs);
    let memory = given.iter().rev().find(|(n, _)| n.eq_ignore_ascii_case(MEMORY_LIMIT));
    let kilobytes = memory.and_then(|(_, v)| v.trim().parse::<usize>().ok()).filter(|n| *n > 0);
    call.memory = kilobytes.map(|n| n.saturating_mul(1024));
    Ok(Opened { call, id, properties })
}

/// A session goes on for the user who opened it, with the rights that user has now.
fn resumed(service: &Service, id: &str, by: &Identity) -> Result<Session> {
    let session = service.resume_session(id)?;
    if !session.user.eq_ignore_ascii_case(&by.user) {
        return Err(Error::new(
            ErrorKind::Denied,
            "The session belongs to another user; open a connection of your own.",
        ));
    }
    Ok(Session { is_admin: by.is_admin, groups: by.groups.clone(), ..session })
}

/// A session with a request's properties over what it fixed; empty ones change nothing.
pub(super) fn laid_over(mut session: Session, given: &[(String, String)]) -> Session {
    for (name, value) in given {
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        match name.to_ascii_lowercase().as_str() {
            "catalog" => session.catalog = Some(value.to_owned()),
            "localeidentifier" => session.locale = value.parse().unwrap_or(session.locale),
            "roles" => {
                session.roles = value.split(',').map(|r| r.trim().to_owned()).collect();
            }
            "effectiveusername" => session.effective_user = Some(value.to_owned()),
            "customdata" => session.custom_data = Some(value.to_owned()),
            "sspropinitappname" => session.application = Some(value.to_owned()),
            _ => {}
        }
    }
    session
}

fn as_properties(session: &Session) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut put = |name: &str, value: Option<String>| {
        all.extend(value.map(|v| (name.to_owned(), v)));
    };
    put("Catalog", session.catalog.clone());
    put("LocaleIdentifier", (session.locale != 0).then(|| session.locale.to_string()));
    put("Roles", (!session.roles.is_empty()).then(|| session.roles.join(",")));
    put("EffectiveUserName", session.effective_user.clone());
    put("CustomData", session.custom_data.clone());
    put("SspropInitAppName", session.application.clone());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_lays_its_properties_over_the_session() {
        let fixed = Session { catalog: Some("A".into()), ..Session::default() };
        let given = [("Catalog", ""), ("Roles", "US, EU"), ("Unknown", "x")];
        let given = given.map(|(n, v)| (n.to_owned(), v.to_owned()));
        let session = laid_over(fixed, &given);
        assert_eq!(session.catalog.as_deref(), Some("A"));
        assert_eq!(session.roles, ["US", "EU"]);
    }
}
