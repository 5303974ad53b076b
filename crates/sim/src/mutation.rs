//! Faults planted into the world on purpose: each breaks what an invariant guards, and the checks
//! have to find it. They are made where the world meets the product, never in the product.

use std::fmt;
use std::str::FromStr;

use crate::disk::{Disk, DiskFaults, Lies};
use crate::network::kind_of;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mutation {
    #[default]
    None,
    /// Disks say that they have synced what a crash then takes.
    SkipSync,
    /// Full disks say that they have taken in what they have no space for.
    FullDiskForgets,
    /// Slow disks say at once that they have synced.
    SyncLater,
    /// Followers' acknowledgements are made up, their entries thrown away.
    AcknowledgeUnwritten,
    /// A strong read is answered from what the server has, without asking for the newest.
    StrongReadsLocal,
    /// A bounded read is answered however long ago the leader was heard.
    BoundedReadsUnbounded,
    /// A write that is tried again carries another request id.
    ForgetRequestIds,
    /// One server applies a command with another content.
    AlterEntry,
    /// A message that is lost is waited for without a limit.
    WaitForEver,
}

impl Mutation {
    pub const ALL: [Self; 9] = [
        Self::SkipSync,
        Self::FullDiskForgets,
        Self::SyncLater,
        Self::AcknowledgeUnwritten,
        Self::StrongReadsLocal,
        Self::BoundedReadsUnbounded,
        Self::ForgetRequestIds,
        Self::AlterEntry,
        Self::WaitForEver,
    ];

    /// Plants what belongs into a disk.
    pub fn spoils(self, disk: &Disk) {
        let lies = match self {
            Self::SkipSync => Lies::Always,
            Self::FullDiskForgets => Lies::WhenFull,
            Self::SyncLater => Lies::WhenSlow,
            _ => Lies::Nothing,
        };
        disk.set_faults(DiskFaults { lies, ..DiskFaults::default() });
    }

    /// The answer that is made up instead of sending the message.
    pub fn forges(self, path: &str, body: &[u8]) -> Option<Vec<u8>> {
        let entries = || find(body, b"\"entries\":[{").is_some();
        let made_up =
            self == Self::AcknowledgeUnwritten && kind_of(path) == "raft/append" && entries();
        made_up.then(|| b"\x01{\"Ok\":\"Success\"}".to_vec())
    }

    /// The message as it arrives.
    pub fn on_the_wire(self, to: &str, path: &str, body: Vec<u8>) -> Vec<u8> {
        match self {
            Self::AlterEntry if kind_of(path) == "raft/append" && to == "b" => {
                alter(body, b"\"now_micros\":", b"8")
            }
            Self::ForgetRequestIds if path == "raft/propose" => {
                let another = format!("{:09}", crate::host::now().as_nanos() % 1_000_000_000);
                alter(body, b"\"request_id\":\"", another.as_bytes())
            }
            _ => body,
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

/// Overwrites what follows `name`.
fn alter(mut body: Vec<u8>, name: &[u8], value: &[u8]) -> Vec<u8> {
    if let Some(at) = find(&body, name) {
        let start = at + name.len();
        if let Some(old) = body.get_mut(start..start + value.len()) {
            old.copy_from_slice(value);
        }
    }
    body
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl FromStr for Mutation {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        named(text, &Self::ALL)
    }
}

/// The planted fault of this name, in whatever letters; the usual one is that there is none.
pub(crate) fn named<T: Copy + Default + fmt::Debug>(text: &str, all: &[T]) -> Result<T, String> {
    let same = |planted: &T| format!("{planted:?}").eq_ignore_ascii_case(text);
    let found = all.iter().copied().chain([T::default()]).find(same);
    found.ok_or_else(|| format!("there is no mutation '{text}'; there are {all:?}"))
}
