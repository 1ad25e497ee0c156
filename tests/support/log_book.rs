//! What the engine logs, for tests that wait for a line or make sure that none says a secret.

use std::sync::{Condvar, Mutex, Once};
use std::time::Duration;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
static WRITTEN: Condvar = Condvar::new();

struct LogBook;

impl log::Log for LogBook {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {} {}", record.level(), record.target(), record.args());
        LINES.lock().expect("nobody panics while writing").push(line);
        WRITTEN.notify_all();
    }

    fn flush(&self) {}
}

/// From now on everything is kept, whichever test it is of.
pub fn open() {
    static OPENED: Once = Once::new();
    OPENED.call_once(|| {
        log::set_logger(&LogBook).expect("nobody else logs");
        log::set_max_level(log::LevelFilter::Trace);
    });
}

/// The lines with something that only one test says, such as a portal or a directory.
pub fn lines_with(what: &str) -> Vec<String> {
    LINES.lock().expect("nobody panics while writing").iter().filter(|line| line.contains(what)).cloned().collect()
}

/// Waits for a line, much longer than a busy machine makes a test.
pub fn wait_for(what: &str) {
    let lines = LINES.lock().expect("nobody panics while writing");
    let missing = |lines: &mut Vec<String>| !lines.iter().any(|line| line.contains(what));
    let waited = WRITTEN.wait_timeout_while(lines, Duration::from_secs(60), missing);
    assert!(!waited.expect("nobody panics while writing").1.timed_out(), "nobody logged {what:?}");
}
