//! Three members in one process over a transport whose links can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use evercube_base::{Error, ErrorKind, Result};
use evercube_metastore::{
    Bootstrap, Command, Commit, Config, Leases, MemberKind, Metastore, Reply, Timing, Transport,
};

/// The wires between members: who listens where, and who is cut off.
#[derive(Default)]
struct Wires {
    members: Mutex<BTreeMap<String, Arc<Metastore>>>,
    cut: Mutex<BTreeSet<String>>,
    /// How long a message and its answer are on their way.
    round_trip: Mutex<Duration>,
    /// The last message of a leader to each.
    appended: Mutex<BTreeMap<String, (String, Vec<u8>)>>,
    /// What each says of itself in its messages.
    introduced: Mutex<BTreeMap<String, String>>,
}

struct Wire {
    from: String,
    wires: Arc<Wires>,
}

#[async_trait]
impl Transport for Wire {
    async fn call(
        &self,
        address: &str,
        path: &str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<Vec<u8>> {
        let away = || Error::new(ErrorKind::Unavailable, format!("{address} is not reachable"));
        {
            let cut = self.wires.cut.lock().unwrap();
            if cut.contains(address) || cut.contains(&self.from) {
                return Err(away());
            }
        }
        let member = self.wires.members.lock().unwrap().get(address).cloned().ok_or_else(away)?;
        let round_trip = *self.wires.round_trip.lock().unwrap();
        if path.starts_with("raft/append") {
            let sent = (path.to_owned(), body.clone());
            self.wires.appended.lock().unwrap().insert(address.to_owned(), sent);
        }
        let exchange = async {
            tokio::time::sleep(round_trip).await;
            member.handle(path, &body).await
        };
        tokio::time::timeout(limit, exchange).await.map_err(|_| away())?
    }

    fn introduce(&self, identity: &str) {
        self.wires.introduced.lock().unwrap().insert(self.from.clone(), identity.to_owned());
    }
}

struct Group {
    wires: Arc<Wires>,
    folders: tempfile::TempDir,
}

impl Group {
    fn new() -> Self {
        Self { wires: Arc::default(), folders: tempfile::tempdir().unwrap() }
    }

    async fn start(&self, name: &str, id: u64, bootstrap: Bootstrap) -> Arc<Metastore> {
        let config = Config {
            data_dir: self.folders.path().join(format!("{name}-{id}")),
            node_id: id,
            node_name: name.into(),
            region: format!("region-{name}"),
            kind: MemberKind::Data,
            peer_address: name.into(),
            http_address: String::new(),
            disk_id: id,
            timing: Timing::default(),
            vault: None,
        };
        let wire = Arc::new(Wire { from: name.into(), wires: Arc::clone(&self.wires) });
        let store = loop {
            match Metastore::open(config.clone(), Arc::clone(&wire) as _, bootstrap.clone()).await {
                // The one before is not quite gone.
                Err(e) if e.message.contains("already open") => tokio::task::yield_now().await,
                opened => break opened.unwrap(),
            }
        };
        self.wires.members.lock().unwrap().insert(name.into(), Arc::clone(&store));
        store
    }

    async fn of_three(&self) -> Vec<Arc<Metastore>> {
        let new = Bootstrap::New { cluster_id: "test".into(), session_key: [1; 32] };
        let mut members = vec![self.start("a", 1, new).await];
        for (name, id) in [("b", 2), ("c", 3)] {
            let join = Bootstrap::Join { addresses: vec!["a".into()] };
            members.push(self.start(name, id, join).await);
        }
        for m in &members {
            eventually("three members are known", || m.state().members.len() == 3).await;
        }
        members
    }

    fn cut(&self, name: &str) {
        self.wires.cut.lock().unwrap().insert(name.into());
    }

