//! Days: a table of them that facts refer to, and time intelligence over it. The days begin and end
//! about the ends of months, quarters and leap years, where periods differ in length.

use evercube_base::DateTime;
use evercube_engine::functions::day_count::end_of_month;

use super::chance::Chance;
use super::model::{Column, Connected, Kind, Relationship, Table, values};
use super::query::Writer;

/// First days, and how many follow them.
const SPANS: [((i32, u32, u32), i64); 5] = [
    ((2020, 1, 29), 65),
    ((2023, 2, 1), 59),
    ((2019, 12, 30), 40),
    ((2021, 11, 28), 95),
    ((2024, 2, 28), 370),
];

/// Adds the table of days `C` and to each fact a column `Day` that refers to it.
pub(super) fn add_calendar(
    chance: &mut Chance,
    tables: &mut Vec<Table>,
    dimensions: usize,
    relationships: &mut Vec<Relationship>,
    connected: &mut Connected,
) {
    let ((year, month, day), mut n) = *chance.pick(&SPANS);
    // Long ones take long; one year and more is looked at now and then.
    if n > 100 && chance.percent(95) {
        n = 33;
    }
    let first = DateTime::from_ymd(year, month, day).expect("a day").days();
    let at = tables.len();
    for (fact, table) in tables.iter_mut().enumerate().skip(dimensions) {
        let rows = table.columns[0].values.len();
        let orphans = usize::from(chance.percent(30));
        let days = values(chance, rows, n as usize + orphans, 0);
        // Ends of months more often than other days.
        let end = |d: i64| end_of_month(DateTime::from_days(d), 0).map_or(d, DateTime::days);
        let mut value = |v: Option<i64>| {
            let day = first + v?;
            Some(if chance.percent(40) { end(day) } else { day })
        };
        let values = days.into_iter().map(&mut value).collect();
        table.columns.push(Column { name: "Day".into(), kind: Kind::Day, values });
        let active = connected.join(fact, at);
        let ends = [(&*table.name, "Day"), ("C", "Date")];
        relationships.push(Relationship::new(relationships.len(), ends, active, ""));
    }
    let days = || (first..first + n).map(Some);
    let month = |d: Option<i64>| d.map(|d| i64::from(DateTime::from_days(d).ymd().1));
    let columns = vec![
        Column { name: "Date".into(), kind: Kind::Day, values: days().collect() },
        Column { name: "Number".into(), kind: Kind::Whole, values: days().map(month).collect() },
        Column { name: "Text".into(), kind: Kind::Text, values: values(chance, n as usize, 4, 0) },
    ];
    tables.push(Table { name: "C".into(), columns });
}

pub(super) fn day_constant(chance: &mut Chance, days: &[Option<i64>]) -> String {
    let day = if days.is_empty() { None } else { *chance.pick(days) };
    let (y, m, d) = DateTime::from_days(day.unwrap_or(43_890)).ymd();
    format!("DATE ( {y}, {m}, {d} )")
}

impl Writer<'_, '_> {
    pub(super) fn has_days(&self) -> bool {
        self.model.tables.iter().any(|t| t.name == "C")
    }

    /// A table of days.
    pub(super) fn days(&mut self) -> String {
        let n = *self.chance.pick(&["-2", "-1", "1", "2"]);
        let unit = *self.chance.pick(&["DAY", "MONTH", "MONTH", "QUARTER", "YEAR"]);
        match self.chance.below(12) {
            0 | 1 => format!("DATEADD ( C[Date], {n}, {unit} )"),
            2 => format!(
                "PARALLELPERIOD ( C[Date], {n}, {} )",
                if unit == "DAY" { "MONTH" } else { unit }
            ),
            3 => format!("DATESINPERIOD ( C[Date], MAX ( C[Date] ), {n}, {unit} )"),
            4 => format!("DATESINPERIOD ( C[Date], MIN ( F0[Day] ), {n}, {unit} )"),
            5 => {
                let from = self.day();
                format!("DATESBETWEEN ( C[Date], {from}, {} )", self.day())
            }
            6 => "SAMEPERIODLASTYEAR ( C[Date] )".to_owned(),
            7 => {
                let function = *self.chance.pick(&["FIRSTDATE", "LASTDATE"]);
                format!("{function} ( C[Date] )")
            }
            8 | 9 => {
                let function = *self.chance.pick(&["DATESMTD", "DATESQTD", "DATESYTD"]);
                format!("{function} ( C[Date] )")
            }
            _ => {
                let kind = *self.chance.pick(&["PREVIOUS", "NEXT", "STARTOF", "ENDOF"]);
                let unit = *self.chance.pick(&["MONTH", "QUARTER", "YEAR"]);
                format!("{kind}{unit} ( C[Date] )")
            }
        }
    }

    fn day(&mut self) -> String {
        let table = self.model.tables.iter().find(|t| t.name == "C");
        match (table, self.chance.below(4)) {
            (_, 0) => "BLANK ( )".to_owned(),
            (_, 1) => "MAX ( F0[Day] )".to_owned(),
            (Some(t), _) => day_constant(self.chance, &t.columns[0].values),
            (None, _) => "MIN ( C[Date] )".to_owned(),
        }
    }

    /// A measure over a period.
    pub(super) fn over_time(&mut self) -> String {
        let measure = self.chance.pick(&self.model.measures).clone();
        match self.chance.below(4) {
            0 => {
                let function = *self.chance.pick(&[
                    "TOTALMTD",
                    "TOTALQTD",
                    "TOTALYTD",
                    "CLOSINGBALANCEMONTH",
                    "OPENINGBALANCEMONTH",
                    "CLOSINGBALANCEQUARTER",
                ]);
                format!("{function} ( [{measure}], C[Date] )")
            }
            1 => format!("COUNTROWS ( {} )", self.days()),
            _ => format!("CALCULATE ( [{measure}], {} )", self.days()),
        }
    }
}
