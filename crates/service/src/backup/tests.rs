//! Every way a backup can be wrong is found, and said in its own words.

use evercube_base::{Error, ErrorKind, Result};
use evercube_store::Hash;
use evercube_vault::{KeySources, Vault};

use crate::backup::archive::{ArchiveReader, ArchiveWriter};
use crate::backup::header::{BackupHeader, ObjectEntry};
use crate::backup::preamble::{Chance, KdfCost, LENGTH, Preamble, Secrets};
use crate::backup::slots::Keys;
use crate::seal::SealingKey;

/// Cheap enough to try thousands of times.
const CHEAP: KdfCost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };

fn contents() -> Vec<Vec<u8>> {
    let mut long = Vec::new();
    for i in 0..400_000u32 {
        long.extend_from_slice(&i.wrapping_mul(2_654_435_761).to_le_bytes());
    }
    vec![b"the model".to_vec(), b"the manifest".to_vec(), Vec::new(), long]
}

fn header(contents: &[Vec<u8>]) -> BackupHeader {
    let entry = |c: &Vec<u8>| ObjectEntry { hash: blake3::hash(c).into(), length: c.len() as u64 };
    let objects: Vec<ObjectEntry> = contents.iter().map(entry).collect();
    BackupHeader {
        database: "Sales".into(),
        seq: 7,
        model: objects[0].hash,
        manifest: objects[1].hash,
        objects,
        ..BackupHeader::default()
    }
}

fn archive(contents: &[Vec<u8>], password: Option<&str>) -> Vec<u8> {
    written(contents, Preamble::new(password, CHEAP, &Chance::draw().unwrap()).unwrap())
}

fn written(contents: &[Vec<u8>], preamble: Preamble) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Vec::new(), preamble, header(contents)).unwrap();
    for c in contents {
        writer.object(c).unwrap();
    }
    let (bytes, summary) = writer.finish().unwrap();
    assert_eq!(summary.written, bytes.len() as u64);
    bytes
}

fn read(bytes: &[u8], password: Option<&str>) -> Result<Vec<(Hash, Vec<u8>)>> {
    read_with(bytes, &Secrets::of_password(password))
}

fn read_with(bytes: &[u8], secrets: &Secrets) -> Result<Vec<(Hash, Vec<u8>)>> {
    let mut reader = ArchiveReader::open(bytes, secrets)?;
    let mut found = Vec::new();
    while let Some(object) = reader.object()? {
        found.push(object);
    }
    Ok(found)
}

fn refused(bytes: &[u8], password: Option<&str>) -> Error {
    read(bytes, password).unwrap_err()
}

#[test]
fn what_was_written_comes_back() {
    let contents = contents();
    for password in [None, Some("open sesame")] {
        let bytes = archive(&contents, password);
        let found = read(&bytes, password).unwrap();
        assert!(found.iter().map(|(_, c)| c).eq(&contents));
        let reader =
            ArchiveReader::open(bytes.as_slice(), &Secrets::of_password(password)).unwrap();
        assert_eq!(*reader.header(), header(&contents));
    }
}

#[test]
fn an_encrypted_backup_shows_nothing() {
    let bytes = archive(&[b"a secret model".to_vec(), b"m".to_vec()], Some("pw"));
    for secret in ["secret", "Sales"] {
        assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()));
    }
}

#[test]
fn every_flipped_byte_is_found() {
    let contents = [b"the model".to_vec(), vec![7; 300], b"x".to_vec()];
    for password in [None, Some("pw")] {
        let good = archive(&contents, password);
        for at in 0..good.len() {
            for flip in [1u8, 0x80] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                assert!(read(&bad, password).is_err(), "byte {at} of {}", good.len());
            }
        }
    }
}

#[test]
fn every_truncation_is_found_and_said() {
    let contents = [b"the model".to_vec(), b"the manifest".to_vec()];
    for password in [None, Some("pw")] {
        let good = archive(&contents, password);
        for length in 0..good.len() {
            let e = refused(&good[..length], password);
            assert_eq!(e.kind, ErrorKind::Corrupt);
            assert!(e.message.contains("truncated"), "{length}: {e}");
        }
        let longer = [good.as_slice(), b"!"].concat();
        assert!(refused(&longer, password).message.contains("after its end"));
    }
}

/// The keys of a group, and of an operator where one is named.
fn keys(of_group: u8, operator: Option<(&str, &tempfile::TempDir)>) -> Secrets {
    let vault = operator.map(|(word, folder)| {
        let sources = KeySources { text: Some(word.repeat(32)), ..KeySources::default() };
        Vault::open(folder.path(), &sources).unwrap().unwrap()
    });
    let of_group = vec![SealingKey { id: 1, bytes: [of_group; 32] }];
    Secrets { password: None, keys: Keys { vault, group: "g".into(), of_group } }
}

