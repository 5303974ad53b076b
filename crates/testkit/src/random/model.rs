//! Random models: facts and dimensions, snowflaked or not, with orphans, blanks, inactive, two-way
//! and many-to-many relationships, days, calculation groups and roles. Mostly there is one way of a
//! filter between two tables: active relationships form a forest, or filters go one way and facts
//! have dimensions in common. Else there may be several.

use std::fmt::Write;
use std::sync::Arc;

use evercube_base::{Collation, ColumnData, DataType, DateTime, Decimal, RowBatch};
use evercube_engine::{CompiledModel, Dataset};
use evercube_store::{StoreVersion, TableData};

use super::calendar::{add_calendar, day_constant};
use super::chance::Chance;
use super::groups::{Group, groups};
use super::roles::{Role, roles};
use crate::script::computed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Whole,
    Text,
    /// Fixed decimals.
    Money,
    Day,
}

#[derive(Clone)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    /// Whole numbers and days; of other columns, places in a list of values. Nothing: blank.
    pub values: Vec<Option<i64>>,
}

#[derive(Clone)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
}

#[derive(Clone)]
pub struct Relationship {
    /// `'Table'[Column]`, the many side.
    pub from: String,
    pub to: String,
    pub active: bool,
    /// An inactive one between tables that an active one connects: using it leaves one way.
    pub stands_in: bool,
    pub many_to_many: bool,
    json: String,
}

#[derive(Clone)]
pub struct Model {
    /// Tables may have several others that refer to them, and those again others in common; there
    /// is still one way of a filter between two tables, and filters go one way.
    pub shared: bool,
    pub tables: Vec<Table>,
    pub relationships: Vec<Relationship>,
    pub measures: Vec<String>,
    /// Calculation groups.
    pub groups: Vec<Group>,
    pub roles: Vec<Role>,
    json: String,
}

pub(super) fn values(
    chance: &mut Chance,
    rows: usize,
    limit: usize,
    blanks: usize,
) -> Vec<Option<i64>> {
    (0..rows).map(|_| (!chance.percent(blanks)).then(|| chance.below(limit) as i64)).collect()
}

fn table(chance: &mut Chance, name: String, rows: usize, has_key: bool) -> Table {
    let mut columns = Vec::new();
    if has_key {
        let values = (0..rows as i64).map(Some).collect();
        columns.push(Column { name: "Key".into(), kind: Kind::Whole, values });
    }
    let blanks = if chance.percent(50) { 15 } else { 0 };
    let mut kinds = vec![("Text", Kind::Text), ("Number", Kind::Whole)];
    if chance.percent(30) {
        kinds.push(("Money", Kind::Money));
    }
    for (name, kind) in kinds {
        let values = values(chance, rows, 4, blanks);
        columns.push(Column { name: name.into(), kind, values });
    }
    Table { name, columns }
}

/// Which tables are connected.
pub(super) enum Connected {
    /// For each table the one that stands for all it is connected with.
    Forest(Vec<usize>),
    /// For each table those whose filters reach it.
    OneWay(Vec<Vec<usize>>),
    /// In whatever ways.
    Anyhow,
}

impl Connected {
    fn new(tables: usize, one_way: bool) -> Self {
        match one_way {
            true => Self::OneWay((0..tables).map(|t| vec![t]).collect()),
            false => Self::Forest((0..tables).collect()),
        }
    }

    /// Connects two tables where that leaves one way between any two.
    pub fn join(&mut self, from: usize, to: usize) -> bool {
        match self {
            Self::Forest(of) => {
                let (a, b) = (of[from], of[to]);
                of.iter_mut().filter(|x| **x == a).for_each(|x| *x = b);
                a != b
            }
            Self::Anyhow => true,
            Self::OneWay(reached_by) => {
                let more = reached_by[to].clone();
                let mut behind: Vec<&mut Vec<usize>> =
                    reached_by.iter_mut().filter(|r| r.contains(&from)).collect();
                let is_new = behind.iter().all(|r| more.iter().all(|t| !r.contains(t)));
                if is_new {
                    behind.iter_mut().for_each(|r| r.extend(&more));
                }
                is_new
            }
        }
    }
}

struct RelationshipKind {
    active: bool,
    many_to_many: bool,
    one_way: bool,
}

