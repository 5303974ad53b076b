//! What members of a group tell each other, and what stands in their logs.

use evercube_metastore::{Command, Reply, State};

use super::{Target, texts};

pub const COMMAND: Target = Target {
    name: "command",
    run: |bytes| {
        // Lines are commands, one after another.
        let mut state = State::default();
        for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
            let Ok(command) = serde_json::from_slice::<Command>(line) else { continue };
            if let Reply::Refused(e) = state.apply(index as u64, command) {
                assert!(!e.message.is_empty());
            }
        }
        // What members hand each other is what they have.
        let written = serde_json::to_vec(&state).unwrap_or_default();
        let read: State = match serde_json::from_slice(&written) {
            Ok(read) => read,
            Err(e) => panic!("a state cannot be read again: {e}"),
        };
        assert!(read == state);
        let _state = serde_json::from_slice::<State>(bytes);
    },
    seeds: || {
        texts(&[
            concat!(
                r#"{"Init":{"cluster_id":"c","session_key":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}}"#,
                "\n",
                r#"{"PutMember":{"id":1,"member":{"name":"a","region":"x","kind":"Data","peer_address":"a:1","http_address":"a:2","disk_id":1,"level":3}}}"#,
                "\n",
                r#"{"PutSetting":{"name":"a","value":"b"}}"#,
                "\n",
                r#"{"Grant":{"leases":"All","to":1}}"#,
                "\n",
                r#"{"Once":{"request_id":"r","command":{"Degrade":{"domain":"x"}}}}"#
            ),
            concat!(
                r#"{"PutUser":{"name":"u","password_hash":"h","admin":true}}"#,
                "\n",
                r#"{"SetAdmin":{"name":"u","admin":false}}"#,
                "\n",
                r#"{"Schedules":{"Put":{"name":"s","schedule":{"task":{"kind":"refresh","database":"d","type":"full"},"cron":"* * * * *","zone":"UTC","made_micros":0,"made_by":"u"}}}}"#,
                "\n",
                r#"{"Schedules":{"Remove":{"name":"s"}}}"#,
                "\n",
                r#""Probe""#
            ),
        ])
    },
    words: &[
        "{",
        "}",
        "\"",
        ":",
        ",",
        "null",
        "[]",
        "\n",
        "\"Probe\"",
        "\"Once\":",
        "\"id\":1",
        "\"Return\":{\"database\":null}",
        "{\"RemoveMember\":{\"id\":1}}",
        "{\"Drain\":{\"member\":1,\"draining\":true}}",
    ],
};
