//! `INFO.VIEW.…`: the metadata rowsets for people, with names in the place of numbers.

use evercube_base::{DataType, Result, Rowset, Value};
use evercube_dax::ast::Span;

use super::{Binder, column, literal, table_type};
use crate::plan::{Kind, Node, Uses};
use crate::query::RowsetSource;
use crate::scalar::plain_text;

/// Where a column of a view comes from.
enum From {
    /// The same cell of another name.
    Cell(&'static str),
    /// The first of two cells that is filled.
    Either(&'static str, &'static str),
    /// The name of the object whose id is in the cell.
    Name(&'static str, Rows),
    /// The word for a number.
    Word(&'static str, &'static [(i64, &'static str)]),
    /// A cell of the object whose id is in the first cell.
    Of(&'static str, Rows, &'static str),
    /// The word for a cell of the table's first partition.
    Partition(&'static str, &'static [(i64, &'static str)]),
    /// The expression of a calculated table.
    TableExpression,
    /// `'From'[Column] *<-1 'To'[Column]`.
    Relationship,
}

/// A metadata rowset.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    Model,
    Tables,
    Columns,
    Partitions,
    Groups,
    Details,
    FormatStrings,
}

impl Rows {
    fn rowset(self) -> &'static str {
        match self {
            Self::Model => "TMSCHEMA_MODEL",
            Self::Tables => "TMSCHEMA_TABLES",
            Self::Columns => "TMSCHEMA_COLUMNS",
            Self::Partitions => "TMSCHEMA_PARTITIONS",
            Self::Groups => "TMSCHEMA_CALCULATION_GROUPS",
            Self::Details => "TMSCHEMA_DETAIL_ROWS_DEFINITIONS",
            Self::FormatStrings => "TMSCHEMA_FORMAT_STRING_DEFINITIONS",
        }
    }
}

const DATA_TYPES: &[(i64, &str)] = &[
    (1, "Automatic"),
    (2, "Text"),
    (6, "Integer"),
    (8, "Number"),
    (9, "DateTime"),
    (10, "Currency"),
    (11, "Boolean"),
    (17, "Binary"),
    (19, "Unknown"),
    (20, "Variant"),
];
const STATES: &[(i64, &str)] = &[
    (1, "Ready"),
    (3, "NoData"),
    (4, "CalculationNeeded"),
    (5, "SemanticError"),
    (6, "EvaluationError"),
    (7, "DependencyError"),
    (8, "Incomplete"),
    (9, "SyntaxError"),
    (10, "ForceCalculationNeeded"),
];
const MODES: &[(i64, &str)] = &[
    (0, "Import"),
    (1, "DirectQuery"),
    (2, "Default"),
    (3, "Push"),
    (4, "Dual"),
    (5, "DirectLake"),
];
const ALIGNMENTS: &[(i64, &str)] = &[(1, "Default"), (2, "Left"), (3, "Right"), (4, "Center")];
const SUMMARIES: &[(i64, &str)] = &[
    (1, "Default"),
    (2, "None"),
    (3, "Sum"),
    (4, "Min"),
    (5, "Max"),
    (6, "Count"),
    (7, "Average"),
    (8, "DistinctCount"),
];
const COLUMN_TYPES: &[(i64, &str)] =
    &[(1, "Data"), (2, "Calculated"), (3, "RowNumber"), (4, "CalculatedTableColumn")];
const DIRECTIONS: &[(i64, &str)] = &[(1, "OneDirection"), (2, "BothDirections"), (3, "Automatic")];
const CARDINALITIES: &[(i64, &str)] = &[(0, "None"), (1, "One"), (2, "Many")];

type View = [(&'static str, From)];

const TABLES: &View = &[
    ("ID", From::Cell("ID")),
    ("Name", From::Cell("Name")),
    ("Model", From::Name("ModelID", Rows::Model)),
    ("DataCategory", From::Cell("DataCategory")),
    ("Description", From::Cell("Description")),
    ("IsHidden", From::Cell("IsHidden")),
    ("StorageMode", From::Partition("Mode", MODES)),
    ("TableStorage", From::Cell("TableStorageID")),
    ("Expression", From::TableExpression),
    ("ShowAsVariationsOnly", From::Cell("ShowAsVariationsOnly")),
    ("IsPrivate", From::Cell("IsPrivate")),
    ("CalculationGroupPrecedence", From::Of("CalculationGroupID", Rows::Groups, "Precedence")),
    ("LineageTag", From::Cell("LineageTag")),
];

const COLUMNS: &View = &[
    ("ID", From::Cell("ID")),
    ("Name", From::Either("ExplicitName", "InferredName")),
    ("Table", From::Name("TableID", Rows::Tables)),
    ("DataType", From::Word("InferredDataType", DATA_TYPES)),
    ("DataCategory", From::Cell("DataCategory")),
    ("Description", From::Cell("Description")),
    ("IsHidden", From::Cell("IsHidden")),
    ("IsUnique", From::Cell("IsUnique")),
    ("IsKey", From::Cell("IsKey")),
    ("IsNullable", From::Cell("IsNullable")),
    ("Alignment", From::Word("Alignment", ALIGNMENTS)),
    ("SummarizeBy", From::Word("SummarizeBy", SUMMARIES)),
    ("ColumnStorage", From::Cell("ColumnStorageID")),
    ("Type", From::Word("Type", COLUMN_TYPES)),
    ("SourceColumn", From::Cell("SourceColumn")),
    ("Expression", From::Cell("Expression")),
    ("FormatString", From::Cell("FormatString")),
    ("IsAvailableInMDX", From::Cell("IsAvailableInMDX")),
    ("SortByColumn", From::Name("SortByColumnID", Rows::Columns)),
    ("GroupingBehavior", From::Cell("RelatedColumnDetailsID")),
    ("SourceProviderType", From::Cell("SourceProviderType")),
    ("DisplayFolder", From::Cell("DisplayFolder")),
    ("AlternateOf", From::Cell("AlternateOfID")),
    ("LineageTag", From::Cell("LineageTag")),
];

const MEASURES: &View = &[
    ("ID", From::Cell("ID")),
    ("Name", From::Cell("Name")),
    ("Table", From::Name("TableID", Rows::Tables)),
    ("Description", From::Cell("Description")),
    ("DataType", From::Word("DataType", DATA_TYPES)),
    ("Expression", From::Cell("Expression")),
    ("FormatString", From::Cell("FormatString")),
    ("IsHidden", From::Cell("IsHidden")),
    ("State", From::Word("State", STATES)),
    ("KPIID", From::Cell("KPIID")),
    ("IsSimpleMeasure", From::Cell("IsSimpleMeasure")),
    ("DisplayFolder", From::Cell("DisplayFolder")),
    ("DetailRowsDefinition", From::Of("DetailRowsDefinitionID", Rows::Details, "Expression")),
    ("DataCategory", From::Cell("DataCategory")),
    (
        "FormatStringDefinition",
        From::Of("FormatStringDefinitionID", Rows::FormatStrings, "Expression"),
    ),
    ("LineageTag", From::Cell("LineageTag")),
];

const RELATIONSHIPS: &View = &[
    ("ID", From::Cell("ID")),
    ("Name", From::Cell("Name")),
    ("Relationship", From::Relationship),
    ("Model", From::Name("ModelID", Rows::Model)),
    ("IsActive", From::Cell("IsActive")),
    ("CrossFilteringBehavior", From::Word("CrossFilteringBehavior", DIRECTIONS)),
    ("RelyOnReferentialIntegrity", From::Cell("RelyOnReferentialIntegrity")),
    ("FromTable", From::Name("FromTableID", Rows::Tables)),
    ("FromColumn", From::Name("FromColumnID", Rows::Columns)),
    ("FromCardinality", From::Word("FromCardinality", CARDINALITIES)),
    ("ToTable", From::Name("ToTableID", Rows::Tables)),
    ("ToColumn", From::Name("ToColumnID", Rows::Columns)),
    ("ToCardinality", From::Word("ToCardinality", CARDINALITIES)),
    ("State", From::Word("State", STATES)),
    ("SecurityFilteringBehavior", From::Word("SecurityFilteringBehavior", DIRECTIONS)),
];

/// The rowsets a view is made from, read once each.
struct Reader<'a> {
    source: &'a RowsetSource,
    read: Vec<(Rows, Rowset)>,
}

impl Reader<'_> {
    fn rowset(&mut self, of: Rows) -> Result<&Rowset> {
        if let Some(at) = self.read.iter().position(|(o, _)| *o == of) {
            return Ok(&self.read[at].1);
        }
        let rowset = self.source.read(of.rowset(), &[])?;
        self.read.push((of, rowset));
        Ok(&self.read[self.read.len() - 1].1)
    }

    /// A cell of the row whose `key` has a value.
    fn find(&mut self, of: Rows, key: &str, value: &Value, wanted: &str) -> Result<Value> {
        let rowset = self.rowset(of)?;
        let at = rowset.column(key);
        let row = rowset.rows.iter().find(|r| at.is_some_and(|at| &r[at] == value));
        Ok(row.map_or(Value::Blank, |r| cell(rowset, r, wanted)))
    }

    fn name(&mut self, of: Rows, id: &Value) -> Result<Value> {
        if of != Rows::Columns {
            return self.find(of, "ID", id, "Name");
        }
        match self.find(of, "ID", id, "ExplicitName")? {
            Value::Blank => self.find(of, "ID", id, "InferredName"),
            name => Ok(name),
        }
    }

    fn value(&mut self, rowset: &Rowset, row: &[Value], from: &From) -> Result<Value> {
        let get = |name: &str| cell(rowset, row, name);
        Ok(match from {
            From::Cell(name) => get(name),
            From::Either(first, second) => match get(first) {
                Value::Blank => get(second),
                v => v,
            },
            From::Word(name, words) => word(&get(name), words),
            From::Name(key, of) => self.name(*of, &get(key))?,
            From::Of(key, of, wanted) => match get(key) {
                Value::Blank => Value::Blank,
                id => self.find(*of, "ID", &id, wanted)?,
            },
            From::Partition(wanted, words) => {
                word(&self.find(Rows::Partitions, "TableID", &get("ID"), wanted)?, words)
            }
            From::TableExpression => {
                match self.find(Rows::Partitions, "TableID", &get("ID"), "Type")? {
                    Value::Int(2) => {
                        self.find(Rows::Partitions, "TableID", &get("ID"), "QueryDefinition")?
                    }
                    _ => Value::Blank,
                }
            }
            From::Relationship => {
                let mut end = |table: &str, column: &str| -> Result<String> {
                    let table = self.name(Rows::Tables, &get(table))?;
                    let column = self.name(Rows::Columns, &get(column))?;
                    Ok(format!("'{}'[{}]", plain_text(&table), plain_text(&column)))
                };
                let from = end("FromTableID", "FromColumnID")?;
                let to = end("ToTableID", "ToColumnID")?;
                let side = |name: &str| if get(name) == Value::Int(1) { "1" } else { "*" };
                let both = get("CrossFilteringBehavior") == Value::Int(2);
                let arrow = if both { "<->" } else { "<-" };
                let (many, one) = (side("FromCardinality"), side("ToCardinality"));
                Value::from(format!("{from} {many}{arrow}{one} {to}"))
            }
        })
    }
}

fn cell(rowset: &Rowset, row: &[Value], name: &str) -> Value {
    rowset.column(name).and_then(|at| row.get(at)).cloned().unwrap_or_default()
}

fn word(number: &Value, words: &[(i64, &str)]) -> Value {
    let Value::Int(n) = number else { return Value::Blank };
    words.iter().find(|(k, _)| k == n).map_or_else(|| Value::from(n.to_string()), |w| w.1.into())
}

fn data_type(values: impl Iterator<Item = Value>) -> DataType {
    values.filter_map(|v| v.data_type()).next().unwrap_or(DataType::String)
}

impl Binder<'_> {
    /// The table of an `INFO.VIEW` function; `None` for other functions.
    pub(super) fn info_view(source: &RowsetSource, name: &str, span: Span) -> Result<Option<Node>> {
        let (rowset, view) = match name {
            "INFO.VIEW.TABLES" => ("TMSCHEMA_TABLES", TABLES),
            "INFO.VIEW.COLUMNS" => ("TMSCHEMA_COLUMNS", COLUMNS),
            "INFO.VIEW.MEASURES" => ("TMSCHEMA_MEASURES", MEASURES),
            "INFO.VIEW.RELATIONSHIPS" => ("TMSCHEMA_RELATIONSHIPS", RELATIONSHIPS),
            _ => return Ok(None),
        };
        let rowset = source.read(rowset, &[])?;
        let mut reader = Reader { source, read: Vec::new() };
        let mut rows = Vec::new();
        for row in &rowset.rows {
            let cells = view.iter().map(|(_, from)| reader.value(&rowset, row, from));
            rows.push(cells.collect::<Result<Vec<Value>>>()?);
        }
        let of_column = |i: usize| data_type(rows.iter().map(|r| r[i].clone()));
        let schema = view.iter().enumerate().map(|(i, (n, _))| column(n, of_column(i))).collect();
        let cells = |row: Vec<Value>| row.into_iter().map(|v| literal(v, span)).collect();
        let rows = rows.into_iter().map(cells).collect();
        Ok(Some(Self::node(Kind::Rows(rows), table_type(schema), Uses::default(), span)))
    }
}
