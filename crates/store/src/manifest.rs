//! The list of a version's segments, and the state root over it.

use evercube_base::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::object_dir::{Hash, hex};

/// A segment of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRef {
    pub hash: Hash,
    pub rows: u64,
    pub bytes: u64,
    /// Which column of the table each segment column is.
    pub columns: Vec<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PartitionManifest {
    pub name: String,
    /// When the partition was last processed, microseconds since 1970; `None`: never.
    pub refreshed_micros: Option<i64>,
    /// Row groups in order; the segments of a group hold different columns of the same rows.
    pub groups: Vec<Vec<SegmentRef>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TableManifest {
    /// What the owner calls the table; the store only compares it.
    pub id: String,
    pub partitions: Vec<PartitionManifest>,
}

/// Tables in model order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Manifest {
    pub tables: Vec<TableManifest>,
}

const VERSION: u8 = 1;

impl TableManifest {
    pub fn rows(&self) -> u64 {
        let groups = self.partitions.iter().flat_map(|p| &p.groups);
        groups.filter_map(|g| g.first()).map(|s| s.rows).sum()
    }

    /// Hashes of the table's segments in order: tables with equal identities hold the same rows.
    pub fn identity(&self) -> Vec<Hash> {
        let groups = self.partitions.iter().flat_map(|p| &p.groups);
        groups.flatten().map(|s| s.hash).collect()
    }
}

impl Manifest {
    /// Deterministic bytes: a version byte, then the fields.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        postcard::to_extend(self, vec![VERSION])
            .map_err(|e| Error::internal(format!("a manifest could not be written: {e}")))
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => {
                let read: Self = postcard::from_bytes(rest)
                    .map_err(|_| Error::new(ErrorKind::Corrupt, "the manifest is unreadable"))?;
                read.can_be_counted()
            }
            Some((v, _)) => Err(Error::unsupported(format!(
                "the manifest has format {v}; this server reads format {VERSION}"
            ))),
            None => Err(Error::new(ErrorKind::Corrupt, "the manifest is empty")),
        }
    }

    /// Rows and bytes are claims until the segments are read: their sums must be numbers all the same.
    fn can_be_counted(self) -> Result<Self> {
        let partitions = self.tables.iter().flat_map(|t| &t.partitions);
        let mut all = partitions.flat_map(|p| p.groups.iter().flatten());
        let sums = all.try_fold((0_u64, 0_u64), |(rows, bytes), s| {
            Some((rows.checked_add(s.rows)?, bytes.checked_add(s.bytes)?))
        });
        match sums.filter(|(rows, _)| i64::try_from(*rows).is_ok()) {
            Some(_) => Ok(self),
            None => Err(Error::new(
                ErrorKind::Corrupt,
                "the manifest names more rows than there can be",
            )),
        }
    }

    /// Every segment with what it belongs to, in words.
    pub fn objects(&self) -> Vec<(String, Hash)> {
        let mut out = Vec::new();
        for t in &self.tables {
            for p in &t.partitions {
                for (i, s) in p.groups.iter().flatten().enumerate() {
                    out.push((
                        format!("table '{}' partition '{}' segment {}", t.id, p.name, i + 1),
                        s.hash,
                    ));
                }
            }
        }
        out
    }

    /// The first place where two manifests differ, in words.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let (a, b) = (self.objects(), other.objects());
        for (x, y) in a.iter().zip(&b) {
            if x != y {
                return Some(format!("{} is {} here and {} there", x.0, hex(&x.1), hex(&y.1)));
            }
        }
        let longer = if a.len() > b.len() { &a } else { &b };
        longer.get(a.len().min(b.len())).map(|(what, _)| format!("only one side has {what}"))
    }
}

fn node(label: &str, children: impl Iterator<Item = Hash>) -> Hash {
    let mut h = blake3::Hasher::new();
    h.update(&(label.len() as u64).to_le_bytes());
    h.update(label.as_bytes());
    for child in children {
        h.update(&child);
    }
    *h.finalize().as_bytes()
}

/// Merkle root of a database: model, then tables over partitions over segments, in order.
pub fn state_root(model: &Hash, manifest: &Manifest) -> Hash {
    let tables = manifest.tables.iter().map(|t| {
        let partitions = t.partitions.iter().map(|p| {
            node(&format!("partition {}", p.name), p.groups.iter().flatten().map(|s| s.hash))
        });
        node(&format!("table {}", t.id), partitions)
    });
    node("database", std::iter::once(*model).chain(tables))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(hash: u8) -> Manifest {
        let segment = SegmentRef { hash: [hash; 32], rows: 5, bytes: 9, columns: vec![0] };
        let partition = PartitionManifest {
            name: "2024".into(),
            refreshed_micros: Some(1),
            groups: vec![vec![segment]],
        };
        Manifest { tables: vec![TableManifest { id: "Sales".into(), partitions: vec![partition] }] }
    }

    #[test]
    fn roots_follow_the_contents() {
        let (a, b) = (manifest(1), manifest(2));
        assert_eq!(Manifest::from_bytes(&a.to_bytes().unwrap()).unwrap(), a);
        assert_ne!(state_root(&[0; 32], &a), state_root(&[0; 32], &b));
        assert_ne!(state_root(&[0; 32], &a), state_root(&[1; 32], &a));
        assert!(a.difference(&b).unwrap().contains("'Sales' partition '2024' segment 1"));
        assert_eq!(a.difference(&a), None);
        assert!(Manifest::from_bytes(&[9, 9]).is_err());
    }

    #[test]
    fn a_manifest_of_more_rows_than_there_can_be_is_refused() {
        for (rows, bytes) in [(u64::MAX, 9), (i64::MAX as u64, 9), (5, u64::MAX)] {
            let mut m = manifest(1);
            let groups = &mut m.tables[0].partitions[0].groups;
            groups[0][0] = SegmentRef { rows, bytes, ..groups[0][0].clone() };
            groups.push(groups[0].clone());
            let e = Manifest::from_bytes(&m.to_bytes().unwrap()).unwrap_err();
            assert_eq!(e.kind, ErrorKind::Corrupt, "{e}");
        }
    }
}
