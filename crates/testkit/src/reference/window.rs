//! Window functions: rows of a relation by their place in a partition.
//!
//! The current row is told by the columns around: each column that orders, partitions or matches
//! takes its value from the row context that has it; those that none has take every combination
//! of their visible values, and the answer is all rows of these.

use std::cmp::Ordering;

use evercube_base::{Collation, Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind};
use evercube_engine::scalar as rules;
use evercube_store::ColumnId;

use super::{Env, Reference, Table, unsupported};

#[derive(Clone, Copy, PartialEq)]
enum Blanks {
    Default,
    First,
    Last,
}

struct Key {
    expression: Expr,
    descending: bool,
    blanks: Option<Blanks>,
}

/// The arguments that all window functions have.
struct Frame {
    /// Numbers and words before the relation.
    leading: Vec<Expr>,
    relation: Table,
    keys: Vec<Key>,
    blanks: Blanks,
    partition: Vec<usize>,
    matching: Option<Vec<usize>>,
}

fn word(e: &Expr) -> Option<String> {
    match &e.kind {
        ExprKind::Name { name, quoted: false } => Some(name.to_ascii_uppercase()),
        _ => None,
    }
}

fn clause<'e>(e: &'e Expr, of: &str) -> Option<&'e [Expr]> {
    match &e.kind {
        ExprKind::Call { function, arguments, .. } if function.eq_ignore_ascii_case(of) => {
            Some(arguments)
        }
        _ => None,
    }
}

fn blanks(word: &str) -> Option<Blanks> {
    match word.rsplit(' ').next() {
        Some("DEFAULT" | "KEEP") => Some(Blanks::Default),
        Some("FIRST") => Some(Blanks::First),
        Some("LAST") => Some(Blanks::Last),
        _ => None,
    }
}

/// An expression and its order, again and again.
fn keys(arguments: &[Expr]) -> Result<Vec<Key>> {
    let key = |pair: &[Expr]| {
        let order = match pair.get(1) {
            Some(e) => word(e).filter(|w| w.starts_with("ASC") || w.starts_with("DESC")),
            None => Some("ASC".to_owned()),
        };
        let order = order.ok_or_else(|| Error::invalid("An order is ASC or DESC."))?;
        let descending = order.starts_with("DESC");
        Ok(Key { expression: pair[0].clone(), descending, blanks: blanks(&order) })
    };
    arguments.chunks(2).map(key).collect()
}

fn compared(a: &Value, b: &Value, blanks: Blanks) -> Ordering {
    let collation = Collation::default();
    match (a.is_blank(), b.is_blank(), blanks) {
        (true, true, _) => Ordering::Equal,
        (true, false, Blanks::First) | (false, true, Blanks::Last) => Ordering::Less,
        (false, true, Blanks::First) | (true, false, Blanks::Last) => Ordering::Greater,
        // Before zero and after what is negative.
        (true, false, Blanks::Default) => match rules::to_f64(b, &rules::Culture::UNITED_STATES) {
            Ok(n) if n < 0.0 && !matches!(b, Value::String(_)) => Ordering::Greater,
            _ => Ordering::Less,
        },
        (false, true, Blanks::Default) => compared(b, a, blanks).reverse(),
        (false, false, _) => rules::total_order(a, b, &collation),
    }
}

/// Sets of that many of these numbers.
fn choices(of: &[usize], n: usize) -> Vec<Vec<usize>> {
    match (n, of.split_first()) {
        (0, _) => vec![Vec::new()],
        (_, None) => Vec::new(),
        (_, Some((first, rest))) => {
            let mut with = choices(rest, n - 1);
            with.iter_mut().for_each(|c| c.insert(0, *first));
            with.extend(choices(rest, n));
            with
        }
    }
}

