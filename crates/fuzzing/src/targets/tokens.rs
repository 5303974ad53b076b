//! What clients hand back or are given by others: session ids, cookies, bearer tokens; and the
//! times of schedules.

use chrono::DateTime;
use evercube_service::bearer::keys::KeySet;
use evercube_service::bearer::{IssuerConfig, Unchecked};
use evercube_service::schedule::cron::Cron;
use evercube_service::seal::{Purpose, SealingKey, open};
use evercube_service::session::{Session, freshness_cookie, read_freshness_cookie};

use super::{Target, judged, texts};

fn keys() -> [SealingKey; 1] {
    [SealingKey { id: 1, bytes: [7; 32] }]
}

/// A key set with a key that signed nothing.
const KEYS: &str = r#"{"keys":[{"kty":"RSA","kid":"k","n":"sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H95GQRV3JDXboIRROSBigeC5yjU1hGzHHyXss8UDprecbAYxknTcQkhslANGRUZmdTOQ5qTRsLAt6BTYuyvVRdhS8exSZEy_c4gs_7svlJJQ4H9_NxsiIoLwAEk7-Q3UXERGYw_75IDrGA84-lA_-Ct4eTlXHBIY2EaV7t7LjJaynVJCpkv4LKjTTAumiGUIuQhrNhZLuF_RJLqHpM2kgWFLU7-VTdL1VbC2tejvcI2BlMkEpk1BzBZI0KQB0GaDWFLN-aEAw3vRw","e":"AQAB"}]}"#;

pub const SESSION: Target = Target {
    name: "token",
    run: |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        judged(Session::from_id(&keys(), text));
        let _seq = read_freshness_cookie(&keys(), text);
        for purpose in [Purpose::Session, Purpose::Login, Purpose::OtherGroup] {
            let _plain = open(&keys(), purpose, text);
        }
        let config = IssuerConfig {
            issuer: "https://i".into(),
            audiences: vec!["a".into()],
            user_claim: "sub".into(),
            groups_claim: "groups".into(),
            administrators: Vec::new(),
        };
        let set = KeySet::read(KEYS.as_bytes());
        if let (Ok(token), Ok(set)) = (Unchecked::read(text), set) {
            assert!(token.check(&config, &set, 0).is_err(), "nobody signed {text}");
        }
        judged(KeySet::read(bytes));
    },
    seeds: || {
        let mut all = texts(&[
            "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJodHRwczovL2kiLCJzdWIiOiJ1IiwiYXVkIjoiYSIsImV4cCI6OTk5OTk5OTk5OX0.c2lnbmF0dXJl",
            "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2kifQ.",
            KEYS,
        ]);
        let session = Session { user: "ann".into(), ..Session::default() };
        all.extend(session.to_id(&keys()).ok().map(String::into_bytes));
        all.extend(freshness_cookie(&keys(), 7).ok().map(String::into_bytes));
        all
    },
    words: &[
        ".",
        "=",
        "e30",
        "eyJ",
        "AAAA",
        "-_",
        "\"kty\":\"EC\"",
        "\"alg\":\"HS256\"",
        "\"crv\":\"P-256\"",
    ],
};

pub const CRON: Target = Target {
    name: "cron",
    run: |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let (fields, zone) = text.split_once('|').unwrap_or((text, "UTC"));
        let Some(cron) = judged(Cron::parse(fields, zone)) else { return };
        for seconds in [0, 1_700_000_000, 4_102_444_800] {
            let Some(now) = DateTime::from_timestamp(seconds, 0) else { continue };
            if let Some(next) = cron.after(now) {
                assert!(next > now, "{text}");
                assert!(cron.between(now, next, 3) <= 3);
            }
            let _shown = cron.next_local(now);
            if let Some(last) = cron.at_or_before(now) {
                assert!(last <= now, "{text}");
            }
        }
    },
    seeds: || {
        texts(&[
            "*/5 0-6,22 1,15 1-12/2 MON-FRI|Europe/Zurich",
            "0 2 29 2 *|America/New_York",
            "30 1 31 */3 SUN|Pacific/Apia",
        ])
    },
    words: &[
        "*",
        "/",
        ",",
        "-",
        " ",
        "|",
        "MON",
        "JAN",
        "0",
        "59",
        "60",
        "31",
        "7",
        "Africa/Cairo",
    ],
};
