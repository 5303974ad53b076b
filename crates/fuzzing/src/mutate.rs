//! Inputs made of good ones by changes drawn from a seed.

use evercube_testkit::random::Chance;

/// Longest input that is made, in bytes.
const LONGEST: usize = 4096;

/// Numbers at which lengths and counts go wrong.
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "1e999",
    "1e-999",
    "127",
    "256",
    "65536",
    "2147483648",
    "4294967295",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
];

fn splice(of: &mut Vec<u8>, at: usize, put: &[u8]) {
    of.splice(at..at, put.iter().copied());
}

/// One of `seeds` with a few changes: bits, bytes, words of the language, parts of other seeds,
/// parts repeated until they nest deeply.
pub fn mutated(seeds: &[Vec<u8>], words: &[&str], chance: &mut Chance) -> Vec<u8> {
    let mut input = chance.pick(seeds).clone();
    for _ in 0..1 + chance.below(4) {
        let at = chance.below(input.len() + 1);
        let until = (at + 1 + chance.below(16)).min(input.len());
        match chance.below(10) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << chance.below(8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = *chance.pick(&[0, 1, 0x7f, 0x80, 0xff, b'"', b'<', b'\n']);
                }
            }
            2 => drop(input.drain(at.min(until)..until)),
            3 => splice(&mut input, at, chance.pick(&NUMBERS).as_bytes()),
            4 | 5 if !words.is_empty() => splice(&mut input, at, chance.pick(words).as_bytes()),
            6 => {
                let other = chance.pick(seeds);
                let from = chance.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(other.get(from..).unwrap_or_default());
            }
            7 => input.truncate(at),
            8 => {
                let part = input.get(at.min(until)..until).unwrap_or_default();
                let part = part.repeat(1 + chance.below(200));
                splice(&mut input, at, &part);
            }
            // Numbers in binary files.
            _ => {
                let number =
                    *chance.pick(&[0_u64, 1, 0xffff, u32::MAX.into(), i64::MAX as u64, u64::MAX]);
                let bytes = number.to_le_bytes();
                for (to, from) in
                    input.iter_mut().skip(at).zip(bytes.iter().take(1 << chance.below(4)))
                {
                    *to = *from;
                }
            }
        }
    }
    input.truncate(LONGEST);
    input
}
