//! A delimited text on its way to the reader of records: what no such text holds is refused with its
//! line, and no row grows without end.

use std::io::{Error, Read, Result};

/// Bytes of the longest row.
const LONGEST_ROW: usize = 64 << 20;

/// Where the text stands between its quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    Outside,
    Inside,
    /// After a quote that ends the value, unless another one follows.
    MayEnd,
}

pub(crate) struct Checked<R> {
    raw: R,
    delimiter: u8,
    /// A quote lasts over the ends of lines until its partner comes.
    paired: bool,
    quote: Quote,
    /// The byte before the next one.
    last: u8,
    line: u64,
    /// The line in which the last quote opened.
    opened: u64,
    /// Bytes of the row so far.
    row: usize,
}

impl<R: Read> Checked<R> {
    pub fn new(raw: R, delimiter: u8, paired: bool) -> Self {
        let (quote, last) = (Quote::Outside, b'\n');
        Self { raw, delimiter, paired, quote, last, line: 1, opened: 1, row: 0 }
    }

    fn look(&mut self, block: &[u8]) -> Result<()> {
        if let Some(at) = memchr::memchr(0, block) {
            let before = block.get(..at).unwrap_or_default();
            let line = self.line + memchr::memchr_iter(b'\n', before).count() as u64;
            return Err(Error::other(format!(
                "line {line} holds a zero byte: the file is damaged, or its encoding is another one \
                 than the option Encoding says (UTF-16 is 1200)"
            )));
        }
        let row_from = self.pass(block)?;
        self.row = row_from.map_or(self.row + block.len(), |from| block.len() - from);
        if self.row > LONGEST_ROW {
            return Err(Error::other(format!(
                "a row has more than {} MB (seen in line {}): the file is damaged or no delimited \
                 text, or a quote is not closed",
                LONGEST_ROW >> 20,
                self.line
            )));
        }
        self.last = block.last().copied().unwrap_or(self.last);
        Ok(())
    }

    /// Follows quotes and lines; where in the block its last row begins, where one does.
    fn pass(&mut self, block: &[u8]) -> Result<Option<usize>> {
        let mut row_from = None;
        // Where the byte after a quote that may have ended its value stands.
        let mut after = 0;
        for at in memchr::memchr3_iter(b'"', b'\n', b'\r', block) {
            let byte = block.get(at).copied().unwrap_or_default();
            if self.quote == Quote::MayEnd {
                if at == after && byte == b'"' {
                    self.quote = Quote::Inside;
                    continue;
                }
                self.leave(block.get(after).copied().unwrap_or_default())?;
            }
            match (byte, self.quote) {
                (b'"', Quote::Inside) => {
                    self.quote = Quote::MayEnd;
                    after = at + 1;
                }
                (b'"', _) => {
                    let before = at.checked_sub(1).and_then(|b| block.get(b).copied());
                    if self.paired && self.parts(before.unwrap_or(self.last)) {
                        self.quote = Quote::Inside;
                        self.opened = self.line;
                    }
                }
                (end, quote) => {
                    self.line += u64::from(end == b'\n');
                    if quote == Quote::Outside {
                        row_from = Some(at + 1);
                    }
                }
            }
        }
        if let Some(next) = block.get(after).filter(|_| self.quote == Quote::MayEnd) {
            self.leave(*next)?;
        }
        Ok(row_from)
    }

    /// Whether values begin and end at this byte.
    fn parts(&self, byte: u8) -> bool {
        byte == self.delimiter || byte == b'\n' || byte == b'\r'
    }

    /// A value in quotes has ended, and this follows.
    fn leave(&mut self, next: u8) -> Result<()> {
        if !self.parts(next) {
            return Err(Error::other(format!(
                "in line {} text follows the end of a value in quotes (which opens in line {}): a \
                 quote inside of a value must be written twice",
                self.line, self.opened
            )));
        }
        self.quote = Quote::Outside;
        Ok(())
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let n = self.raw.read(buf)?;
        if n == 0 && !buf.is_empty() && self.quote == Quote::Inside {
            return Err(Error::other(format!(
                "the quote that opens a value in line {} is never closed: the file is cut off, or a \
                 quote inside of a value is not written twice",
                self.opened
            )));
        }
        self.look(buf.get(..n).unwrap_or_default())?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes a few at a time.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
            let step = self.1.min(buf.len());
            self.0.read(&mut buf[..step])
        }
    }

    /// What is said about a text, the same however it arrives.
    fn said(text: &[u8], paired: bool) -> String {
        let at_step = |step| {
            let mut all = Vec::new();
            match Checked::new(Slowly(text, step), b',', paired).read_to_end(&mut all) {
                Ok(_) => {
                    assert_eq!(all, text);
                    String::new()
                }
                Err(e) => e.to_string(),
            }
        };
        let whole = at_step(usize::MAX);
        for step in 1..4 {
            assert_eq!(at_step(step), whole, "{step} bytes at a time");
        }
        whole
    }

    #[test]
    fn what_no_delimited_text_holds_is_refused_with_its_line() {
        for (text, wanted) in [
            ("", ""),
            ("a,b\r\n\"x\",\"y \"\"z\"\"\"\r\n", ""),
            ("a\n\"x\ny\"\n", ""),
            ("a\n\"\"\n\"\"\"\"", ""),
            ("a\n5\" screen,b\"c\n", ""),
            ("a\n\"x\n1\n2\n", "opens a value in line 2 is never closed"),
            ("a\nb,\"x\"\"\n", "opens a value in line 2 is never closed"),
            ("a\n\"x\"y\n", "in line 2 text follows"),
            (
                "a\n\"x\n\"y\n",
                "in line 3 text follows the end of a value in quotes (which opens in line 2)",
            ),
            ("a\nb\nc\0d\n", "line 3 holds a zero byte"),
        ] {
            let found = said(text.as_bytes(), true);
            assert!(
                found.contains(wanted) && found.is_empty() == wanted.is_empty(),
                "{text:?}: {found}"
            );
        }
        // Where a line is always a row, its end closes every quote.
        assert_eq!(said(b"a\n\"x\n\"y\"z\n", false), "");
    }

    #[test]
    fn a_row_without_end_is_refused() {
        let endless = Checked::new(std::io::repeat(b'x'), b',', true);
        let e = std::io::copy(&mut endless.take(1 << 30), &mut std::io::sink()).unwrap_err();
        assert!(e.to_string().contains("more than 64 MB"), "{e}");
    }
}
