//! How a command ends when it does not succeed, and the exit status scripts see.

use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The server refused, or the work failed: exit status 1.
    Refused(String),
    /// The command line or a setting is wrong: exit status 2.
    Usage(String),
    /// No server answered: exit status 3.
    Unreachable(String),
    /// `verify` found a difference: exit status 4.
    Different(String),
}

impl Failure {
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status())
    }

    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Different(_) => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(m) | Self::Usage(m) | Self::Unreachable(m) | Self::Different(m) => {
                f.write_str(m)
            }
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        Self::Refused(format!("cannot write the output: {e}"))
    }
}

/// Outcome of a command.
pub type Outcome<T = ()> = Result<T, Failure>;
