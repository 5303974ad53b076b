//! Every level of the processor gives what plain code gives.

use super::*;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let x = self.0;
        (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd) >> 7
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// Codes of one width, as they lie in a block.
enum Codes {
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    Constant(u32),
}

impl Codes {
    fn block(&self) -> CodeBlock<'_> {
        match self {
            Self::U8(v) => CodeBlock::U8(v),
            Self::U16(v) => CodeBlock::U16(v),
            Self::U32(v) => CodeBlock::U32(v),
            Self::Constant(c) => CodeBlock::Constant(*c),
        }
    }
    fn get(&self, i: usize) -> u32 {
        match self {
            Self::U8(v) => u32::from(v[i]),
            Self::U16(v) => u32::from(v[i]),
            Self::U32(v) => v[i],
            Self::Constant(c) => *c,
        }
    }
}

fn codes(r: &mut Random, n: usize, most: u64) -> Codes {
    let mut of = || r.below(most);
    match most {
        0..=2 => Codes::Constant(of() as u32),
        3..=0x100 => Codes::U8((0..n).map(|_| of() as u8).collect()),
        0x101..=0x1_0000 => Codes::U16((0..n).map(|_| of() as u16).collect()),
        _ => Codes::U32((0..n).map(|_| of() as u32).collect()),
    }
}

/// Bits of `n` rows: all, or some of them.
fn mask(r: &mut Random, n: usize) -> Vec<u64> {
    let kind = r.below(3);
    let mut words = vec![0; n.div_ceil(64)];
    for i in 0..n {
        let set = match kind {
            0 => true,
            1 => r.below(2) == 0,
            _ => r.below(20) == 0,
        };
        words[i / 64] |= u64::from(set) << (i % 64);
    }
    words
}

fn expect(words: &[u64], n: usize, pass: impl Fn(usize) -> bool) -> Vec<u64> {
    let mut out = words.to_vec();
    for i in (0..n).filter(|i| !pass(*i)) {
        out[i / 64] &= !(1 << (i % 64));
    }
    out
}

const LENGTHS: [usize; 8] = [0, 1, 63, 64, 65, 200, 1000, 4096];
const MOST: [u64; 10] = [2, 3, 30, 255, 256, 257, 1000, 5000, 0x1_0000, 0xffff_ffff];

#[test]
fn ranges_agree_on_every_level() {
    let mut r = Random(1);
    for n in LENGTHS {
        for most in MOST {
            let codes = codes(&mut r, n, most);
            let before = mask(&mut r, n);
            let (a, b) = (r.below(most) as u32, r.below(most + 3) as u32);
            for range in
                [(a.min(b), a.max(b)), (0, a), (a, a), (0, u32::MAX), (most as u32, u32::MAX)]
            {
                let wanted = expect(&before, n, |i| (range.0..=range.1).contains(&codes.get(i)));
                for level in Level::available() {
                    let mut found = before.clone();
                    in_range(level, codes.block(), range, &mut found);
                    assert_eq!(found, wanted, "{level:?} {n} {most} {range:?}");
                }
            }
        }
    }
}

#[test]
fn sets_agree_on_every_level() {
    let mut r = Random(2);
    for n in LENGTHS {
        for most in MOST {
            let codes = codes(&mut r, n, most);
            let before = mask(&mut r, n);
            // Shorter than the codes at times: what lies past the end does not pass.
            let words =
                (most.min(1 << 17).div_ceil(64) as usize).saturating_sub(r.below(2) as usize);
            let set: Vec<u64> = (0..words).map(|_| r.next() ^ r.next() << 32).collect();
            let wanted = expect(&before, n, |i| {
                let code = codes.get(i) as usize;
                set.get(code / 64).is_some_and(|w| w >> (code % 64) & 1 == 1)
            });
            for level in Level::available() {
                let mut found = before.clone();
                in_set(level, codes.block(), &set, &mut found);
                assert_eq!(found, wanted, "{level:?} {n} {most}");
            }
        }
    }
}

#[test]
fn looking_up_agrees_on_every_level() {
    let mut r = Random(4);
    for n in LENGTHS {
        for most in MOST {
            let codes = codes(&mut r, n, most);
            // Shorter than the codes at times: what lies past the end adds nothing.
            let entries = [0, 100, 256, 5000, 70_000][r.below(5) as usize];
            let table: Vec<u32> = (0..entries).map(|_| r.next() as u32).collect();
            let before: Vec<u32> = (0..n).map(|_| r.below(9) as u32).collect();
            let added = |i: usize| table.get(codes.get(i) as usize).copied().unwrap_or(0);
            let wanted: Vec<u32> = (0..n).map(|i| before[i].wrapping_add(added(i))).collect();
            for level in Level::available() {
                let mut found = before.clone();
                look_up(level, codes.block(), &table, &mut found);
                assert_eq!(found, wanted, "{level:?} {n} {most} {entries}");
            }
        }
    }
}

#[test]
fn positions_agree_on_every_level() {
    let mut r = Random(3);
    for n in LENGTHS {
        for _ in 0..6 {
            let words = mask(&mut r, n);
            let wanted: Vec<u32> =
                (0..n).filter(|i| words[i / 64] >> (i % 64) & 1 == 1).map(|i| i as u32).collect();
            for level in Level::available() {
                let mut found = Vec::new();
                positions(level, &words, &mut found);
                assert_eq!(found, wanted, "{level:?} {n}");
            }
        }
    }
}

#[test]
fn comparisons_agree_on_every_level() {
    let mut r = Random(5);
    for n in LENGTHS {
        for most in [2, 3, u64::MAX] {
            let mut numbers = || (0..n).map(|_| (r.below(most) << 7).cast_signed()).collect();
            let (a, b): (Vec<i64>, Vec<i64>) = (numbers(), numbers());
            let bits =
                |holds: fn(&i64, &i64) -> bool| expect(&mask_of(n), n, |i| holds(&a[i], &b[i]));
            let (lesser, equals) = (bits(|a, b| a < b), bits(|a, b| a == b));
            for level in Level::available() {
                // What was there is overwritten.
                let mut found = vec![u64::MAX; n.div_ceil(64)];
                less(level, &a, &b, &mut found);
                assert_eq!(found, lesser, "{level:?} {n} {most}");
                equal(level, &a, &b, &mut found);
                assert_eq!(found, equals, "{level:?} {n} {most}");
            }
        }
    }
}

/// The bits of `n` rows, all set.
fn mask_of(n: usize) -> Vec<u64> {
    let mut words = vec![0; n.div_ceil(64)];
    (0..n).for_each(|i| words[i / 64] |= 1 << (i % 64));
    words
}
