//! What the leader looks after and raises: regions that are silent, servers that lag behind,
//! backups that grow old. Each is told once when it begins, and once when it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use evercube_metastore::{MemberKind, State, Task};
use tokio::time::Instant;

use crate::backup_use::catalog::newest_verified;
use crate::clocks;
use crate::drift;
use crate::schedule::cron::Cron;
use crate::service::Service;
use crate::status::ServerStatus;

const EVERY: Duration = Duration::from_secs(2);
/// How long a region must be silent, and a server behind.
const SILENT: Duration = Duration::from_secs(3);
const BEHIND_MS: u64 = 60_000;
/// How long a version may wait to be shipped.
const LOG_LATE_MICROS: i64 = 5_000_000;
/// What a scheduled backup may take beyond its time.
const GRACE: TimeDelta = TimeDelta::minutes(15);

/// Something that is wrong: the word of its alarm, and what it is about.
type Trouble = (&'static str, String);

/// What is wrong now, in words, by trouble.
#[derive(Debug, Default)]
pub struct Watched(Mutex<BTreeMap<Trouble, String>>);

impl Watched {
    /// The word and the object of everything that is wrong; empty on servers that do not lead.
    pub fn troubles(&self) -> Vec<Trouble> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Takes over what is wrong now; what began, and what is over.
    fn changed(&self, now: BTreeMap<Trouble, String>) -> (Vec<(Trouble, String)>, Vec<Trouble>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let began = now.iter().filter(|(t, _)| !known.contains_key(t));
        let began = began.map(|(t, text)| (t.clone(), text.clone())).collect();
        let over = known.keys().filter(|t| !now.contains_key(t)).cloned().collect();
        *known = now;
        (began, over)
    }
}

/// Starts watching; ends when the service is dropped.
pub(crate) fn spawn(service: &Arc<Service>) {
    let weak: Weak<Service> = Arc::downgrade(service);
    tokio::spawn(async move {
        let mut heard: BTreeMap<u64, Instant> = BTreeMap::new();
        loop {
            tokio::time::sleep(EVERY).await;
            let Some(service) = weak.upgrade() else { return };
            if service.metastore.status().leader == Some(service.identity.node_id) {
                service.look(&mut heard).await;
            } else {
                heard.clear();
                let _not_told_here = service.watched.changed(BTreeMap::new());
            }
        }
    });
}

impl Service {
    async fn look(&self, heard: &mut BTreeMap<u64, Instant>) {
        let state = self.metastore.state();
        let ids: Vec<u64> = state.members.keys().copied().collect();
        let statuses = self.statuses_of(&state, &ids).await;
        for id in &ids {
            let answers = statuses.iter().any(|(i, _)| i == id);
            let now = Instant::now();
            if answers {
                heard.insert(*id, now);
            } else {
                heard.entry(*id).or_insert(now);
            }
        }
        heard.retain(|id, _| ids.contains(id));
        let lately = heard.iter().filter(|(_, at)| at.elapsed() < SILENT).map(|(id, _)| *id);
        let mut wrong = lost_regions(&state, &lately.collect());
        wrong.extend(lagging(statuses.iter().map(|(_, s)| s)));
        wrong.extend(old_backups(&state, Utc::now()));
        wrong.extend(ending_certificates(statuses.iter().map(|(_, s)| s), Utc::now()));
        wrong.extend(self.late_logs(Utc::now().timestamp_micros()));
        wrong.extend(failing_disks(statuses.iter().map(|(_, s)| s)));
        let servers: Vec<ServerStatus> = statuses.into_iter().map(|(_, s)| s).collect();
        let astray = clocks::astray(&servers).into_iter();
        wrong.extend(astray.map(|a| (("clock", a.server), a.words)));
        wrong.extend(drift::differences(&servers).into_iter().map(|d| {
            let text = format!("the servers were told different things: {}", d.words);
            (("drift", d.setting), text)
        }));
        let (began, over) = self.watched.changed(wrong);
        for ((kind, _), text) in began {
            self.alarm(kind, &text);
        }
        for (kind, what) in over {
            self.alarm("over", &format!("{kind}: {what} is well again"));
        }
    }
}

impl Service {
    /// Databases whose newest versions do not get to their repository.
    fn late_logs(&self, now_micros: i64) -> BTreeMap<Trouble, String> {
        let late = |(name, (database, lag)): (String, (String, i64))| {
            let text = format!(
                "schedule '{name}': a version of database '{database}' has waited {} s to be shipped",
                lag / 1_000_000
            );
            (("log-late", name), text)
        };
        let lags = self.log_lags(now_micros).into_iter();
        lags.filter(|(_, (_, lag))| *lag > LOG_LATE_MICROS).map(late).collect()
    }
}

/// Regions of which no server answers.
fn lost_regions(state: &State, lately: &BTreeSet<u64>) -> BTreeMap<Trouble, String> {
    let mut regions: BTreeMap<&str, bool> = BTreeMap::new();
    for (id, member) in &state.members {
        if matches!(member.kind, MemberKind::Data | MemberKind::Witness) {
            *regions.entry(&member.region).or_default() |= lately.contains(id);
        }
    }
    let lost = regions.into_iter().filter(|(_, answers)| !answers);
    lost.map(|(region, _)| {
        let text = format!("no server of region {region} answers");
        (("region-lost", region.to_owned()), text)
    })
    .collect()
}

fn lagging<'a>(servers: impl Iterator<Item = &'a ServerStatus>) -> BTreeMap<Trouble, String> {
    let mut found = BTreeMap::new();
    for server in servers {
        for d in server.databases.iter().filter(|d| d.lag_ms.is_some_and(|ms| ms > BEHIND_MS)) {
            let why = d.error.as_ref().map_or_else(String::new, |e| format!(": {e}"));
            let text = format!(
                "server {} is more than a minute behind with database '{}'{why}",
                server.name, d.name
            );
            found.insert(("lag", format!("{} on {}", d.name, server.name)), text);
        }
    }
    found
}