#[test]
fn without_a_password_the_keys_of_the_group_or_of_the_operator_open_and_nothing_else() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let here = keys(1, Some(("11", &folders[0])));
    let contents = [b"a secret model".to_vec(), vec![7; 300]];
    let preamble = Preamble::sealed(&here.keys, &Chance::draw().unwrap()).unwrap();
    let good = written(&contents, preamble);
    for secret in ["secret", "Sales"] {
        assert!(!good.windows(secret.len()).any(|w| w == secret.as_bytes()));
    }
    let opened = |secrets: &Secrets| read_with(&good, secrets).map(|o| o.len());
    assert_eq!(opened(&keys(1, None)).unwrap(), 2);
    assert_eq!(opened(&keys(2, Some(("11", &folders[1])))).unwrap(), 2);
    for other in [keys(2, None), keys(2, Some(("22", &folders[2]))), Secrets::default()] {
        let e = opened(&other).unwrap_err();
        let names = here.keys.vault.as_ref().unwrap().slots();
        assert!(e.kind == ErrorKind::Invalid && e.message.contains(&names[0]), "{e}");
    }
    let e = opened(&Secrets::of_password(Some("x"))).unwrap_err();
    assert!(e.message.contains("leave the password out"), "{e}");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(read_with(&bad, &here).is_err(), "byte {at}");
        let e = read_with(&good[..at], &here).unwrap_err();
        assert!(e.message.contains("truncated"), "{at}: {e}");
    }
    // A slot that belongs to another archive opens nothing of this one.
    let other = written(&contents, Preamble::sealed(&here.keys, &Chance::draw().unwrap()).unwrap());
    let end = LENGTH + usize::from(u16::from_le_bytes([good[12], good[13]]));
    let swapped = [&good[..LENGTH], &other[LENGTH..end], &good[end..]].concat();
    assert_eq!(read_with(&swapped, &here).unwrap_err().kind, ErrorKind::Corrupt);
}

/// The frames after the preamble, each with its head.
fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &bytes[crate::backup::preamble::LENGTH..];
    let mut found = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize + 5;
        found.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    found
}

#[test]
fn frames_cannot_be_reordered_left_out_or_brought_in() {
    // Two objects of the same length, so that only the frames' places tell them apart.
    let contents = [b"model".to_vec(), b"first".to_vec(), b"other".to_vec()];
    for password in [None, Some("pw")] {
        let good = archive(&contents, password);
        let (start, parts) = (&good[..crate::backup::preamble::LENGTH], frames(&good));
        let joined = |parts: &[Vec<u8>]| [start, parts.concat().as_slice()].concat();
        assert!(read(&joined(&parts), password).is_ok());
        let mut swapped = parts.clone();
        swapped.swap(2, 3);
        assert!(refused(&joined(&swapped), password).message.contains("object 2 of 3"));
        let mut missing = parts.clone();
        missing.remove(2);
        assert!(read(&joined(&missing), password).is_err());
        if password.is_some() {
            let mut foreign = parts.clone();
            foreign[2] = frames(&archive(&contents, password))[2].clone();
            assert!(read(&joined(&foreign), password).is_err());
        }
    }
}

#[test]
fn passwords_are_told_apart_from_damage() {
    let contents = [b"model".to_vec(), b"manifest".to_vec()];
    let (sealed, open) = (archive(&contents, Some("right")), archive(&contents, None));
    assert!(refused(&sealed, Some("wrong")).message.contains("password is not the one"));
    assert!(refused(&sealed, None).message.contains("no password was given"));
    assert!(refused(&open, Some("right")).message.contains("not encrypted"));
    let mut salted = sealed.clone();
    salted[30] ^= 1;
    assert!(refused(&salted, Some("right")).message.contains("damaged"));
    let mut newer = sealed;
    newer[8] = 9;
    assert!(refused(&newer, Some("right")).message.contains("newer Evercube"));
}

#[test]
fn a_damaged_object_is_named() {
    let contents = [b"the model".to_vec(), b"the manifest".to_vec()];
    let mut bytes = archive(&contents, Some("pw"));
    let parts = frames(&bytes);
    let model = crate::backup::preamble::LENGTH + parts[0].len() + 8;
    bytes[model] ^= 1;
    let e = refused(&bytes, Some("pw"));
    assert!(e.message.contains("object 1 of 2 (the model, "), "{e}");
}

#[test]
fn other_files_are_refused_by_name() {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let abf = [&[0xFF, 0xFE][..], &wide("STREAM_STORAGE_SIGNATURE_)!@#$%^&*("), &[0; 900]].concat();
    let packed = [wide("This backup was created using XPress9 compression."), vec![1; 9]].concat();
    for file in [abf, packed] {
        let e = refused(&file, None);
        assert_eq!(e.kind, ErrorKind::Unsupported);
        assert!(e.message.contains("Analysis Services") && e.message.contains("script"), "{e}");
    }
    assert!(refused(b"Product,Amount\n1,2\n", None).message.contains("not an Evercube backup"));
}

/// Whoever wrote a file must not keep the server busy with it: what it asks for is looked at first.
#[test]
fn a_file_that_asks_for_too_much_work_is_refused_before_it_is_done() {
    let [dear, many, wide] = [(1 << 20, 1, 1), (64, 1 << 20, 1), (u32::MAX, 1, u32::MAX)];
    for (memory_kib, passes, lanes) in [dear, many, wide, (64, 0, 1), (8, 1, 2), (1 << 18, 3, 1)] {
        let mut bytes = archive(&[b"model".to_vec(), b"manifest".to_vec()], Some("p"));
        for (at, n) in [(12, memory_kib), (16, passes), (20, lanes)] {
            bytes[at..at + 4].copy_from_slice(&n.to_le_bytes());
        }
        let sum = blake3::hash(&bytes[..72]);
        bytes[72..104].copy_from_slice(sum.as_bytes());
        let said = refused(&bytes, Some("p"));
        assert_eq!(said.kind, ErrorKind::Corrupt, "{memory_kib} {passes} {lanes}");
        assert!(said.message.contains("to try a password"), "{}", said.message);
    }
    let most = KdfCost { memory_kib: 1 << 18, passes: 2, lanes: 1 };
    assert_eq!((KdfCost::default().check(), most.check()), (Ok(()), Ok(())));
}
