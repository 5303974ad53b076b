use super::lease::Ending;
use super::*;
use crate::command::Commit;

fn member(name: &str, region: &str) -> Member {
    Member {
        name: name.into(),
        region: region.into(),
        kind: MemberKind::Data,
        peer_address: String::new(),
        http_address: String::new(),
        disk_id: 1,
        level: 0,
    }
}

fn group(regions: &[(&str, &str)]) -> State {
    let mut s = State::default();
    for (i, (name, region)) in regions.iter().enumerate() {
        let id = i as u64 + 1;
        s.apply(id, Command::PutMember { id, member: member(name, region) });
    }
    s
}

fn commit(id: &str, expected: u64, receipts: &[(u64, u64)]) -> Command {
    Command::Commit(Commit {
        request_id: id.into(),
        database: "Retail".into(),
        expected_seq: Some(expected),
        epoch: 1,
        receipts: receipts.to_vec(),
        ..Commit::default()
    })
}

fn refused(reply: &Reply) -> ErrorKind {
    match reply {
        Reply::Refused(e) => e.kind,
        Reply::Done { seq } => panic!("was applied as {seq}"),
    }
}

#[test]
fn a_repeated_request_is_answered_from_the_record() {
    let mut s = group(&[("a", "x")]);
    assert_eq!(s.apply(10, commit("r1", 0, &[(1, 1)])), Reply::Done { seq: 10 });
    assert_eq!(s.apply(11, commit("r1", 0, &[(1, 1)])), Reply::Done { seq: 10 });
    assert_eq!(refused(&s.apply(12, commit("r2", 0, &[(1, 1)]))), ErrorKind::Conflict);
    assert_eq!(refused(&s.apply(13, commit("r2", 10, &[(1, 1)]))), ErrorKind::Conflict);
    assert_eq!(s.apply(14, commit("r3", 10, &[(1, 1)])), Reply::Done { seq: 14 });
    assert_eq!(s.database("RETAIL").unwrap().seq, 14);
}

#[test]
fn a_change_of_the_group_is_made_once() {
    let mut s = group(&[("a", "x")]);
    let once = |id: &str, command: Command| Command::Once {
        request_id: id.into(),
        command: Box::new(command),
    };
    let rule =
        |last: u8| FirewallRule { first: [10, 0, 0, 1].into(), last: [10, 0, 0, last].into() };
    let put = |id: &str, last| {
        once(id, Command::PutFirewallRule { name: "office".into(), rule: rule(last) })
    };
    let delete = |id: &str| once(id, Command::DeleteFirewallRule { name: "office".into() });
    assert_eq!(s.apply(10, put("p1", 9)), Reply::Done { seq: 10 });
    assert_eq!(s.apply(11, delete("d1")), Reply::Done { seq: 11 });
    // Asked again, a removal does not fail, and an addition does not come back.
    assert_eq!(s.apply(12, delete("d1")), Reply::Done { seq: 11 });
    assert_eq!(s.apply(13, put("p1", 9)), Reply::Done { seq: 10 });
    assert!(s.firewall.is_empty());
    // So does a refusal.
    assert_eq!(refused(&s.apply(14, delete("d2"))), ErrorKind::NotFound);
    s.apply(15, put("p2", 5));
    assert_eq!(refused(&s.apply(16, delete("d2"))), ErrorKind::NotFound);
    assert_eq!(s.firewall["office"], rule(5));
    assert_eq!(s.apply(17, delete("d3")), Reply::Done { seq: 17 });
}

