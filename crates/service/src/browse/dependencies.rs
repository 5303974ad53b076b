//! Which object of a model names which: rows of `DISCOVER_CALC_DEPENDENCY`.

use evercube_engine::{Named, named_by, named_by_query};
use evercube_model::tabular::Table;
use evercube_store::{ColumnId, TableId};

use crate::discover::Dependency;
use crate::versions::LoadedVersion;

/// What every computed object of the model names.
pub(super) fn of_model(version: &LoadedVersion) -> Vec<Dependency> {
    let compiled = &version.compiled;
    let mut out = Vec::new();
    for (id, table) in (0..).map(TableId).zip(compiled.tables()) {
        let Some(source) = source(version, id) else { continue };
        let own = |kind: &str, name: &str, expression: &str| Dependency {
            object_type: kind.into(),
            table: table.name.clone(),
            object: name.into(),
            expression: expression.into(),
            ..Dependency::default()
        };
        if let Some(Ok(e)) = &table.expression {
            let text = source.partitions.iter().find_map(|p| p.source.calculated_expression());
            let of = own("CALC_TABLE", &table.name, text.unwrap_or_default());
            push(&mut out, version, &of, named_by(compiled, None, e));
        }
        for (column, shown) in table.columns.iter().zip(&source.columns) {
            if let Some(Ok(e)) = &column.expression {
                let text = shown.expression.as_deref().unwrap_or_default();
                let of = own("CALC_COLUMN", &column.name, text);
                push(&mut out, version, &of, named_by(compiled, Some(id), e));
            }
        }
        for measure in compiled.measures().iter().filter(|m| m.table == id) {
            let shown = source.measures.iter().find(|m| m.name == measure.name);
            if let (Ok(e), Some(shown)) = (&measure.expression, shown) {
                let of = own("MEASURE", &measure.name, &shown.expression);
                push(&mut out, version, &of, named_by(compiled, Some(id), e));
            }
        }
    }
    for (info, shown) in
        compiled.relationships().iter().zip(&version.model.database.model.relationships)
    {
        let of = Dependency {
            object_type: if info.active { "ACTIVE_RELATIONSHIP" } else { "RELATIONSHIP" }.into(),
            table: shown.from_table.clone(),
            object: shown.name.clone(),
            ..Dependency::default()
        };
        let ends = [info.def.from, info.def.to].map(Named::Column);
        push(&mut out, version, &of, ends);
    }
    out
}

/// What a query names; nothing where it does not parse.
pub(super) fn of_query(version: &LoadedVersion, text: &str) -> Vec<Dependency> {
    let mut out = Vec::new();
    let of = Dependency { object_type: "QUERY".into(), ..Dependency::default() };
    let named = named_by_query(&version.compiled, text).unwrap_or_default();
    push(&mut out, version, &of, named);
    out
}

fn source(version: &LoadedVersion, id: TableId) -> Option<&Table> {
    version.model.database.model.tables.get(id.0 as usize)
}

fn push(
    out: &mut Vec<Dependency>,
    version: &LoadedVersion,
    of: &Dependency,
    named: impl IntoIterator<Item = Named>,
) {
    for object in named {
        let mut row = of.clone();
        refer(version, object, &mut row);
        out.push(row);
    }
}

fn refer(version: &LoadedVersion, object: Named, row: &mut Dependency) {
    let compiled = &version.compiled;
    let (kind, table, name, expression) = match object {
        Named::Table(id) => {
            let kind = if compiled.table(id).expression.is_some() { "CALC_TABLE" } else { "TABLE" };
            (kind, id, compiled.table(id).name.clone(), None)
        }
        Named::Column(id) => {
            let info = compiled.column_info(id);
            let kind = if info.expression.is_some() { "CALC_COLUMN" } else { "COLUMN" };
            (kind, id.table, info.name.clone(), column_text(version, id))
        }
        Named::Measure(name) => {
            let Some(of) = compiled.measure(&name).map(|m| m.table) else { return };
            let shown =
                source(version, of).and_then(|t| t.measures.iter().find(|m| m.name == name));
            ("MEASURE", of, name.clone(), shown.map(|m| m.expression.0.clone()))
        }
    };
    row.referenced_type = kind.into();
    row.referenced_table.clone_from(&compiled.table(table).name);
    row.referenced_object = name;
    row.referenced_expression = expression.unwrap_or_default();
}

fn column_text(version: &LoadedVersion, id: ColumnId) -> Option<String> {
    let of = source(version, id.table)?.columns.get(id.column as usize)?;
    of.expression.as_ref().map(|text| text.0.clone())
}
