//! An allocator that counts, for each thread, the bytes it has taken and given back.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

thread_local! {
    /// Bytes taken less bytes given back by this thread, in two's complement.
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// Counts what goes through another allocator.
#[derive(Debug)]
pub struct Counting<A>(pub A);

/// What this thread holds more than at its start, in two's complement.
pub(crate) fn taken() -> usize {
    TAKEN.get()
}

fn count(by: usize) {
    TAKEN.set(TAKEN.get().wrapping_add(by));
}

// SAFETY: every call goes to the wrapped allocator with the arguments it came with, and its answer
// is handed back as it is. Counting touches a thread-local integer, which needs neither memory nor
// a destructor.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is that of the inner one.
        unsafe { self.0.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size().wrapping_neg());
        // SAFETY: `pointer` came from the inner allocator with this layout.
        unsafe { self.0.dealloc(pointer, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { self.0.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.wrapping_sub(layout.size()));
        // SAFETY: `pointer` came from the inner allocator with this layout; the caller keeps the
        // contract for `size`.
        unsafe { self.0.realloc(pointer, layout, size) }
    }
}
