//! The gateway before servers that break in every way a server can: closing before the answer or
//! in the middle of it, refusing, dying after a long part was passed on.

#[path = "gateway/stub.rs"]
mod stub;

use stub::{Behaviour, Gateway, Stub};

const QUERY: &str = "/api/v1/databases/Shop/query";
const DEPLOY: &str = "/api/v1/deploy";

fn whole(text: &str) -> Behaviour {
    Behaviour::Answer { status: 200, body: text.to_owned(), written: usize::MAX }
}

#[test]
fn a_server_that_closes_before_its_answer_is_no_error() {
    let (a, b) = (Stub::start(Behaviour::Close), Stub::start(whole("from b")));
    let gateway = Gateway::start(&[&a, &b], &[]);
    assert_eq!(gateway.post(QUERY, "{}"), (200, "from b".to_owned()));
    assert_eq!((a.asked(), b.asked()), (1, 1));
}

#[test]
fn a_server_that_dies_in_its_answer_is_no_error() {
    let part = Behaviour::Answer { status: 200, body: "from a".into(), written: 3 };
    let (a, b) = (Stub::start(part), Stub::start(whole("from b")));
    let gateway = Gateway::start(&[&a, &b], &[]);
    assert_eq!(gateway.post(QUERY, "{}"), (200, "from b".to_owned()));
    assert_eq!((a.asked(), b.asked()), (1, 1));
}

#[test]
fn a_server_that_cannot_now_is_passed_over() {
    let not_now = Behaviour::Answer { status: 503, body: "later".into(), written: usize::MAX };
    let (a, b) = (Stub::start(not_now), Stub::start(whole("from b")));
    let gateway = Gateway::start(&[&a, &b], &[]);
    assert_eq!(gateway.post(QUERY, "{}"), (200, "from b".to_owned()));
    assert_eq!((a.asked(), b.asked()), (1, 1));
}

#[test]
fn a_read_on_a_server_that_falls_late_is_asked_elsewhere_too() {
    let (a, b) = (Stub::start(Behaviour::Drag), Stub::start(whole("from b")));
    let gateway = Gateway::start(&[&a, &b], &[]);
    // The server still answers for its health, so it is never given up.
    assert_eq!(gateway.post(QUERY, "{}"), (200, "from b".to_owned()));
    assert_eq!((a.asked(), b.asked()), (1, 1));
}

#[test]
fn a_refusal_is_an_answer() {
    let refusal = Behaviour::Answer { status: 400, body: "no".into(), written: usize::MAX };
    let (a, b) = (Stub::start(refusal), Stub::start(whole("from b")));
    let gateway = Gateway::start(&[&a, &b], &[]);
    assert_eq!(gateway.post(QUERY, "{}"), (400, "no".to_owned()));
    assert_eq!(b.asked(), 0);
}

#[test]
fn a_write_is_sent_again_under_its_request_id() {
    let (a, b) = (Stub::start(Behaviour::Close), Stub::start(whole("done")));
    let gateway = Gateway::start(&[&a, &b], &[]);
    assert_eq!(gateway.post(DEPLOY, "{}"), (200, "done".to_owned()));
    let (first, second) = (a.request_ids(), b.request_ids());
    assert_eq!(first.len(), 1);
    assert!(!first[0].is_empty());
    assert_eq!(first, second);
    assert_eq!(gateway.post(DEPLOY, "{}").0, 200);
    let all = b.request_ids();
    assert_ne!(all[0], all[1], "another write has an id of its own");
}

#[test]
fn a_write_on_a_server_that_is_away_is_asked_elsewhere_too_unless_it_might_be_done_twice() {
    for (path, answer, asked) in
        [(DEPLOY, "from b", (1, 1)), ("/api/v1/databases/Shop/backup", "from a", (1, 0))]
    {
        let (a, b) =
            (Stub::start(Behaviour::Fade { body: "from a".into() }), Stub::start(whole("from b")));
        let gateway = Gateway::start(&[&a, &b], &[]);
        assert_eq!(gateway.post(path, "{}"), (200, answer.to_owned()));
        assert_eq!((a.asked(), b.asked()), asked);
        assert!(b.request_ids().is_empty() || a.request_ids() == b.request_ids());
    }
}

/// The way to the first server was cut for a moment, and what it answered is not heard of for long; the
/// other one could not answer just then.
#[test]
fn a_server_that_is_in_time_again_is_not_waited_for_alone() {
    for path in [DEPLOY, QUERY] {
        let later = Behaviour::Later { body: "from b".into() };
        let (a, b) = (Stub::start(Behaviour::Cut), Stub::start(later));
        let gateway = Gateway::start(&[&a, &b], &[]);
        let begun = std::time::Instant::now();
        assert_eq!(gateway.post(path, "{}"), (200, "from b".to_owned()));
        assert!(begun.elapsed().as_secs() < 10, "{path}: {:?}", begun.elapsed());
        assert_eq!((a.asked(), b.asked()), (1, 2), "{path}");
    }
}

#[test]
fn a_long_answer_goes_on_from_another_server() {
    let text: String = (0..20_000).map(|i| format!("{i},")).collect();
    let part = Behaviour::Answer { status: 200, body: text.clone(), written: 60_000 };
    let (a, b) = (Stub::start(part), Stub::start(whole(&text)));
    let gateway = Gateway::start(&[&a, &b], &["--buffer=1000"]);
    assert_eq!(gateway.post(QUERY, "{}"), (200, text));
    assert_eq!((a.asked(), b.asked()), (1, 1));
    assert_eq!(b.versions_asked_for(), ["7"], "the version the first part came from");
}

#[test]
fn a_long_answer_that_differs_elsewhere_is_cut_not_mixed() {
    let text: String = (0..20_000).map(|i| format!("{i},")).collect();
    let part = Behaviour::Answer { status: 200, body: text.clone(), written: 60_000 };
    let (a, b) = (Stub::start(part), Stub::start(whole(&text.replace('7', "8"))));
    let gateway = Gateway::start(&[&a, &b], &["--buffer=1000"]);
    let seen = gateway.post_raw(QUERY, "{}");
    assert!(seen.is_err(), "the client sees that the answer ended early");
    assert_eq!((a.asked(), b.asked()), (1, 1));
}

#[test]
fn without_any_server_the_gateway_says_so_after_its_time() {
    let (a, b) = (Stub::start(Behaviour::Close), Stub::start(Behaviour::Close));
    let gateway = Gateway::start(&[&a, &b], &["--hold=1"]);
    let (status, text) = gateway.post(QUERY, "{}");
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("No server of the group answered within 1 s"), "{text}");
}

/// Whoever only waits itself before it says "not now" does not make the gateway wait any longer.
#[test]
fn servers_that_hold_a_write_in_vain_do_not_prolong_its_time() {
    let (a, b) = (Stub::start(Behaviour::Hold), Stub::start(Behaviour::Hold));
    let gateway = Gateway::start(&[&a, &b], &["--hold=1"]);
    for path in [DEPLOY, "/api/v1/databases/Shop/policy"] {
        let (status, text) = gateway.post(path, "{}");
        assert_eq!(status, 503, "{path}: {text}");
    }
}