#[test]
fn a_commit_needs_two_regions_unless_the_group_is_degraded() {
    let mut s = group(&[("a", "north"), ("b", "north"), ("c", "west"), ("d", "east")]);
    assert_eq!(refused(&s.apply(10, commit("r1", 0, &[(1, 1), (2, 1)]))), ErrorKind::Unavailable);
    // A receipt for a disk that was replaced does not count.
    assert_eq!(refused(&s.apply(11, commit("r2", 0, &[(1, 1), (3, 9)]))), ErrorKind::Unavailable);
    assert_eq!(s.apply(12, commit("r3", 0, &[(1, 1), (3, 1)])), Reply::Done { seq: 12 });
    s.apply(13, Command::Degrade { domain: "west".into() });
    s.apply(14, Command::Degrade { domain: "east".into() });
    assert_eq!(s.apply(15, commit("r4", 12, &[(1, 1)])), Reply::Done { seq: 15 });
    let last = s.apply(16, Command::Degrade { domain: "north".into() });
    assert_eq!(refused(&last), ErrorKind::Unavailable);
    s.apply(17, Command::Restore { domain: "west".into() });
    assert_eq!(refused(&s.apply(18, commit("r5", 15, &[(1, 1)]))), ErrorKind::Unavailable);
}

#[test]
fn a_refusal_that_passes_does_not_answer_the_next_try() {
    let mut s = group(&[("a", "north"), ("b", "west")]);
    assert_eq!(refused(&s.apply(10, commit("r1", 0, &[(1, 1)]))), ErrorKind::Unavailable);
    let again = s.apply(11, commit("r1", 0, &[(1, 1), (2, 1)]));
    assert_eq!(again, Reply::Done { seq: 11 });
    assert_eq!(s.apply(12, commit("r1", 0, &[])), Reply::Done { seq: 11 });
}

#[test]
fn a_rename_never_replaces_another_database() {
    let mut s = group(&[("a", "x")]);
    s.apply(10, commit("r1", 0, &[(1, 1)]));
    let rename = |id: &str, to: &str| {
        let Command::Commit(c) = commit(id, 10, &[(1, 1)]) else { unreachable!() };
        Command::Commit(Commit { rename_to: Some(to.into()), ..c })
    };
    let Command::Commit(c) = commit("r2", 0, &[(1, 1)]) else { unreachable!() };
    s.apply(11, Command::Commit(Commit { database: "Other".into(), ..c }));
    assert_eq!(refused(&s.apply(12, rename("r3", "OTHER"))), ErrorKind::Conflict);
    assert_eq!(s.database("other").unwrap().seq, 11);
    assert_eq!(s.apply(13, rename("r4", "RETAIL")), Reply::Done { seq: 13 });
    assert_eq!(s.database("retail").unwrap().name, "RETAIL");
}

#[test]
fn servers_of_one_region_are_domains_of_their_own() {
    let s = group(&[("a", "x"), ("b", "x"), ("c", "x")]);
    assert!(!s.receipts_suffice(&[(1, 1)], Policy::Available));
    assert!(s.receipts_suffice(&[(1, 1), (2, 1)], Policy::Available));
}

#[test]
fn an_older_epoch_is_fenced() {
    let mut s = group(&[("a", "x")]);
    let with_epoch = |epoch, id: &str, expected| {
        let Command::Commit(c) = commit(id, expected, &[(1, 1)]) else { unreachable!() };
        Command::Commit(Commit { epoch, ..c })
    };
    s.apply(10, with_epoch(5, "r1", 0));
    assert_eq!(refused(&s.apply(11, with_epoch(4, "r2", 10))), ErrorKind::Conflict);
    assert_eq!(s.apply(12, with_epoch(5, "r3", 10)), Reply::Done { seq: 12 });
    // A refusal is recorded, unless the commit says that it may be made anew.
    assert_eq!(refused(&s.apply(13, with_epoch(5, "r2", 12))), ErrorKind::Conflict);
    let anew = |epoch, expected| {
        let Command::Commit(c) = with_epoch(epoch, "r4", expected) else { unreachable!() };
        Command::Commit(Commit { repeatable: true, ..c })
    };
    assert_eq!(refused(&s.apply(14, anew(4, 12))), ErrorKind::Unavailable);
    assert_eq!(s.apply(15, anew(5, 12)), Reply::Done { seq: 15 });
}

#[test]
fn a_member_that_comes_back_on_a_new_disk_replaces_itself() {
    let mut s = group(&[("a", "x"), ("b", "y")]);
    s.apply(10, Command::PutMember { id: 77, member: member("b", "y") });
    assert_eq!(s.members.keys().copied().collect::<Vec<_>>(), [1, 77]);
}

