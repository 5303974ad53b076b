//! Combinations of codes, numbered in the order of their first use: by an array where all that
//! could be are few, else by hashing.

use evercube_work::watched;
use hashbrown::HashMap;

/// An array for this many combinations costs little.
const FEW: u64 = 1 << 12;
/// An array has at most so many for each one that is expected, and so many in all.
const SPARSE: u64 = 32;
const MOST: u64 = 1 << 26;

pub(super) struct Numbering {
    /// Codes of each place are below these.
    cards: Vec<u64>,
    numbers: Numbers,
    pub len: u32,
}

enum Numbers {
    /// One more than the number, 0 for those without one.
    Array(Vec<u32>),
    Packed(HashMap<u64, u32>),
    Wide(HashMap<Vec<u32>, u32>),
}

impl Numbering {
    /// For codes below `cards`, place by place; about `expected` combinations will be asked.
    pub fn new(cards: Vec<u64>, expected: usize) -> Self {
        let space = cards.iter().try_fold(1_u64, |n, c| n.checked_mul((*c).max(1)));
        let numbers = match space {
            Some(n) if n <= FEW.max(expected as u64 * SPARSE).min(MOST) => {
                // Memory that is zero is not touched before it is used.
                Numbers::Array(vec![0; n as usize])
            }
            Some(_) => Numbers::Packed(HashMap::new()),
            None => Numbers::Wide(HashMap::new()),
        };
        Self { cards, numbers, len: 0 }
    }

    /// For the codes in these columns.
    pub fn of_columns(columns: &[&[u32]], expected: usize) -> Self {
        let card = |c: &&[u32]| c.iter().max().map_or(0, |m| u64::from(*m) + 1);
        Self::new(columns.iter().map(card).collect(), expected)
    }

    fn pack(&self, codes: impl Iterator<Item = u32>) -> Option<u64> {
        codes.zip(&self.cards).try_fold(0, |packed, (code, card)| {
            (u64::from(code) < *card).then(|| packed * card + u64::from(code))
        })
    }

    /// The number of a combination, whose codes are in range; a new one where it has none.
    pub fn number(&mut self, codes: impl Iterator<Item = u32>) -> u32 {
        let next = self.len;
        let number = if let Numbers::Wide(numbers) = &mut self.numbers {
            *numbers.entry(codes.collect()).or_insert(next)
        } else {
            let packed = self.pack(codes).unwrap_or_default();
            match &mut self.numbers {
                Numbers::Array(numbers) => {
                    let n = &mut numbers[packed as usize];
                    if *n == 0 {
                        *n = next + 1;
                    }
                    *n - 1
                }
                Numbers::Packed(numbers) => *numbers.entry(packed).or_insert(next),
                Numbers::Wide(_) => next,
            }
        };
        if number == next {
            self.len += 1;
        }
        number
    }

    /// The number of a combination that was numbered.
    pub fn find(&self, codes: impl Iterator<Item = u32>) -> Option<u32> {
        match &self.numbers {
            Numbers::Array(numbers) => numbers[self.pack(codes)? as usize].checked_sub(1),
            Numbers::Packed(numbers) => numbers.get(&self.pack(codes)?).copied(),
            Numbers::Wide(numbers) => numbers.get(&codes.collect::<Vec<u32>>()).copied(),
        }
    }
}

/// Places by the number each has: those of number `i` one after the other.
pub(super) struct ByNumber {
    starts: Vec<u32>,
    places: Vec<u32>,
}

impl ByNumber {
    /// `numbers`: number and place.
    pub fn new(numbers: &[(u32, u32)], len: u32) -> Self {
        let mut starts = vec![0_u32; len as usize + 1];
        watched(numbers).for_each(|(n, _)| starts[*n as usize + 1] += 1);
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut places = vec![0; numbers.len()];
        for (number, place) in watched(numbers) {
            let at = &mut next[*number as usize];
            places[*at as usize] = *place;
            *at += 1;
        }
        Self { starts, places }
    }

    pub fn get(&self, number: u32) -> &[u32] {
        let n = number as usize;
        &self.places[self.starts[n] as usize..self.starts[n + 1] as usize]
    }
}
