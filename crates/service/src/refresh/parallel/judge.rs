//! Which reading is taken where several servers read the same sources.

use std::collections::BTreeMap;

use super::{PartitionSum, ServerReading};

#[derive(Debug)]
pub(in crate::refresh) struct Verdict {
    /// Position of the reading that becomes the version.
    pub taken: usize,
    /// Positions of those that read the same.
    same: Vec<usize>,
    /// Servers that were not there, and why.
    pub away: Vec<(String, String)>,
    /// Differences: the object, and what of it.
    pub notes: Vec<(String, String)>,
}

impl Verdict {
    pub fn mark(&self, table: &mut [ServerReading]) {
        for (i, reading) in table.iter_mut().enumerate() {
            reading.taken = i == self.taken;
            reading.same = self.same.contains(&i);
        }
    }

    pub fn sentences(&self) -> Vec<String> {
        self.notes.iter().map(|(object, message)| format!("{object}: {message}")).collect()
    }
}

/// What most servers read, whole readings compared, so that no two are mixed; among as many the
/// first. `None` where nobody read.
pub(in crate::refresh) fn judge(table: &[ServerReading]) -> Option<Verdict> {
    let mut classes: Vec<(&[PartitionSum], Vec<usize>)> = Vec::new();
    for (i, reading) in table.iter().enumerate().filter(|(_, r)| r.error.is_none()) {
        match classes.iter_mut().find(|(sums, _)| *sums == reading.partitions.as_slice()) {
            Some((_, members)) => members.push(i),
            None => classes.push((&reading.partitions, vec![i])),
        }
    }
    let most = classes.iter().map(|(_, members)| members.len()).max()?;
    let (_, same) = classes.iter().find(|(_, members)| members.len() == most)?;
    let taken = *same.first()?;
    let (mut away, mut notes) = (Vec::new(), Vec::new());
    for reading in table {
        match &reading.error {
            Some(e) if reading.away => away.push((reading.server.clone(), e.clone())),
            Some(e) => {
                notes.push((
                    format!("server '{}'", reading.server),
                    format!("it could not read ({e})"),
                ));
            }
            None => {}
        }
    }
    for (partition, by_sum) in differences(table) {
        let said = by_sum.iter().map(|((rows, sum), servers)| {
            format!(
                "{rows} rows with checksum {} on {}",
                &sum[..sum.len().min(12)],
                servers.join(", ")
            )
        });
        let said: Vec<String> = said.collect();
        notes.push((partition, format!("read differently: {}", said.join("; "))));
    }
    Some(Verdict { taken, same: same.clone(), away, notes })
}

/// Rows and checksum, and the servers that read so.
type BySum = BTreeMap<(u64, String), Vec<String>>;

/// The partitions that were not read the same everywhere.
fn differences(table: &[ServerReading]) -> BTreeMap<String, BySum> {
    let mut all: BTreeMap<String, BySum> = BTreeMap::new();
    for reading in table.iter().filter(|r| r.error.is_none()) {
        for sum in &reading.partitions {
            let name = format!("table '{}' partition '{}'", sum.table, sum.partition);
            let servers = all.entry(name).or_default();
            let key = (sum.rows, sum.checksum.clone());
            servers.entry(key).or_default().push(reading.server.clone());
        }
    }
    all.retain(|_, by_sum| by_sum.len() > 1);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(server: &str, sums: &[&str]) -> ServerReading {
        let sum = |(i, checksum): (usize, &&str)| PartitionSum {
            table: "Sales".into(),
            partition: i.to_string(),
            rows: 3,
            checksum: (*checksum).to_owned(),
        };
        let partitions = sums.iter().enumerate().map(sum).collect();
        ServerReading { server: server.into(), partitions, ..ServerReading::default() }
    }

    #[test]
    fn the_majority_is_taken_whole_and_a_tie_goes_to_the_first() {
        let same = judge(&[read("a", &["1", "2"]), read("b", &["1", "2"])]).unwrap();
        assert_eq!((same.taken, same.notes.len()), (0, 0));
        let table = [read("a", &["1", "9"]), read("b", &["1", "2"]), read("c", &["1", "2"])];
        let verdict = judge(&table).unwrap();
        assert_eq!((verdict.taken, verdict.same.clone()), (1, vec![1, 2]));
        assert_eq!(verdict.notes.len(), 1);
        let said = &verdict.sentences()[0];
        assert!(said.contains("table 'Sales' partition '1'") && said.contains("9 on a"), "{said}");
        assert_eq!(judge(&[read("a", &["1"]), read("b", &["2"])]).unwrap().taken, 0);
    }

    #[test]
    fn who_cannot_read_is_named_and_does_not_count() {
        let failed = ServerReading { error: Some("no such file".into()), ..read("a", &[]) };
        let verdict = judge(&[failed.clone(), read("b", &["1"])]).unwrap();
        assert_eq!(verdict.taken, 1);
        assert!(verdict.sentences()[0].contains("server 'a'"));
        assert!(judge(std::slice::from_ref(&failed)).is_none());
        let away = ServerReading { away: true, ..failed };
        let verdict = judge(&[read("b", &["1"]), away]).unwrap();
        assert_eq!((verdict.away.len(), verdict.notes.len()), (1, 0));
    }
}
