use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};

use super::*;

#[global_allocator]
static ALLOCATOR: Counting<std::alloc::System> = Counting(std::alloc::System);

fn shared() -> (Arc<Turns>, Arc<SharedMemory>) {
    (Arc::new(Turns::new(1, Duration::ZERO)), Arc::new(SharedMemory::new(usize::MAX)))
}

#[test]
fn what_a_work_holds_is_counted_and_limited() {
    let work = Arc::new(Work::new(Limits { memory: 1 << 20, ..Limits::default() }));
    let error = work
        .run(|| {
            let small = vec![1u8; 1 << 19];
            check()?;
            assert!(room_for(1 << 20).is_err());
            let large = vec![1u8; 1 << 20];
            let both = check();
            assert_eq!(both.as_ref().unwrap_err().kind, ErrorKind::MemoryLimit);
            drop((small, large));
            // What was given back counts no more.
            check()?;
            both
        })
        .unwrap_err();
    assert!(error.message.contains("1 MB of memory one query may use"), "{error}");
    assert!(work.most_memory() >= 3 << 19);
    assert!(work.held.load(Ordering::Relaxed) < 1 << 16);
}

#[test]
fn works_share_memory() {
    let (turns, _) = shared();
    let memory = Arc::new(SharedMemory::new(1 << 20));
    let work = || Arc::new(Work::new(Limits::default()).among(&turns, &memory));
    let first = work();
    let kept = first.run(|| Ok(vec![0u8; 1 << 19])).unwrap();
    let error = work()
        .run(|| {
            let more = vec![0u8; 1 << 20];
            check().map(|()| more)
        })
        .unwrap_err();
    assert!(error.message.contains("queries_memory"), "{error}");
    drop((kept, first));
    work().run(|| Ok(vec![0u8; 1 << 19])).unwrap();
}

#[test]
fn a_stop_unwinds_through_a_sort() {
    let work = Arc::new(Work::default());
    work.stop(Stop::TimedOut);
    assert_eq!(work.run(|| Ok(())).unwrap_err().kind, ErrorKind::TimeLimit);
    let work = Arc::new(Work::default());
    let stopped = Arc::clone(&work);
    let sorted = work.run(|| {
        let mut numbers: Vec<u32> =
            (0..100_000).map(|n: u32| n.wrapping_mul(2_654_435_761)).collect();
        stopped.stop(Stop::Cancelled);
        numbers.sort_by(|a, b| {
            tick();
            a.cmp(b)
        });
        Ok(numbers)
    });
    assert_eq!(sorted.unwrap_err().kind, ErrorKind::Cancelled);
}

#[test]
fn a_defect_is_an_error() {
    let work = Arc::new(Work::default());
    let done: Result<()> = work.run(|| std::panic::resume_unwind(Box::new("defect")));
    assert_eq!(done.unwrap_err().kind, ErrorKind::Internal);
}

/// With one turn and no quantum, works go on step by step in turn; a work of one step that comes
/// while others have a thousand ahead of them ends first.
#[test]
fn a_light_work_does_not_wait_for_heavy_ones() {
    let (turns, memory) = shared();
    let (tell, told) = mpsc::channel();
    let (begun, has_begun) = mpsc::channel();
    let all_are_there = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for name in ["heavy 1", "heavy 2"] {
            let work = Arc::new(Work::new(Limits::default()).among(&turns, &memory));
            let (tell, begun, turns) = (tell.clone(), begun.clone(), &turns);
            let all_are_there = &all_are_there;
            scope.spawn(move || {
                work.run(|| {
                    begun.send(()).unwrap();
                    // Both heavy ones and the light one are there before the steps count; whoever
                    // sees it tells the other, who may see it no more.
                    while !all_are_there.load(Ordering::Relaxed) {
                        all_are_there.fetch_or(turns.waiting() >= 2, Ordering::Relaxed);
                        check()?;
                    }
                    for _ in 0..1000 {
                        check()?;
                    }
                    // Told while the turn is held: the order is that of the turns.
                    tell.send(name).unwrap();
                    Ok(())
                })
                .unwrap();
            });
        }
        has_begun.recv().unwrap();
        let work = Arc::new(Work::new(Limits::default()).among(&turns, &memory));
        let all_are_there = &all_are_there;
        scope.spawn(move || {
            work.run(|| {
                check()?;
                tell.send("light").unwrap();
                // It may be done before the second heavy one comes.
                all_are_there.store(true, Ordering::Relaxed);
                Ok(())
            })
            .unwrap();
        });
    });
    assert_eq!(told.iter().next(), Some("light"));
}

#[test]
fn who_waits_for_a_turn_can_be_stopped() {
    let (turns, memory) = shared();
    let holder = Arc::new(Work::new(Limits::default()).among(&turns, &memory));
    let waiter = Arc::new(Work::new(Limits::default()).among(&turns, &memory));
    holder
        .run(|| {
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| waiter.run(|| Ok(())));
                while turns.waiting() == 0 {
                    std::thread::yield_now();
                }
                waiter.stop(Stop::Cancelled);
                assert_eq!(waiting.join().unwrap().unwrap_err().kind, ErrorKind::Cancelled);
            });
            Ok(())
        })
        .unwrap();
    assert_eq!(turns.waiting(), 0);
    holder.run(|| Ok(())).unwrap();
}

/// Waits of tasks are in the same queue, and need no thread.
#[test]
fn a_task_waits_for_its_first_turn() {
    let (turns, memory) = shared();
    let work = || Arc::new(Work::new(Limits::default()).among(&turns, &memory));
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    let holder = work();
    let Poll::Ready(Ok(held)) = pin!(holder.first_turn()).poll(&mut context) else { panic!() };
    let (next, stopped, dropped) = (work(), work(), work());
    let mut first = Box::pin(next.first_turn());
    let mut second = Box::pin(stopped.first_turn());
    let mut third = Box::pin(dropped.first_turn());
    for waiting in [&mut first, &mut second, &mut third] {
        assert!(waiting.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(turns.waiting(), 3);
    stopped.stop(Stop::Cancelled);
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    let Poll::Ready(Err(error)) = second.as_mut().poll(&mut context) else { panic!() };
    assert_eq!((error.kind, turns.waiting()), (ErrorKind::Cancelled, 2));
    assert_eq!(held.run(|| Ok(7)).unwrap(), 7);
    assert_eq!(woken.0.load(Ordering::Relaxed), 2);
    // A turn that was granted and is not taken goes to the next.
    drop(first);
    let Poll::Ready(Ok(ready)) = third.as_mut().poll(&mut context) else { panic!() };
    drop(ready);
    assert!(turns.waiting() == 0 && turns.try_take());
}

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn parts_come_in_order_and_the_first_error_is_told() {
    let squares = for_all(1000, |i| Ok(i * i)).unwrap();
    assert!(squares.iter().enumerate().all(|(i, s)| *s == i * i));
    let failing = |i| if i >= 7 { Err(Error::evaluation(format!("part {i}"))) } else { Ok(i) };
    assert_eq!(for_all(1000, failing).unwrap_err().message, "part 7");
    let (turns, memory) = (Arc::new(Turns::new(3, Duration::ZERO)), shared().1);
    let work = Arc::new(Work::new(Limits::default()).among(&turns, &memory));
    assert_eq!(work.run(|| for_all(1000, Ok)).unwrap().len(), 1000);
    // Every turn came back.
    assert!((0..3).all(|_| turns.try_take()) && !turns.try_take());
}