fn holder(s: &State) -> Option<u64> {
    s.lease_of("Retail").map(|l| l.holder)
}

#[test]
fn a_commit_under_a_lease_that_was_moved_is_refused() {
    let mut s = group(&[("a", "x"), ("b", "x")]);
    s.apply(5, Command::Grant { leases: Leases::All, to: 1 });
    let under = |lease, id: &str, expected| {
        let Command::Commit(c) = commit(id, expected, &[(1, 1), (2, 1)]) else { unreachable!() };
        Command::Commit(Commit { lease: Some(lease), ..c })
    };
    assert_eq!(s.apply(10, under(5, "r1", 0)), Reply::Done { seq: 10 });
    s.apply(11, Command::Grant { leases: Leases::Of("RETAIL".into()), to: 2 });
    assert_eq!(refused(&s.apply(12, under(5, "r2", 10))), ErrorKind::Unavailable);
    // The same request is carried out by the new holder.
    assert_eq!(s.apply(13, under(11, "r2", 10)), Reply::Done { seq: 13 });
    assert_eq!((holder(&s), s.lease.map(|l| l.holder)), (Some(2), Some(1)));
}

#[test]
fn what_is_under_way_when_a_lease_is_handed_on_is_committed_if_nobody_wrote_since() {
    let mut s = group(&[("a", "x"), ("b", "x")]);
    s.apply(5, Command::Grant { leases: Leases::All, to: 1 });
    let under = |lease, id: &str, expected| {
        let Command::Commit(c) = commit(id, expected, &[(1, 1), (2, 1)]) else { unreachable!() };
        Command::Commit(Commit { lease: Some(lease), ..c })
    };
    let planned = |command| Command::Planned(Box::new(command));
    s.apply(10, under(5, "r1", 0));
    s.apply(11, planned(Command::Grant { leases: Leases::All, to: 2 }));
    assert_eq!(s.lease.unwrap().ending, Some(Ending { holder: 1, epoch: 5 }));
    assert_eq!(s.apply(12, under(5, "r2", 10)), Reply::Done { seq: 12 });
    assert_eq!(s.apply(13, under(11, "r3", 12)), Reply::Done { seq: 13 });
    // The new holder was first: the request is made again there.
    assert_eq!(refused(&s.apply(14, under(5, "r4", 12))), ErrorKind::Unavailable);
    let Command::Commit(any) = under(5, "r5", 0) else { unreachable!() };
    let any = Command::Commit(Commit { expected_seq: None, ..any });
    assert_eq!(refused(&s.apply(15, any)), ErrorKind::Unavailable);
    // Whoever held it before that holds nothing any more, and after a move that was not planned
    // nobody ends anything.
    s.apply(16, planned(Command::Return { database: None }));
    assert_eq!(s.lease.unwrap().ending, Some(Ending { holder: 2, epoch: 11 }));
    assert_eq!(refused(&s.apply(17, under(5, "r6", 13))), ErrorKind::Unavailable);
    assert_eq!(s.apply(18, under(11, "r7", 13)), Reply::Done { seq: 18 });
    s.apply(19, Command::Grant { leases: Leases::HeldBy(1), to: 2 });
    assert_eq!(s.lease.unwrap().ending, None);
    assert_eq!(refused(&s.apply(20, under(16, "r8", 18))), ErrorKind::Unavailable);
    // One database alone, that followed the group before.
    s.apply(21, planned(Command::Grant { leases: Leases::Of("Retail".into()), to: 1 }));
    assert_eq!(s.apply(22, under(19, "r9", 18)), Reply::Done { seq: 22 });
    assert_eq!(s.lease.unwrap().ending, None);
}

