//! The certificates this server shows, and whose it takes: told by who keeps them, shown by `status`.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// What a server shows and trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificates {
    /// Shown to clients.
    #[serde(default)]
    pub clients: Option<Term>,
    /// Shown to other members.
    #[serde(default)]
    pub members: Option<Term>,
    /// Of the authority that signed that one.
    #[serde(default)]
    pub authority: Option<Term>,
    /// Prints of the authorities whose members are trusted, that of the signer first.
    #[serde(default)]
    pub trusted: Vec<String>,
}

/// How long a certificate is good for, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    pub from_unix: i64,
    pub until_unix: i64,
}

/// Nobody waits longer than this with a new certificate.
const LATE: i64 = 14 * 24 * 3600;

impl Term {
    /// From when on somebody should look after it: 14 days before its end, and where it is short a
    /// quarter of its time, since those that are renewed by themselves are so when a third is left.
    pub fn late_from_unix(&self) -> i64 {
        self.until_unix - LATE.min((self.until_unix - self.from_unix) / 4)
    }
}

impl Certificates {
    /// Each with what it is.
    pub fn terms(&self) -> impl Iterator<Item = (&'static str, Term)> {
        let all =
            [("clients", self.clients), ("members", self.members), ("authority", self.authority)];
        all.into_iter().filter_map(|(what, term)| Some((what, term?)))
    }
}

/// Where the listeners tell what they show; clones are the same book.
#[derive(Debug, Clone, Default)]
pub struct CertificateBook(Arc<Mutex<Certificates>>);

impl CertificateBook {
    pub fn get(&self) -> Certificates {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn change(&self, change: impl FnOnce(&mut Certificates)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// By what members tell authorities apart: a part of the hash of the PEM text.
pub fn print(certificate: &str) -> String {
    blake3::hash(certificate.trim().as_bytes()).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_late_before_its_end() {
        let day = 24 * 3600;
        let late = |days: i64| Term { from_unix: 0, until_unix: days * day }.late_from_unix() / day;
        assert_eq!((late(365), late(90), late(8)), (351, 76, 6));
    }
}
