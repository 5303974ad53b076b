//! One dictionary for all segments of a column, and each segment's way into it.

use std::collections::HashMap;
use std::sync::Arc;

use evercube_base::Collation;
use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::code_map::CodeMap;
use crate::dictionary::{Dictionary, Texts, text_hash};
use crate::encode::{double_key, greatest_common_divisor};

/// One dictionary for all segments, and each segment's way into it.
pub(crate) fn merge(parts: &[&Dictionary], collation: Collation) -> (Dictionary, Vec<CodeMap>) {
    match parts {
        [] => (Dictionary::none(), Vec::new()),
        [first, rest @ ..] if rest.iter().all(|p| p == first) => {
            ((*first).clone(), vec![CodeMap::Same; parts.len()])
        }
        _ => merge_ranges(parts).unwrap_or_else(|| merge_values(parts, collation)),
    }
}

/// Ranges, and whole numbers of a dictionary among them, stay a range where that is not much wider
/// than they are.
fn merge_ranges(parts: &[&Dictionary]) -> Option<(Dictionary, Vec<CodeMap>)> {
    let (mut low, mut high) = (i64::MAX, i64::MIN);
    let (mut held, mut ranges) = (0u64, 0);
    for p in parts {
        let (first, last) = match p {
            Dictionary::Range { base, unit, count } => {
                ranges += 1;
                (*base, base.checked_add(unit.checked_mul(i64::from(*count) - 1)?)?)
            }
            Dictionary::Integers(v) if v.is_empty() => continue,
            Dictionary::Integers(v) => (*v.iter().min()?, *v.iter().max()?),
            _ => return None,
        };
        (low, high) = (low.min(first), high.max(last));
        held += u64::from(p.len());
    }
    if ranges == 0 {
        return None;
    }
    let width = u64::try_from(high.checked_sub(low)?).ok()?;
    let offset = |v: i64| v.wrapping_sub(low) as u64;
    let mut unit = 0;
    for p in parts {
        match p {
            Dictionary::Range { base, unit: of, count } => {
                unit = greatest_common_divisor(unit, offset(*base));
                if *count > 1 {
                    unit = greatest_common_divisor(unit, *of as u64);
                }
            }
            Dictionary::Integers(v) => {
                unit = v.iter().fold(unit, |u, x| greatest_common_divisor(u, offset(*x)));
            }
            _ => return None,
        }
    }
    let unit = unit.max(1);
    let count = u32::try_from(width / unit + 1).ok().filter(|c| *c < 1 << 31)?;
    if u64::from(count) > held.saturating_mul(8).max(256) {
        return None;
    }
    let steps = |v: i64| (offset(v) / unit) as u32;
    let map = |p: &&Dictionary| match p {
        Dictionary::Range { base, unit: of, .. } => match (steps(*base), *of as u64 / unit) {
            (0, 1) => CodeMap::Same,
            (by, 1) => CodeMap::Shift(by),
            // A single value may be of any unit.
            (by, factor) => CodeMap::Scale { by, factor: factor as u32 },
        },
        Dictionary::Integers(v) => {
            CodeMap::table(std::iter::once(0).chain(v.iter().map(|x| steps(*x) + 1)).collect())
        }
        _ => CodeMap::Same,
    };
    let maps = parts.iter().map(map).collect();
    Some((Dictionary::Range { base: low, unit: unit as i64, count }, maps))
}

fn merge_values(parts: &[&Dictionary], collation: Collation) -> (Dictionary, Vec<CodeMap>) {
    if parts.iter().any(|p| matches!(p, Dictionary::Strings(_))) {
        return merge_texts(parts, collation);
    }
    if parts.iter().any(|p| matches!(p, Dictionary::Doubles(_))) {
        return merge_doubles(parts);
    }
    merge_integers(parts)
}

fn merge_texts(parts: &[&Dictionary], collation: Collation) -> (Dictionary, Vec<CodeMap>) {
    let texts: Vec<&Texts> = parts.iter().filter_map(|p| p.texts()).collect();
    // Room for all, which is not touched where there are fewer: growing would copy them again and again.
    let count = texts.iter().map(|t| t.len()).sum();
    let mut all = Texts::with_capacity(count, texts.iter().map(|t| t.joined().len()).sum());
    // Codes by their keys' hashes, which are kept: a table that grows asks for all of them.
    let mut at = HashTable::with_capacity(texts.iter().map(|t| t.len()).max().unwrap_or(0));
    let mut hashes: Vec<u64> = Vec::with_capacity(count);
    let mut maps = Vec::new();
    for p in parts {
        let mut map = vec![0];
        if let Some(v) = p.texts() {
            map.reserve(v.len());
            for text in v.iter() {
                let key = collation.key(text);
                let hashed = text_hash(&key);
                let same = |c: &u32| {
                    let known = *c as usize - 1;
                    hashes[known] == hashed && collation.key(all.get(known)) == key
                };
                if let Some(code) = at.find(hashed, same) {
                    map.push(*code);
                    continue;
                }
                all.push(text);
                hashes.push(hashed);
                let code = all.len() as u32;
                at.insert_unique(hashed, code, |c| hashes[*c as usize - 1]);
                map.push(code);
            }
        }
        maps.push(CodeMap::table(map));
    }
    all.shrink();
    (Dictionary::Strings(Arc::new(all)), maps)
}