#[test]
fn leases_come_home_through_several_moves() {
    let mut s = group(&[("a", "x"), ("b", "y"), ("c", "z")]);
    s.apply(5, Command::Grant { leases: Leases::All, to: 1 });
    s.apply(6, Command::Grant { leases: Leases::HeldBy(1), to: 2 });
    s.apply(7, Command::Grant { leases: Leases::All, to: 3 });
    assert_eq!(s.lease, Some(Lease { holder: 3, epoch: 7, home: Some(1), ending: None }));
    // Nobody else's leases move with those of a member that is gone.
    s.apply(8, Command::Grant { leases: Leases::HeldBy(2), to: 1 });
    assert_eq!(holder(&s), Some(3));
    s.apply(9, Command::Drain { member: 1, draining: true });
    s.apply(10, Command::Return { database: None });
    assert_eq!(holder(&s), Some(3), "home is being drained");
    assert!(matches!(
        s.apply(11, Command::Grant { leases: Leases::All, to: 1 }),
        Reply::Refused(_)
    ));
    s.apply(12, Command::Drain { member: 1, draining: false });
    s.apply(13, Command::Return { database: None });
    assert_eq!(s.lease, Some(Lease { holder: 1, epoch: 13, home: None, ending: None }));
}

#[test]
fn a_lease_waits_for_its_home_on_a_new_disk() {
    let mut s = group(&[("a", "x"), ("b", "y")]);
    s.apply(5, Command::Grant { leases: Leases::All, to: 1 });
    s.apply(6, Command::PutMember { id: 9, member: member("a", "x") });
    assert_eq!(holder(&s), None, "an empty disk writes nothing");
    assert_eq!(s.removed.get(&1).map(String::as_str), Some("a"));
    s.apply(7, Command::Grant { leases: Leases::HeldBy(1), to: 2 });
    assert_eq!(holder(&s), Some(2));
    s.apply(8, Command::Return { database: None });
    assert_eq!(holder(&s), Some(9));
}

#[test]
fn a_strict_database_counts_on_every_domain() {
    let mut s = group(&[("a", "x"), ("b", "y")]);
    s.apply(10, commit("r1", 0, &[(1, 1), (2, 1)]));
    s.apply(11, Command::SetPolicy { database: "retail".into(), policy: Policy::Strict });
    s.apply(12, Command::Degrade { domain: "y".into() });
    assert_eq!(refused(&s.apply(13, commit("r2", 10, &[(1, 1)]))), ErrorKind::Unavailable);
    s.apply(14, Command::SetPolicy { database: "retail".into(), policy: Policy::Available });
    assert_eq!(s.apply(15, commit("r2", 10, &[(1, 1)])), Reply::Done { seq: 15 });
}

#[test]
fn a_group_keeps_an_administrator() {
    let mut s = State::default();
    let put = |name: &str, admin| Command::PutUser {
        name: name.into(),
        password_hash: String::new(),
        admin,
    };
    s.apply(1, put("Ann", true));
    s.apply(2, put("bob", false));
    assert_eq!(
        refused(&s.apply(3, Command::DeleteUser { name: "ann".into() })),
        ErrorKind::Conflict
    );
    s.apply(4, Command::SetAdmin { name: "BOB".into(), admin: true });
    let token = TokenEntry { hash: [1; 32], user: "ann".into(), expires_unix: None };
    s.apply(5, Command::PutToken { name: "job".into(), token });
    assert_eq!(s.apply(6, Command::DeleteUser { name: "ann".into() }), Reply::Done { seq: 6 });
    assert!(s.tokens.is_empty(), "a user's tokens end with the user");
    let demote = Command::SetAdmin { name: "bob".into(), admin: false };
    assert_eq!(refused(&s.apply(7, demote)), ErrorKind::Conflict);
}

#[test]
fn a_firewall_rule_lets_in_a_range_of_one_kind() {
    let ip = |t: &str| t.parse().unwrap();
    let rule = FirewallRule { first: ip("10.0.0.5"), last: ip("10.0.1.0") };
    assert!(rule.lets_in(ip("10.0.0.255")) && rule.lets_in(ip("10.0.0.5")));
    assert!(!rule.lets_in(ip("10.0.1.1")) && !rule.lets_in(ip("::1")));
}