impl Reference {
    fn frame(&self, env: &Env, arguments: &[Expr], leading: usize) -> Result<Frame> {
        let (mut relation, mut order, mut partition, mut matching) = (None, None, None, None);
        let mut of_all = Blanks::Default;
        for e in &arguments[leading..] {
            if let Some(of) = clause(e, "ORDERBY") {
                order = Some(keys(of)?);
            } else if let Some(of) = clause(e, "PARTITIONBY") {
                partition = Some(of);
            } else if let Some(of) = clause(e, "MATCHBY") {
                matching = Some(of);
            } else if matches!(e.kind, ExprKind::Omitted) {
            } else if self.is_table(env, e) {
                relation = Some(self.table(env, e)?);
            } else if let Some(found) = word(e).as_deref().and_then(blanks) {
                of_all = found;
            } else {
                return Err(unsupported("this argument of a window function"));
            }
        }
        let named = |keys: &Option<Vec<Key>>| -> Vec<Expr> {
            keys.iter().flatten().map(|k| k.expression.clone()).collect()
        };
        let relation = match relation {
            Some(relation) => relation,
            None => {
                let mut columns = named(&order);
                let more = partition.into_iter().chain(matching).flatten().cloned();
                columns.extend(more);
                self.all_selected(env, &columns)?
            }
        };
        let places = |of: &[Expr]| -> Result<Vec<usize>> {
            let place = |e: &Expr| {
                self.column_at(&relation, e)?
                    .ok_or_else(|| unsupported("columns beyond the relation of a window function"))
            };
            of.iter().map(place).collect()
        };
        let partition = places(partition.unwrap_or_default())?;
        let matching = matching.map(places).transpose()?;
        let mut frame = Frame {
            leading: arguments[..leading].to_vec(),
            keys: Vec::new(),
            relation,
            blanks: of_all,
            partition,
            matching,
        };
        frame.keys = order.unwrap_or_else(|| {
            let rest = (0..frame.relation.columns.len()).filter(|i| !frame.partition.contains(i));
            rest.map(|i| frame.key_of(self, i)).collect()
        });
        Ok(frame)
    }

    /// Adds the keys that it takes to leave no two rows equal.
    fn order_every_row(&self, frame: &mut Frame) -> Result<()> {
        let mut given = self.ordering(frame)?.unwrap_or_default();
        given.extend(&frame.partition);
        for at in self.telling(&frame.relation, &given)? {
            let key = frame.key_of(self, at);
            frame.keys.push(key);
        }
        Ok(())
    }

    /// Columns beyond those given that are needed to tell every row of the relation from others.
    fn telling(&self, relation: &Table, given: &[usize]) -> Result<Vec<usize>> {
        let rest: Vec<usize> = (0..relation.columns.len()).filter(|i| !given.contains(i)).collect();
        let tells = |more: &Vec<usize>| {
            let mut seen: Vec<Vec<&Value>> = Vec::new();
            relation.rows.iter().all(|row| {
                let part: Vec<&Value> = given.iter().chain(more).map(|i| &row[*i]).collect();
                let is_new = !seen.contains(&part);
                seen.push(part);
                is_new
            })
        };
        for n in 0..=rest.len() {
            let found: Vec<Vec<usize>> = choices(&rest, n).into_iter().filter(tells).collect();
            match found.as_slice() {
                [] => {}
                [only] => return Ok(only.clone()),
                _ => {
                    return Err(unsupported("a window function with several columns to tell rows"));
                }
            }
        }
        Err(Error::evaluation("The columns cannot tell the rows of the relation."))
    }

    /// The values that the columns around have: every combination of them.
    fn current(&self, env: &Env, relation: &Table, columns: &[usize]) -> Result<Vec<Vec<Value>>> {
        let mut around: Vec<Option<Value>> = Vec::new();
        let mut open: Vec<ColumnId> = Vec::new();
        for at in columns {
            let column = &relation.columns[*at];
            let same = |c: &super::TableColumn| match column.lineage {
                Some(id) => c.lineage == Some(id),
                None => c.lineage.is_none() && c.name.eq_ignore_ascii_case(&column.name),
            };
            let found = env
                .rows_seen(0)
                .find_map(|r| r.columns.iter().position(same).map(|at| r.values[at].clone()));
            if found.is_none() {
                let id = column.lineage;
                open.push(id.ok_or_else(|| Error::invalid("No row around has this column."))?);
            }
            around.push(found);
        }
        if open.windows(2).any(|w| w[0].table != w[1].table) {
            return Err(unsupported("window functions over columns of several tables"));
        }
        let combinations = self.combinations(&env.filters, &open, true).rows;
        let complete = |open: Vec<Value>| {
            let mut open = open.into_iter();
            let each = around.iter().map(|v| v.clone().or_else(|| open.next()));
            each.map(Option::unwrap_or_default).collect()
        };
        Ok(combinations.into_iter().map(complete).collect())
    }

