use evercube_metastore::{
    BackupTask, Command, JobEnd, Leases, RefreshTask, Reply, ScheduleChange, Task,
};

use super::*;

/// A group whose time is told.
struct Group {
    state: State,
    alive: BTreeSet<u64>,
    index: u64,
}

fn micros(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
}

impl Group {
    /// Three data servers and a replica; the first one leads and writes.
    fn new() -> Self {
        let mut g = Self { state: State::default(), alive: BTreeSet::new(), index: 0 };
        let kinds = [MemberKind::Data, MemberKind::Data, MemberKind::Data, MemberKind::Replica];
        for (id, kind) in (1..).zip(kinds) {
            let member = Member {
                name: format!("s{id}"),
                region: format!("r{id}"),
                kind,
                peer_address: String::new(),
                http_address: String::new(),
                disk_id: 1,
                level: 9,
            };
            g.apply(Command::PutMember { id, member });
            g.alive.insert(id);
        }
        g.apply(Command::Grant { leases: Leases::All, to: 1 });
        g
    }

    fn apply(&mut self, command: Command) -> Reply {
        self.index += 1;
        self.state.apply(self.index, command)
    }

    fn schedule(&mut self, name: &str, task: Task, cron: &str, made: &str) -> &mut Schedule {
        let schedule = Schedule {
            task,
            cron: cron.into(),
            zone: "Europe/Zurich".into(),
            run_on: None,
            retries: 1,
            retry_pause_seconds: 60,
            catch_up: true,
            made_micros: micros(made),
            made_by: "admin".into(),
            last_due_micros: None,
        };
        let (name, schedule) = (name.to_owned(), Box::new(schedule));
        self.apply(Command::Schedules(ScheduleChange::Put { name: name.clone(), schedule }));
        self.state.schedules.get_mut(&name).unwrap()
    }

    /// The leader at a time; what it did, in words.
    fn at(&mut self, now: &str) -> Vec<String> {
        let now_micros = micros(now);
        let (alive, state) = (self.alive.clone(), self.state.clone());
        let seen = Seen { state: &state, now_micros, alive: &alive, leader: 1 };
        let changes = decide(&seen);
        let mut done = Vec::new();
        for change in changes {
            done.push(match &change {
                JobChange::Ask { job, .. } => {
                    format!("{:?} {} missed {}", job.state, job.id, job.missed)
                }
                JobChange::Assign { id, to, .. } => format!("{id} to s{to}"),
                other => format!("{other:?}"),
            });
            assert!(matches!(self.apply(Command::Jobs(change)), Reply::Done { .. }));
        }
        done
    }

    fn end(&mut self, id: &str, end: JobEnd, now: &str) {
        let epoch = self.state.jobs.get(id).unwrap().epoch;
        let (id, now_micros) = (id.to_owned(), micros(now));
        let change = JobChange::End { id, epoch, end, now_micros };
        assert!(matches!(self.apply(Command::Jobs(change)), Reply::Done { .. }));
    }
}

fn refresh() -> Task {
    Task::Refresh(RefreshTask { database: "Shop".into(), way: "full".into(), ..Default::default() })
}

