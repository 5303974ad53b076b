//! What a query defines: measures, functions, variables, and tables and columns, which from there on
//! are like those of the model.

use std::sync::Arc;

use evercube_base::{Collation, ColumnData, DataType, Error, Result, RowBatch, Value};
use evercube_dax::ast::{Definition, DefinitionKind, Expr};
use evercube_engine::functions::lookup;
use evercube_engine::scalar as rules;
use evercube_store::{TableData, TableId};

use super::functions::Function;
use super::{Env, Reference};

impl Reference {
    /// Makes the definitions known; gives what the query sees. Measures and functions may name all
    /// that is defined, tables and columns what comes before them.
    pub(super) fn define(&mut self, given: &[Definition]) -> Result<Env> {
        for definition in given {
            match &definition.kind {
                DefinitionKind::Measure { name, expression, .. } => {
                    self.measures.push((name.to_lowercase(), expression.clone()));
                }
                DefinitionKind::Function { name, parameters, body } => {
                    let key = name.to_lowercase();
                    let is_taken = self.functions.iter().any(|(n, _)| *n == key);
                    if is_taken || lookup(name).is_some() {
                        return Err(Error::invalid(format!("There is a function {name}.")));
                    }
                    let (parameters, body) = (parameters.clone(), body.clone());
                    self.functions.push((key, Function { parameters, body, of_query: true }));
                }
                _ => {}
            }
        }
        for (at, definition) in given.iter().enumerate() {
            match &definition.kind {
                DefinitionKind::Table { name, expression } => {
                    let env = self.variables_of(&given[..at])?;
                    self.define_table(&env, name, expression)?;
                }
                DefinitionKind::Column { table, name, expression } => {
                    let env = self.variables_of(&given[..at])?;
                    self.define_column(&env, table, name, expression)?;
                }
                _ => {}
            }
        }
        self.variables_of(given)
    }

    /// Where only the variables of the query are known.
    fn variables_of(&self, given: &[Definition]) -> Result<Env> {
        let mut env = Env { filters: self.unfiltered(), ..Env::default() };
        for definition in given {
            if let DefinitionKind::Variable { name, expression } = &definition.kind {
                let value = self.bind(&env, expression)?;
                env.variables.push((name.to_lowercase(), value));
                env.of_query += 1;
            }
        }
        Ok(env)
    }

    /// One more table at the end of the model.
    fn define_table(&mut self, env: &Env, name: &str, expression: &Expr) -> Result<()> {
        if self.table_named(name).is_some() {
            return Err(Error::invalid(format!("There is a table '{name}'.")));
        }
        let found = self.shown_table(env, expression)?;
        let mut columns: Vec<(String, DataType)> = Vec::new();
        let mut data = Vec::new();
        for (at, column) in found.columns.iter().enumerate() {
            if columns.iter().any(|(n, _)| n.eq_ignore_ascii_case(&column.name)) {
                return Err(Error::invalid("Two columns have one name."));
            }
            let values: Vec<Value> = found.rows.iter().map(|row| row[at].clone()).collect();
            let stored = stored(&values, &self.culture)?;
            columns.push((column.name.clone(), stored.data_type()));
            data.push(stored);
        }
        let types: Vec<DataType> = data.iter().map(ColumnData::data_type).collect();
        let batch = RowBatch { rows: found.rows.len(), columns: data };
        let table = TableData::from_batches(&types, Collation::default(), &[batch])?;
        let mut tables = self.store.tables.clone();
        tables.push(Arc::new(table));
        let mut model = (*self.model).clone();
        model.add_table(name, &columns);
        self.model = Arc::new(model);
        self.replace(tables);
        Ok(())
    }

    /// One more column in every row of a table, also of those the caller does not see.
    fn define_column(
        &mut self,
        env: &Env,
        table: &str,
        name: &str,
        expression: &Expr,
    ) -> Result<()> {
        let id = self
            .table_named(table)
            .ok_or_else(|| Error::invalid(format!("There is no table '{table}'.")))?;
        if self.column_named(table, name).is_some() {
            return Err(Error::invalid(format!("There is a column {table}[{name}].")));
        }
        let rows = self.store.table(id).rows();
        let value = |row: usize| {
            let inner = Env { rows: self.in_row(id, row).rows, ..env.clone() };
            self.scalar(&inner, expression)
        };
        let values: Vec<Value> = (0..rows).map(value).collect::<Result<_>>()?;
        let stored = stored(&values, &self.culture)?;
        let mut model = (*self.model).clone();
        model.add_column(id, name, stored.data_type());
        self.model = Arc::new(model);
        let mut tables = self.store.tables.clone();
        let TableId(at) = id;
        tables[at as usize] = Arc::new(tables[at as usize].and_column(stored.data_type(), stored)?);
        self.replace(tables);
        Ok(())
    }

    fn replace(&mut self, tables: Vec<Arc<TableData>>) {
        self.store = Arc::new(self.store.with_tables(tables, &self.model.relationship_defs()));
        self.secure();
    }
}

/// Values as a column: of the one type they have, of the wider one of two kinds of numbers, or as
/// texts.
fn stored(values: &[Value], culture: &rules::Culture) -> Result<ColumnData> {
    let mut data_type: Option<DataType> = None;
    for of in values.iter().filter_map(Value::data_type) {
        data_type = Some(match data_type {
            None => of,
            Some(known) if known == of => of,
            Some(known) if known.is_numeric() && of.is_numeric() => {
                let is_double = [known, of].contains(&DataType::Double);
                if is_double { DataType::Double } else { DataType::Decimal }
            }
            Some(_) => DataType::String,
        });
    }
    let mut out = ColumnData::empty(data_type.unwrap_or(DataType::Int64));
    for value in values {
        match value.is_blank() {
            true => out.push_blank(),
            false => out
                .push(rules::convert(value, out.data_type(), culture)?)
                .map_err(|v| Error::internal(format!("{v:?} does not fit its column")))?,
        }
    }
    Ok(out)
}
