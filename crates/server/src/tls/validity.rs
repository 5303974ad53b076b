//! How long a certificate is good for, read from its bytes.

use chrono::{DateTime, NaiveDateTime, Utc};
use evercube_service::certificates::Term;
use rustls::pki_types::CertificateDer;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The element at the front: its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(first) {
        short @ 0..0x80 => (short, rest),
        long => {
            let (digits, rest) = rest.split_at_checked(long - 0x80)?;
            let mut length = 0_usize;
            for digit in digits {
                length = length.checked_mul(256)?.checked_add(usize::from(*digit))?;
            }
            (length, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn content(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(bytes)?;
    (tag == wanted).then_some((content, rest))
}

fn time(bytes: &[u8]) -> Option<(DateTime<Utc>, &[u8])> {
    let (tag, text, rest) = element(bytes)?;
    let text = std::str::from_utf8(text).ok()?;
    let full = match tag {
        // Two digits stand for 1950 to 2049.
        UTC_TIME => {
            let century = if text.get(..2)?.parse::<u8>().ok()? < 50 { "20" } else { "19" };
            format!("{century}{text}")
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = NaiveDateTime::parse_from_str(&full, "%Y%m%d%H%M%SZ").ok()?;
    Some((time.and_utc(), rest))
}

/// As [`of`], for who tells of it.
pub fn term(certificate: &CertificateDer<'_>) -> Option<Term> {
    let (from, until) = of(certificate)?;
    Some(Term { from_unix: from.timestamp(), until_unix: until.timestamp() })
}

/// First and last moment of a certificate; `None` for bytes that are none.
pub fn of(certificate: &CertificateDer<'_>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let (whole, _) = content(certificate, SEQUENCE)?;
    let (mut fields, _) = content(whole, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (validity, _) = content(fields, SEQUENCE)?;
    let (from, rest) = time(validity)?;
    Some((from, time(rest)?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_a_certificate_is_good_for_is_read() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        for (from, until) in [((2026, 1, 2), (2049, 12, 31)), ((1999, 5, 6), (2071, 7, 8))] {
            params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
            params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
            let made = params.clone().self_signed(&key).unwrap();
            let (start, end) = of(made.der()).unwrap();
            let day = |(y, m, d)| format!("{y:04}-{m:02}-{d:02}");
            assert_eq!(start.date_naive().to_string(), day(from));
            assert_eq!(end.date_naive().to_string(), day(until));
            for cut in 0..made.der().len() {
                let part = CertificateDer::from(made.der()[..cut].to_vec());
                assert_eq!(of(&part), None, "{cut}");
            }
        }
    }
}
