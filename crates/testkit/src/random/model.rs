//! Random models: facts and dimensions, snowflaked or not, with orphans, blanks, inactive, two-way
//! and many-to-many relationships. Active relationships form a forest, or filters go one way and
//! facts have dimensions in common; either way there is one way of a filter between two tables.

use std::fmt::Write;
use std::sync::Arc;

use evercube_base::{Collation, ColumnData, DataType, RowBatch};
use evercube_engine::{CompiledModel, Dataset};
use evercube_store::{StoreVersion, TableData};

use super::chance::Chance;

pub struct Column {
    pub name: String,
    pub is_text: bool,
    /// Whole numbers; of a text column, the numbers of its letters. Nothing: blank.
    pub values: Vec<Option<i64>>,
}

pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
}

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

pub struct Model {
    /// Tables may have several others that refer to them, and those again others in common; there
    /// is still one way of a filter between two tables, and filters go one way.
    pub shared: bool,
    pub tables: Vec<Table>,
    pub relationships: Vec<Relationship>,
    pub measures: Vec<String>,
    json: String,
}

fn values(chance: &mut Chance, rows: usize, limit: usize, blanks: usize) -> Vec<Option<i64>> {
    (0..rows).map(|_| (!chance.percent(blanks)).then(|| chance.below(limit) as i64)).collect()
}

fn table(chance: &mut Chance, name: String, rows: usize, has_key: bool) -> Table {
    let mut columns = Vec::new();
    if has_key {
        let values = (0..rows as i64).map(Some).collect();
        columns.push(Column { name: "Key".into(), is_text: false, values });
    }
    let blanks = if chance.percent(50) { 15 } else { 0 };
    for (name, is_text) in [("Text", true), ("Number", false)] {
        let values = values(chance, rows, 4, blanks);
        columns.push(Column { name: name.into(), is_text, values });
    }
    Table { name, columns }
}

/// Which tables are connected.
enum Connected {
    /// For each table the one that stands for all it is connected with.
    Forest(Vec<usize>),
    /// For each table those whose filters reach it.
    OneWay(Vec<Vec<usize>>),
}

impl Connected {
    fn new(tables: usize, one_way: bool) -> Self {
        match one_way {
            true => Self::OneWay((0..tables).map(|t| vec![t]).collect()),
            false => Self::Forest((0..tables).collect()),
        }
    }

    /// Connects two tables where that leaves one way between any two.
    fn join(&mut self, from: usize, to: usize) -> bool {
        match self {
            Self::Forest(of) => {
                let (a, b) = (of[from], of[to]);
                of.iter_mut().filter(|x| **x == a).for_each(|x| *x = b);
                a != b
            }
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

struct Kind {
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
    let mut connected = Connected::new(tables.len(), shared);
    let mut relationships = Vec::new();
    for from in 0..tables.len() {
        for to in 0..dimensions {
            // A dimension refers to later ones only.
            let may = if from < dimensions { from < to } else { true };
            if may && chance.percent(75) {
                let many_to_many = chance.percent(15);
                let active = chance.percent(85) && connected.join(from, to);
                let mut add = |chance: &mut Chance, active, many_to_many| {
                    let kind = Kind { active, many_to_many, one_way: shared };
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
    let mut model =
        Model { shared, tables, relationships, measures: Vec::new(), json: String::new() };
    model.json = json(&mut model.measures, &model.tables, &model.relationships);
    model
}

fn relate(
    chance: &mut Chance,
    tables: &mut [Table],
    relationships: &mut Vec<Relationship>,
    (from, to): (usize, usize),
    Kind { active, many_to_many, one_way }: Kind,
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
        tables[from].columns.push(Column { name: name.clone(), is_text: false, values });
        (name, "Key".to_owned())
    };
    let (from_table, to_table) = (tables[from].name.clone(), tables[to].name.clone());
    let mut json = format!(
        r#"{{"name":"r{}","fromTable":"{from_table}","fromColumn":"{from_column}","toTable":"{to_table}","toColumn":"{to_column}","isActive":{active}"#,
        relationships.len()
    );
    if many_to_many {
        json.push_str(r#","toCardinality":"many""#);
    }
    if !one_way && chance.percent(25) {
        json.push_str(r#","crossFilteringBehavior":"bothDirections""#);
    }
    json.push('}');
    relationships.push(Relationship {
        from: format!("{from_table}[{from_column}]"),
        to: format!("{to_table}[{to_column}]"),
        active,
        stands_in: false,
        many_to_many,
        json,
    });
}

fn json(measures: &mut Vec<String>, tables: &[Table], relationships: &[Relationship]) -> String {
    let table = |t: &Table, measures: &mut Vec<String>| {
        let column = |c: &Column| {
            let kind = if c.is_text { "string" } else { "int64" };
            format!(r#"{{"name":"{}","dataType":"{kind}"}}"#, c.name)
        };
        let columns: Vec<String> = t.columns.iter().map(column).collect();
        let n = &t.name;
        let given = [
            (format!("{n} sum"), format!("SUM ( {n}[Number] )")),
            (format!("{n} rows"), format!("COUNTROWS ( {n} )")),
            (format!("{n} texts"), format!("DISTINCTCOUNT ( {n}[Text] )")),
            (
                format!("{n} share"),
                format!("DIVIDE ( [{n} sum], CALCULATE ( [{n} sum], ALL ( {n} ) ) )"),
            ),
        ];
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
    let tables: Vec<String> = tables.iter().map(|t| table(t, measures)).collect();
    let relationships: Vec<&str> = relationships.iter().map(|r| r.json.as_str()).collect();
    format!(
        r#"{{"name":"m","compatibilityLevel":1550,"model":{{"tables":[{}],"relationships":[{}]}}}}"#,
        tables.join(","),
        relationships.join(",")
    )
}

const LETTERS: [&str; 4] = ["a", "B", "c", "d"];

impl Column {
    fn data(&self) -> ColumnData {
        match self.is_text {
            true => {
                let text = |v: &Option<i64>| v.map(|i| Arc::from(LETTERS[i as usize]));
                ColumnData::String(self.values.iter().map(text).collect())
            }
            false => ColumnData::Int64(self.values.clone()),
        }
    }

    /// A constant of the column's type, perhaps one that does not occur.
    pub fn constant(&self, chance: &mut Chance) -> String {
        let i = chance.below(5);
        match self.is_text {
            true => format!("\"{}\"", LETTERS.get(i).unwrap_or(&"none")),
            false => i.to_string(),
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
        let tables = self.tables.iter().map(data).collect();
        let store = StoreVersion::new(tables, &model.relationship_defs()).expect("made here");
        Dataset { model: Arc::new(model), store: Arc::new(store) }
    }

    /// The model and its data, to read.
    pub fn shown(&self) -> String {
        let mut out = String::new();
        for t in &self.tables {
            writeln!(out, "{}", t.name).expect("made here");
            for c in &t.columns {
                let value = |v: &Option<i64>| match (v, c.is_text) {
                    (None, _) => "-".to_owned(),
                    (Some(i), true) => LETTERS[*i as usize].to_owned(),
                    (Some(i), false) => i.to_string(),
                };
                let values: Vec<String> = c.values.iter().map(value).collect();
                writeln!(out, "  {}: {}", c.name, values.join(" ")).expect("made here");
            }
        }
        for r in &self.relationships {
            writeln!(out, "{}", r.json).expect("made here");
        }
        out
    }
}
