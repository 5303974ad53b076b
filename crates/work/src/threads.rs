//! Threads for requests. Who became idle last works next: the memory that its allocator holds for it is
//! at hand, where a thread that has slept for long begins with pages that the kernel has to clear first.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a thread waits for more to do before it ends.
const KEPT: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// As many threads as there is work at a time.
#[derive(Debug)]
pub struct Threads {
    name: &'static str,
    /// Bytes of a thread's stack.
    stack: usize,
    idle: Arc<Mutex<Idle>>,
}

/// Threads that have nothing to do, by their numbers, the last one on top.
#[derive(Debug, Default)]
struct Idle {
    threads: Vec<(u64, Sender<Job>)>,
    made: u64,
}

fn lock(idle: &Mutex<Idle>) -> MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Threads {
    /// Threads of this name, with so many bytes of stack.
    pub fn new(name: &'static str, stack: usize) -> Self {
        Self { name, stack, idle: Arc::default() }
    }

    /// Does this on a thread. One that panics takes its thread with it.
    ///
    /// # Errors
    /// Where no thread is idle and none can be made.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut job: Job = Box::new(job);
        let number = loop {
            let mut idle = lock(&self.idle);
            let Some((_, thread)) = idle.threads.pop() else {
                idle.made += 1;
                break idle.made;
            };
            drop(idle);
            match thread.send(job) {
                Ok(()) => return Ok(()),
                Err(gone) => job = gone.0,
            }
        };
        let idle = Arc::clone(&self.idle);
        let thread = std::thread::Builder::new().name(self.name.to_owned()).stack_size(self.stack);
        thread.spawn(move || work(job, number, &idle)).map(drop)
    }
}

fn work(mut job: Job, number: u64, idle: &Mutex<Idle>) {
    let (sender, jobs) = channel();
    loop {
        job();
        lock(idle).threads.push((number, sender.clone()));
        match next(&jobs, number, idle) {
            Some(next) => job = next,
            None => return,
        }
    }
}

fn next(jobs: &Receiver<Job>, number: u64, idle: &Mutex<Idle>) -> Option<Job> {
    match jobs.recv_timeout(KEPT) {
        Ok(job) => return Some(job),
        Err(RecvTimeoutError::Disconnected) => return None,
        Err(RecvTimeoutError::Timeout) => {}
    }
    let mut all = lock(idle);
    let place = all.threads.iter().position(|(n, _)| *n == number);
    if let Some(at) = place {
        all.threads.remove(at);
        return None;
    }
    drop(all);
    // Somebody has just taken it off, and gives it a job.
    jobs.recv().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::thread::{ThreadId, current};

    use super::*;

    fn on(threads: &Threads) -> (Sender<()>, Receiver<ThreadId>) {
        let ((end, ended), (tell, told)) = (channel::<()>(), channel());
        threads
            .run(move || {
                let _asked = ended.recv();
                let _heard = tell.send(current().id());
            })
            .unwrap();
        (end, told)
    }

    /// Waits until so many are idle.
    fn idle(threads: &Threads, many: usize) {
        while lock(&threads.idle).threads.len() != many {
            std::thread::yield_now();
        }
    }

    #[test]
    fn who_was_idle_last_works_next() {
        let threads = Threads::new("test", 1 << 20);
        let (first, second) = (on(&threads), on(&threads));
        drop(first.0);
        let first = first.1.recv().unwrap();
        idle(&threads, 1);
        drop(second.0);
        let second = second.1.recv().unwrap();
        assert_ne!(first, second);
        idle(&threads, 2);
        for _ in 0..3 {
            let third = on(&threads);
            drop(third.0);
            assert_eq!(third.1.recv().unwrap(), second);
            idle(&threads, 2);
        }
    }

    #[test]
    fn a_thread_that_panics_is_not_asked_again() {
        let threads = Threads::new("test", 1 << 20);
        let (began, begins) = sync_channel(1);
        threads
            .run(move || {
                began.send(current().id()).unwrap();
                panic!("on purpose");
            })
            .unwrap();
        let panicked = begins.recv().unwrap();
        let next = on(&threads);
        drop(next.0);
        assert_ne!(next.1.recv().unwrap(), panicked);
    }
}
