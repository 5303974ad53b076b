//! Files: segments, manifests, backups.

use evercube_base::{Collation, ColumnData, DataType, Result, RowBatch, Value};
use evercube_service::backup::archive::{ArchiveReader, ArchiveWriter};
use evercube_service::backup::preamble::{Chance, KdfCost, Preamble, Secrets};
use evercube_service::backup::slots::Keys;
use evercube_service::backup::{BackupHeader, ObjectEntry};
use evercube_service::seal::SealingKey;
use evercube_store::{
    Bytes, Manifest, PartitionManifest, Segment, SegmentBuilder, SegmentRef, TableManifest,
};

use super::{Target, judged, texts};

fn segment() -> Vec<u8> {
    let types = [DataType::Int64, DataType::String, DataType::Double];
    let mut builder = SegmentBuilder::new(&types, Collation::default());
    let mut columns: Vec<ColumnData> = types.iter().map(|t| ColumnData::empty(*t)).collect();
    let rows = 40_i64;
    for i in 0..rows {
        let text = ["a", "b", ""].get(i as usize % 3).copied().unwrap_or_default();
        for (column, value) in
            columns.iter_mut().zip([Value::Int(i / 7), text.into(), Value::Blank])
        {
            if column.push(value).is_err() {
                column.push_blank();
            }
        }
    }
    match builder.push(&RowBatch { columns, rows: rows as usize }) {
        Ok(()) => builder.finish().to_bytes().unwrap_or_default(),
        Err(e) => panic!("the seed is no segment: {e}"),
    }
}

pub const SEGMENT: Target = Target {
    name: "segment",
    run: |bytes| {
        let Some(read) = judged(Segment::from_bytes(&Bytes::from(bytes.to_vec()))) else { return };
        judged(read.to_bytes());
    },
    seeds: || vec![segment()],
    words: &[],
};

pub const MANIFEST: Target = Target {
    name: "manifest",
    run: |bytes| {
        let Some(manifest) = judged(Manifest::from_bytes(bytes)) else { return };
        let _objects = manifest.objects();
        let _rows: u64 = manifest.tables.iter().map(|t| t.rows()).fold(0, u64::wrapping_add);
        judged(manifest.to_bytes());
    },
    seeds: || {
        let empty = Manifest::default().to_bytes().unwrap_or_default();
        let with_tables =
            Manifest { tables: vec![TableManifest::default(), TableManifest::default()] };
        vec![empty, with_tables.to_bytes().unwrap_or_default(), too_many_rows()]
    },
    words: &[],
};

/// Two segments whose rows together are no number: found by a coverage-guided run.
fn too_many_rows() -> Vec<u8> {
    let segment = SegmentRef { hash: [1; 32], rows: u64::MAX, bytes: 1, columns: vec![0] };
    let groups = vec![vec![segment.clone()], vec![segment]];
    let partition = PartitionManifest { groups, ..PartitionManifest::default() };
    let table = TableManifest { partitions: vec![partition], ..TableManifest::default() };
    Manifest { tables: vec![table] }.to_bytes().unwrap_or_default()
}

/// An archive of two objects.
fn archive(protected: impl FnOnce(&Chance) -> Result<Preamble>) -> Result<Vec<u8>> {
    let contents = [b"model".as_slice(), b"manifest"];
    let entry = |c: &&[u8]| ObjectEntry { hash: blake3::hash(c).into(), length: c.len() as u64 };
    let objects = contents.iter().map(entry).collect();
    let header = BackupHeader { database: "d".into(), objects, ..BackupHeader::default() };
    let preamble = protected(&Chance { salt: [1; 16], nonce: [2; 16] })?;
    let mut writer = ArchiveWriter::new(Vec::new(), preamble, header)?;
    contents.iter().try_for_each(|c| writer.object(c))?;
    Ok(writer.finish()?.0)
}

/// The keys of a group.
fn keys() -> Keys {
    let of_group = vec![SealingKey { id: 1, bytes: [7; 32] }];
    Keys { vault: None, group: "g".into(), of_group }
}

/// Reads an archive to its end, or to what is wrong with it.
fn unpack(bytes: &[u8], secrets: &Secrets) {
    let Some(mut reader) = judged(ArchiveReader::open(bytes, secrets)) else { return };
    let _named: &BackupHeader = reader.header();
    while let Some(Some(_)) = judged(reader.object()) {}
}

pub const BACKUP: Target = Target {
    name: "backup",
    run: |bytes| {
        unpack(bytes, &Secrets { keys: keys(), ..Secrets::default() });
        unpack(bytes, &Secrets::of_password(Some("secret")));
    },
    seeds: || {
        let cost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
        let with = |password| archive(move |chance| Preamble::new(password, cost, chance));
        let sealed = archive(|chance| Preamble::sealed(&keys(), chance));
        let mut all = texts(&["", "EVBACKUP"]);
        all.extend([with(None), with(Some("secret")), sealed].into_iter().flat_map(Result::ok));
        all
    },
    words: &[],
};
