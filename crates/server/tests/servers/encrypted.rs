//! Clients that connect by https, and the certificates they are shown.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::process::{Group, free, post};

/// An authority of the operator's, and what it signed, as files of the test.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub file: String,
}

impl Authority {
    fn new(group: &Group, name: &str) -> Self {
        Self::in_folder(Path::new(&group.beside("")), name)
    }

    pub fn in_folder(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let file = folder.join(format!("{name}.pem"));
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        let file = file.display().to_string();
        Self { issuer: Issuer::new(params, key), file }
    }

    /// Files of a certificate for this machine, and its key, good until the end of `until`.
    pub fn sign(&self, group: &Group, name: &str, until: i32) -> (String, String) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = rcgen::date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = group.file(&format!("{name}-key.pem"), &key.serialize_pem());
        (group.file(&format!("{name}.pem"), &certificate.pem()), key)
    }
}

/// Repeats a command until its exit status and words are as wanted; what it said.
pub fn until(group: &Group, url: &str, words: &[&str], wanted: (i32, &str)) -> String {
    let limit = Instant::now() + Duration::from_secs(40);
    loop {
        let (status, text) = group.command(url, words);
        if status == Some(wanted.0) && text.contains(wanted.1) {
            return text;
        }
        assert!(Instant::now() < limit, "{words:?} at {url}: {status:?} {text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn clients_connect_by_https_and_renewed_certificates_are_taken_over() {
    let mut group = Group::secured();
    let password = group.admin_password_file();
    let (ours, other) = (Authority::new(&group, "ours"), Authority::new(&group, "other"));
    let (certificate, key) = ours.sign(&group, "server", 2090);
    group.extra = vec![format!("--tls-certificate={certificate}"), format!("--tls-key={key}")];
    group.kill(0);
    group.restart(0);
    let url = format!("https://{}", group.url(0));
    let admin = ["--user", "admin", "--password-file", &password];
    let status = |ca: &str| -> Vec<String> {
        [&["status"][..], &admin, &["--ca", ca]].concat().into_iter().map(str::to_owned).collect()
    };
    let (trusting, astray) = (status(&ours.file), status(&other.file));
    let trusting: Vec<&str> = trusting.iter().map(String::as_str).collect();
    let astray: Vec<&str> = astray.iter().map(String::as_str).collect();
    until(&group, &url, &trusting, (0, "ready"));
    until(&group, &url, &astray, (3, "no authority that is trusted here signed its certificate"));
    let plain = format!("http://{}", group.url(0));
    until(&group, &plain, &trusting, (1, "this address speaks TLS; use https://"));

    // A token, through a gateway that speaks https on both sides.
    let make = [&["token", "add", "program"][..], &admin, &["--ca", &ours.file]].concat();
    let made = until(&group, &url, &make, (0, "shown this once: "));
    let secret = made.trim().rsplit(' ').next().unwrap();
    let token = group.file("token", secret);
    let gateway = free();
    let tls = [
        format!("--tls-certificate={certificate}"),
        format!("--tls-key={key}"),
        format!("--ca={}", ours.file),
    ];
    group.start_gateway_at(&gateway, std::slice::from_ref(&url), &tls);
    let by_token = ["status", "--token-file", &token, "--ca", &ours.file];
    until(&group, &format!("https://{gateway}"), &by_token, (0, "ready"));
    let stranger = group.file("stranger", &secret.replace("evercube_", "evercube_0"));
    let by_stranger = ["status", "--token-file", &stranger, "--ca", &ours.file];
    until(&group, &url, &by_stranger, (1, ""));

    // Handshakes that do not come to an end are in nobody's way.
    let mut slow: Vec<TcpStream> = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(group.url(0)).unwrap();
        stream.write_all(&[0x16, 3, 1]).unwrap();
        slow.push(stream);
    }
    until(&group, &url, &trusting, (0, "ready"));

    // The files change while clients ask: none is refused, and new ones see the new certificate.
    let asking = |count: usize| {
        for _ in 0..count {
            let (status, text) = group.command(&url, &trusting);
            assert_eq!(status, Some(0), "{text}");
        }
    };
    for (name, year) in [("second", 2091), ("third", 2092)] {
        let (new_certificate, new_key) = ours.sign(&group, name, year);
        // The key first, and the certificate only later: meanwhile the two do not fit.
        std::fs::copy(&new_key, &key).unwrap();
        asking(3);
        std::fs::copy(&new_certificate, &certificate).unwrap();
        asking(3);
    }
    let (of_other, key_of_other) = other.sign(&group, "of-other", 2090);
    std::fs::copy(&key_of_other, &key).unwrap();
    std::fs::copy(&of_other, &certificate).unwrap();
    until(&group, &url, &astray, (0, "ready"));
    until(&group, &url, &trusting, (3, "no authority that is trusted here"));
    // One that has ended is served, for want of a better one, and refused by clients.
    let (ended, key_of_ended) = other.sign(&group, "ended", 2020);
    std::fs::copy(&key_of_ended, &key).unwrap();
    std::fs::copy(&ended, &certificate).unwrap();
    until(&group, &url, &astray, (3, "its certificate has expired"));
    drop(slow);
}

#[test]
fn a_client_by_https_of_a_server_without_it_is_told_so() {
    let group = Group::secured();
    let url = format!("https://{}", group.url(0));
    until(&group, &url, &["status"], (3, "does not speak TLS; use http://"));
    // Garbage in place of a handshake ends the connection, not the server.
    let mut stream = TcpStream::connect(group.url(0)).unwrap();
    stream.write_all(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]).unwrap();
    let mut answer = Vec::new();
    let _closed = stream.read_to_end(&mut answer);
    until(&group, &format!("http://{}", group.url(0)), &["status"], (1, "needs a user name"));
}

#[test]
fn clients_of_the_cloud_find_a_server_and_read_over_its_transport() {
    let mut group = Group::start(1);
    let gateway = group.start_gateway();
    for at in [group.url(0), gateway] {
        let (status, found) = post(&at, "/webapi/clusterResolve", r#"{"serverName":"sales:rw"}"#);
        assert!(status == 200 && found.contains(r#""coreServerName":"sales:rw""#), "{found}");
        let message = "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\"><Body>\
            <Execute xmlns=\"urn:schemas-microsoft-com:xml-analysis\"><Command><Statement/></Command>\
            <Properties/></Execute></Body></Envelope>";
        let (status, text) = post(&at, "/webapi/xmla", message);
        assert!(status == 200 && text.ends_with("Envelope>\0"), "{text:?}");
        let (status, text) = post(&at, "/xmla", message);
        assert!(status == 200 && text.ends_with("Envelope>"), "{text:?}");
    }
}
