//! From a database's definition to what is evaluated.

use std::collections::HashMap;
use std::sync::Arc;

use evercube_base::error::line_column;
use evercube_base::{DataType, Error, Result};
use evercube_dax::ast::Expr;
use evercube_dax::parse_expression;
use evercube_model::kpi::kpi_measures;
use evercube_model::tabular::{Database, ExpressionDefinition, Measure, Relationship, Table};

use super::{
    ColumnInfo, CompiledModel, FORMAT_OF, FunctionInfo, Levels, MeasureInfo, ObjectState,
    RelationshipInfo, RoleFilter, TableInfo, key,
};
use crate::calculation_group::{
    CalculationGroupInfo, CalculationItemInfo, MANY_SELECTED, NO_SELECTION, name_column,
    rows_expression,
};
use crate::object_security::{Hidden, HiddenObject, hidden_objects};
use crate::scalar::Culture;
use evercube_store::{ColumnId, RelationshipDef, TableId};

impl CompiledModel {
    /// Reads the model. Tables, columns and relationships keep their order, which gives their ids;
    /// relationships with unknown ends are refused at deployment and left out here.
    pub fn compile(database: &Database) -> Self {
        let model = &database.model;
        let culture = model.culture.as_deref().map(Culture::without_year).unwrap_or_default();
        let coalesces_filters = model.coalesces_filters();
        let levels = Levels::of(model);
        let mut compiled = Self { culture, coalesces_filters, levels, ..Self::default() };
        for table in &model.tables {
            let id = TableId(compiled.tables.len() as u32);
            compiled.table_ids.insert(key(&table.name), id);
            let info = compiled.compile_table(table);
            compiled.tables.push(info);
            compiled.compile_calculation_group(id, table, model.blanks_many_selected());
            for measure in &table.measures {
                let of = compiled.measure_of(id, &table.name, &measure.name, &measure.expression);
                let format = measure.format_string_definition.as_ref();
                let info = MeasureInfo {
                    format_string: measure.format_string.clone(),
                    format: compiled
                        .parse_format(format!("{}[{}]", table.name, measure.name), format),
                    detail_rows: detail_rows(table, measure, &compiled.levels),
                    ..of
                };
                compiled.add_measure(info);
            }
        }
        compiled.compile_kpis(&model.tables);
        for function in model.functions() {
            let mut definition = compiled.parsed(
                format!("function '{}'", function.name),
                &function.expression,
                |text| evercube_dax::parse_function(text).into_result(),
            );
            if let Ok((_, body)) = &mut definition {
                compiled.levels.resolve(body);
            }
            let info = FunctionInfo {
                name: function.name.clone(),
                description: function.description.map(|d| d.to_string()),
                definition,
            };
            compiled.functions.insert(key(&function.name), info);
        }
        let relationships = model.relationships.iter();
        compiled.relationships = relationships.filter_map(|r| compiled.resolve(r)).collect();
        compiled.find_date_keys();
        for role in &model.roles {
            let hidden = hidden_objects(&compiled, role);
            compiled.hidden_objects.extend(hidden);
            for permission in &role.table_permissions {
                let Some(filter) = permission.filter_expression.as_ref() else { continue };
                let Some(table) = compiled.table_id(&permission.name) else { continue };
                let object = format!("role '{}'/table '{}'", role.name, permission.name);
                let expression = compiled.parse(object, filter);
                compiled.role_filters.push(RoleFilter {
                    role: role.name.clone(),
                    table,
                    expression,
                });
            }
        }
        compiled.calculation_groups.sort_by_key(|g| std::cmp::Reverse(g.precedence));
        compiled.types_under_groups = crate::bind::types_under_groups(&compiled);
        compiled.check();
        compiled
    }

    /// A measure with an expression and nothing else.
    fn measure_of(&mut self, id: TableId, table: &str, name: &str, text: &str) -> MeasureInfo {
        MeasureInfo {
            table: id,
            name: name.to_owned(),
            expression: self.parse(format!("{table}[{name}]"), text),
            format_string: None,
            format: None,
            detail_rows: None,
        }
    }

    fn add_measure(&mut self, measure: MeasureInfo) {
        self.measure_ids.insert(key(&measure.name), self.measures.len());
        self.measures.push(measure);
    }

