//! The widths codes are decoded to.

use std::fmt::Debug;

/// A cell of a buffer of codes.
pub(crate) trait Cell: Copy + Debug + PartialEq + Send + Sync + 'static {
    /// The low bits of a code.
    fn of(code: u32) -> Self;
    fn code(self) -> u32;
}

impl Cell for u8 {
    fn of(code: u32) -> Self {
        code as u8
    }
    fn code(self) -> u32 {
        self.into()
    }
}

impl Cell for u16 {
    fn of(code: u32) -> Self {
        code as u16
    }
    fn code(self) -> u32 {
        self.into()
    }
}

impl Cell for u32 {
    fn of(code: u32) -> Self {
        code
    }
    fn code(self) -> u32 {
        self
    }
}