fn backup(database: &str) -> Task {
    Task::Backup(BackupTask { database: database.into(), ..Default::default() })
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_time_is_run_once_by_the_server_that_writes() {
    let mut g = Group::new();
    g.schedule("nightly", refresh(), "0 3 * * *", "2026-01-10T12:00:00Z");
    assert_eq!(g.at("2026-01-11T01:59:59Z"), NOTHING);
    assert_eq!(g.at("2026-01-11T02:00:00Z"), ["Waiting nightly@2026-01-11T02:00:00Z missed 0"]);
    assert_eq!(g.at("2026-01-11T02:00:01Z"), ["nightly@2026-01-11T02:00:00Z to s1"]);
    assert_eq!(g.at("2026-01-11T02:00:02Z"), NOTHING);
    g.end("nightly@2026-01-11T02:00:00Z", JobEnd::Done(Default::default()), "2026-01-11T02:10:00Z");
    // Nor again where a clock goes back, as that of another leader may.
    for now in ["2026-01-11T02:10:01Z", "2026-01-11T01:30:00Z", "2026-01-11T02:00:00Z"] {
        assert_eq!(g.at(now), NOTHING, "{now}");
    }
    assert_eq!(g.at("2026-01-12T02:00:00Z").len(), 1);
}

#[test]
fn times_that_went_by_are_caught_up_once_or_told() {
    let mut g = Group::new();
    g.schedule("a", backup("A"), "0 3 * * *", "2026-01-10T12:00:00Z");
    g.schedule("b", backup("B"), "0 3 * * *", "2026-01-10T12:00:00Z").catch_up = false;
    assert_eq!(
        g.at("2026-01-14T09:00:00Z"),
        ["Waiting a@2026-01-14T02:00:00Z missed 3", "Missed b@2026-01-14T02:00:00Z missed 4"]
    );
    assert_eq!(g.at("2026-01-14T09:00:01Z"), ["a@2026-01-14T02:00:00Z to s4"]);
    g.end("a@2026-01-14T02:00:00Z", JobEnd::Done(Default::default()), "2026-01-14T09:01:00Z");
    assert_eq!(g.at("2026-01-14T09:02:00Z"), NOTHING);
}

#[test]
fn a_run_that_lasts_is_not_begun_again_beside_itself() {
    let mut g = Group::new();
    g.schedule("a", backup("A"), "* * * * *", "2026-01-10T12:00:00Z");
    g.at("2026-01-10T12:01:00Z");
    g.at("2026-01-10T12:01:01Z");
    assert_eq!(g.at("2026-01-10T12:04:00Z"), NOTHING);
    g.end("a@2026-01-10T12:01:00Z", JobEnd::Done(Default::default()), "2026-01-10T12:04:30Z");
    assert_eq!(g.at("2026-01-10T12:04:31Z"), ["Waiting a@2026-01-10T12:04:00Z missed 2"]);
}

#[test]
fn another_server_takes_over_what_one_that_died_was_doing() {
    let mut g = Group::new();
    g.schedule("w", refresh(), "0 3 * * *", "2026-01-10T12:00:00Z");
    g.schedule("r", backup("A"), "0 3 * * *", "2026-01-10T12:00:00Z").run_on = Some("R2".into());
    g.at("2026-01-11T02:00:00Z");
    let (w, r) = ("w@2026-01-11T02:00:00Z", "r@2026-01-11T02:00:00Z");
    assert_eq!(g.at("2026-01-11T02:00:01Z"), [format!("{r} to s2"), format!("{w} to s1")]);
    g.alive = BTreeSet::from([3, 4]);
    // What writes waits for the lease to move; a backup goes to any other server.
    assert_eq!(g.at("2026-01-11T02:00:02Z"), [format!("{r} to s4")]);
    g.apply(Command::Grant { leases: Leases::HeldBy(1), to: 3 });
    assert_eq!(g.at("2026-01-11T02:00:03Z"), [format!("{w} to s3")]);
    assert_eq!(g.at("2026-01-11T02:00:04Z"), NOTHING);
}

#[test]
fn a_failed_run_is_tried_again_after_its_pause() {
    let mut g = Group::new();
    g.schedule("w", refresh(), "0 3 * * *", "2026-01-10T12:00:00Z");
    g.at("2026-01-11T02:00:00Z");
    let w = "w@2026-01-11T02:00:00Z";
    g.at("2026-01-11T02:00:01Z");
    g.end(w, JobEnd::Failed("no".into()), "2026-01-11T02:00:10Z");
    assert_eq!(g.at("2026-01-11T02:01:09Z"), NOTHING);
    assert_eq!(g.at("2026-01-11T02:01:10Z"), [format!("{w} to s1")]);
    g.end(w, JobEnd::Failed("no".into()), "2026-01-11T02:01:20Z");
    assert_eq!(g.state.jobs.get(w).unwrap().state, JobState::Failed);
    assert_eq!(g.at("2026-01-11T02:05:00Z"), NOTHING);
}

#[test]
fn many_backups_of_one_hour_are_spread_and_wait_their_turn() {
    let mut g = Group::new();
    for i in 0..12 {
        g.schedule(&format!("b{i:02}"), backup("A"), "0 3 * * *", "2026-01-10T12:00:00Z");
    }
    assert_eq!(g.at("2026-01-11T02:00:00Z").len(), 12);
    let given = g.at("2026-01-11T02:00:01Z");
    for server in 1..=4 {
        let its = given.iter().filter(|g| g.ends_with(&format!("s{server}"))).count();
        assert_eq!(its, SIDE_BY_SIDE, "{given:?}");
    }
}

#[test]
fn a_schedule_by_local_time_follows_the_clocks() {
    let mut g = Group::new();
    g.schedule("a", backup("A"), "30 2 * * *", "2026-03-28T12:00:00Z");
    assert_eq!(g.at("2026-03-29T00:59:00Z"), NOTHING);
    assert_eq!(g.at("2026-03-29T01:00:00Z"), ["Waiting a@2026-03-29T01:00:00Z missed 0"]);
}
