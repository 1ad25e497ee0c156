//! One closure per path, all at once.
//!
//! Pools and threads live only for the work they were made for: privsep forks after import, and a shared pool sized to
//! the processors would starve behind programs that only wait.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use rayon::prelude::*;

use crate::error::{Error, Result};

/// Runs `work` for every item at once and gives the results in the items' order.
pub fn fan_out<T, R, F>(items: &[T], work: F) -> Vec<R>
where
    T: Sync,
    R: Send,
    F: Fn(&T) -> R + Sync,
{
    if items.len() < 2 {
        return items.iter().map(work).collect();
    }
    // More than this many at once would only queue inside iscsid or the kernel.
    let threads = items.len().min(32);
    match rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("os-brick-{i}")).build() {
        Ok(pool) => pool.install(|| items.par_iter().with_max_len(1).map(&work).collect()),
        // No threads to be had: slower, but right.
        Err(_) => items.iter().map(work).collect(),
    }
}

/// As `fan_out` for many small pieces of work that do not wait: as many threads as there are processors.
pub fn spread<T, R, F>(items: &[T], work: F) -> Vec<R>
where
    T: Sync,
    R: Send,
    F: Fn(&T) -> R + Sync,
{
    spread_keeping(items, |_: &mut (), item| work(item))
}

/// As `spread` where the work for an item leaves something that helps with the next: neighbours meet the same thread.
pub fn spread_keeping<T, K, R, F>(items: &[T], work: F) -> Vec<R>
where
    T: Sync,
    K: Default,
    R: Send,
    F: Fn(&mut K, &T) -> R + Sync,
{
    const WORTH_A_THREAD: usize = 64;
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get).min(items.len() / WORTH_A_THREAD);
    let alone = || {
        let mut kept = K::default();
        items.iter().map(|item| work(&mut kept, item)).collect()
    };
    if threads < 2 {
        return alone();
    }
    match rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("os-brick-{i}")).build() {
        Ok(pool) => pool.install(|| {
            let shares = items.par_iter().with_min_len(WORTH_A_THREAD / 4);
            shares.map_init(K::default, |kept, item| work(kept, item)).collect()
        }),
        Err(_) => alone(),
    }
}

/// Does two things at once.
pub fn both<A, B>(first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B) -> (Option<A>, B)
where
    A: Send,
{
    thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        (first.join().ok(), second)
    })
}

/// Does work whose outcome somebody waits for: a panic is an error, too.
pub fn contained<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(Error::Internal { message: said(panic.as_ref()) }))
}

/// What a panic said.
pub fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message").to_owned()
}

/// Starts work that may outlive the call that asked for it (a login to a portal that does not answer).
pub fn detach<F>(name: &str, work: F) -> std::io::Result<thread::JoinHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    thread::Builder::new().name(format!("os-brick-{name}")).spawn(work)
}