/// A model with its data.
pub fn random_model(chance: &mut Chance) -> Model {
    let (dimensions, facts) = (1 + chance.below(3), 1 + chance.below(2));
    let mut tables = Vec::new();
    for i in 0..dimensions {
        let rows = 1 + chance.below(5);
        tables.push(table(chance, format!("D{i}"), rows, true));
    }
    for i in 0..facts {
        let rows = chance.below(13);
        tables.push(table(chance, format!("F{i}"), rows, false));
    }
    let shared = chance.percent(40);
    let mut connected = match !shared && chance.percent(25) {
        true => Connected::Anyhow,
        false => Connected::new(tables.len() + 1, shared),
    };
    let mut relationships = Vec::new();
    for from in 0..tables.len() {
        for to in 0..dimensions {
            // A dimension refers to later ones only.
            let may = if from < dimensions { from < to } else { true };
            if may && chance.percent(75) {
                let many_to_many = chance.percent(15);
                let active = chance.percent(85) && connected.join(from, to);
                let mut add = |chance: &mut Chance, active, many_to_many| {
                    let kind = RelationshipKind { active, many_to_many, one_way: shared };
                    relate(chance, &mut tables, &mut relationships, (from, to), kind);
                };
                add(chance, active, many_to_many);
                if active && chance.percent(25) {
                    add(chance, false, false);
                    relationships.last_mut().expect("made here").stands_in = true;
                }
            }
        }
    }
    if chance.percent(30) {
        add_calendar(chance, &mut tables, dimensions, &mut relationships, &mut connected);
    }
    let (mut measures, groups) = (Vec::new(), groups(chance));
    let roles = roles(chance, &tables);
    let json = json(&mut measures, &tables, &relationships, &groups, &roles);
    Model { shared, tables, relationships, measures, groups, roles, json }
}

