//! Texts into codes.

use std::sync::Arc;

use evercube_base::{Collation, Error, Result};
use evercube_work::watched;
use hashbrown::HashTable;

use crate::dictionary::{Dictionary, Texts, text_hash};

/// Texts, coded as they come.
#[derive(Debug)]
pub(crate) struct TextCodes {
    collation: Collation,
    /// Every spelling met and its code; spellings that are equal under the collation share one.
    spellings: Vec<(Arc<str>, u32)>,
    by_spelling: HashTable<u32>,
    /// Codes by the collation's key of their first spelling.
    by_key: HashTable<u32>,
    texts: Texts,
    codes: Vec<u32>,
}

/// Dictionaries of up to this many texts are sorted, so that segments with the same texts have the
/// same codes.
const SORTED: usize = 4096;

impl TextCodes {
    pub(super) fn new(collation: Collation) -> Self {
        Self {
            collation,
            spellings: Vec::new(),
            by_spelling: HashTable::new(),
            by_key: HashTable::new(),
            texts: Texts::default(),
            codes: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, values: &[Option<Arc<str>>]) {
        self.codes.reserve(values.len());
        for v in watched(values) {
            let code = v.as_ref().map_or(0, |text| self.code(text));
            self.codes.push(code);
        }
    }

    pub(super) fn push_coded(&mut self, values: &[Arc<str>], codes: &[u32]) -> Result<()> {
        if codes.iter().any(|c| *c as usize > values.len()) {
            return Err(Error::internal("a batch has a text without a value"));
        }
        let known = std::iter::once(0).chain(watched(values).map(|text| self.code(text)));
        let known: Vec<u32> = known.collect();
        self.codes.extend(codes.iter().map(|c| known[*c as usize]));
        Ok(())
    }

    fn code(&mut self, text: &Arc<str>) -> u32 {
        let spellings = &self.spellings;
        let same = |i: &u32| {
            let known = &spellings[*i as usize].0;
            Arc::ptr_eq(known, text) || known == text
        };
        let hashed = text_hash(text);
        if let Some(i) = self.by_spelling.find(hashed, same) {
            return self.spellings[*i as usize].1;
        }
        let code = self.code_of_key(text);
        let number = self.spellings.len() as u32;
        self.spellings.push((Arc::clone(text), code));
        let spellings = &self.spellings;
        self.by_spelling.insert_unique(hashed, number, |i| text_hash(&spellings[*i as usize].0));
        code
    }

    fn code_of_key(&mut self, text: &str) -> u32 {
        let (texts, collation) = (&mut self.texts, self.collation);
        let key = collation.key(text);
        let hashed = text_hash(&key);
        let same = |c: &u32| collation.key(texts.get(*c as usize - 1)) == key;
        if let Some(code) = self.by_key.find(hashed, same) {
            return *code;
        }
        texts.push(text);
        let code = texts.len() as u32;
        self.by_key
            .insert_unique(hashed, code, |c| text_hash(&collation.key(texts.get(*c as usize - 1))));
        code
    }

    pub(super) fn take(&mut self) -> (Dictionary, Vec<u32>) {
        let emptied = std::mem::replace(self, Self::new(self.collation));
        let (mut texts, mut codes) = (emptied.texts, emptied.codes);
        if texts.len() <= SORTED {
            let mut order: Vec<u32> = (0..texts.len() as u32).collect();
            order.sort_by_key(|i| texts.get(*i as usize));
            let mut sorted = vec![0; texts.len() + 1];
            for (code, old) in (1..).zip(&order) {
                sorted[*old as usize + 1] = code;
            }
            codes.iter_mut().for_each(|c| *c = sorted[*c as usize]);
            texts = order.iter().map(|i| texts.get(*i as usize)).collect();
        }
        texts.shrink();
        (Dictionary::Strings(Arc::new(texts)), codes)
    }
}
