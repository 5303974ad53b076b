//! Where the proofs of servers differ, in words. The majority says which server is wrong.

use std::collections::BTreeMap;

use super::ServerProof;

/// Every difference, those found on the disks first.
pub(super) fn differences(servers: &[ServerProof], root: &str) -> Vec<String> {
    let mut found = Vec::new();
    let answered: Vec<&ServerProof> = servers.iter().filter(|s| s.answered).collect();
    for s in &answered {
        found.extend(s.problems.iter().map(|p| format!("server '{}': {p}", s.server)));
        match s.root.as_deref() {
            Some(r) if r == root => {}
            Some(r) => found.push(format!(
                "server '{}' has state root {r}, the group committed {root}",
                s.server
            )),
            None if s.problems.is_empty() => {
                found.push(format!("server '{}' gave no state root", s.server));
            }
            None => {}
        }
    }
    let checksums = |s: &ServerProof| s.checksums.clone();
    found.extend(against_the_majority(&answered, checksums, "holds other values in"));
    let probes = |s: &ServerProof| s.probes.clone();
    found.extend(against_the_majority(&answered, probes, "answers otherwise to"));
    found
}

/// What servers say of the same thing, and which of them say something else than most do. Servers
/// that say nothing at all were not asked, or say why not.
fn against_the_majority(
    servers: &[&ServerProof],
    of: impl Fn(&ServerProof) -> Vec<(String, String)>,
    verb: &str,
) -> Vec<String> {
    let mut said: BTreeMap<String, Vec<(&str, Option<String>)>> = BTreeMap::new();
    let spoke: Vec<(&str, BTreeMap<String, String>)> = servers
        .iter()
        .map(|s| (s.server.as_str(), of(s).into_iter().collect::<BTreeMap<_, _>>()))
        .filter(|(_, all)| !all.is_empty())
        .collect();
    for thing in spoke.iter().flat_map(|(_, all)| all.keys()) {
        said.entry(thing.clone()).or_insert_with(|| {
            spoke.iter().map(|(server, all)| (*server, all.get(thing).cloned())).collect()
        });
    }
    let mut found = Vec::new();
    for (thing, answers) in said {
        let mut counts: BTreeMap<&Option<String>, usize> = BTreeMap::new();
        answers.iter().for_each(|(_, a)| *counts.entry(a).or_default() += 1);
        if counts.len() < 2 {
            continue;
        }
        let most = counts.iter().max_by_key(|(_, n)| **n).map(|(a, n)| ((*a).clone(), *n));
        let Some((usual, count)) = most else { continue };
        if count * 2 > answers.len() {
            let others = answers.iter().filter(|(_, a)| *a != usual);
            found.extend(others.map(|(server, answer)| {
                let (this, that) = (told(answer.as_ref()), told(usual.as_ref()));
                format!("server '{server}' {verb} {thing}: {this} there, {that} on most servers")
            }));
        } else {
            let all: Vec<String> =
                answers.iter().map(|(s, a)| format!("'{s}' {}", told(a.as_ref()))).collect();
            found.push(format!("servers disagree on {thing}: {}", all.join(", ")));
        }
    }
    found
}

fn told(answer: Option<&String>) -> &str {
    answer.map_or("nothing", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(server: &str, root: &str) -> ServerProof {
        ServerProof {
            server: server.into(),
            answered: true,
            seq: Some(1),
            root: Some(root.into()),
            ..ServerProof::default()
        }
    }

    #[test]
    fn differences_name_the_server_and_the_thing() {
        let found = |servers: &[ServerProof]| differences(servers, "r").join("\n");
        assert_eq!(found(&[proof("a", "r"), proof("b", "r")]), "");
        assert!(found(&[proof("a", "r"), proof("b", "x")]).contains("'b'"));
        let broken = ServerProof {
            root: None,
            problems: vec!["segment of Sales: wrong hash".into()],
            ..proof("c", "r")
        };
        assert_eq!(found(&[proof("a", "r"), broken]), "server 'c': segment of Sales: wrong hash");
        let away = ServerProof { answered: false, root: None, ..proof("d", "r") };
        assert_eq!(found(&[proof("a", "r"), away]), "");
    }

    #[test]
    fn the_majority_says_who_is_wrong() {
        let with = |server: &str, sum: &str| ServerProof {
            checksums: vec![("table 'S' partition '1'".into(), sum.into())],
            ..proof(server, "r")
        };
        let found = differences(&[with("a", "1"), with("b", "2"), with("c", "2")], "r");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("server 'a' holds other values in table 'S' partition '1'"));
        let found = differences(&[with("a", "1"), with("b", "2")], "r");
        assert!(found[0].starts_with("servers disagree on table 'S' partition '1'"), "{found:?}");
    }
}