    /// The measures that KPIs make, where the model has none of the name.
    fn compile_kpis(&mut self, tables: &[Table]) {
        for (id, table) in (0..).map(TableId).zip(tables) {
            for (name, expression) in table.measures.iter().flat_map(kpi_measures) {
                if self.measure(&name).is_none() {
                    let info = self.measure_of(id, &table.name, &name, &expression);
                    self.add_measure(info);
                }
            }
        }
    }

    /// A relationship by date makes a date table of its one side.
    fn find_date_keys(&mut self) {
        for r in self.relationships.iter().filter(|r| !r.def.many_to_many) {
            let table = &mut self.tables[r.def.to.table.0 as usize];
            if table.columns[r.def.to.column as usize].data_type == DataType::DateTime {
                table.date_column.get_or_insert(r.def.to.column);
            }
        }
    }

    fn compile_table(&mut self, table: &Table) -> TableInfo {
        let mut columns = Vec::new();
        let mut column_ids = HashMap::new();
        let is_date_table =
            table.data_category.as_deref().is_some_and(|c| c.eq_ignore_ascii_case("time"));
        let mut date_column = None;
        for (i, column) in (0..).zip(&table.columns) {
            let data_type = column.data_type.unwrap_or(DataType::String);
            if is_date_table && column.is_key && data_type == DataType::DateTime {
                date_column = Some(i);
            }
            let expression = column.expression.as_ref().filter(|_| column.is_calculated());
            column_ids.insert(key(&column.name), i);
            columns.push(ColumnInfo {
                name: column.name.clone(),
                data_type,
                expression: expression
                    .map(|e| self.parse(format!("{}[{}]", table.name, column.name), e)),
                source: column.source_column.clone(),
                unique: column.is_key || column.is_unique,
                hidden: false,
            });
        }
        let text = table.partitions.iter().find_map(|p| p.source.calculated_expression());
        let expression = match &table.calculation_group {
            Some(group) => Some(rows_expression(table, group)),
            None => text.map(|e| self.parse(table.name.clone(), e)),
        };
        TableInfo { name: table.name.clone(), columns, date_column, expression, column_ids }
    }

    /// One more column at the end of a table, with values that are in the store already.
    pub fn add_column(&mut self, table: TableId, name: &str, data_type: DataType) {
        let info = &mut self.tables[table.0 as usize];
        info.column_ids.insert(key(name), info.columns.len() as u32);
        let name = name.to_owned();
        info.columns.push(ColumnInfo {
            name,
            data_type,
            expression: None,
            source: None,
            unique: false,
            hidden: false,
        });
    }

    /// One more table at the end, with rows that are in the store already.
    pub fn add_table(&mut self, name: &str, columns: &[(String, DataType)]) {
        let id = TableId(self.tables.len() as u32);
        self.table_ids.insert(key(name), id);
        self.tables.push(TableInfo {
            name: name.to_owned(),
            columns: Vec::new(),
            date_column: None,
            expression: None,
            column_ids: HashMap::new(),
        });
        for (column, data_type) in columns {
            self.add_column(id, column, *data_type);
        }
    }

    /// The model without names that lead to these objects; their ids stay.
    pub(crate) fn without(self: &Arc<Self>, hidden: &Hidden) -> Self {
        let mut seen = self.as_ref().clone();
        seen.whole = Some(Arc::clone(self));
        seen.table_ids.retain(|_, id| !hidden.table(*id));
        for (t, table) in (0..).map(TableId).zip(&mut seen.tables) {
            table.column_ids.retain(|_, c| !hidden.column(ColumnId { table: t, column: *c }));
            for (column, info) in (0..).zip(&mut table.columns) {
                if hidden.column(ColumnId { table: t, column }) {
                    info.hidden = true;
                    info.name = format!("\0{column}");
                }
            }
        }
        seen.measure_ids.retain(|name, _| !hidden.measure(name));
        seen.functions.retain(|name, _| !hidden.function(name));
        seen
    }

    /// The model with everything that is hidden from the caller.
    pub(crate) fn whole(&self) -> &Self {
        self.whole.as_deref().unwrap_or(self)
    }

