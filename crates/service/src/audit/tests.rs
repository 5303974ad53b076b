pub(super) mod kills;

use std::path::Path;
use std::sync::Arc;

use evercube_vault::{KeySources, Vault};

use super::chain::{Chain, Files, Position};
use super::heads::AuditProof;
use super::proof::prove;
use super::record::{Event, Stream};

fn chain(folder: &Path, size: u64) -> Chain {
    Chain::open(folder, Stream::Changes, size, ("a", 7), None).unwrap()
}

fn vault(folder: &Path) -> Arc<Vault> {
    let sources = KeySources { text: Some("11".repeat(32)), ..KeySources::default() };
    Vault::open(folder, &sources).unwrap().unwrap()
}

fn write(chain: &mut Chain, from: u64, count: u64) {
    for i in from..from + count {
        let text = Some(format!("{i} {}", "x".repeat(200)));
        chain.append(&Event { action: "test".into(), text, ..Event::default() });
        if i % 5 == 0 {
            chain.flush(evercube_base::DateTime::default()).map_err(|(_, e)| e).unwrap();
        }
    }
    chain.flush(evercube_base::DateTime::default()).map_err(|(_, e)| e).unwrap();
    chain.sync().unwrap();
}

fn problems(folder: &Path, end: Position, heads: &[Option<Position>]) -> (AuditProof, String) {
    problems_with(folder, None, end, heads)
}

fn problems_with(
    folder: &Path,
    vault: Option<&Vault>,
    end: Position,
    heads: &[Option<Position>],
) -> (AuditProof, String) {
    let mut proof = AuditProof::default();
    prove(Files { folder, stream: Stream::Changes, vault }, end, heads, &mut proof);
    let text = proof.problems.join("; ");
    (proof, text)
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn a_log_goes_on_after_a_restart_and_keeps_within_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let size = 400 << 10;
    let mut of = chain(folder.path(), size);
    write(&mut of, 0, 1000);
    drop(of);
    let mut of = chain(folder.path(), size);
    write(&mut of, 1000, 2000);
    let (proof, text) = problems(folder.path(), of.position(), &[]);
    assert_eq!(text, "");
    assert!(proof.files > 2 && proof.bytes <= size, "{proof:?}");
    assert!(of.position().oldest > 1 && of.position().n > 3000);
}

#[test]
fn what_a_crash_left_of_records_is_cut_off() {
    let left: [&[u8]; 3] = [
        b"0123456789abcdef half a li",
        b"\0\0\0\0\0\0\0 the end of a line\n",
        b"\0\0\0\0 the end of a line\n\0\0\0 another\nand half a li",
    ];
    for left in left {
        let folder = tempfile::tempdir().unwrap();
        let mut of = chain(folder.path(), 1 << 20);
        write(&mut of, 0, 10);
        let end = of.position();
        drop(of);
        let file = files(folder.path()).pop().unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.extend_from_slice(left);
        std::fs::write(&file, bytes).unwrap();
        let mut of = chain(folder.path(), 1 << 20);
        assert_eq!(of.position(), end);
        write(&mut of, 10, 3);
        assert_eq!(problems(folder.path(), of.position(), &[Some(end)]).1, "");
    }
}

#[test]
fn a_file_without_a_record_is_kept_and_contradicts_what_was_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let mut of = chain(folder.path(), 1 << 20);
    write(&mut of, 0, 10);
    let end = of.position();
    drop(of);
    let file = files(folder.path()).pop().unwrap();
    std::fs::write(&file, b"\0\0\0 nothing\n\0\0\0\n").unwrap();
    let mut of = chain(folder.path(), 1 << 20);
    write(&mut of, 0, 3);
    assert!(file.with_extension("damaged").exists());
    assert_eq!(problems(folder.path(), of.position(), &[]).1, "");
    assert_ne!(problems(folder.path(), of.position(), &[Some(end)]).1, "");
}

#[test]
fn a_file_that_was_begun_on_a_full_disk_begins_right_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(super::chain::file_name(Stream::Changes, 1));
    let mut of = chain(folder.path(), 1 << 20);
    std::os::unix::fs::symlink("/dev/full", &file).unwrap();
    of.append(&Event { action: "test".into(), ..Event::default() });
    let (lost, why) = of.flush(evercube_base::DateTime::default()).unwrap_err();
    assert!(lost == 1 && why.message.contains("No space"), "{lost} {why}");
    std::fs::remove_file(&file).unwrap();
    write(&mut of, 0, 3);
    assert_eq!(problems(folder.path(), of.position(), &[]).1, "");
    assert_eq!(of.position().n, 4, "the beginning of the file, and three records");
}

