//! Commands, states and stored entries as earlier releases and this one write them: what they say must
//! stay readable, and the same commands must give the same state on servers of different releases.
//!
//! `commands.txt` has every command with no more than the fields it had when it was new;
//! `written.txt` is how this release writes the same; `state.txt` is the state they give, and
//! `entry.txt` the first bytes of a log. `EVERCUBE_WRITE_FORMATS=1` writes the last three anew, to be
//! read before they count: a change of `state.txt` means that servers of two releases differ.

use std::path::PathBuf;

use openraft::{CommittedLeaderId, Entry, EntryPayload, LogId};

use crate::coding;
use crate::command::{Command, LEVEL, Reply};
use crate::raft::Types;
use crate::state::State;

const COMMANDS: &str = include_str!("../tests/formats/commands.txt");

/// Enums whose variants are written down, and where they are.
const WRITTEN: [(&str, &str); 11] = [
    ("Command", include_str!("command.rs")),
    ("Leases", include_str!("state/lease.rs")),
    ("MemberKind", include_str!("state.rs")),
    ("Policy", include_str!("state.rs")),
    ("JobChange", include_str!("jobs.rs")),
    ("JobEnd", include_str!("jobs.rs")),
    ("ReadChange", include_str!("reads.rs")),
    ("ScheduleChange", include_str!("schedules.rs")),
    ("LinkChange", include_str!("links.rs")),
    ("SharedChange", include_str!("shared.rs")),
    ("AuthorityStep", include_str!("joining.rs")),
];

fn commands() -> Vec<Command> {
    let read = |line: &str| {
        serde_json::from_str(line).unwrap_or_else(|e| panic!("a command of old: {line}: {e}"))
    };
    COMMANDS.lines().map(read).collect()
}

/// Compares with the file of this name, or writes it where that is asked for.
fn is_as_in(name: &str, text: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(name);
    if std::env::var_os("EVERCUBE_WRITE_FORMATS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap();
    for (i, (now, then)) in text.lines().zip(stored.lines()).enumerate() {
        assert_eq!(now, then, "{name}, line {}", i + 1);
    }
    assert_eq!(text.lines().count(), stored.lines().count(), "{name}");
}

fn lines<T: serde::Serialize>(all: &[T]) -> String {
    let line = |one: &T| serde_json::to_string(one).unwrap() + "\n";
    all.iter().map(line).collect()
}

/// Names of the variants of an enum, by its source.
fn variants<'a>(name: &str, source: &'a str) -> Vec<&'a str> {
    let body = source.split(&format!("pub enum {name} {{\n")).nth(1).unwrap();
    let body = body.split("\n}").next().unwrap();
    let named = body.lines().filter_map(|line| line.strip_prefix("    "));
    let word = |line: &'a str| line.split(|c: char| !c.is_alphanumeric()).next().unwrap();
    named.map(word).filter(|w| w.starts_with(char::is_uppercase)).collect()
}

#[test]
fn commands_of_earlier_releases_are_read_and_this_one_writes_what_it_always_wrote() {
    for (name, source) in WRITTEN {
        let variants = variants(name, source);
        assert!(variants.len() > 1, "{name}");
        for variant in variants {
            assert!(COMMANDS.contains(&format!("\"{variant}\"")), "{name}::{variant} is missing");
        }
    }
    let all = commands();
    is_as_in("written.txt", &lines(&all));
    assert_eq!(all.iter().map(Command::level).max(), Some(LEVEL), "one of every level");
}

#[test]
fn the_same_commands_give_the_same_state() {
    let mut state = State::default();
    let mut out = String::new();
    for (index, command) in (1..).zip(commands()) {
        let reply = state.apply(index, command);
        if let Reply::Refused(e) = reply {
            out.push_str(&format!("{index}: {:?}: {}\n", e.kind, e.message));
        }
    }
    let whole: serde_json::Value = serde_json::to_value(&state).unwrap();
    for (part, value) in whole.as_object().unwrap() {
        out.push_str(&format!("{part} = {value}\n"));
    }
    is_as_in("state.txt", &out);
    // A state that lacks what is new is read, and compares equal while nothing new is used.
    let mut earlier = whole;
    for part in ["links", "shared", "logins"] {
        earlier.as_object_mut().unwrap().remove(part);
    }
    let earlier: State = serde_json::from_value(earlier).unwrap();
    assert!(earlier.links.is_empty() && earlier.shared.is_empty() && earlier.logins.is_empty());
    let parts = State::default().parts();
    for new in ["links", "shared", "logins"] {
        assert!(!parts.keys().any(|p| p.contains(new)), "{parts:?}");
    }
}

#[test]
fn stored_entries_keep_their_bytes() {
    let command = Command::PutSetting { name: "heartbeat_ms".into(), value: "120".into() };
    let entry = Entry::<Types> {
        log_id: LogId::new(CommittedLeaderId::new(3, 7), 42),
        payload: EntryPayload::Normal(command),
    };
    let bytes = coding::encode_stored(&entry).unwrap();
    is_as_in("entry.txt", &(hex(&bytes) + "\n"));
    let read: Entry<Types> = coding::decode(&bytes).unwrap();
    assert_eq!(read, entry);
    // As releases before the checksum wrote it.
    let old = coding::encode(&entry).unwrap();
    assert_eq!(coding::decode::<Entry<Types>>(&old).unwrap(), entry);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
