//! One dictionary for all segments of a column, and each segment's way into it.

use std::collections::HashMap;
use std::sync::Arc;

use evercube_base::Collation;

use crate::code_map::CodeMap;
use crate::dictionary::{Dictionary, Texts};
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
    let mut maps = Vec::new();
    if parts.iter().any(|p| matches!(p, Dictionary::Strings(_))) {
        let (mut at, mut all): (HashMap<String, u32>, Texts) = Default::default();
        for p in parts {
            let mut map = vec![0];
            if let Dictionary::Strings(v) = p {
                for s in v.iter() {
                    map.push(*at.entry(collation.key(s).into_owned()).or_insert_with(|| {
                        all.push(s);
                        all.len() as u32
                    }));
                }
            }
            maps.push(CodeMap::table(map));
        }
        all.shrink();
        return (Dictionary::Strings(Arc::new(all)), maps);
    }
    if parts.iter().any(|p| matches!(p, Dictionary::Doubles(_))) {
        let (mut at, mut all): (HashMap<u64, u32>, Vec<f64>) = Default::default();
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
        return (Dictionary::Doubles(Arc::new(all)), maps);
    }
    let values = |p: &Dictionary| -> Vec<i64> { (1..=p.len()).map(|c| p.integer(c)).collect() };
    let mut all: Vec<i64> = parts.iter().flat_map(|p| values(p)).collect();
    all.sort_unstable();
    all.dedup();
    let at: HashMap<i64, u32> = all.iter().zip(1..).map(|(v, c)| (*v, c)).collect();
    for p in parts {
        let codes = values(p).into_iter().map(|v| at.get(&v).copied().unwrap_or(0));
        maps.push(CodeMap::table(std::iter::once(0).chain(codes).collect()));
    }
    (Dictionary::Integers(Arc::new(all)), maps)
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
}