    /// Whether nothing is hidden from the caller.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole.is_none()
    }

    /// Objects that roles hide.
    pub fn hidden_objects(&self) -> &[HiddenObject] {
        &self.hidden_objects
    }

    /// `visual`: where several items or none are selected and the group says nothing about that,
    /// measures are blank.
    fn compile_calculation_group(&mut self, id: TableId, table: &Table, visual: bool) {
        let Some(group) = &table.calculation_group else { return };
        let object = |name: &str| format!("{}[{name}]", table.name);
        let items = group.calculation_items.iter().map(|item| CalculationItemInfo {
            name: item.name.clone(),
            expression: self.parse(object(&item.name), &item.expression),
            format: self.parse_format(object(&item.name), item.format_string_definition.as_ref()),
        });
        let items = items.collect();
        let mut selection = |name: &str| {
            let given = group.selection_expression(name)?;
            Some(CalculationItemInfo {
                name: name.to_owned(),
                expression: self.parse(object(name), &given.expression),
                format: self.parse_format(object(name), given.format_string_definition.as_ref()),
            })
        };
        let no_selection = selection(NO_SELECTION);
        let many_selected = selection(MANY_SELECTED).or_else(|| {
            visual.then(|| CalculationItemInfo {
                name: MANY_SELECTED.to_owned(),
                expression: parse_expression("BLANK ()").into_result(),
                format: None,
            })
        });
        self.calculation_groups.push(CalculationGroupInfo {
            table: id,
            column: ColumnId { table: id, column: name_column(table) },
            precedence: group.precedence.unwrap_or_default(),
            items,
            no_selection,
            many_selected,
        });
    }

    /// The expression of a format string of this object.
    fn parse_format(
        &mut self,
        object: String,
        given: Option<&ExpressionDefinition>,
    ) -> Option<Result<Expr>> {
        let text = given.map(|d| &d.expression).filter(|text| !text.trim().is_empty())?;
        Some(self.parse(format!("{object}{FORMAT_OF}"), text))
    }

    fn parse(&mut self, object: String, text: &str) -> Result<Expr> {
        let mut parsed = self.parsed(object, text, |text| parse_expression(text).into_result());
        if let Ok(e) = &mut parsed {
            self.levels.resolve(e);
        }
        parsed
    }

    fn parsed<T>(
        &mut self,
        object: String,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T>,
    ) -> Result<T> {
        let parsed = parse(text);
        self.texts.push(text.into());
        self.states.push(ObjectState { object, error: None, place: None });
        if let Err(e) = &parsed {
            self.fail(self.states.len() - 1, e.clone());
        }
        parsed
    }

    /// Records what is wrong with an object's expression.
    fn fail(&mut self, state: usize, error: Error) {
        let (Some(of), Some(text)) = (self.states.get_mut(state), self.texts.get(state)) else {
            return;
        };
        of.place = error.span.map(|(start, _)| line_column(text, start));
        of.error = Some(error);
    }

    /// Binds every expression that parsed, so that its object's state says what is wrong with it.
    fn check(&mut self) {
        let failures: Vec<(usize, Error)> = crate::bind::failures(self)
            .into_iter()
            .filter_map(|(object, error)| {
                let is_it = |s: &ObjectState| s.error.is_none() && s.object == object;
                Some((self.states.iter().position(is_it)?, error))
            })
            .collect();
        for (state, error) in failures {
            self.fail(state, error);
        }
    }

    fn resolve(&self, r: &Relationship) -> Option<RelationshipInfo> {
        let from = self.column(&r.from_table, &r.from_column)?;
        let to = self.column(&r.to_table, &r.to_column)?;
        let is = |text: &Option<String>, what: &str| {
            text.as_deref().is_some_and(|t| t.eq_ignore_ascii_case(what))
        };
        let (from_one, to_many) = (is(&r.from_cardinality, "one"), is(&r.to_cardinality, "many"));
        // One to many as some tools write it: turned round, so that `from` is the many side.
        let (from, to) = if from_one && to_many { (to, from) } else { (from, to) };
        Some(RelationshipInfo {
            def: RelationshipDef { from, to, many_to_many: to_many && !from_one },
            active: r.is_active,
            // A one-to-one relationship always filters both ways.
            both_directions: is(&r.cross_filtering_behavior, "bothDirections")
                || (from_one && !to_many),
            secures_both_directions: is(&r.security_filtering_behavior, "bothDirections")
                || (from_one && !to_many),
            one_to_one: from_one && !to_many,
        })
    }
}

fn detail_rows(table: &Table, measure: &Measure, levels: &Levels) -> Option<Result<Expr>> {
    let own = measure.detail_rows_definition.as_ref();
    let given = own.or(table.default_detail_rows_definition.as_ref());
    let text = given.map(|d| &d.expression).filter(|text| !text.trim().is_empty());
    text.map(|text| {
        let mut parsed = parse_expression(text).into_result()?;
        levels.resolve(&mut parsed);
        Ok(parsed)
    })
}
