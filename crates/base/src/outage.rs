//! When it is worth telling that something does not work: once it has lasted, now and then while it goes
//! on, and when it is over. A log that repeats it at every attempt hides everything else.

use std::time::Duration;

/// What is over within this is not worth a word.
const BEGUN: Duration = Duration::from_secs(2);
/// Between two words while it goes on.
const AGAIN: Duration = Duration::from_secs(60);

/// What is to be told of something that did not work; each with how long that has been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It has not worked for a while, or still does not.
    Fails(Duration),
    /// It works again.
    Over(Duration),
}

/// Something that works, or has not since a moment. Times are counted from any beginning.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outage {
    since: Option<Duration>,
    told: Option<Duration>,
}

impl Outage {
    /// Takes in whether it works at `now`; what there is to tell.
    pub fn look(&mut self, now: Duration, works: bool) -> Option<Told> {
        if works {
            let told = self.told.take();
            let since = self.since.take()?;
            return told.map(|_| Told::Over(now.saturating_sub(since)));
        }
        let since = *self.since.get_or_insert(now);
        let (last, pause) = self.told.map_or((since, BEGUN), |told| (told, AGAIN));
        if now.saturating_sub(last) < pause {
            return None;
        }
        self.told = Some(now);
        Some(Told::Fails(now.saturating_sub(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_then_now_and_then_and_when_it_is_over() {
        let mut outage = Outage::default();
        let seconds = Duration::from_secs;
        for (now, works, told) in [
            (0, true, None),
            (1, false, None),
            (2, true, None),
            (3, false, None),
            (4, false, None),
            (5, false, Some(Told::Fails(seconds(2)))),
            (6, false, None),
            (64, false, None),
            (65, false, Some(Told::Fails(seconds(62)))),
            (100, false, None),
            (130, true, Some(Told::Over(seconds(127)))),
            (131, true, None),
            (132, false, None),
            (134, false, Some(Told::Fails(seconds(2)))),
        ] {
            assert_eq!(outage.look(seconds(now), works), told, "{now} s");
        }
    }
}