fn relate(
    chance: &mut Chance,
    tables: &mut [Table],
    relationships: &mut Vec<Relationship>,
    (from, to): (usize, usize),
    RelationshipKind { active, many_to_many, one_way }: RelationshipKind,
) {
    let rows = tables[from].columns[0].values.len();
    let keys = tables[to].columns[0].values.len();
    // Some keys lead nowhere.
    let orphans = usize::from(chance.percent(40));
    let (from_column, to_column) = if many_to_many {
        ("Text".to_owned(), "Text".to_owned())
    } else {
        let blanks = if chance.percent(30) { 15 } else { 0 };
        let values = values(chance, rows, keys + orphans, blanks);
        let name = format!("Key{to}{}", if active { "" } else { "b" });
        tables[from].columns.push(Column { name: name.clone(), kind: Kind::Whole, values });
        (name, "Key".to_owned())
    };
    let (from_table, to_table) = (tables[from].name.clone(), tables[to].name.clone());
    let mut more = String::new();
    if many_to_many {
        more.push_str(r#","toCardinality":"many""#);
    }
    if !one_way && chance.percent(25) {
        more.push_str(r#","crossFilteringBehavior":"bothDirections""#);
    }
    let ends = [(&*from_table, &*from_column), (&*to_table, &*to_column)];
    let made = Relationship::new(relationships.len(), ends, active, &more);
    relationships.push(Relationship { many_to_many, ..made });
}

impl Relationship {
    /// One between two columns; `more`: what else its definition says.
    pub(super) fn new(
        number: usize,
        [(from_table, from_column), (to_table, to_column)]: [(&str, &str); 2],
        active: bool,
        more: &str,
    ) -> Self {
        Self {
            from: format!("{from_table}[{from_column}]"),
            to: format!("{to_table}[{to_column}]"),
            active,
            stands_in: false,
            many_to_many: false,
            json: format!(
                r#"{{"name":"r{number}","fromTable":"{from_table}","fromColumn":"{from_column}","toTable":"{to_table}","toColumn":"{to_column}","isActive":{active}{more}}}"#
            ),
        }
    }
}

fn json(
    measures: &mut Vec<String>,
    tables: &[Table],
    relationships: &[Relationship],
    groups: &[Group],
    roles: &[Role],
) -> String {
    let table = |t: &Table, measures: &mut Vec<String>| {
        let column = |c: &Column| {
            let kind = match c.kind {
                Kind::Whole => "int64",
                Kind::Text => "string",
                Kind::Money => "decimal",
                Kind::Day => "dateTime",
            };
            format!(r#"{{"name":"{}","dataType":"{kind}"}}"#, c.name)
        };
        let columns: Vec<String> = t.columns.iter().map(column).collect();
        let n = &t.name;
        let mut given = vec![
            (format!("{n} sum"), format!("SUM ( {n}[Number] )")),
            (format!("{n} rows"), format!("COUNTROWS ( {n} )")),
            (format!("{n} texts"), format!("DISTINCTCOUNT ( {n}[Text] )")),
            (
                format!("{n} share"),
                format!("DIVIDE ( [{n} sum], CALCULATE ( [{n} sum], ALL ( {n} ) ) )"),
            ),
        ];
        if t.columns.iter().any(|c| c.kind == Kind::Money) {
            given.push((format!("{n} money"), format!("SUM ( {n}[Money] )")));
            given.push((
                format!("{n} worth"),
                format!("SUMX ( {n}, {n}[Money] * {n}[Number] + {n}[Money] / 3 )"),
            ));
        }
        let shown: Vec<String> = given
            .iter()
            .map(|(name, e)| format!(r#"{{"name":"{name}","expression":"{e}"}}"#))
            .collect();
        measures.extend(given.into_iter().map(|(name, _)| name));
        format!(
            r#"{{"name":"{n}","columns":[{}],"measures":[{}]}}"#,
            columns.join(","),
            shown.join(",")
        )
    };
    let mut tables: Vec<String> = tables.iter().map(|t| table(t, measures)).collect();
    tables.extend(groups.iter().map(Group::json));
    let relationships: Vec<&str> = relationships.iter().map(|r| r.json.as_str()).collect();
    let roles: Vec<String> = roles.iter().map(Role::json).collect();
    format!(
        r#"{{"name":"m","compatibilityLevel":1702,"model":{{"tables":[{}],"relationships":[{}],"roles":[{}]}}}}"#,
        tables.join(","),
        relationships.join(","),
        roles.join(",")
    )
}

const LETTERS: [&str; 4] = ["a", "B", "c", "d"];

/// Fixed decimals whose products and quotients need rounding, in ten-thousandths.
const MONEY: [i64; 4] = [3_333, -12_345, 5, 9_876_543_219];

impl Column {
    fn data(&self) -> ColumnData {
        let values = self.values.iter();
        match self.kind {
            Kind::Text => {
                let text = |v: &Option<i64>| v.map(|i| Arc::from(LETTERS[i as usize]));
                ColumnData::String(values.map(text).collect())
            }
            Kind::Whole => ColumnData::Int64(self.values.clone()),
            Kind::Money => {
                let money = |v: &Option<i64>| v.map(|i| Decimal(MONEY[i as usize]));
                ColumnData::Decimal(values.map(money).collect())
            }
            Kind::Day => {
                let day = |v: &Option<i64>| v.map(DateTime::from_days);
                ColumnData::DateTime(values.map(day).collect())
            }
        }
    }

    pub fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Whole | Kind::Money)
    }

    /// A constant of the column's type, perhaps one that does not occur.
    pub fn constant(&self, chance: &mut Chance) -> String {
        let i = chance.below(5);
        match self.kind {
            Kind::Text => format!("\"{}\"", LETTERS.get(i).unwrap_or(&"none")),
            Kind::Whole => i.to_string(),
            Kind::Money => match MONEY.get(i) {
                Some(v) => format!("CURRENCY ( {} )", Decimal(*v)),
                None => "1".to_owned(),
            },
            Kind::Day => day_constant(chance, &self.values),
        }
    }

    fn shown(&self, value: Option<i64>) -> String {
        let Some(i) = value else { return "-".to_owned() };
        match self.kind {
            Kind::Whole => i.to_string(),
            Kind::Text => LETTERS[i as usize].to_owned(),
            Kind::Money => Decimal(MONEY[i as usize]).to_string(),
            Kind::Day => {
                let (y, m, d) = DateTime::from_days(i).ymd();
                format!("{y}-{m}-{d}")
            }
        }
    }
}

impl Model {
    pub fn dataset(&self) -> Dataset {
        let model = CompiledModel::compile(&serde_json::from_str(&self.json).expect("made here"));
        let data = |t: &Table| {
            let columns: Vec<ColumnData> = t.columns.iter().map(Column::data).collect();
            let types: Vec<DataType> = columns.iter().map(ColumnData::data_type).collect();
            let batch = RowBatch { rows: t.columns[0].values.len(), columns };
            Arc::new(
                TableData::from_batches(&types, Collation::default(), &[batch]).expect("made here"),
            )
        };
        let model = Arc::new(model);
        let tables = computed(&model, self.tables.iter().map(data).collect());
        let store = StoreVersion::new(tables, &model.relationship_defs()).expect("made here");
        Dataset { model, store: Arc::new(store) }
    }

    /// The model and its data, to read.
    pub fn shown(&self) -> String {
        let mut out = String::new();
        for t in &self.tables {
            writeln!(out, "{}", t.name).expect("made here");
            for c in &t.columns {
                let values: Vec<String> = c.values.iter().map(|v| c.shown(*v)).collect();
                writeln!(out, "  {}: {}", c.name, values.join(" ")).expect("made here");
            }
        }
        for r in &self.relationships {
            writeln!(out, "{}", r.json).expect("made here");
        }
        for g in &self.groups {
            writeln!(out, "{}", g.json()).expect("made here");
        }
        for r in &self.roles {
            writeln!(out, "{}", r.json()).expect("made here");
        }
        out
    }
}
