//! How much time a machine had to give.
//!
//! A test that proves "it did not wait four seconds" must not fail because the machine gave it nothing to run on for four
//! seconds.  A witness takes turns at working and sleeping, as the engine does while it waits: on a machine that is starved
//! it comes as far as the engine could, and on one that is not its clock is the clock on the wall.

use std::hint::black_box;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(10);
/// About as much as a look of the engine costs.
const WORK: u64 = 20_000;

/// Nanoseconds of all turns, each counted as what the quickest one took.
static CLOCK: AtomicU64 = AtomicU64::new(0);

/// The witness's own time, which begins when it is asked first.
pub fn clock() -> Duration {
    static BEGUN: OnceLock<()> = OnceLock::new();
    BEGUN.get_or_init(|| drop(std::thread::spawn(take_turns)));
    Duration::from_nanos(CLOCK.load(Ordering::Relaxed))
}

fn take_turns() {
    let mut quickest = Duration::MAX;
    loop {
        std::thread::sleep(PAUSE);
        let begun = Instant::now();
        black_box((0..WORK).fold(0_u64, |sum, number| black_box(sum.wrapping_add(number))));
        quickest = quickest.min(begun.elapsed());
        let turn = PAUSE + quickest;
        CLOCK.fetch_add(u64::try_from(turn.as_nanos()).expect("a turn is short"), Ordering::Relaxed);
    }
}