/// A log that was plain goes on encrypted, its chain as it was, also under a new data key; nobody
/// reads it without the keys, and every changed byte is found.
#[test]
fn a_log_becomes_encrypted_and_stays_the_same_log() {
    let (folder, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut of = chain(folder.path(), 1 << 20);
    write(&mut of, 0, 300);
    let head = of.position();
    drop(of);
    let vault = vault(keys.path());
    let open = || {
        let name = ("a", 7);
        Chain::open(folder.path(), Stream::Changes, 1 << 20, name, Some(Arc::clone(&vault)))
    };
    let mut of = open().unwrap();
    assert_eq!(of.position(), head);
    write(&mut of, 300, 50);
    vault.rotate(true).unwrap();
    of.reseal().unwrap();
    vault.forget_before(2).unwrap();
    write(&mut of, 350, 50);
    drop(of);
    let of = open().unwrap();
    let prove = || problems_with(folder.path(), Some(&vault), of.position(), &[Some(head)]).1;
    assert_eq!(prove(), "");
    assert!(!problems(folder.path(), of.position(), &[]).1.is_empty());
    let mut tried = 0;
    for file in files(folder.path()) {
        let whole = std::fs::read(&file).unwrap();
        assert!(!whole.windows(6).any(|w| w == b"action"));
        for at in (0..whole.len()).step_by(997) {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&file, &changed).unwrap();
            assert_ne!(prove(), "", "byte {at} of {}", file.display());
            tried += 1;
        }
        std::fs::write(&file, whole).unwrap();
    }
    assert!(tried > 100, "{tried}");
}

/// Every byte of a log that is changed is found, and so is every line that is cut off, taken out,
/// repeated or moved, and every file.
#[test]
fn no_change_stays_unseen() {
    let folder = tempfile::tempdir().unwrap();
    let mut of = chain(folder.path(), 1 << 20);
    write(&mut of, 0, 400);
    let end = of.position();
    drop(of);
    let all = files(folder.path());
    assert!(all.len() >= 2, "{all:?}");
    let mut tried = 0;
    let mut refused = |what: &str| {
        tried += 1;
        let (_, text) = problems(folder.path(), end, &[]);
        assert!(!text.is_empty(), "{what} is not seen");
    };
    for file in &all {
        let whole = std::fs::read(file).unwrap();
        for at in (0..whole.len()).step_by(97) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(file, bytes).unwrap();
            refused(&format!("a changed byte {at}"));
        }
        let lines: Vec<&[u8]> = whole.split_inclusive(|b| *b == b'\n').collect();
        for at in (0..lines.len()).step_by(13) {
            let mut cut = lines.clone();
            cut.truncate(at);
            std::fs::write(file, cut.concat()).unwrap();
            refused("a cut end");
            let mut without = lines.clone();
            without.remove(at);
            std::fs::write(file, without.concat()).unwrap();
            refused("a line taken out");
            let mut twice = lines.clone();
            twice.insert(at, lines[at]);
            std::fs::write(file, twice.concat()).unwrap();
            refused("a line repeated");
        }
        std::fs::remove_file(file).unwrap();
        refused("a file taken away");
        std::fs::write(file, whole).unwrap();
    }
    assert_eq!(problems(folder.path(), end, &[]).1, "");
    println!("{tried} changes of an audit log, each found");
}

/// Somebody who writes the whole chain anew contradicts the heads written down before.
#[test]
fn a_log_written_anew_contradicts_its_heads() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut of = chain(old.path(), 1 << 20);
    write(&mut of, 0, 10);
    let head = of.position();
    let mut forged = chain(new.path(), 1 << 20);
    write(&mut forged, 1, 20);
    let end = forged.position();
    assert_eq!(problems(new.path(), end, &[]).1, "");
    let text = problems(new.path(), end, &[None, Some(head)]).1;
    assert!(text.contains("is not the one that was written down"), "{text}");
    // The same with fewer records.
    let text = problems(new.path(), end, &[Some(Position { n: 50, ..head })]).1;
    assert!(text.contains("record 50 was written down as its end before"), "{text}");
}

/// A log as it was when its format was new.
#[test]
fn a_log_of_an_earlier_release_is_proved_and_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("changes-0000000000000001.log");
    std::fs::write(file, include_bytes!("../../tests/formats/audit1.log")).unwrap();
    let mut of = chain(folder.path(), 1 << 20);
    assert_eq!(of.position().n, 4);
    write(&mut of, 0, 3);
    let (proof, text) = problems(folder.path(), of.position(), &[]);
    assert_eq!((text.as_str(), of.position().n), ("", 7), "{proof:?}");
}
