//! Random queries over a random model.

use super::chance::Chance;
use super::define::{Function, definitions};
use super::model::{Column, Kind, Model, Table};

/// Writes expressions; knows the numeric columns of the rows around.
pub(super) struct Writer<'m, 'c> {
    pub(super) model: &'m Model,
    pub(super) chance: &'c mut Chance,
    /// Columns of row contexts around, the innermost last.
    pub(super) rows: Vec<Vec<String>>,
    variables: usize,
    /// The query changes relationships.
    pub(super) relates: bool,
    /// Functions that the query defines.
    pub(super) functions: Vec<Function>,
}

/// A query; `depth` bounds its nesting. Where it has an order, no two rows are equal in it.
pub fn random_query(model: &Model, chance: &mut Chance, depth: usize) -> String {
    let (defined, model, functions) = definitions(model, chance, depth);
    let mut w = Writer::new(&model, chance, functions);
    let result = if w.chance.percent(10) { w.ordered(depth) } else { w.result(depth) };
    format!("{defined}EVALUATE {result}")
}

impl<'m, 'c> Writer<'m, 'c> {
    pub(super) fn new(model: &'m Model, chance: &'c mut Chance, functions: Vec<Function>) -> Self {
        let relates = chance.percent(50);
        Self { model, chance, rows: Vec::new(), variables: 0, relates, functions }
    }

    /// What is written where rows with these columns are gone through.
    pub(super) fn in_rows(
        &mut self,
        columns: Vec<String>,
        write: impl FnOnce(&mut Self) -> String,
    ) -> String {
        self.rows.push(columns);
        let written = write(self);
        self.rows.pop();
        written
    }

    pub(super) fn numbers_of(&self, table: &Table) -> Vec<String> {
        let numbers = table.columns.iter().filter(|c| c.is_number());
        numbers.map(|c| format!("{}[{}]", table.name, c.name)).collect()
    }

