//! Files that earlier releases wrote: this one reads them.

use crate::process::{Group, exchange};
use crate::total;

const BACKUPS: [(&str, &[u8], Option<&str>); 2] = [
    ("backup1.evb", include_bytes!("formats/backup1.evb"), None),
    (
        "backup1-encrypted.evb",
        include_bytes!("formats/backup1-encrypted.evb"),
        Some("correct horse"),
    ),
];

#[test]
fn backups_of_earlier_releases_are_restored() {
    let group = Group::start(1);
    for (name, bytes, password) in BACKUPS {
        let file = group.beside(name);
        std::fs::write(&file, bytes).unwrap();
        let password = password.map(|text| group.file("password", text));
        let mut words = vec!["restore", &file, "--overwrite"];
        words.extend(password.iter().flat_map(|file| ["--password-file", file.as_str()]));
        let (status, said) = group.run(&words);
        assert_eq!(status, Some(0), "{name}: {said}");
        assert_eq!(total(&group.url(0)), "7.5", "{name}");
        let (status, said) = group.verify_deep("Shop");
        assert_eq!(status, Some(0), "{name}: {said}");
        let drop = exchange(&group.url(0), "DELETE", "/api/v1/databases/Shop", "").unwrap();
        assert_eq!(drop.0, 200, "{}", drop.1);
    }
}
