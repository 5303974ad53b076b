//! Scalar expressions.

use evercube_base::{DataType, Decimal, Error, ErrorKind, Result, Value};
use evercube_dax::ast::BinaryOperator;
use evercube_work::{interrupt_point, map_blocks, tick, watched};

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::rows::RowColumn;
use crate::functions::arguments::Args;
use crate::plan::{Kind, Node};
use crate::scalar as rules;

/// Texts longer than this are counted one by one.
const LONG_TEXT: usize = 1 << 16;

impl Evaluator<'_> {
    /// The value of an expression in each cell.
    pub(crate) fn scalars(&self, cells: &Cells, node: &Node) -> Result<Scalars> {
        if cells.n == 0 {
            return Ok(Scalars::each(Vec::new()));
        }
        if let Kind::Literal(v) = &node.kind {
            return Ok(Scalars::Same(v.clone()));
        }
        if node.uses.is_constant() && cells.n > 1 {
            let one = self.deeper(|| self.scalars_each(&cells.representative(), node))?;
            return Ok(Scalars::Same(one.get(0).clone()));
        }
        if cells.n > 8
            && is_heavy(&node.kind)
            && let Some((one_of_each, place)) = self.alike(cells, node)
        {
            let values = self.deeper(|| self.scalars_each(&cells.select(&one_of_each), node))?;
            return Ok(values.for_cells(&place));
        }
        let mark = self.begin(node, cells.n);
        let found = match self.deeper(|| self.scalars_each(cells, node)) {
            Err(e) if e.kind == ErrorKind::MemoryLimit && cells.n > 1 && is_heavy(&node.kind) => {
                self.scalars_by_halves(cells, node)
            }
            found => found,
        };
        self.end(mark, cells.n);
        found.map_err(|e| e.at(node.span.place()))
    }

    /// An error in the expression of a measure: its place is one in the query's text only where
    /// the query defines the measure.
    fn in_measure(&self, name: &str, mut e: Error) -> Error {
        let is_its_own = !matches!(e.kind, ErrorKind::Limit | ErrorKind::Cancelled);
        if e.span.is_none() || self.query_measures.contains(&name.to_lowercase()) || !is_its_own {
            return e;
        }
        e.span = None;
        e.context(format!("In the measure [{name}]"))
    }

    /// What is too large for all cells at once may not be for fewer.
    fn scalars_by_halves(&self, cells: &Cells, node: &Node) -> Result<Scalars> {
        self.not_batched("all cells at once would take too much memory", 2);
        let middle = cells.n / 2;
        let mut out = Vec::with_capacity(cells.n);
        for half in [0..middle, middle..cells.n] {
            let picked: Vec<u32> = half.clone().map(|c| c as u32).collect();
            out.extend(self.scalars(&cells.select(&picked), node)?.into_vec(half.len()));
        }
        Ok(Scalars::each(out))
    }

    fn scalars_each(&self, cells: &Cells, node: &Node) -> Result<Scalars> {
        let n = cells.n;
        match &node.kind {
            Kind::Literal(v) => Ok(Scalars::Same(v.clone())),
            Kind::RowColumn { frame, column } => {
                let f = &cells.frames[*frame];
                let value = |i: &u32| f.rows.value(self.store, *column, *i as usize);
                Ok(Scalars::each(map_blocks(&f.index, value)))
            }
            Kind::Related { frame, path, column } => {
                let f = &cells.frames[*frame];
                let of = self.store.table(column.table).column(column.column);
                // Rows that stand for the values of the column, see `code_filter.rs`.
                if let (None, Some(RowColumn::Codes { column: c, codes })) =
                    (&f.rows.base, f.rows.columns.first())
                    && c == column
                {
                    return Ok(Scalars::each(map_blocks(&f.index, |i| {
                        of.value(codes[*i as usize])
                    })));
                }
                let value = |i: &u32| {
                    let row = f.rows.base_row(*i as usize);
                    of.value(self.visibility().code(*column, path, row))
                };
                Ok(Scalars::each(map_blocks(&f.index, value)))
            }
            Kind::Variable(slot) => self.variable_scalars(cells, *slot),
            Kind::Measure { name, body } => {
                self.measure_scalars(cells, name, body).map_err(|e| self.in_measure(name, e))
            }
            Kind::FormatString { name, body } => self.format_strings(cells, name, body),
            Kind::SelectedMeasure(what) => self.selected_measure(cells, what),
            Kind::Scalar { function, arguments, .. } => {
                if node.uses.volatile {
                    self.context.volatile.note();
                }
                let arguments: Vec<Scalars> =
                    arguments.iter().map(|a| self.scalars(cells, a)).collect::<Result<_>>()?;
                let context = self.scalar_context();
                let mut row = Vec::with_capacity(arguments.len());
                let mut out = Vec::with_capacity(n);
                for cell in watched(0..n) {
                    row.clear();
                    row.extend(arguments.iter().map(|a| a.get(cell).clone()));
                    let value = function(&context, Args::new(&row, &self.culture))?;
                    match &value {
                        Value::String(s) if s.len() > LONG_TEXT => interrupt_point(),
                        _ => tick(),
                    }
                    out.push(value);
                }
                Ok(Scalars::each(out))
            }
            Kind::Binary { operator, left, right } => self.binary(cells, *operator, left, right),
            Kind::And(left, right) => self.short_circuit(cells, left, right, false),
            Kind::Or(left, right) => self.short_circuit(cells, left, right, true),
            Kind::Not(inner) => {
                let v = self.scalars(cells, inner)?;
                self.each(n, |i| Ok(Value::Boolean(!rules::to_bool(v.get(i), &self.culture)?)))
            }
            Kind::Negate(inner) => {
                let v = self.scalars(cells, inner)?;
                self.each(n, |i| rules::negate(v.get(i), &self.culture))
            }
            Kind::If { condition, then, otherwise } => {
                let c = self.scalars(cells, condition)?;
                let test: Vec<bool> = watched(0..n)
                    .map(|i| rules::to_bool(c.get(i), &self.culture))
                    .collect::<Result<_>>()?;
                let mut out = vec![Value::Blank; n];
                self.branch(cells, &test, true, Some(then), &mut out)?;
                self.branch(cells, &test, false, otherwise.as_deref(), &mut out)?;
                Ok(Scalars::each(out))
            }
            Kind::Switch { value, cases, otherwise } => {
                self.switch(cells, value, cases, otherwise.as_deref())
            }
            Kind::Coalesce(arguments) => {
                let mut out = vec![Value::Blank; n];
                for a in arguments {
                    let open: Vec<bool> = out.iter().map(Value::is_blank).collect();
                    self.branch(cells, &open, true, Some(a), &mut out)?;
                }
                Ok(Scalars::each(out))
            }
            Kind::IfError { value, otherwise } => {
                let found = self.tried(cells, value)?;
                let failed: Vec<bool> = found.iter().map(is_failure).collect();
                let mut out: Vec<Value> =
                    found.into_iter().map(Result::unwrap_or_default).collect();
                self.branch(cells, &failed, true, Some(otherwise), &mut out)?;
                Ok(Scalars::each(out))
            }
            Kind::IsError(value) => {
                let found = self.tried(cells, value)?;
                Ok(Scalars::each(found.iter().map(|v| Value::Boolean(is_failure(v))).collect()))
            }
            Kind::Pick { larger, left, right } => {
                let (a, b) = (self.scalars(cells, left)?, self.scalars(cells, right)?);
                self.each(n, |i| {
                    let order = rules::compare(a.get(i), b.get(i), &self.collation)?;
                    let first = if *larger { order.is_ge() } else { order.is_le() };
                    let (picked, other) = if first { (&a, &b) } else { (&b, &a) };
                    Ok(match (picked.get(i), other.get(i)) {
                        // A blank counts as zero among numbers.
                        (Value::Blank, Value::Int(_)) => Value::Int(0),
                        (Value::Blank, Value::Decimal(_)) => Value::Decimal(Decimal(0)),
                        (Value::Blank, Value::Double(_)) => Value::Double(0.0),
                        (value, _) => value.clone(),
                    })
                })
            }
            Kind::Let { bindings, result } => {
                self.scalars(&self.with_variables(cells, bindings), result)
            }
            Kind::Iterate { .. } => self.iterate(cells, node),
            Kind::CountRows(table) => self.count_rows(cells, table),
            Kind::IsEmpty(table) => {
                let counts = self.count_rows(cells, table)?;
                self.each(n, |i| Ok(Value::Boolean(counts.get(i).is_blank())))
            }
            Kind::SingleValue { table, otherwise, strict } => {
                self.single_value(cells, table, otherwise.as_deref(), *strict)
            }
            Kind::In { left, right } => self.is_in(cells, left, right),
            Kind::Contains { table, pairs } => self.contains(cells, table, pairs),
            Kind::LookupValue { result, table, pairs, otherwise } => {
                self.lookup_value(cells, *result, table, pairs, otherwise.as_deref())
            }
            Kind::RankX { .. } => self.rank_x(cells, node),
            Kind::RankEq { value, column, ascending } => {
                self.rank_eq(cells, value, column, *ascending)
            }
            Kind::Context { test, columns } => self.context_test(cells, *test, columns),
            Kind::Calculate { body, filters, transition } => {
                if *transition
                    && let Some(values) = self.calculated_in_order(cells, body, filters)?
                {
                    return Ok(values);
                }
                let inner = match self.calculate_where(cells, body, filters)? {
                    Some(inner) => inner,
                    None => self.calculate_cells(cells, filters, *transition)?,
                };
                self.scalars(&inner, body)
            }
            Kind::WindowRank(window) => self.window_rank(cells, window),
            Kind::NetworkDays(arguments) => self.network_days(cells, arguments),
            Kind::Path { id, parent, ids, parents } => self.path(cells, id, parent, *ids, *parents),
            Kind::ToText { table, form, limit } => self.to_text_table(cells, table, form, limit),
            _ => Err(Error::internal("a table expression was evaluated as a scalar")),
        }
    }

    pub(crate) fn each(&self, n: usize, f: impl Fn(usize) -> Result<Value>) -> Result<Scalars> {
        // Room for all at once: a list that grows is copied again and again.
        let mut out = Vec::with_capacity(n);
        for i in 0..n {
            tick();
            out.push(f(i)?);
        }
        Ok(Scalars::each(out))
    }

    fn binary(
        &self,
        cells: &Cells,
        operator: BinaryOperator,
        left: &Node,
        right: &Node,
    ) -> Result<Scalars> {
        let (a, b) = (self.scalars(cells, left)?, self.scalars(cells, right)?);
        let c = &self.collation;
        if let (Scalars::Same(x), Scalars::Same(y)) = (&a, &b) {
            return Ok(Scalars::Same(rules::binary(operator, x, y, c, &self.culture)?));
        }
        self.each(cells.n, |i| rules::binary(operator, a.get(i), b.get(i), c, &self.culture))
    }

    /// `&&` and `||`: the right side only where the left does not decide.
    fn short_circuit(
        &self,
        cells: &Cells,
        left: &Node,
        right: &Node,
        decides: bool,
    ) -> Result<Scalars> {
        let a = self.scalars(cells, left)?;
        let known: Vec<bool> = watched(0..cells.n)
            .map(|i| Ok(rules::to_bool(a.get(i), &self.culture)? == decides))
            .collect::<Result<_>>()?;
        let mut out = vec![Value::Boolean(decides); cells.n];
        self.branch(cells, &known, false, Some(right), &mut out)?;
        for (v, known) in out.iter_mut().zip(&known) {
            if !known {
                *v = Value::Boolean(rules::to_bool(v, &self.culture)?);
            }
        }
        Ok(Scalars::each(out))
    }

    /// Fills in the cells where `test` is `when` with an expression evaluated for these alone.
    fn branch(
        &self,
        cells: &Cells,
        test: &[bool],
        when: bool,
        node: Option<&Node>,
        out: &mut [Value],
    ) -> Result<()> {
        let Some(node) = node else { return Ok(()) };
        let chosen: Vec<u32> = (0..cells.n as u32).filter(|i| test[*i as usize] == when).collect();
        if chosen.is_empty() {
            return Ok(());
        }
        let values = if chosen.len() == cells.n {
            self.scalars(cells, node)?
        } else {
            self.scalars(&cells.select(&chosen), node)?
        };
        for (at, cell) in chosen.iter().enumerate() {
            out[*cell as usize] = values.get(at).clone();
        }
        Ok(())
    }

    fn switch(
        &self,
        cells: &Cells,
        value: &Node,
        cases: &[(Node, Node)],
        otherwise: Option<&Node>,
    ) -> Result<Scalars> {
        let v = self.scalars(cells, value)?;
        let mut out = vec![Value::Blank; cells.n];
        let mut open: Vec<u32> = (0..cells.n as u32).collect();
        for (case, result) in cases {
            if open.is_empty() {
                break;
            }
            let left = cells.select(&open);
            let tests = self.scalars(&left, case)?;
            let mut hits = vec![false; cells.n];
            for (at, cell) in open.iter().enumerate() {
                hits[*cell as usize] =
                    rules::equal(v.get(*cell as usize), tests.get(at), &self.collation)?;
            }
            self.branch(cells, &hits, true, Some(result), &mut out)?;
            open.retain(|c| !hits[*c as usize]);
        }
        let mut rest = vec![false; cells.n];
        for c in &open {
            rest[*c as usize] = true;
        }
        self.branch(cells, &rest, true, otherwise, &mut out)?;
        Ok(Scalars::each(out))
    }

    /// Values cell by cell where evaluating all at once fails.
    fn tried(&self, cells: &Cells, node: &Node) -> Result<Vec<Result<Value>>> {
        match self.scalars(cells, node) {
            Ok(all) => Ok(watched(0..cells.n).map(|i| Ok(all.get(i).clone())).collect()),
            Err(e) if e.kind.is_stop() => Err(e),
            Err(e) if self.foresees() => Ok(vec![Err(e); cells.n]),
            Err(e) if cells.n == 1 => Ok(vec![Err(e)]),
            Err(_) => self
                .one_by_one(cells)
                .map(|i| match self.scalars(&cells.select(&[i]), node) {
                    Err(e) if e.kind.is_stop() => Err(e),
                    found => Ok(found.map(|v| v.get(0).clone())),
                })
                .collect(),
        }
    }

    /// Numbers of the cells, to be evaluated each for itself because one of them fails.
    fn one_by_one(&self, cells: &Cells) -> std::ops::Range<u32> {
        self.not_batched("cells are evaluated one by one, since one of them fails", cells.n);
        0..cells.n as u32
    }

    /// A single value of the declared type of a node, for literals of functions.
    pub(crate) fn whole_number(&self, v: &Value) -> Result<i64> {
        match rules::convert(v, DataType::Int64, &self.culture)? {
            Value::Int(i) => Ok(i),
            _ => Ok(0),
        }
    }
}

/// Whether evaluating an expression once for equal cells is worth looking for them.
fn is_heavy(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Measure { .. }
            | Kind::FormatString { .. }
            | Kind::SelectedMeasure(_)
            | Kind::Iterate { .. }
            | Kind::Calculate { .. }
            | Kind::CountRows(_)
            | Kind::SingleValue { .. }
            | Kind::RankX { .. }
            | Kind::IsEmpty(_)
    )
}

/// What `IFERROR` and `ISERROR` take for an error: infinity and NaN, which are values elsewhere,
/// among them.
fn is_failure(found: &Result<Value>) -> bool {
    match found {
        Ok(Value::Double(d)) => !d.is_finite(),
        Ok(_) => false,
        Err(_) => true,
    }
}
