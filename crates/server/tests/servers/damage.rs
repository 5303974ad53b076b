//! Files damaged by hand while servers run: every answer stays right, the damage is found, named and
//! healed.

use std::time::{Duration, Instant};

use crate::process::{Group, flip};
use crate::{deployed, total};

fn right_everywhere(group: &Group) {
    for at in 0..3 {
        assert_eq!(total(&group.url(at)), "7.5", "server {at}");
    }
}

/// Verifies until nothing differs, and reads all the while.
pub fn heals(group: &Group) {
    let limit = Instant::now() + Duration::from_secs(40);
    loop {
        let (status, said) = group.verify_deep("Shop");
        right_everywhere(group);
        if status == Some(0) {
            return;
        }
        assert!(Instant::now() < limit, "{said}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn damaged_files_are_found_and_healed_and_no_answer_is_wrong() {
    let mut group = Group::start(3);
    deployed(&group, 0);
    group.wait_ready(3);
    let segment = |at: usize| {
        let files = group.object_files(at);
        let is_segment = |f: &&std::path::PathBuf| std::fs::read(f).unwrap().starts_with(b"EVSEG");
        files.iter().find(is_segment).cloned().expect("a server holds the segment")
    };
    // Cut short, on the server that leads.
    let file = std::fs::File::options().write(true).open(segment(0)).unwrap();
    file.set_len(7).unwrap();
    let (status, said) = group.verify_deep("Shop");
    assert_eq!(status, Some(4), "{said}");
    assert!(said.contains("'s0'") && said.contains("table 'Sales' partition 'Sales'"), "{said}");
    heals(&group);
    assert!(group.status_of(1)["servers"][0]["files"]["last_healed"].is_string());
    assert!(group.metrics(0).contains("evercube_files_healed_total 1\n"), "{}", group.metrics(0));

    // Gone, and exchanged with another file.
    std::fs::remove_file(segment(1)).unwrap();
    let files = group.object_files(2);
    let aside = files[0].with_extension("aside");
    std::fs::rename(&files[0], &aside).unwrap();
    std::fs::rename(&files[1], &files[0]).unwrap();
    std::fs::rename(&aside, &files[1]).unwrap();
    heals(&group);

    // Everything two of three have, and then one of them starts anew.
    for at in [0, 1] {
        group.object_files(at).iter().for_each(|f| flip(f));
    }
    right_everywhere(&group);
    group.kill(1);
    group.restart(1);
    group.wait_ready(3);
    heals(&group);
}
