//! What random queries define: measures, columns, tables, functions, variables. From there on the
//! query names them as it does those of the model.

use super::chance::Chance;
use super::model::{Column, Kind, Model, Table};
use super::query::Writer;

/// A function that is defined, and what its call takes.
#[derive(Clone, Copy)]
pub(super) struct Function {
    definition: &'static str,
    call: Call,
}

#[derive(Clone, Copy)]
enum Call {
    Scalar,
    Measure,
    Column,
    Number,
    Rows,
}

impl Function {
    fn name(&self) -> &'static str {
        self.definition.split(' ').next().unwrap_or_default()
    }
}

const FUNCTIONS: [Function; 7] = [
    Function { definition: "Twice = ( a ) => a + a", call: Call::Scalar },
    Function {
        definition: "Narrow = ( e : SCALAR EXPR ) => CALCULATE ( e, KEEPFILTERS ( D0[Number] > 0 ) )",
        call: Call::Scalar,
    },
    Function {
        definition: "Taken = ( e : SCALAR VAL ) => CALCULATE ( e + COUNTROWS ( D0 ), ALL ( D0 ) )",
        call: Call::Scalar,
    },
    Function {
        definition: "EachOf = ( m : MEASUREREF ) => SUMX ( VALUES ( D0[Text] ), m )",
        call: Call::Measure,
    },
    Function {
        definition: "Different = ( c : COLUMNREF ) => COUNTROWS ( FILTER ( ALL ( c ), NOT ISBLANK ( c ) ) )",
        call: Call::Column,
    },
    Function {
        definition: "Shares = ( c : COLUMNREF, d = 2 ) => DIVIDE ( SUM ( c ), d )",
        call: Call::Number,
    },
    Function {
        definition: "Over = ( t : TABLE EXPR, e : SCALAR EXPR ) => VAR n = COUNTROWS ( t ) RETURN SUMX ( t, e ) + n",
        call: Call::Rows,
    },
];

/// A query's definitions as text, empty where there are none, and what it may name.
pub(super) fn definitions(
    model: &Model,
    chance: &mut Chance,
    depth: usize,
) -> (String, Model, Vec<Function>) {
    let (mut model, mut functions, mut text) = (model.clone(), Vec::new(), Vec::new());
    if !chance.percent(35) {
        return (String::new(), model, functions);
    }
    // Functions first: all that follows may call them.
    for _ in 0..chance.below(3) {
        let f = *chance.pick(&FUNCTIONS);
        if !functions.iter().any(|g: &Function| g.definition == f.definition) {
            text.push(format!("FUNCTION {}", f.definition));
            functions.push(f);
        }
    }
    let depth = depth.min(1);
    for i in 0..1 + chance.below(2) {
        let known = model.clone();
        let mut w = Writer::new(&known, chance, functions.clone());
        match w.chance.below(4) {
            0 => {
                let at = w.chance.below(known.tables.len());
                let (name, column) = (&known.tables[at].name, format!("Extra{i}"));
                let rows = w.numbers_of(&known.tables[at]);
                let expression = w.in_rows(rows, |w| w.scalar(depth));
                // Under calculation groups only the values of a measure say that it is a number.
                text.push(format!("COLUMN {name}[{column}] = 1 * {expression}"));
                let values = Vec::new();
                model.tables[at].columns.push(Column { name: column, kind: Kind::Whole, values });
            }
            1 | 2 => {
                let table = w.table();
                let source = match w.chance.below(3) {
                    0 => table.name.clone(),
                    1 => format!("FILTER ( {0}, {0}[Number] > 0 )", table.name),
                    _ => format!("CALCULATETABLE ( {}, {} )", table.name, w.filters(depth)),
                };
                let columns = format!("\"Text\", {0}[Text], \"Number\", {0}[Number]", table.name);
                let name = format!("X{i}");
                let column = |(name, kind): (&str, Kind)| Column {
                    name: name.into(),
                    kind,
                    values: Vec::new(),
                };
                text.push(format!("TABLE {name} = SELECTCOLUMNS ( {source}, {columns} )"));
                let columns = [("Text", Kind::Text), ("Number", Kind::Whole)].map(column);
                model.tables.push(Table { name, columns: columns.into() });
            }
            _ => {
                let table = w.table().name.clone();
                let name = format!("Defined{i}");
                text.push(format!("MEASURE {table}[{name}] = {}", w.scalar(depth)));
                model.measures.push(name);
            }
        }
    }
    (format!("DEFINE\n{}\n", text.join("\n")), model, functions)
}

impl Writer<'_, '_> {
    /// A call of a function that the query defines.
    pub(super) fn own_call(&mut self, depth: usize) -> String {
        let Some(f) = (!self.functions.is_empty()).then(|| *self.chance.pick(&self.functions))
        else {
            return self.scalar(depth);
        };
        let name = f.name();
        match f.call {
            Call::Scalar => format!("{name} ( {} )", self.scalar(depth)),
            Call::Measure => {
                format!("{name} ( [{}] )", self.chance.pick(&self.model.measures))
            }
            Call::Column => format!("{name} ( {} )", self.named()),
            Call::Number => format!("{name} ( {} )", self.number()),
            Call::Rows => {
                let (table, columns) = self.rows_of(depth.saturating_sub(1));
                let body = self.in_rows(columns, |w| w.scalar(depth.saturating_sub(1)));
                format!("{name} ( {table}, {body} )")
            }
        }
    }
}
