//! A bounded store of results, those used last.
//!
//! What a result is of never changes, so nothing is ever invalidated: what is not asked for any
//! more gives way to what is.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Results `V` of questions `Q`. Questions are found by a number that equal ones share; whether
/// they are equal is looked at where the numbers are.
#[derive(Debug)]
pub struct KeptResults<Q, V> {
    /// Bytes that results may take together.
    budget: usize,
    state: Mutex<State<Q, V>>,
}

#[derive(Debug)]
struct State<Q, V> {
    entries: HashMap<u64, Entry<Q, V>>,
    /// Numbers of entries by when they were used.
    uses: BTreeMap<u64, u64>,
    bytes: usize,
    now: u64,
}

#[derive(Debug)]
struct Entry<Q, V> {
    question: Q,
    result: Arc<V>,
    bytes: usize,
    used: u64,
}

impl<Q, V> KeptResults<Q, V> {
    pub fn new(budget: usize) -> Self {
        Self { budget, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State<Q, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The result of the question of this number that `is_it`, if it is kept.
    pub fn get(&self, number: u64, is_it: impl FnOnce(&Q) -> bool) -> Option<Arc<V>> {
        let mut state = self.lock();
        let entry = state.entries.get(&number).filter(|e| is_it(&e.question))?;
        let found = Arc::clone(&entry.result);
        state.touch(number);
        Some(found)
    }

    /// Keeps a result of so many `bytes`, at the cost of those not used for longest.
    pub fn put(&self, number: u64, question: impl FnOnce() -> Q, result: &Arc<V>, bytes: usize) {
        // One result does not drive out most others.
        if bytes > self.budget / 4 {
            return;
        }
        let mut state = self.lock();
        state.remove(number);
        while state.bytes + bytes > self.budget
            && let Some(oldest) = state.uses.first_key_value().map(|(_, number)| *number)
        {
            state.remove(oldest);
        }
        state.bytes += bytes;
        let entry = Entry { question: question(), result: Arc::clone(result), bytes, used: 0 };
        state.entries.insert(number, entry);
        state.touch(number);
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.lock() = State::default();
    }

    /// Bytes that the kept results take.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }
}

impl<Q, V> Default for State<Q, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), uses: BTreeMap::new(), bytes: 0, now: 0 }
    }
}

impl<Q, V> State<Q, V> {
    fn touch(&mut self, number: u64) {
        self.now += 1;
        if let Some(entry) = self.entries.get_mut(&number) {
            self.uses.remove(&entry.used);
            entry.used = self.now;
            self.uses.insert(self.now, number);
        }
    }

    fn remove(&mut self, number: u64) {
        if let Some(entry) = self.entries.remove(&number) {
            self.uses.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(kept: &KeptResults<u64, u64>, number: u64, bytes: usize) {
        kept.put(number, || number, &Arc::new(number * 10), bytes);
    }

    fn get(kept: &KeptResults<u64, u64>, number: u64) -> Option<u64> {
        kept.get(number, |question| *question == number).map(|v| *v)
    }

    #[test]
    fn a_question_of_the_same_number_is_not_the_same_question() {
        let kept = KeptResults::new(1000);
        put(&kept, 1, 10);
        assert_eq!(get(&kept, 1), Some(10));
        assert!(kept.get(1, |question| *question == 2).is_none());
        kept.clear();
        assert_eq!((get(&kept, 1), kept.bytes()), (None, 0));
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first_and_the_budget_holds() {
        let kept = KeptResults::new(400);
        (0..4).for_each(|number| put(&kept, number, 100));
        assert!(get(&kept, 0).is_some());
        put(&kept, 4, 100);
        assert!(get(&kept, 0).is_some());
        assert!(get(&kept, 1).is_none());
        put(&kept, 5, 101);
        assert!(get(&kept, 5).is_none(), "too large for the budget");
        put(&kept, 4, 50);
        assert_eq!(kept.bytes(), 350, "a result that comes again takes the place of the first");
    }
}
