use super::*;

#[test]
fn every_function_is_described_once() {
    let names: std::collections::BTreeSet<_> = all().iter().map(|f| f.name).collect();
    assert_eq!(names.len(), all().len());
    assert!(all().iter().all(|f| !f.description.is_empty() && !f.category.is_empty()));
    assert!(matches!(lookup("calculate").map(|f| f.kind), Some(FunctionKind::Special)));
    assert!(lookup("NOW").is_some_and(|f| f.volatile));
    assert!(lookup("NO SUCH FUNCTION").is_none());
}
