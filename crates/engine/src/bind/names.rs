//! Names that could have been meant by one that is not known.

/// ` Did you mean 'X'?` for the known name that is nearest to one that is not; empty where none is
/// near enough.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let wanted: Vec<char> = name.to_lowercase().chars().collect();
    // A third of the letters may be wrong.
    let reach = wanted.len().div_ceil(3).min(4);
    let near = known.filter_map(|k| {
        let distance = distance(&wanted, &k.to_lowercase().chars().collect::<Vec<_>>());
        (distance <= reach).then_some((distance, k))
    });
    match near.min() {
        Some((_, k)) => format!(" Did you mean '{k}'?"),
        None => String::new(),
    }
}

/// Letters to add, leave out or change to get from one word to the other; two that change places
/// count as one.
fn distance(a: &[char], b: &[char]) -> usize {
    if a.len().abs_diff(b.len()) > 4 {
        return usize::MAX;
    }
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(rows[i - 2][j - 2] + 1);
            }
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_name_is_named() {
        let known = || ["SUM", "SUMX", "COUNTROWS", "CALCULATE"].into_iter();
        assert_eq!(nearest("COUNTROW", known()), " Did you mean 'COUNTROWS'?");
        assert_eq!(nearest("CALCUALTE", known()), " Did you mean 'CALCULATE'?");
        assert_eq!(nearest("SUN", known()), " Did you mean 'SUM'?");
        assert_eq!(nearest("PATHLENGTH", known()), "");
    }
}