/// Servers whose disks take no files.
fn failing_disks<'a>(servers: impl Iterator<Item = &'a ServerStatus>) -> BTreeMap<Trouble, String> {
    let failing = servers.filter_map(|s| Some((s, s.files.refuses.as_ref()?)));
    failing.map(|(s, why)| {
        let text = format!(
            "the disk of server {} takes no files ({why}): it keeps no new version, and takes no writes where another server can",
            s.name
        );
        (("disk", s.name.clone()), text)
    })
    .collect()
}

/// Certificates that nobody renewed in time.
fn ending_certificates<'a>(
    servers: impl Iterator<Item = &'a ServerStatus>,
    now: DateTime<Utc>,
) -> BTreeMap<Trouble, String> {
    let mut found = BTreeMap::new();
    for server in servers {
        for (what, term) in server.certificates.terms() {
            if now.timestamp() < term.late_from_unix() {
                continue;
            }
            let until = DateTime::from_timestamp(term.until_unix, 0).unwrap_or_default();
            let remedy = match what {
                "clients" => "replace the files of tls_certificate and tls_key",
                "members" => "the server could not renew it; its log says why",
                _ => "run evercube authority rotate",
            };
            let text = format!(
                "server {}: the certificate for {what} ends {}; {remedy}",
                server.name,
                until.format("%Y-%m-%d %H:%M UTC")
            );
            found.insert(("certificate", format!("{what} of {}", server.name)), text);
        }
    }
    found
}