    /// Rows in an order that tells them all, from the first or from some place on.
    fn ordered(&mut self, depth: usize) -> String {
        let mut columns: Vec<(&Table, &Column)> = Vec::new();
        for _ in 0..=self.chance.below(2) {
            let (t, c) = self.column();
            if !columns.iter().any(|(u, d)| (&u.name, &d.name) == (&t.name, &c.name)) {
                columns.push((t, c));
            }
        }
        let name = |(t, c): &(&Table, &Column)| format!("{}[{}]", t.name, c.name);
        let names: Vec<String> = columns.iter().map(name).collect();
        let directions: Vec<&str> =
            names.iter().map(|_| *self.chance.pick(&["", " ASC", " DESC"])).collect();
        let order: Vec<String> =
            names.iter().zip(&directions).map(|(n, d)| format!("{n}{d}")).collect();
        let starts = self.chance.below(names.len() + 1);
        let from: Vec<String> =
            columns[..starts].iter().map(|(_, c)| c.constant(self.chance)).collect();
        let start = match from.is_empty() {
            true => String::new(),
            false => format!(" START AT {}", from.join(", ")),
        };
        let expressions = self.expressions(depth);
        format!(
            "SUMMARIZECOLUMNS ( {}, {expressions} ) ORDER BY {}{start}",
            names.join(", "),
            order.join(", ")
        )
    }
    pub(super) fn table(&mut self) -> &'m Table {
        let model = self.model;
        self.chance.pick(&model.tables)
    }

    pub(super) fn column(&mut self) -> (&'m Table, &'m Column) {
        let table = self.table();
        (table, self.chance.pick(&table.columns))
    }

    pub(super) fn named(&mut self) -> String {
        let (t, c) = self.column();
        format!("{}[{}]", t.name, c.name)
    }

    pub(super) fn number(&mut self) -> String {
        let table = self.table();
        let numbers: Vec<&Column> = table.columns.iter().filter(|c| c.is_number()).collect();
        format!("{}[{}]", table.name, self.chance.pick(&numbers).name)
    }

    /// The table a query gives.
    fn result(&mut self, depth: usize) -> String {
        match self.chance.below(20) {
            18 => self.crossed(depth),
            19 => self.in_groups(depth),
            16 | 17 => self.joined(depth),
            11 | 12 => self.rollup(depth),
            13 => self.group_by(depth),
            14 => self.numbered(),
            15 => self.summarize_rollup(),
            0 => format!("ROW ( {} )", self.expressions(depth)),
            1..=4 => self.summarize_columns(depth),
            5 | 6 => {
                let (table, columns) = self.rows_of(depth.saturating_sub(1));
                let given = self.in_rows(columns, |w| w.expressions(depth));
                format!("ADDCOLUMNS ( {table}, {given} )")
            }
            7 => {
                let inner = self.result(depth.saturating_sub(1));
                format!("CALCULATETABLE ( {inner}, {} )", self.filters(depth))
            }
            8 => self.set(depth),
            9 => self.summarize(depth),
            _ => {
                let (outer, columns) = self.rows_of(depth.saturating_sub(1));
                let order = self.in_rows(columns.clone(), |w| w.scalar(depth.saturating_sub(1)));
                let then = match columns.first().filter(|_| self.chance.percent(40)) {
                    Some(column) => format!(", ASC, {column}"),
                    None => (*self.chance.pick(&["", "", ", ASC"])).to_owned(),
                };
                format!("TOPN ( {}, {outer}, {order}{then} )", self.chance.below(4))
            }
        }
    }

    pub(super) fn expressions(&mut self, depth: usize) -> String {
        let n = 1 + self.chance.below(2);
        let each: Vec<String> =
            (0..n).map(|i| format!("\"x{i}\", {}", self.scalar(depth))).collect();
        each.join(", ")
    }

    fn summarize_columns(&mut self, depth: usize) -> String {
        let mut parts: Vec<String> = Vec::new();
        for _ in 0..=self.chance.below(2) {
            let column = self.named();
            if !parts.contains(&column) {
                parts.push(column);
            }
        }
        for _ in 0..self.chance.below(3) {
            let filter = self.filter_table(depth.saturating_sub(1));
            parts.push(match self.chance.percent(10) {
                true => format!("NONVISUAL ( {filter} )"),
                false => filter,
            });
        }
        parts.push(self.expressions(depth));
        if self.chance.percent(10) {
            parts.push(format!("\"ignored\", IGNORE ( {} )", self.scalar(depth)));
        }
        format!("SUMMARIZECOLUMNS ( {} )", parts.join(", "))
    }

    /// A table's own columns and one of a table that it refers to.
    fn summarize(&mut self, depth: usize) -> String {
        let table = self.table();
        let mut parts = vec![match self.chance.percent(50) {
            true => table.name.clone(),
            false => format!("FILTER ( {0}, {0}[Number] > 0 )", table.name),
        }];
        parts.push(format!("{}[{}]", table.name, self.chance.pick(&table.columns).name));
        let model = self.model;
        let own = format!("{}[", table.name);
        let to = model
            .relationships
            .iter()
            .find(|r| r.active && !r.many_to_many && r.from.starts_with(&own));
        if let Some(to) = to.and_then(|r| r.to.split('[').next()) {
            parts.push(format!("{to}[Text]"));
        }
        parts.push(self.expressions(depth));
        format!("SUMMARIZE ( {} )", parts.join(", "))
    }

    fn set(&mut self, depth: usize) -> String {
        let function = *self.chance.pick(&["UNION", "INTERSECT", "EXCEPT"]);
        let (t, c) = self.column();
        let own = format!("VALUES ( {}[{}] )", t.name, c.name);
        let filters = self.filters(depth);
        let other = match self.chance.below(3) {
            0 => format!("{{ {}, {} }}", c.constant(self.chance), c.constant(self.chance)),
            1 => format!("CALCULATETABLE ( {own}, {filters} )"),
            _ => format!("ALL ( {}[{}] )", t.name, c.name),
        };
        format!("{function} ( {own}, {other} )")
    }

    /// A table to iterate, and the numeric columns of its rows.
    pub(super) fn rows_of(&mut self, depth: usize) -> (String, Vec<String>) {
        let deep = depth > 0;
        match self.chance.below(if deep { 9 } else { 5 }) {
            0 | 1 => {
                let t = self.table();
                (t.name.clone(), self.numbers_of(t))
            }
            2 | 3 => {
                let (t, c) = self.column();
                let name = format!("{}[{}]", t.name, c.name);
                let function = *self.chance.pick(&["VALUES", "DISTINCT", "ALL", "ALLNOBLANKROW"]);
                let columns = if c.is_number() { vec![name.clone()] } else { Vec::new() };
                (format!("{function} ( {name} )"), columns)
            }
            4 => {
                let t = self.table();
                (format!("ALL ( {} )", t.name), self.numbers_of(t))
            }
            5 | 6 => {
                let (table, columns) = self.rows_of(depth - 1);
                let condition = self.in_rows(columns.clone(), |w| w.condition(depth - 1));
                (format!("FILTER ( {table}, {condition} )"), columns)
            }
            7 => {
                let (table, columns) = self.rows_of(depth - 1);
                (format!("CALCULATETABLE ( {table}, {} )", self.filters(depth - 1)), columns)
            }
            _ => {
                let (table, columns) = self.rows_of(depth - 1);
                (format!("KEEPFILTERS ( {table} )"), columns)
            }
        }
    }

    pub(super) fn condition(&mut self, depth: usize) -> String {
        let a = self.scalar(depth);
        let operator = *self.chance.pick(&["=", "<>", ">", "<=", "=="]);
        let b = self.chance.below(4);
        match self.chance.below(4) {
            0 => format!("NOT ISBLANK ( {a} )"),
            1 => format!("{a} > 0 && {a} {operator} {b}"),
            _ => format!("{a} {operator} {b}"),
        }
    }

    pub(super) fn filters(&mut self, depth: usize) -> String {
        let n = 1 + self.chance.below(2);
        let each: Vec<String> = (0..n).map(|_| self.filter(depth)).collect();
        each.join(", ")
    }

    /// An argument of `CALCULATE`.
    fn filter(&mut self, depth: usize) -> String {
        if !self.model.groups.is_empty() && self.chance.percent(25) {
            return self.item();
        }
        if self.has_days() && self.chance.percent(15) {
            return self.days();
        }
        match self.chance.below(17) {
            16 => self.several_of_one(),
            14 => self.all_selected(),
            15 => self.window(),
            0..=3 => self.simple_condition(),
            4 => format!("KEEPFILTERS ( {} )", self.simple_condition()),
            5 => format!("ALL ( {} )", self.named()),
            6 => format!("REMOVEFILTERS ( {} )", self.table().name),
            7 => "REMOVEFILTERS ( )".to_owned(),
            8 => {
                let (t, c) = self.column();
                format!("ALLEXCEPT ( {}, {}[{}] )", t.name, t.name, c.name)
            }
            9 | 10 => self.relationship(),
            11 => format!("KEEPFILTERS ( {} )", self.filter_table(depth)),
            _ => self.filter_table(depth),
        }
    }

    pub(super) fn simple_condition(&mut self) -> String {
        let (t, c) = self.column();
        let name = format!("{}[{}]", t.name, c.name);
        match self.chance.below(4) {
            0 => {
                format!("{name} IN {{ {}, {} }}", c.constant(self.chance), c.constant(self.chance))
            }
            1 => format!("ISBLANK ( {name} )"),
            2 if c.kind == Kind::Whole => format!("{name} > {}", self.chance.below(3)),
            _ => format!("{name} = {}", c.constant(self.chance)),
        }
    }

    fn relationship(&mut self) -> String {
        let model = self.model;
        let known: Vec<_> =
            model.relationships.iter().filter(|r| r.active || r.stands_in).collect();
        // Under roles that filter one of its tables a relationship is not changed.
        let is_free = |r: &&super::model::Relationship| {
            !model
                .roles
                .iter()
                .any(|role| role.filters_table_of(&r.from) || role.filters_table_of(&r.to))
        };
        let known: Vec<_> = known.into_iter().filter(is_free).collect();
        if known.is_empty() || !self.relates {
            return self.simple_condition();
        }
        let r = *self.chance.pick(&known);
        if r.stands_in {
            return format!("USERELATIONSHIP ( {}, {} )", r.from, r.to);
        }
        let direction = match r.many_to_many {
            true => "NONE",
            false if model.shared => *self.chance.pick(&["NONE", "ONEWAY"]),
            false => *self.chance.pick(&["NONE", "ONEWAY", "BOTH"]),
        };
        format!("CROSSFILTER ( {}, {}, {direction} )", r.from, r.to)
    }

    /// A table whose columns stand for columns of the model.
    pub(super) fn filter_table(&mut self, depth: usize) -> String {
        let (t, c) = self.column();
        let name = format!("{}[{}]", t.name, c.name);
        match self.chance.below(11) {
            8..=10 => self.shaped(depth),
            0 => format!("VALUES ( {name} )"),
            1 | 2 => format!(
                "TREATAS ( {{ {}, {} }}, {name} )",
                c.constant(self.chance),
                c.constant(self.chance)
            ),
            3 => t.name.clone(),
            4 if self.has_days() => self.days(),
            4 => self.window(),
            _ => {
                let (table, columns) = match self.chance.percent(50) {
                    true => (t.name.clone(), Vec::new()),
                    false => {
                        let columns = if c.is_number() { vec![name.clone()] } else { Vec::new() };
                        (format!("ALL ( {name} )"), columns)
                    }
                };
                let condition = self.in_rows(columns, |w| w.condition(depth.saturating_sub(1)));
                format!("FILTER ( {table}, {condition} )")
            }
        }
    }

    pub(super) fn scalar(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.leaf();
        }
        let d = depth - 1;
        if self.has_days() && self.chance.percent(10) {
            return self.over_time();
        }
        if !self.functions.is_empty() && self.chance.percent(20) {
            return self.own_call(d);
        }
        match self.chance.below(17) {
            16 => self.variable_twice(d),
            12 => self.rank(d),
            13 => format!("COUNTROWS ( RELATEDTABLE ( {} ) )", self.table().name),
            14 | 15 => self.table_variable(d),
            0 | 1 => self.leaf(),
            2..=4 => format!("CALCULATE ( {}, {} )", self.scalar(d), self.filters(d)),
            5..=7 => {
                let (table, columns) = self.rows_of(d);
                let function = *self.chance.pick(&["SUMX", "MAXX", "MINX", "COUNTX", "AVERAGEX"]);
                let body = self.in_rows(columns, |w| w.scalar(d));
                format!("{function} ( {table}, {body} )")
            }
            8 => format!("COUNTROWS ( {} )", self.rows_of(d).0),
            9 => {
                let operator = *self.chance.pick(&["+", "-", "*", "/"]);
                let (a, b) = (self.scalar(d), self.scalar(d));
                match operator {
                    "/" => format!("DIVIDE ( {a}, {b} )"),
                    operator => format!("( {a} {operator} {b} )"),
                }
            }
            10 => format!("IF ( {}, {}, {} )", self.condition(d), self.scalar(d), self.scalar(d)),
            _ => {
                self.variables += 1;
                let name = format!("v{}", self.variables);
                let (value, filters) = (self.scalar(d), self.filters(d));
                let inner = self.scalar(d);
                format!("( VAR {name} = {value} RETURN {name} + CALCULATE ( {inner}, {filters} ) )")
            }
        }
    }

    fn leaf(&mut self) -> String {
        let model = self.model;
        match self.chance.below(8) {
            0 | 1 => match self.rows.last().cloned() {
                Some(columns) if !columns.is_empty() => self.chance.pick(&columns).clone(),
                _ => format!("SUM ( {} )", self.number()),
            },
            2 => {
                let function = *self.chance.pick(&["MIN", "MAX", "COUNT", "AVERAGE"]);
                format!("{function} ( {} )", self.number())
            }
            3 => format!("DISTINCTCOUNT ( {} )", self.named()),
            4 => format!("SELECTEDVALUE ( {} )", self.number()),
            5 => format!("IF ( HASONEVALUE ( {} ), 1 )", self.named()),
            _ => format!("[{}]", self.chance.pick(&model.measures)),
        }
    }
}
