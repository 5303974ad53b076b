//! How much of a backup is read back once it is written.

use std::fmt;
use std::str::FromStr;

use evercube_base::Error;
use evercube_metastore::BackupTask;
use evercube_store::Hash;

/// What proves a new backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadBack {
    /// Every byte it needs.
    #[default]
    All,
    /// In a repository what is new, and so many percent of the other objects it needs, each time
    /// others; that the rest is there is looked at. A backup in one file is read whole.
    Sample(u8),
    /// Nothing: it does not count as proved.
    None,
}

impl ReadBack {
    /// As a schedule says it.
    pub fn of(task: &BackupTask) -> Self {
        match (task.verify, task.sample) {
            (false, _) => Self::None,
            (true, None) => Self::All,
            (true, Some(percent)) => Self::Sample(percent),
        }
    }

    /// The task that says so.
    #[must_use]
    pub fn said_in(self, task: BackupTask) -> BackupTask {
        let sample = if let Self::Sample(percent) = self { Some(percent) } else { None };
        BackupTask { verify: self != Self::None, sample, ..task }
    }

    /// Whether an object is read that was in the repository before; `drawn` is what chance says.
    pub fn reads(self, object: &Hash, drawn: &[u8; 16]) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Sample(percent) => {
                let mut hasher = blake3::Hasher::new();
                hasher.update(drawn).update(object);
                let [a, b, ..] = *hasher.finalize().as_bytes();
                u32::from(u16::from_le_bytes([a, b])) * 100 < u32::from(percent) << 16
            }
        }
    }
}

impl FromStr for ReadBack {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim().to_ascii_lowercase();
        let percent = text.strip_prefix("sample:").map(|t| t.trim_end_matches('%').parse::<u8>());
        match (text.as_str(), percent) {
            ("all", _) => Ok(Self::All),
            ("none", _) => Ok(Self::None),
            (_, Some(Ok(percent @ 0..=100))) => Ok(Self::Sample(percent)),
            _ => Err(Error::invalid(format!(
                "'{text}' does not say how much of a backup is read back; use all, sample:10% or none"
            ))),
        }
    }
}

impl fmt::Display for ReadBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Sample(percent) => write!(f, "sample:{percent}%"),
            Self::None => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_about_the_share_that_was_asked_for() {
        let drawn = [7; 16];
        for (text, low, high) in
            [("all", 1000, 1000), ("none", 0, 0), ("sample:0%", 0, 0), ("sample:20", 150, 250)]
        {
            let asked: ReadBack = text.parse().unwrap();
            let objects = (0..1000u32).map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes());
            let read = objects.filter(|o| asked.reads(o, &drawn)).count();
            assert!((low..=high).contains(&read), "{text}: {read}");
        }
        assert_eq!("sample:20".parse::<ReadBack>().unwrap().to_string(), "sample:20%");
        let one = |drawn| ReadBack::Sample(50).reads(blake3::hash(b"x").as_bytes(), &[drawn; 16]);
        assert!((0..50).any(one) && !(0..50).all(one), "each time others");
        for text in ["all", "none", "sample:20%"] {
            let how: ReadBack = text.parse().unwrap();
            assert_eq!(ReadBack::of(&how.said_in(BackupTask::default())), how);
        }
        for wrong in ["", "some", "sample:", "sample:101", "sample:-1%"] {
            assert!(wrong.parse::<ReadBack>().is_err(), "{wrong}");
        }
    }
}
