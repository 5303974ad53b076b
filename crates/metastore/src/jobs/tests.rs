use super::*;
use crate::schedules::ScheduleChange;

fn refresh(objects: &[(&str, Option<&str>)]) -> Task {
    let object = |(t, p): &(&str, Option<&str>)| RefreshObject {
        table: (*t).to_owned(),
        partition: p.map(str::to_owned),
    };
    Task::Refresh(RefreshTask {
        database: "Shop".into(),
        way: "full".into(),
        objects: objects.iter().map(object).collect(),
        ..RefreshTask::default()
    })
}

fn job(id: &str, task: Task) -> Job {
    serde_json::from_value(serde_json::json!({
        "id": id, "task": task, "asked_by": "admin", "asked_micros": 1
    }))
    .unwrap()
}

struct Group(Jobs, BTreeMap<String, Schedule>, u64);

impl Group {
    fn change(&mut self, change: JobChange) -> Result<()> {
        self.2 += 1;
        self.0.change(self.2, change, &mut self.1, |id| (id < 9).then(|| format!("s{id}")))
    }

    fn ask(&mut self, job: Job) -> Result<()> {
        self.change(JobChange::Ask { job: Box::new(job), alone: true })
    }

    fn assign(&mut self, id: &str, to: u64) -> Result<()> {
        let epoch = self.0.get(id).unwrap().epoch;
        self.change(JobChange::Assign { id: id.into(), to, epoch, now_micros: 5 })
    }

    fn end(&mut self, id: &str, epoch: u64, end: JobEnd) -> Result<()> {
        self.change(JobChange::End { id: id.into(), epoch, end, now_micros: 10 })
    }
}

fn group() -> Group {
    Group(Jobs::default(), BTreeMap::new(), 0)
}

#[test]
fn a_run_is_given_to_one_server_and_ended_by_it_alone() {
    let mut g = group();
    g.ask(job("a", refresh(&[]))).unwrap();
    g.ask(job("a", refresh(&[]))).unwrap();
    assert_eq!(g.0.all().count(), 1);
    g.assign("a", 1).unwrap();
    let first = g.0.get("a").unwrap().epoch;
    g.assign("a", 2).unwrap();
    let second = g.0.get("a").unwrap().epoch;
    assert!(g.end("a", first, JobEnd::Cancelled).is_err(), "another server has it now");
    g.end("a", second, JobEnd::Done(JobReport::default())).unwrap();
    assert_eq!(g.0.get("a").unwrap().state, JobState::Succeeded);
    assert!(g.end("a", second, JobEnd::Cancelled).is_err(), "it is over");
    assert!(g.assign("a", 9).is_err());
}

#[test]
fn a_failed_attempt_is_made_again_so_often_and_keeps_every_error() {
    let mut g = group();
    let asked = Job { retries: 1, retry_pause_seconds: 60, ..job("a", refresh(&[])) };
    g.ask(asked).unwrap();
    for attempt in 1..=2 {
        g.assign("a", 1).unwrap();
        let epoch = g.0.get("a").unwrap().epoch;
        g.end("a", epoch, JobEnd::Failed(format!("no {attempt}"))).unwrap();
        let job = g.0.get("a").unwrap();
        assert_eq!(job.is_over(), attempt == 2);
        assert_eq!(job.errors.len(), attempt);
    }
    let job = g.0.get("a").unwrap();
    assert_eq!((job.state, job.attempt), (JobState::Failed, 2));
    assert_eq!(job.not_before_micros, 60_000_010);
    assert_eq!(job.errors[0].message, "no 1");
}

#[test]
fn refreshes_that_read_the_same_are_not_made_side_by_side() {
    let mut g = group();
    g.ask(job("a", refresh(&[("Sales", Some("2024"))]))).unwrap();
    g.ask(job("b", refresh(&[("Sales", Some("2025")), ("Items", None)]))).unwrap();
    for same in [vec![], vec![("sales", None)], vec![("Items", Some("x"))]] {
        let refused = g.ask(job("c", refresh(&same))).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict, "{same:?}");
    }
    g.ask(job("c", refresh(&[("Dates", None)]))).unwrap();
}

#[test]
fn a_time_of_a_schedule_is_run_once() {
    let mut g = group();
    let schedule: Schedule = serde_json::from_value(serde_json::json!({
        "task": refresh(&[]), "cron": "0 3 * * *", "zone": "UTC", "made_micros": 0, "made_by": "x"
    }))
    .unwrap();
    let put = ScheduleChange::Put { name: "n".into(), schedule: Box::new(schedule) };
    crate::schedules::change(&mut g.1, put).unwrap();
    let run = |id: &str, due| Job {
        schedule: Some("n".into()),
        due_micros: Some(due),
        ..job(id, refresh(&[("Sales", Some(id))]))
    };
    g.ask(run("1", 100)).unwrap();
    assert!(g.ask(run("2", 100)).is_err());
    assert!(g.ask(run("3", 99)).is_err());
    g.ask(run("4", 101)).unwrap();
    assert_eq!(g.0.of_schedule("n").len(), 2);
}

#[test]
fn the_oldest_runs_are_forgotten_and_none_that_is_not_over() {
    let mut g = group();
    g.ask(job("open", refresh(&[("T", None)]))).unwrap();
    for i in 0..KEPT_OF_EACH + 5 {
        let id = format!("{i:03}");
        g.ask(job(&id, refresh(&[("Sales", Some(&id))]))).unwrap();
        g.assign(&id, 1).unwrap();
        let epoch = g.0.get(&id).unwrap().epoch;
        let now_micros = i64::try_from(i).unwrap();
        g.change(JobChange::End { id, epoch, end: JobEnd::Cancelled, now_micros }).unwrap();
    }
    assert_eq!(g.0.all().count(), KEPT_OF_EACH + 1);
    assert!(g.0.get("open").is_some() && g.0.get("004").is_none() && g.0.get("005").is_some());
}