    fn heal(&self) {
        self.wires.cut.lock().unwrap().clear();
    }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never happened: {what}");
}

fn commit(request: &str, expected: Option<u64>) -> Command {
    Command::Commit(Commit {
        request_id: request.into(),
        database: "Retail".into(),
        expected_seq: expected,
        receipts: vec![(1, 1), (2, 2), (3, 3)],
        ..Commit::default()
    })
}

fn done(reply: Reply) -> u64 {
    match reply {
        Reply::Done { seq } => seq,
        Reply::Refused(e) => panic!("refused: {e}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_survive_the_leader_and_reach_it_when_it_is_back() {
    let group = Group::new();
    let m = group.of_three().await;
    let first = done(m[1].propose(commit("r1", Some(0))).await.unwrap());

    group.cut("a");
    eventually("another leader", || m[1].status().leader.is_some_and(|l| l != 1)).await;
    let second = done(m[2].propose(commit("r2", Some(first))).await.unwrap());
    // The same request again, after the change of leader, is answered from the record.
    assert_eq!(done(m[1].propose(commit("r1", Some(0))).await.unwrap()), first);
    assert!(m[1].read_index().await.unwrap() >= second);

    group.heal();
    eventually("the old leader caught up", || {
        m[0].state().database("retail").is_some_and(|d| d.seq == second)
    })
    .await;
    assert_eq!(*m[0].state(), *m[2].state());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minority_commits_nothing() {
    let group = Group::new();
    let m = group.of_three().await;
    group.cut("b");
    group.cut("c");
    let tried = tokio::time::timeout(Duration::from_secs(3), m[0].propose(commit("r1", Some(0))));
    assert!(tried.await.is_err(), "a minority must not acknowledge");
    assert!(m[0].state().database("retail").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_and_a_replaced_disk_is_a_new_member() {
    let group = Group::new();
    let m = group.of_three().await;
    let seq = done(m[0].propose(commit("r1", Some(0))).await.unwrap());

    // A server of the same name is refused while this one lives.
    let request = br#"{"id":99,"member":{"name":"c","region":"region-c","kind":"Data","peer_address":"c","http_address":"","disk_id":99,"level":3}}"#;
    let body: Vec<u8> = std::iter::once(1).chain(request.iter().copied()).collect();
    assert_eq!(m[0].handle("raft/join", &body).await.unwrap_err().kind, ErrorKind::Conflict);
    assert!(m[0].handle("raft/join", b"\x01{").await.is_err());

    // The server stops, and its folder is lost.
    group.wires.members.lock().unwrap().remove("c");
    m[2].shutdown().await;
    let [_, _, old_c]: [_; 3] = m.clone().try_into().unwrap();
    drop(old_c);
    // The folder of member 3 is gone; the server of the same name comes with new ids.
    let join = Bootstrap::Join { addresses: vec!["b".into(), "a".into()] };
    let c = group.start("c", 33, join).await;
    eventually("the new member has the commit", || {
        c.state().database("retail").is_some_and(|d| d.seq == seq)
    })
    .await;
    eventually("the old id is gone", || {
        c.state().members.keys().copied().collect::<Vec<_>>() == [1, 2, 33]
    })
    .await;
    let of_two = c.state().members[&2].clone();
    // What was taken out is not a member anywhere, asked of any member.
    c.remove_member(2, "taken out").await.unwrap();
    eventually("member 2 is out", || !c.state().members.contains_key(&2)).await;
    let join = Bootstrap::Join { addresses: vec!["a".into()] };
    m[1].shutdown().await;
    // What it had asked before, and comes late, does not let it in again under its old id.
    let late = serde_json::json!({ "id": 2, "member": of_two, "is_empty": false });
    let late = [b"\x01", late.to_string().as_bytes()].concat();
    let told = c.handle("raft/join", &late).await.unwrap_err();
    assert!(told.message.contains("was removed from the group"), "{told:?}");
    let b = group.start("b", 22, join).await;
    eventually("member 22 is in", || b.state().members.contains_key(&22)).await;
    // With the new member the group survives the loss of another.
    group.cut("a");
    eventually("another leader", || c.status().leader.is_some_and(|l| l != 1)).await;
    let with_new_disk = Command::Commit(Commit {
        request_id: "r2".into(),
        database: "Retail".into(),
        expected_seq: Some(seq),
        receipts: vec![(22, 22), (33, 33)],
        ..Commit::default()
    });
    assert!(done(c.propose(with_new_disk).await.unwrap()) > seq);
}

/// A folder that was emptied in part keeps the server's id and has lost what was acknowledged
/// under it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_what_it_acknowledged_is_told_so_and_not_counted() {
    let group = Group::new();
    let m = group.of_three().await;
    let seq = done(m[0].propose(commit("r1", Some(0))).await.unwrap());
    eventually("the third has it", || m[2].state().database("retail").is_some()).await;

    group.wires.members.lock().unwrap().remove("c");
    m[2].shutdown().await;
    std::fs::remove_dir_all(group.folders.path().join("c-3")).unwrap();
    let join = Bootstrap::Join { addresses: vec!["b".into(), "a".into()] };
    let c = group.start("c", 3, join.clone()).await;
    eventually("it is told so", || {
        c.status().refused.is_some_and(|why| why.contains("lacks what it had acknowledged"))
    })
    .await;
    // It makes no majority with one that has missed a commit.
    let vote = c.handle("raft/vote", b"\x01{}").await.unwrap_err();
    assert_eq!(vote.kind, ErrorKind::Unavailable);
    // The others go on, and nothing is counted as held by it.
    let next = done(m[1].propose(commit("r2", Some(seq))).await.unwrap());
    assert!(c.state().database("retail").is_none());
    group.cut("b");
    let tried =
        tokio::time::timeout(Duration::from_secs(2), m[0].propose(commit("r3", Some(next))));
    assert!(tried.await.is_err(), "what it acknowledged before must not count now");
    group.heal();

    // With its folder emptied wholly it is a new member, which takes the place of the old one.
    c.shutdown().await;
    let c = group.start("c", 33, join).await;
    eventually("it is a member again, with everything", || {
        let state = c.state();
        state.members.keys().copied().collect::<Vec<_>>() == [1, 2, 33]
            && state.database("retail").is_some_and(|d| d.seq >= next)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_waited_makes_nobody_fresh() {
    let group = Group::new();
    let m = group.of_three().await;
    let age = || m[1].status().millis_since_quorum.unwrap();
    done(m[0].propose(commit("one", None)).await.unwrap());
    m[1].wait_applied(m[0].status().applied, Duration::from_secs(9)).await.unwrap();
    group.cut("b");
    let lease = u64::try_from(Timing::default().lease().as_millis()).unwrap();
    eventually("b has heard nothing for a while", || age() > lease * 3).await;
    // As after a process that stood still, for which it lay in a buffer.
    let (path, body) = group.wires.appended.lock().unwrap()["b"].clone();
    let before = age();
    m[1].handle(&path, &body).await.unwrap();
    assert!(age() >= before, "{} after {before}", age());
    group.heal();
    eventually("b is fresh again", || age() < lease).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_one_restarts_from_its_folder() {
    let group = Group::new();
    let new = Bootstrap::New { cluster_id: "test".into(), session_key: [1; 32] };
    let a = group.start("a", 1, new).await;
    let alone = |request: &str, expected| {
        Command::Commit(Commit {
            request_id: request.into(),
            database: "Retail".into(),
            expected_seq: expected,
            receipts: vec![(1, 1)],
            ..Commit::default()
        })
    };
    let seq = done(a.propose(alone("r1", Some(0))).await.unwrap());
    a.shutdown().await;
    group.wires.members.lock().unwrap().clear();
    drop(a);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let a = group.start("a", 1, Bootstrap::Restart).await;
    eventually("the commit is there again", || {
        a.state().database("retail").is_some_and(|d| d.seq == seq)
    })
    .await;
    assert_eq!(a.state().cluster_id, "test");
    assert!(done(a.propose(alone("r2", Some(seq))).await.unwrap()) > seq);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leadership_is_handed_over_and_back_at_once() {
    let group = Group::new();
    let m = group.of_three().await;
    let mut seq = 0;
    for (round, to) in [2, 3, 1, 2].into_iter().enumerate() {
        m[round % 3].hand_over(to).await.unwrap();
        eventually("the new leader is known", || m.iter().all(|m| m.status().leader == Some(to)))
            .await;
        let request = format!("r{round}");
        seq = done(m[(round + 1) % 3].propose(commit(&request, Some(seq))).await.unwrap());
    }
    // A member that is not there cannot take over, and the leader stays.
    group.cut("a");
    assert_eq!(m[1].hand_over(1).await.unwrap_err().kind, ErrorKind::Unavailable);
    assert!(done(m[1].propose(commit("last", Some(seq))).await.unwrap()) > seq);
}

/// Others stand back for one that is to take over, and no longer once it leads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_dies_just_after_it_took_over_is_replaced_at_once() {
    let group = Group::new();
    let m = group.of_three().await;
    m[0].hand_over(2).await.unwrap();
    eventually("the new leader is known", || m.iter().all(|m| m.status().leader == Some(2))).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    group.cut("b");
    m[1].shutdown().await;
    let begun = std::time::Instant::now();
    eventually("another one leads", || {
        [&m[0], &m[2]].iter().all(|m| m.status().leader.is_some_and(|leader| leader != 2))
    })
    .await;
    assert!(begun.elapsed() < Duration::from_millis(1800), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_while_the_leadership_changes_hands_is_answered_by_the_next_leader() {
    let group = Group::new();
    let m = group.of_three().await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut asking = tokio::task::JoinSet::new();
    for (i, member) in m.iter().enumerate() {
        let (reader, reading) = (Arc::clone(member), Arc::clone(&stop));
        asking.spawn(async move {
            let mut newest = 0;
            while !reading.load(Ordering::SeqCst) {
                let index = reader.read_index().await.unwrap();
                assert!(index >= newest, "{index} after {newest}");
                newest = index;
            }
        });
        let (writer, writing) = (Arc::clone(member), Arc::clone(&stop));
        asking.spawn(async move {
            let mut made = 0;
            while !writing.load(Ordering::SeqCst) {
                made += 1;
                let put = Command::PutSetting { name: format!("of {i}"), value: made.to_string() };
                let seq = done(writer.propose_once(&format!("{i}/{made}"), put).await.unwrap());
                assert!(writer.read_index().await.unwrap() >= seq);
                // Made by then, and not made again by a proposal that was sent twice.
                writer.wait_applied(seq, Duration::from_secs(10)).await.unwrap();
                assert_eq!(writer.state().settings[&format!("of {i}")], made.to_string());
            }
        });
    }
    for (round, to) in [2, 3, 1, 2, 1, 3, 2, 1].into_iter().enumerate() {
        m[round % 3].hand_over(to).await.unwrap();
        eventually("the new leader is known", || m.iter().all(|m| m.status().leader == Some(to)))
            .await;
    }
    stop.store(true, Ordering::SeqCst);
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_timing_reaches_every_member_and_loses_nothing() {
    let group = Group::new();
    let m = group.of_three().await;
    let setting = Command::PutSetting { name: "heartbeat_ms".into(), value: "120".into() };
    m[1].propose(setting).await.unwrap();
    let slower = Timing::for_round_trip(Duration::from_millis(40));
    eventually("all follow", || m.iter().all(|m| m.timing() == slower)).await;
    let seq = done(m[2].propose(commit("r1", Some(0))).await.unwrap());
    m[0].propose(Command::Grant { leases: Leases::All, to: 2 }).await.unwrap();
    eventually("all have it", || m.iter().all(|m| m.state().lease.is_some_and(|l| l.holder == 2)))
        .await;
    assert_eq!(m[2].state().database("retail").unwrap().seq, seq);
    assert_eq!(*m[0].state(), *m[1].state());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_read_after_all_have_restarted() {
    let group = Group::new();
    let m = group.of_three().await;
    let leader = m[0].status().leader.unwrap();
    let leading = &m[usize::try_from(leader).unwrap() - 1];
    let seq = done(leading.propose(commit("r1", Some(0))).await.unwrap());
    group.wires.members.lock().unwrap().clear();
    for member in &m {
        member.shutdown().await;
    }
    drop(m);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut back = Vec::new();
    for (name, id) in [("a", 1), ("b", 2), ("c", 3)] {
        back.push(group.start(name, id, Bootstrap::Restart).await);
    }
    for member in &back {
        assert!(member.read_index().await.unwrap() >= seq);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_away_deposes_nobody() {
    let group = Group::new();
    let m = group.of_three().await;
    let before = m[0].status();
    group.cut("c");
    // Long enough for several elections.
    tokio::time::sleep(m[2].timing().lease() * 5).await;
    let seq = done(m[1].propose(commit("r1", Some(0))).await.unwrap());
    group.heal();
    eventually("it has what it missed", || m[2].status().applied >= seq).await;
    for m in &m {
        assert_eq!((m.status().term, m.status().leader), (before.term, before.leader));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_gets_shorter_for_members_that_do_not_answer() {
    let group = Group::new();
    let m = group.of_three().await;
    let setting = Command::PutSetting { name: "heartbeat_ms".into(), value: "120".into() };
    m[0].propose(setting).await.unwrap();
    eventually("all follow", || m.iter().all(|m| m.timing() != Timing::default())).await;
    let leader = m[0].status().leader.unwrap();
    let leader = usize::try_from(leader).unwrap() - 1;
    for (_, name) in ["a", "b", "c"].into_iter().enumerate().filter(|(i, _)| *i != leader) {
        group.cut(name);
    }
    tokio::time::timeout(Duration::from_secs(3), m[leader].suit_timing(None)).await.unwrap();
    group.heal();
    m[leader].propose(commit("r1", Some(0))).await.unwrap();
    assert_eq!(m[leader].state().settings["heartbeat_ms"], "120");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_have_moved_apart_find_a_timing_that_fits() {
    let group = Group::new();
    let m = group.of_three().await;
    // Farther than followers may take to answer before.
    let far = Duration::from_millis(400);
    *group.wires.round_trip.lock().unwrap() = far;
    eventually("all wait longer", || m.iter().all(|m| m.timing().heartbeat() >= far * 2)).await;
    done(m[1].propose(commit("r1", Some(0))).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_stops_voting_and_votes_again() {
    let group = Group::new();
    let m = group.of_three().await;
    m[1].change_kind(3, MemberKind::Learner).await.unwrap();
    eventually("it is a learner", || {
        m[2].state().members.get(&3).is_some_and(|m| m.kind == MemberKind::Learner)
    })
    .await;
    assert_eq!(m[0].hand_over(3).await.unwrap_err().kind, ErrorKind::Unavailable);
    m[1].change_kind(3, MemberKind::Data).await.unwrap();
    m[0].hand_over(3).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_goes_on_alone_in_a_history_of_its_own() {
    let group = Group::new();
    let m = group.of_three().await;
    let seq = done(m[0].propose(commit("r1", Some(0))).await.unwrap());
    eventually("c has it", || m[2].status().applied >= seq).await;
    assert_eq!(m[2].require_no_majority().await.unwrap_err().kind, ErrorKind::Conflict);
    group.cut("a");
    group.cut("b");
    m[2].go_on_alone(7, "alone").await.unwrap();
    let alone = Command::Commit(Commit {
        request_id: "r2".into(),
        database: "Retail".into(),
        expected_seq: Some(seq),
        receipts: vec![(3, 3)],
        lease: m[2].state().lease.map(|l| l.epoch),
        ..Commit::default()
    });
    let second = done(m[2].propose(alone).await.unwrap());
    assert!(second > seq);
    assert_eq!(m[2].state().history(), "1.7");
    assert_ne!(m[2].state().identity(), m[0].state().identity());
    // It stays so after a restart.
    m[2].shutdown().await;
    group.wires.members.lock().unwrap().remove("c");
    let [_, _, c]: [_; 3] = m.try_into().unwrap();
    drop(c);
    let c = group.start("c", 3, Bootstrap::Restart).await;
    eventually("the second commit is there", || {
        c.state().database("retail").is_some_and(|d| d.seq == second)
    })
    .await;
    assert_eq!(c.state().history(), "1.7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_says_who_it_is_before_anything_new_is_applied() {
    let group = Group::new();
    let m = group.of_three().await;
    for (name, member) in ["a", "b", "c"].into_iter().zip(&m) {
        group.wires.members.lock().unwrap().remove(name);
        member.shutdown().await;
    }
    drop(m);
    group.wires.introduced.lock().unwrap().clear();
    // There is no majority, so that nothing is applied but what its folder holds.
    let _c = group.start("c", 3, Bootstrap::Restart).await;
    eventually("its messages name group, history and sender", || {
        let introduced = group.wires.introduced.lock().unwrap();
        introduced.get("c").is_some_and(|said| said == "test/0/3")
    })
    .await;
}
