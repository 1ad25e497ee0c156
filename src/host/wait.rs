//! The only sleep.

#![expect(clippy::disallowed_methods, reason = "the one home of sleeping")]

use std::time::{Duration, Instant};

use crate::error::Result;

/// First pause between two looks: less than what the kernel takes for one step.
const SHORTEST: Duration = Duration::from_millis(2);
/// Longest pause: nobody waits much longer than needed, and a long wait costs little.
const LONGEST: Duration = Duration::from_millis(250);

/// Looks until there is something or the deadline has passed; the last look is after the deadline.
pub fn until<T>(deadline: Instant, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let mut pace = Pace::new();
    loop {
        let last = Instant::now() >= deadline;
        if let Some(found) = probe()? {
            return Ok(Some(found));
        }
        if last {
            return Ok(None);
        }
        std::thread::sleep(pace.next().min(deadline.saturating_duration_since(Instant::now())));
    }
}

/// As `until` for a condition; true when it came to hold.
pub fn until_true(deadline: Instant, mut condition: impl FnMut() -> bool) -> bool {
    until(deadline, || Ok(condition().then_some(()))).is_ok_and(|found| found.is_some())
}

/// The growing pauses of a wait that has its own loop.
pub struct Pace(Duration);

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

impl Pace {
    pub fn new() -> Pace {
        Pace(SHORTEST)
    }

    /// The next pause: 2 ms growing by an eighth to 250 ms, so that what is waited for is seen a sixteenth later on average.
    #[expect(clippy::should_implement_trait, reason = "an endless schedule, not an iterator")]
    pub fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now + now / 8).min(LONGEST);
        now
    }

    /// Something moved: look closely again.
    pub fn reset(&mut self) {
        self.0 = SHORTEST;
    }
}