    /// The rows of a relation in the order of its keys, with these.
    fn ordered(&self, env: &Env, frame: &Frame) -> Result<Vec<(Vec<Value>, Vec<Value>)>> {
        let mut rows = Vec::new();
        for (inner, row) in env.with_rows(&frame.relation).iter().zip(&frame.relation.rows) {
            let key = |k: &Key| match self.column_at(&frame.relation, &k.expression)? {
                Some(at) => Ok(row[at].clone()),
                None => self.scalar(inner, &k.expression),
            };
            let keys: Vec<Value> = frame.keys.iter().map(key).collect::<Result<_>>()?;
            rows.push((keys, row.clone()));
        }
        rows.sort_by(|a, b| frame.order(&a.0, &b.0));
        Ok(rows)
    }

    /// Columns that order: plain ones of the relation, or nothing where an expression orders.
    fn ordering(&self, frame: &Frame) -> Result<Option<Vec<usize>>> {
        let at = |k: &Key| self.column_at(&frame.relation, &k.expression);
        let all: Vec<Option<usize>> = frame.keys.iter().map(at).collect::<Result<_>>()?;
        Ok(all.into_iter().collect())
    }

    /// Columns by which the current row is known.
    fn identity(&self, frame: &Frame) -> Result<Vec<usize>> {
        let mut columns = match (&frame.matching, self.ordering(frame)?) {
            (Some(matching), _) => matching.clone(),
            (None, Some(ordering)) => ordering,
            (None, None) => (0..frame.relation.columns.len()).collect(),
        };
        columns.extend(&frame.partition);
        columns.sort_unstable();
        columns.dedup();
        Ok(columns)
    }

    /// `INDEX`, `OFFSET` and `WINDOW`.
    pub(super) fn window(&self, env: &Env, function: &str, arguments: &[Expr]) -> Result<Table> {
        let leading = match function {
            "WINDOW" => 4,
            _ => 1,
        };
        if function == "WINDOW"
            && !(arguments.len() >= 4 && [1, 3].iter().all(|i| word(&arguments[*i]).is_some()))
        {
            return Err(unsupported("WINDOW without the types of its ends"));
        }
        let mut frame = self.frame(env, arguments, leading)?;
        let ends = self.ends(env, function, &frame.leading)?;
        self.order_every_row(&mut frame)?;
        let is_relative = ends.iter().any(|(_, relative)| *relative);
        let columns = if is_relative { self.identity(&frame)? } else { frame.partition.clone() };
        let rows = self.ordered(env, &frame)?;
        let mut out: Vec<Vec<Value>> = Vec::new();
        for current in self.current(env, &frame.relation, &columns)? {
            let value = |at: &usize| columns.iter().position(|c| c == at).map(|i| &current[i]);
            let in_partition =
                |row: &[Value]| frame.partition.iter().all(|at| value(at) == Some(&row[*at]));
            let part: Vec<&Vec<Value>> =
                rows.iter().map(|(_, row)| row).filter(|row| in_partition(row)).collect();
            let here = part
                .iter()
                .position(|row| columns.iter().zip(&current).all(|(at, v)| row[*at] == *v));
            let Some(here) = (if is_relative { here } else { Some(0) }) else { continue };
            let n = part.len() as i64;
            let place = |(number, relative): (i64, bool)| match (relative, number) {
                (true, by) => here as i64 + by,
                (false, at) if at < 0 => n + at,
                (false, at) => at - 1,
            };
            let (from, to) = (place(ends[0]), place(ends[1]));
            for (i, row) in (0..).zip(part) {
                if from <= i && i <= to && !out.contains(row) {
                    out.push(row.clone());
                }
            }
        }
        Ok(Table { columns: frame.relation.columns, rows: out, ..Table::default() })
    }