/// The state and the log of the first release, as it wrote them.
#[test]
fn what_the_first_release_wrote_is_still_read() {
    let state = r#"{"cluster_id":"c","members":{"1":{"name":"a","region":"x","kind":"Data",
        "peer_address":"p","http_address":"h","disk_id":1}},"databases":{"retail":{"name":"Retail",
        "seq":3,"epoch":1,"model":HASH,"manifest":HASH,"objects":[],"root":HASH,
        "created_micros":0,"updated_micros":0}},"requests":{},"request_order":[],
        "keys":[],"users":{},"settings":{},"degraded":[]}"#;
    let hash = serde_json::to_string(&[0_u8; 32]).unwrap();
    let s: State = serde_json::from_str(&state.replace("HASH", &hash)).unwrap();
    assert_eq!(s.policy("retail"), Policy::Available);
    assert_eq!(s.identity(), "c/0");
    let commit = r#"{"Commit":{"request_id":"r","database":"Retail","expected_seq":3,"epoch":1,
        "drop":false,"rename_to":null,"model":HASH,"manifest":HASH,"objects":[],"root":HASH,
        "receipts":[[1,1]],"now_micros":5}}"#;
    let command: Command = serde_json::from_str(&commit.replace("HASH", &hash)).unwrap();
    let mut s = s;
    assert_eq!(s.apply(4, command), Reply::Done { seq: 4 });
}

#[test]
fn replaced_and_ended_versions_are_kept() {
    let mut s = group(&[("a", "x")]);
    let seqs = |s: &State| s.earlier.of("RETAIL").map(|v| v.seq).collect::<Vec<_>>();
    s.apply(10, commit("r1", 0, &[(1, 1)]));
    assert!(seqs(&s).is_empty());
    s.apply(11, commit("r2", 10, &[(1, 1)]));
    let Command::Commit(c) = commit("r3", 11, &[(1, 1)]) else { unreachable!() };
    s.apply(12, Command::Commit(Commit { drop: true, ..c }));
    assert_eq!(seqs(&s), [10, 11]);
    // The next database of that name goes on with them, and takes them along when renamed.
    s.apply(20, commit("r4", 0, &[(1, 1)]));
    let Command::Commit(c) = commit("r5", 20, &[(1, 1)]) else { unreachable!() };
    s.apply(21, Command::Commit(Commit { rename_to: Some("Shop".into()), ..c }));
    assert_eq!(s.earlier.of("shop").map(|v| v.seq).collect::<Vec<_>>(), [10, 11, 20]);
    assert!(seqs(&s).is_empty());
    let mut last = 21;
    for seq in 22..100 {
        let Command::Commit(c) = commit(&format!("q{seq}"), last, &[(1, 1)]) else {
            unreachable!()
        };
        s.apply(seq, Command::Commit(Commit { database: "Shop".into(), ..c }));
        last = seq;
    }
    assert_eq!(s.earlier.of("Shop").next_back().map(|v| v.seq), Some(98));
    assert_eq!(s.earlier.of("Shop").count(), crate::VERSIONS_KEPT);
    // A state without them is read as one that keeps none yet.
    let mut json = serde_json::to_value(&s).unwrap();
    json.as_object_mut().unwrap().remove("earlier");
    let old: State = serde_json::from_value(json).unwrap();
    assert_eq!(old.earlier.of("Shop").count(), 0);
}

#[test]
fn a_server_of_an_earlier_release_joins_only_while_there_is_another() {
    let mut s = group(&[("a", "x"), ("b", "x")]);
    let of = |name: &str, level| Member { level, ..member(name, "x") };
    s.apply(10, Command::PutMember { id: 1, member: of("a", 3) });
    assert_eq!(s.too_old(9, &of("c", 2)), None, "b understands no more");
    s.apply(11, Command::PutMember { id: 2, member: of("b", 3) });
    let refused = s.too_old(9, &of("c", 2)).unwrap();
    assert!(refused.message.contains("too old"), "{refused}");
    assert_eq!(s.too_old(9, &of("c", 3)), None);
    // It is no measure for itself.
    assert_eq!(group(&[("a", "x")]).too_old(1, &of("a", 0)), None);
    assert_eq!(State::default().too_old(1, &of("a", 0)), None);
}
