//! What is broken on purpose where the world meets the product; the checks have to find it.

use std::fmt;
use std::str::FromStr;

use crate::mutation::named;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Planted {
    #[default]
    None,
    /// Members say that they hold objects that never came, and none gives any.
    MadeUpReceipts,
    /// An answer is passed off as that of a newer version.
    AnswerOfBefore,
    /// A change is made in two commits.
    TwoCommits,
    /// Damaged files stay as they are, because no server gives what it holds.
    NothingHeals,
    /// A password is written to the log.
    SecretInLog,
    /// Full disks throw away what they say that they have taken in.
    FullDisksLie,
    /// Slow disks say at once that they have synced.
    SlowDisksLie,
}

impl Planted {
    pub const ALL: [Self; 7] = [
        Self::MadeUpReceipts,
        Self::AnswerOfBefore,
        Self::TwoCommits,
        Self::NothingHeals,
        Self::SecretInLog,
        Self::FullDisksLie,
        Self::SlowDisksLie,
    ];
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl FromStr for Planted {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        named(text, &Self::ALL)
    }
}
