//! How much of the corpus the reference evaluator answers, and that it answers as the engine does.

use std::collections::BTreeMap;

use evercube_base::ErrorKind;
use evercube_engine::Dataset;

use crate::reference::{REFUSAL, Reference, Table};
use crate::script::{culture_of, now, print, roles_of};

/// Cases by what became of them.
#[derive(Debug, Default)]
pub struct Coverage {
    pub agreed: usize,
    /// Cases that the reference evaluator does not answer, by the construct it does not know.
    pub refused: BTreeMap<String, usize>,
    pub different: Vec<String>,
}

impl Coverage {
    /// Holds the engine's answer against that of the reference evaluator, which counts every error
    /// as the same.
    pub fn compare(&mut self, dataset: &Dataset, query: &str, got: &str) {
        let mut reference = Reference::new(dataset, now());
        if let Some(culture) = culture_of(query) {
            reference = reference.speaking(culture);
        }
        let answer = reference.see_as(&roles_of(query)).and_then(|()| reference.query(query));
        let (is_same, expected) = match answer {
            Ok(tables) => {
                let shown = |t: &Table| {
                    let names: Vec<String> =
                        t.columns.iter().map(|c| reference.shown_name(c)).collect();
                    print(&names, &t.rows)
                };
                let expected = tables.iter().map(shown).collect::<Vec<_>>().join("\n\n");
                (got == expected, expected)
            }
            Err(e) if e.kind == ErrorKind::Unsupported => {
                let what = e.message.strip_prefix(REFUSAL).unwrap_or(&e.message);
                return *self.refused.entry(what.to_owned()).or_default() += 1;
            }
            Err(e) => (got.starts_with("error"), format!("error: {e}")),
        };
        match is_same {
            true => self.agreed += 1,
            false => {
                self.different.push(format!("{query}\nengine\n{got}\nreference\n{expected}\n"));
            }
        }
    }

    /// All answers are the same, at least so many cases were compared, and nothing else was refused
    /// than these constructs, each of which was.
    ///
    /// # Panics
    /// Where that is not so.
    pub fn check(&self, least: usize, refused: &[&str]) {
        assert!(self.different.is_empty(), "{}", self.different.join("\n"));
        let shown = format!("{} cases agree, refused: {:?}", self.agreed, self.refused);
        println!("{shown}");
        assert!(self.refused.keys().eq(refused), "{shown}");
        assert!(self.agreed >= least, "{shown}");
    }
}