/// Databases that are to be backed up at set times, and of which no backup was proved for two of
/// these times.
fn old_backups(state: &State, now: DateTime<Utc>) -> BTreeMap<Trouble, String> {
    let verified = newest_verified(state);
    let mut found = BTreeMap::new();
    for (name, schedule) in &state.schedules {
        let Task::Backup(task) = &schedule.task else { continue };
        let Ok(cron) = Cron::parse(&schedule.cron, &schedule.zone) else { continue };
        let before_last = cron
            .at_or_before(now - GRACE)
            .and_then(|last| cron.at_or_before(last - TimeDelta::seconds(1)));
        let Some(before_last) = before_last.map(|t| t.timestamp_micros()) else { continue };
        let newest = verified
            .iter()
            .filter(|(database, _)| database.to_lowercase() == task.database.to_lowercase())
            .filter_map(|(_, record)| record.map(|r| r.created_micros))
            .max();
        if task.verify
            && newest.unwrap_or(schedule.made_micros).max(schedule.made_micros) < before_last
        {
            let text = format!(
                "schedule '{name}': no backup of database '{}' was made and proved for two of its times",
                task.database
            );
            found.insert(("backup-old", name.clone()), text);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use evercube_metastore::{BackupRecord, BackupTask, Member, Schedule};

    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn a_region_is_lost_when_none_of_its_servers_answers() {
        let mut state = State::default();
        for (id, region) in [(1, "east"), (2, "east"), (3, "west")] {
            let member = Member {
                name: format!("s{id}"),
                region: region.into(),
                kind: MemberKind::Data,
                peer_address: String::new(),
                http_address: String::new(),
                disk_id: 1,
                level: 9,
            };
            state.members.insert(id, member);
        }
        let lost = |ids: &[u64]| {
            let found = lost_regions(&state, &ids.iter().copied().collect());
            found.into_keys().map(|(_, region)| region).collect::<Vec<_>>()
        };
        assert_eq!(lost(&[1, 3]), Vec::<String>::new());
        assert_eq!(lost(&[1, 2]), ["west"]);
        assert_eq!(lost(&[3]), ["east"]);
    }

    #[test]
    fn a_backup_is_old_after_two_of_its_times() {
        let mut state = State::default();
        let task = BackupTask { database: "Shop".into(), verify: true, ..BackupTask::default() };
        let schedule = Schedule {
            task: Task::Backup(task),
            cron: "0 3 * * *".into(),
            zone: "UTC".into(),
            run_on: None,
            retries: 0,
            retry_pause_seconds: 0,
            catch_up: true,
            made_micros: utc("2026-01-10T12:00:00Z").timestamp_micros(),
            made_by: "admin".into(),
            last_due_micros: None,
        };
        state.schedules.insert("n".into(), schedule);
        let is_old = |state: &State, now: &str| !old_backups(state, utc(now)).is_empty();
        assert!(!is_old(&state, "2026-01-12T03:10:00Z"));
        assert!(is_old(&state, "2026-01-12T03:16:00Z"));
        let record = BackupRecord {
            database: "Shop".into(),
            seq: 1,
            created_micros: utc("2026-01-11T03:00:01Z").timestamp_micros(),
            content: [0; 32],
            length: 1,
            verified_micros: None,
        };
        state.backups.insert("x".into(), record.clone());
        assert!(is_old(&state, "2026-01-12T03:16:00Z"), "it was not proved");
        state.backups.insert("x".into(), BackupRecord { verified_micros: Some(1), ..record });
        assert!(!is_old(&state, "2026-01-12T03:16:00Z"));
        assert!(is_old(&state, "2026-01-13T03:16:00Z"));
    }

    #[test]
    fn trouble_is_told_when_it_begins_and_when_it_is_over() {
        let watched = Watched::default();
        let wrong = |what: &str| BTreeMap::from([(("lag", what.to_owned()), "text".to_owned())]);
        assert_eq!(watched.changed(wrong("a")).0.len(), 1);
        assert_eq!(watched.changed(wrong("a")), (Vec::new(), Vec::new()));
        let (began, over) = watched.changed(wrong("b"));
        assert_eq!((began.len(), over), (1, vec![("lag", "a".to_owned())]));
    }
}
