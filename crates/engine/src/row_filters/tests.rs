use std::sync::Arc;

use evercube_base::Collation;
use evercube_store::TableData;
use serde_json::json;

use crate::calculated::calculate;
use crate::compiled_model::CompiledModel;
use crate::query::QueryContext;

/// What cannot be computed of these calculated columns of a table, and why.
fn failures(columns: &[(&str, &str)], has_key: bool) -> Vec<String> {
    let mut all = vec![
        json!({ "name": "Key", "dataType": "int64", "isKey": has_key }),
        json!({ "name": "Amount", "dataType": "int64" }),
    ];
    all.extend(columns.iter().map(|(name, expression)| {
        json!({ "name": name, "type": "calculated", "dataType": "int64", "expression": expression })
    }));
    let database = json!({ "name": "M", "compatibilityLevel": 1550, "model": { "tables": [{
        "name": "T", "columns": all, "measures": [{ "name": "Total", "expression": "SUM ( T[Amount] )" }]
    }] } });
    let model = CompiledModel::compile(&serde_json::from_value(database).unwrap());
    let types: Vec<_> = model.tables()[0].columns.iter().map(|c| c.data_type).collect();
    let rows = Arc::new(TableData::from_batches(&types, Collation::default(), &[]).unwrap());
    let done = calculate(&Arc::new(model), vec![rows], &QueryContext::default()).unwrap();
    let told = |e: Option<evercube_base::Error>| e.map_or(String::new(), |e| e.message);
    done.failures.into_iter().map(|f| format!("{}: {}", f.object, told(f.error))).collect()
}

const CIRCLE: [&str; 2] = [
    "T[B]: A circular dependency was detected: T[A], T[B], T[A].",
    "T[A]: T[B], which it refers to, has an error.",
];

#[test]
fn columns_whose_rows_become_filters_need_each_other() {
    let calculate = "CALCULATE ( SUM ( T[Amount] ) )";
    assert_eq!(failures(&[("A", calculate), ("B", calculate)], false), CIRCLE);
    assert_eq!(failures(&[("A", "[Total]"), ("B", "1 + T[Total]")], false), CIRCLE);
    let within = "VAR m = MAXX ( T, T[Amount] ) RETURN IF ( m > 1, CALCULATE ( COUNTROWS ( T ) ) )";
    assert_eq!(failures(&[("A", calculate), ("B", within)], false), CIRCLE);
}

#[test]
fn one_such_column_may_stand_beside_others() {
    let calculate = "CALCULATE ( SUM ( T[Amount] ) )";
    let beside = [("A", calculate), ("B", "T[Amount] * 2"), ("C", "T[A] + 1")];
    assert_eq!(failures(&beside, false), [""; 0]);
}

#[test]
fn a_key_tells_the_row_and_so_no_other_column_filters() {
    let calculate = "CALCULATE ( SUM ( T[Amount] ) )";
    assert_eq!(failures(&[("A", calculate), ("B", "[Total]")], true), [""; 0]);
}

#[test]
fn filters_that_are_removed_are_not_needed() {
    let same_key = "CALCULATE ( SUM ( T[Amount] ), ALLEXCEPT ( T, T[Key] ) )";
    assert_eq!(failures(&[("A", same_key), ("B", same_key)], false), [""; 0]);
    let all = "CALCULATE ( SUM ( T[Amount] ), ALL ( T ) )";
    let none = "CALCULATE ( SUM ( T[Amount] ), REMOVEFILTERS ( ) )";
    assert_eq!(failures(&[("A", all), ("B", none)], false), [""; 0]);
    let of_key = "CALCULATE ( SUM ( T[Amount] ), ALL ( T[Key] ) )";
    assert_eq!(failures(&[("A", of_key), ("B", of_key)], false), CIRCLE);
}