fn merge_doubles(parts: &[&Dictionary]) -> (Dictionary, Vec<CodeMap>) {
    let (mut at, mut all): (HashMap<u64, u32, FixedState>, Vec<f64>) = Default::default();
    let mut maps = Vec::new();
    for p in parts {
        let mut map = vec![0];
        if let Dictionary::Doubles(v) = p {
            for x in v.iter() {
                map.push(*at.entry(double_key(*x)).or_insert_with(|| {
                    all.push(*x);
                    all.len() as u32
                }));
            }
        }
        maps.push(CodeMap::table(map));
    }
    (Dictionary::Doubles(Arc::new(all)), maps)
}

/// Parts are in ascending order, so that one walk through all finds the values of each.
fn merge_integers(parts: &[&Dictionary]) -> (Dictionary, Vec<CodeMap>) {
    let values = |p: &Dictionary| -> Vec<i64> { (1..=p.len()).map(|c| p.integer(c)).collect() };
    let lists: Vec<Vec<i64>> = parts.iter().map(|p| values(p)).collect();
    let mut all = lists.concat();
    // The stable sort merges what is in order already.
    all.sort();
    all.dedup();
    let map = |list: &Vec<i64>| {
        let mut rest = 0;
        let codes = list.iter().map(|v| {
            rest += steps_to(&all[rest..], *v);
            rest as u32 + 1
        });
        CodeMap::table(std::iter::once(0).chain(codes).collect())
    };
    let maps = lists.iter().map(map).collect();
    (Dictionary::Integers(Arc::new(all)), maps)
}

/// How far `value` is from the beginning of ascending values, which hold it.
fn steps_to(ascending: &[i64], value: i64) -> usize {
    let mut reach = 1;
    while ascending.get(reach).is_some_and(|v| *v <= value) {
        reach *= 2;
    }
    let from = reach / 2;
    from + ascending[from..reach.min(ascending.len())].partition_point(|v| *v < value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_dictionaries_keep_every_value() {
        let range = |base, unit, count| Dictionary::Range { base, unit, count };
        let listed = |v: &[i64]| Dictionary::Integers(Arc::new(v.to_vec()));
        let cases = [
            (true, vec![range(10, 1, 20), range(5, 1, 20)]),
            (true, vec![range(0, 10, 50), range(5, 5, 60), range(-20, 30, 8)]),
            (true, vec![range(7, 3, 40), listed(&[1, 10, 130])]),
            (true, vec![range(7, 1, 1), range(100, 4, 30), listed(&[])]),
            (false, vec![range(0, 1, 100), range(1 << 40, 1, 100)]),
            (false, vec![listed(&[1, 1000]), listed(&[5, 1000, 1 << 50])]),
            (false, vec![range(i64::MIN, 1, 3), range(i64::MAX - 5, 1, 3)]),
        ];
        for (stays_range, parts) in &cases {
            let parts: Vec<&Dictionary> = parts.iter().collect();
            let (merged, maps) = merge(&parts, Collation::default());
            assert_eq!(matches!(merged, Dictionary::Range { .. }), *stays_range, "{parts:?}");
            for (part, map) in parts.iter().zip(&maps) {
                assert_eq!(map.get(0), 0);
                for code in 1..=part.len() {
                    assert_eq!(merged.integer(map.get(code)), part.integer(code), "{parts:?}");
                }
            }
        }
    }

    #[test]
    fn merged_texts_and_numbers_are_those_of_the_parts() {
        let texts = |v: &[&str]| Dictionary::Strings(Arc::new(v.iter().copied().collect()));
        let (a, b) = (texts(&["b", "A", "ä"]), texts(&["a", "c", "B", "Ä"]));
        let (merged, maps) = merge(&[&a, &Dictionary::none(), &b], Collation::default());
        assert_eq!(merged, texts(&["b", "A", "ä", "c"]));
        let codes = |m: &CodeMap, count| (1..=count).map(|c| m.get(c)).collect::<Vec<_>>();
        assert_eq!((codes(&maps[0], 3), codes(&maps[2], 4)), (vec![1, 2, 3], vec![2, 4, 1, 3]));
        let doubles = |v: &[f64]| Dictionary::Doubles(Arc::new(v.to_vec()));
        let (a, b) = (doubles(&[2.5, -0.0]), doubles(&[0.0, 1.0]));
        let (merged, maps) = merge(&[&a, &b], Collation::default());
        assert_eq!((merged, codes(&maps[1], 2)), (doubles(&[2.5, -0.0, 1.0]), vec![2, 3]));
    }

    #[test]
    fn a_value_is_found_however_far_it_is() {
        let ascending: Vec<i64> = (0..100).map(|i| i * 3).collect();
        for from in [0, 1, 7, 98, 99] {
            for at in from..100 {
                let value = ascending[at];
                assert_eq!(steps_to(&ascending[from..], value), at - from, "{from} {at}");
            }
        }
    }
}
