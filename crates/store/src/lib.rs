//! The column store: segments on disk, tables in memory, relationship indexes, scans.
//!
//! Never here: DAX, names. Tables and columns are ids; what they mean is the engine's.

mod blocks;
mod bytes;
mod checksum;
mod code_map;
mod column;
mod dictionary;
mod encode;
mod in_use;
mod kept_results;
mod manifest;
mod mapped_file;
mod merge;
mod object_dir;
mod object_file;
mod relationship;
mod scan;
mod scan_cache;
mod scan_request;
mod segment;
mod segment_file;
mod table;
mod version;

pub use blocks::Packing;
pub use bytes::Bytes;
pub use checksum::{LogicalChecksum, logical_checksum};
pub use column::Column;
pub use dictionary::{Dictionary, Texts};
pub use in_use::half_of_memory;
pub use kept_results::KeptResults;
pub use manifest::{Manifest, PartitionManifest, SegmentRef, TableManifest, state_root};
pub use object_dir::{Hash, ObjectDir, Stale};
pub use relationship::{RelationshipDef, RelationshipIndex};
pub use scan::{SCAN_PART, ScanControl};
pub use scan_cache::ScanCache;
pub use scan_request::{
    Aggregate, BitSet, ColumnId, PathColumn, RelationshipId, RowComparison, RowExpr, ScanFilter,
    ScanRequest, ScanResult, TableId,
};
pub use segment::{Segment, SegmentColumn};
pub use segment_file::{SEGMENT_ROWS, SegmentBuilder};
pub use table::{RowGroup, TableData};
pub use version::StoreVersion;
