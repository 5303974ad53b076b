//! Runs the DAX scripts of `tests/scripts/topics`: each folder has a model of its own, `model.json`,
//! and scripts about one topic, whose answers were worked out from the documentation.

use std::cell::RefCell;
use std::path::Path;

use evercube_engine::{QueryContext, Rules};
use evercube_store::Packing;
use evercube_testkit::coverage::Coverage;
use evercube_testkit::script::{answer, answer_with, packed, run_folder, topic};

#[test]
fn topics_give_the_written_answers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/topics");
    let mut cases = 0;
    let coverage = RefCell::new(Coverage::default());
    for entry in std::fs::read_dir(folder).unwrap() {
        let topic_folder = entry.unwrap().path();
        let model = std::fs::read_to_string(topic_folder.join("model.json")).unwrap();
        let dataset = topic(&model);
        let cut = packed(&dataset, Packing::Runs);
        cases += run_folder(topic_folder.to_str().unwrap(), &dataset, |query, got| {
            coverage.borrow_mut().compare(&dataset, query, got);
            let plain =
                QueryContext { rules: Rules::none(), long_table: 0, ..QueryContext::default() };
            assert_eq!(answer_with(&dataset, query, usize::MAX, plain), got, "{query}");
            assert_eq!(answer(&cut, query, usize::MAX), got, "in segments: {query}");
        });
    }
    assert!(cases > 40, "{cases}");
    coverage.into_inner().check(100, &[]);
}
