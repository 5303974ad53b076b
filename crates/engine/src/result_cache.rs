//! What is kept between queries: results of scans, and answers of whole queries.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use evercube_base::Value;
use evercube_store::{KeptResults, ScanCache, StoreVersion};
use foldhash::fast::FixedState;

use crate::compiled_model::CompiledModel;
use crate::query::{Dataset, QueryContext, QueryResult};

/// Results kept for those who ask the same of the same version again; a version never changes, so
/// that nothing is ever out of date.
#[derive(Debug)]
pub struct ResultCache {
    pub(crate) scans: ScanCache,
    answers: KeptResults<Question, QueryResult>,
}

impl ResultCache {
    /// At most `budget` bytes of results.
    pub fn new(budget: usize) -> Self {
        let answers = budget / 8;
        Self { scans: ScanCache::new(budget - answers), answers: KeptResults::new(answers) }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.scans.clear();
        self.answers.clear();
    }

    /// Bytes that the kept results take.
    pub fn bytes(&self) -> usize {
        self.scans.bytes() + self.answers.bytes()
    }

    pub(crate) fn answer(&self, question: &Question) -> Option<Arc<QueryResult>> {
        self.answers.get(question.number(), |kept| kept.is(question))
    }

    pub(crate) fn keep(&self, question: Question, answer: &Arc<QueryResult>) {
        let bytes = question.bytes() + bytes_of(answer);
        self.answers.put(question.number(), || question, answer, bytes);
    }
}

/// Everything that the answer of a query depends on which looks at nothing volatile.
#[derive(Debug)]
pub(crate) struct Question {
    /// Keep the addresses from being those of another version; its data is not kept.
    model: Weak<CompiledModel>,
    store: Weak<StoreVersion>,
    text: String,
    roles: Vec<String>,
    user: String,
    custom_data: Option<String>,
    locale: String,
    user_culture: Option<String>,
    parameters: Vec<(String, Value)>,
    row_limit: usize,
    /// The year that dates in texts are of when they tell none.
    year: i32,
}

impl Question {
    pub fn new(dataset: &Dataset, text: &str, context: &QueryContext) -> Self {
        Self {
            model: Arc::downgrade(&dataset.model),
            store: Arc::downgrade(&dataset.store),
            text: text.to_owned(),
            roles: context.roles.clone(),
            user: context.user.clone(),
            custom_data: context.custom_data.clone(),
            locale: context.locale.clone(),
            user_culture: context.user_culture.clone(),
            parameters: context.parameters.clone(),
            row_limit: context.row_limit,
            year: context.now.ymd().0,
        }
    }

    fn is(&self, other: &Self) -> bool {
        self.model.ptr_eq(&other.model)
            && self.store.ptr_eq(&other.store)
            && self.text == other.text
            && self.roles == other.roles
            && self.user == other.user
            && self.custom_data == other.custom_data
            && self.locale == other.locale
            && self.user_culture == other.user_culture
            && self.parameters == other.parameters
            && (self.row_limit, self.year) == (other.row_limit, other.year)
    }

    /// Equal questions have the same number; others nearly always another one.
    fn number(&self) -> u64 {
        let mut h = FixedState::with_seed(0xa45).build_hasher();
        (self.model.as_ptr() as usize, self.store.as_ptr() as usize).hash(&mut h);
        (&self.text, &self.roles, &self.user, &self.custom_data).hash(&mut h);
        h.finish()
    }

    fn bytes(&self) -> usize {
        512 + self.text.len() + self.parameters.len() * 64
    }
}

fn bytes_of(answer: &QueryResult) -> usize {
    let of_value = |v: &Value| match v {
        Value::String(s) => size_of::<Value>() + s.len(),
        _ => size_of::<Value>(),
    };
    let of_row = |row: &Vec<Value>| 24 + row.iter().map(of_value).sum::<usize>();
    answer.results.iter().map(|t| 256 + t.rows.iter().map(of_row).sum::<usize>()).sum()
}

/// Whether an evaluation looked at what the same query may find changed: the time, the random
/// sequence, rowsets of the server.
#[derive(Debug, Clone, Default)]
pub struct Volatile(Arc<AtomicBool>);

impl Volatile {
    pub(crate) fn begin(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use evercube_base::DateTime;
    use evercube_model::tabular::Database;

    use super::*;
    use crate::query::{RowsetSource, query};

    fn dataset() -> Dataset {
        let database: Database =
            serde_json::from_str(r#"{"name": "empty", "model": {"tables": []}}"#).unwrap();
        let model = Arc::new(CompiledModel::compile(&database));
        Dataset { model, store: Arc::default() }
    }

    fn context(kept: &Arc<ResultCache>) -> QueryContext {
        QueryContext { kept: Some(Arc::clone(kept)), ..QueryContext::default() }
    }

    /// Whether the second of two queries gets the answer of the first.
    fn is_kept(text: &str, first: &QueryContext, second: &QueryContext) -> bool {
        let dataset = dataset();
        let answer = |context| query(&dataset, text, context).unwrap();
        Arc::ptr_eq(&answer(first), &answer(second))
    }

    #[test]
    fn only_what_nothing_volatile_went_into_is_kept() {
        let kept = Arc::new(ResultCache::new(1 << 20));
        let rowsets =
            |name: &str, _: &[(String, Vec<String>)]| Err(evercube_base::Error::not_found(name));
        let one = QueryContext { rowsets: Some(RowsetSource::new(rowsets)), ..context(&kept) };
        let row = |e: &str| format!("EVALUATE ROW(\"x\", {e})");
        assert!(is_kept(&row("1 + 1"), &one, &one));
        assert!(is_kept(&row("IF(1 = 2, NOW(), 3)"), &one, &one));
        for volatile in ["NOW()", "LEN(\"\" & RAND())", "SUMX({1, 2}, [Value] * UTCTODAY())"] {
            assert!(!is_kept(&row(volatile), &one, &one), "{volatile}");
        }
        kept.clear();
        assert_eq!(kept.bytes(), 0);
    }

    #[test]
    fn an_answer_is_for_those_who_ask_the_same() {
        let kept = Arc::new(ResultCache::new(1 << 20));
        let text = "EVALUATE ROW(\"x\", 1)";
        let one = context(&kept);
        for other in [
            QueryContext { user: "b".into(), ..one.clone() },
            QueryContext { roles: vec!["r".into()], ..one.clone() },
            QueryContext { custom_data: Some("c".into()), ..one.clone() },
            QueryContext { locale: "de-DE".into(), ..one.clone() },
            QueryContext { user_culture: Some("de-DE".into()), ..one.clone() },
            QueryContext { row_limit: 5, ..one.clone() },
            // Of dates without a year.
            QueryContext { now: DateTime::from_ymd(2024, 8, 1).unwrap(), ..one.clone() },
        ] {
            assert!(!is_kept(text, &one, &other), "{other:?}");
        }
        let given =
            |v: i64| QueryContext { parameters: vec![("p".into(), v.into())], ..one.clone() };
        let named = "EVALUATE ROW(\"x\", @p * 0)";
        assert!(is_kept(named, &given(1), &given(1)));
        assert!(!is_kept(named, &given(1), &given(2)));
        let asked_again = query(&dataset(), text, &one).unwrap();
        let of_another = query(&dataset(), text, &one).unwrap();
        assert!(!Arc::ptr_eq(&asked_again, &of_another), "of another version");
    }
}
