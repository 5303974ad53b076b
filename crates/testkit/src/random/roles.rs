//! Random roles: filters on rows of one table or two.

use super::chance::Chance;
use super::model::{Model, Table};

/// A role with its row filters.
#[derive(Clone)]
pub struct Role {
    pub name: &'static str,
    /// Tables and conditions on their rows.
    filters: Vec<(String, String)>,
}

/// None, one or two roles.
pub(super) fn roles(chance: &mut Chance, tables: &[Table]) -> Vec<Role> {
    if !chance.percent(25) {
        return Vec::new();
    }
    let n = 1 + chance.below(2);
    let role = |name| {
        let mut filters: Vec<(String, String)> = Vec::new();
        for _ in 0..=chance.below(2) {
            let table = chance.pick(tables);
            if !filters.iter().any(|(of, _)| *of == table.name) {
                filters.push((table.name.clone(), condition(chance, table, tables)));
            }
        }
        Role { name, filters }
    };
    ["R0", "R1"].into_iter().take(n).map(role).collect()
}

fn condition(chance: &mut Chance, table: &Table, tables: &[Table]) -> String {
    let (t, column) = (&table.name, chance.pick(&table.columns));
    let c = format!("{t}[{}]", column.name);
    match chance.below(7) {
        0 => format!("{c} = {}", column.constant(chance)),
        1 => format!("{c} <> {}", column.constant(chance)),
        2 => format!("NOT ISBLANK ( {c} )"),
        3 => format!("{t}[Number] <= AVERAGE ( {t}[Number] )"),
        4 => format!("CALCULATE ( COUNTROWS ( {} ) ) > 0", chance.pick(tables).name),
        5 => format!("{c} IN VALUES ( {c} ) && {t}[Number] > 0"),
        _ => format!("{t}[Number] > {}", chance.below(3)),
    }
}

impl Role {
    /// Whether it filters the table of a column written `Table[Column]`.
    pub(super) fn filters_table_of(&self, column: &str) -> bool {
        let is_of = |table: &String| column.split('[').next() == Some(table.as_str());
        self.filters.iter().any(|(table, _)| is_of(table))
    }

    pub(super) fn json(&self) -> String {
        let permission = |(table, condition): &(String, String)| {
            let condition = condition.replace('"', "\\\"");
            format!(r#"{{"name":"{table}","filterExpression":"{condition}"}}"#)
        };
        let permissions: Vec<String> = self.filters.iter().map(permission).collect();
        format!(
            r#"{{"name":"{}","modelPermission":"read","tablePermissions":[{}]}}"#,
            self.name,
            permissions.join(",")
        )
    }
}

impl Model {
    /// Roles to ask in; none: without filters of any.
    pub fn some_roles(&self, chance: &mut Chance) -> Vec<String> {
        let mut roles: Vec<String> = self.roles.iter().map(|r| r.name.to_owned()).collect();
        roles.retain(|_| chance.percent(70));
        roles
    }
}
