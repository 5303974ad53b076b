use evercube_model::tabular::Database;

use super::*;

fn database() -> Database {
    serde_json::from_str(
        r#"{ "name": "Retail", "model": {
          "tables": [
            { "name": "Sales",
              "columns": [
                { "name": "ProductKey", "dataType": "int64" },
                { "name": "Double", "type": "calculated", "dataType": "int64",
                  "expression": "Sales[ProductKey] * 2" } ],
              "measures": [
                { "name": "Lines", "expression": "COUNTROWS ( Sales )" },
                { "name": "Bad", "expression": "SUM ( " } ] },
            { "name": "Product", "columns": [ { "name": "Key", "dataType": "int64" } ] } ],
          "relationships": [
            { "name": "r", "fromTable": "Sales", "fromColumn": "ProductKey",
              "toTable": "Product", "toColumn": "Key",
              "crossFilteringBehavior": "bothDirections" } ],
          "roles": [ { "name": "None", "tablePermissions": [
            { "name": "Product", "filterExpression": "FALSE (" } ] } ] } }"#,
    )
    .unwrap()
}

#[test]
fn names_are_found_whatever_their_case() {
    let m = CompiledModel::compile(&database());
    let key = m.column("SALES", "productkey").unwrap();
    assert_eq!(m.column_info(key).name, "ProductKey");
    assert_eq!(m.measure("lines").unwrap().table, key.table);
    assert!(m.column("Sales", "Nothing").is_none());
    let other = m.column("Product", "Key").unwrap();
    assert_eq!(m.relationship_between(other, key), Some(RelationshipId(0)));
    assert!(m.relationship(RelationshipId(0)).both_directions);
}

#[test]
fn calculation_items_decide_the_types_of_measures() {
    let item = |name: &str, expression: &str| serde_json::json!({ "name": name, "expression": expression });
    let group = |items: Vec<serde_json::Value>| {
        serde_json::json!({ "name": "G", "calculationGroup": { "calculationItems": items },
          "columns": [ { "name": "G", "dataType": "string", "sourceColumn": "Name" } ] })
    };
    let of = |items: Vec<serde_json::Value>, own: DataType| {
        let mut database = database();
        database.model.tables.push(serde_json::from_value(group(items)).unwrap());
        CompiledModel::compile(&database).type_under_groups(own)
    };
    let same = || item("same", "SELECTEDMEASURE ()");
    let last = item("last", "CALCULATE ( SELECTEDMEASURE (), Product[Key] = 1 )");
    let ratio = item("ratio", "DIVIDE ( SELECTEDMEASURE (), 2 )");
    let text = item("text", "\"a\"");
    assert_eq!(of(vec![same(), last], DataType::Decimal), DataType::Decimal);
    assert_eq!(of(vec![same(), ratio.clone()], DataType::Int64), DataType::Variant);
    assert_eq!(of(vec![same(), ratio], DataType::String), DataType::Variant);
    assert_eq!(of(vec![same(), text.clone()], DataType::String), DataType::String);
    assert_eq!(of(vec![same(), text], DataType::Int64), DataType::Variant);
    assert_eq!(of(vec![item("bad", "SUM (")], DataType::Int64), DataType::Variant);
}

#[test]
fn a_model_may_blank_what_several_items_give() {
    let behavior = |given: Option<&str>| {
        let mut database = database();
        let group = serde_json::json!({ "name": "G",
          "calculationGroup": { "calculationItems": [
            { "name": "same", "expression": "SELECTEDMEASURE ()" } ] },
          "columns": [ { "name": "G", "dataType": "string", "sourceColumn": "Name" } ] });
        database.model.tables.push(serde_json::from_value(group).unwrap());
        let given = given.map(|g| ("selectionExpressionBehavior".to_owned(), g.into()));
        database.model.extra.extend(given);
        CompiledModel::compile(&database).calculation_groups()[0].many_selected.is_some()
    };
    assert!(behavior(Some("visual")));
    assert!(!behavior(Some("nonvisual")) && !behavior(Some("automatic")) && !behavior(None));
}

#[test]
fn a_bad_expression_is_recorded_with_its_object() {
    let m = CompiledModel::compile(&database());
    let bad: Vec<&str> =
        m.states().iter().filter(|s| s.error.is_some()).map(|s| &*s.object).collect();
    assert_eq!(bad, ["Sales[Bad]", "role 'None'/table 'Product'"]);
    assert!(m.measure("Bad").unwrap().expression.is_err());
    assert!(m.measure("Lines").unwrap().expression.is_ok());
    let roles = ["none".to_owned()];
    assert!(m.role_filters(&roles).all(|f| f.expression.is_err()));
    assert_eq!(m.role_filters(&roles).count(), 1);
}