    /// First and last row, and whether each is told from the current row.
    fn ends(&self, env: &Env, function: &str, leading: &[Expr]) -> Result<[(i64, bool); 2]> {
        let number =
            |e: &Expr| Ok(rules::to_f64(&self.scalar(env, e)?, &self.culture)?.trunc() as i64);
        let first = number(&leading[0])?;
        match function {
            "INDEX" => Ok([(first, false); 2]),
            "OFFSET" => Ok([(first, true); 2]),
            _ => {
                let is_relative = |e: &Expr| word(e).as_deref() == Some("REL");
                let last = (number(&leading[2])?, is_relative(&leading[3]));
                let first = (first, is_relative(&leading[1]));
                if [first, last].contains(&(0, false)) {
                    return Err(unsupported("a window that starts or ends at row 0"));
                }
                Ok([first, last])
            }
        }
    }

    /// `RANK` and `ROWNUMBER`: blank where there is not one current row.
    pub(super) fn row_place(&self, env: &Env, function: &str, arguments: &[Expr]) -> Result<Value> {
        let ties = arguments.first().and_then(word).filter(|w| w == "DENSE" || w == "SKIP");
        let mut frame = self.frame(env, arguments, usize::from(ties.is_some()))?;
        if function == "ROWNUMBER" {
            self.order_every_row(&mut frame)?;
        }
        let columns = self.identity(&frame)?;
        let rows = self.ordered(env, &frame)?;
        let current = self.current(env, &frame.relation, &columns)?;
        let [current] = current.as_slice() else { return Ok(Value::Blank) };
        let value = |at: &usize| columns.iter().position(|c| c == at).map(|i| &current[i]);
        let in_partition =
            |row: &[Value]| frame.partition.iter().all(|at| value(at) == Some(&row[*at]));
        let part: Vec<&(Vec<Value>, Vec<Value>)> =
            rows.iter().filter(|(_, row)| in_partition(row)).collect();
        let is_here = |row: &[Value]| columns.iter().zip(current).all(|(at, v)| row[*at] == *v);
        let Some(here) = part.iter().find(|(_, row)| is_here(row)) else {
            return Ok(Value::Blank);
        };
        let before = part.iter().filter(|(keys, _)| frame.order(keys, &here.0).is_lt());
        let mut before: Vec<&Vec<Value>> = before.map(|(keys, _)| keys).collect();
        if ties.as_deref() == Some("DENSE") {
            before.dedup_by(|a, b| frame.order(a, b).is_eq());
        }
        Ok(Value::Int(before.len() as i64 + 1))
    }
}

impl Frame {
    fn order(&self, a: &[Value], b: &[Value]) -> Ordering {
        let each = a.iter().zip(b).zip(&self.keys).map(|((x, y), key)| {
            let blanks = key.blanks.unwrap_or(self.blanks);
            let forced = (x.is_blank() != y.is_blank()) && blanks != Blanks::Default;
            let order = compared(x, y, blanks);
            if key.descending && !forced { order.reverse() } else { order }
        });
        each.fold(Ordering::Equal, Ordering::then)
    }

    /// A column of the relation as an ascending key.
    fn key_of(&self, reference: &Reference, at: usize) -> Key {
        let column = &self.relation.columns[at];
        let kind = match column.lineage {
            Some(id) => ExprKind::Qualified {
                table: reference.model.table(id.table).name.as_str().into(),
                name: reference.model.column_info(id).name.as_str().into(),
            },
            None => ExprKind::Bracketed(column.name.as_str().into()),
        };
        let span = evercube_dax::ast::Span::default();
        Key { expression: Expr { kind, span }, descending: false, blanks: None }
    }
}
