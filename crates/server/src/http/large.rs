//! Large messages are taken apart where they hold no other request up: off the threads that serve
//! the network, and few at once, since each grows while it is taken apart.

use tokio::sync::Semaphore;

/// From this many bytes on a message takes a while to be taken apart.
const LARGE: usize = 64 << 10;

static TURNS: Semaphore = Semaphore::const_new(2);

/// Does what the message of that many bytes needs.
pub async fn taken_apart<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes < LARGE {
        return work();
    }
    // It is never closed.
    let _turn = TURNS.acquire().await;
    tokio::task::block_in_place(work)
}

/// As [`taken_apart`], without waiting for a turn: for what is not long enough to fill the memory.
pub fn aside<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes < LARGE { work() } else { tokio::task::block_in_place(work) }
}
