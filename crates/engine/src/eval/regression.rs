//! Least squares: the line that fits best, and how well it does.

use evercube_base::{Result, Value};

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::rows::{CellTable, Rows};
use crate::plan::{Node, Schema};
use crate::scalar as rules;

impl Evaluator<'_> {
    /// One row a cell: the line through the rows of the table that have all values.
    pub(crate) fn fit_line(
        &self,
        cells: &Cells,
        table: &Node,
        values: &[Node],
        intercept: bool,
        schema: &Schema,
    ) -> Result<CellTable> {
        let table = self.table(cells, table)?;
        let (inner, _) = cells.iterate(&table);
        let values: Vec<Scalars> =
            values.iter().map(|v| self.scalars(&inner, v)).collect::<Result<_>>()?;
        let (mut out, mut start) = (Vec::with_capacity(cells.n), 0);
        for cell in 0..cells.n {
            let end = start + table.range(cell).len();
            let mut data = vec![Vec::new(); values.len()];
            for row in start..end {
                if values.iter().all(|v| !v.get(row).is_blank()) {
                    for (to, v) in data.iter_mut().zip(&values) {
                        to.push(rules::to_f64(v.get(row), &self.culture)?);
                    }
                }
            }
            start = end;
            out.push(fit(data, intercept));
        }
        let of: Vec<u32> = (0..cells.n as u32).collect();
        Ok(CellTable::from_cells(&Rows::from_values(schema.clone(), out), &of, cells.n))
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The row of results for the columns y, x1, x2 …; blank where there are no rows.
fn fit(mut data: Vec<Vec<f64>>, intercept: bool) -> Vec<Value> {
    let (n, slopes) = (data[0].len(), data.len() - 1);
    if n == 0 {
        return vec![Value::Blank; 2 * slopes + 8];
    }
    // With an intercept the line goes through the means; around them the numbers stay small.
    let mean = |c: &[f64]| if intercept { c.iter().sum::<f64>() / n as f64 } else { 0.0 };
    let means: Vec<f64> = data.iter().map(|c| mean(c)).collect();
    for (c, m) in data.iter_mut().zip(&means) {
        c.iter_mut().for_each(|v| *v -= m);
    }
    let (y, x) = data.split_at(1);
    let (b, inverse, rank) = solve(&y[0], x);
    let residual: f64 = (0..n)
        .map(|i| (y[0][i] - x.iter().zip(&b).map(|(c, b)| c[i] * b).sum::<f64>()).powi(2))
        .sum();
    let total = dot(&y[0], &y[0]);
    let regression = total - residual;
    let freedom = n as f64 - rank as f64 - f64::from(u8::from(intercept));
    let spread = (residual / freedom).sqrt();
    let slope_errors = inverse.iter().map(|row| spread * dot(row, row).sqrt());
    let constant = means[0] - dot(&b, &means[1..]);
    // How the errors of the slopes move the line at zero.
    let moved: Vec<f64> =
        (0..slopes).map(|k| (0..slopes).map(|j| means[j + 1] * inverse[j][k]).sum()).collect();
    let constant_error = spread * (1.0 / n as f64 + dot(&moved, &moved)).sqrt();
    let double = |v: f64| if v.is_finite() { Value::Double(v) } else { Value::Blank };
    let mut out: Vec<Value> = b.iter().map(|v| double(*v)).collect();
    out.push(double(constant));
    out.extend(slope_errors.map(double));
    out.push(if intercept { double(constant_error) } else { Value::Blank });
    out.push(double(regression / total));
    out.push(double(spread));
    out.push(double(regression / rank as f64 / (residual / freedom)));
    out.push(Value::Int(freedom as i64));
    out.extend([double(regression), double(residual)]);
    out
}

/// Slopes, the inverse of the triangle `R` of `X = QR` (its rows tell the slopes' errors), and how
/// many columns are independent; those that are not get the slope zero.
fn solve(y: &[f64], x: &[Vec<f64>]) -> (Vec<f64>, Vec<Vec<f64>>, usize) {
    let k = x.len();
    let mut q: Vec<Vec<f64>> = Vec::with_capacity(k);
    let mut r = vec![vec![0.0; k]; k];
    let mut kept = vec![false; k];
    for j in 0..k {
        let mut v = x[j].clone();
        // Twice, so that the columns are orthogonal to the last digits.
        for _ in 0..2 {
            for i in (0..j).filter(|i| kept[*i]) {
                let part = dot(&q[i], &v);
                r[i][j] += part;
                v.iter_mut().zip(&q[i]).for_each(|(v, q)| *v -= part * q);
            }
        }
        let (length, before) = (dot(&v, &v).sqrt(), dot(&x[j], &x[j]).sqrt());
        kept[j] = length > before * 1e-12 && length > 0.0;
        if kept[j] {
            r[j][j] = length;
            v.iter_mut().for_each(|v| *v /= length);
        }
        q.push(v);
    }
    let mut inverse = vec![vec![0.0; k]; k];
    for c in (0..k).filter(|c| kept[*c]) {
        for i in (0..=c).rev().filter(|i| kept[*i]) {
            let unit = if i == c { 1.0 } else { 0.0 };
            let rest: f64 = (i + 1..=c).filter(|m| kept[*m]).map(|m| r[i][m] * inverse[m][c]).sum();
            inverse[i][c] = (unit - rest) / r[i][i];
        }
    }
    let parts: Vec<f64> = (0..k).map(|i| if kept[i] { dot(&q[i], y) } else { 0.0 }).collect();
    let b = inverse.iter().map(|row| dot(row, &parts)).collect();
    (b, inverse, kept.iter().filter(|k| **k).count())
}
