//! Work on all cores, in a process and in one that was forked from it.
//!
//! The threads of a pool stay behind in the process that started them: in a forked child whoever asked the pool of its
//! parent would wait for ever. So what is done on all cores is done in [`on_all_cores`], which knows whose threads are
//! there. Nothing is locked for it, because a lock that another thread held when the child was forked stays held.

use std::process;
use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// The process that has the threads of rayon's common pool: the first one that asked for them.
static COMMON: OnceLock<u32> = OnceLock::new();
/// The pools of a process that was forked from that one, of one that was forked from this, and so on.
static FORKED: OnceLock<Box<Forked>> = OnceLock::new();

struct Forked {
    process: u32,
    pool: ThreadPool,
    later: OnceLock<Box<Forked>>,
}

/// Does work that spreads itself by rayon over all cores of the machine.
///
/// # Panics
/// In a forked child where the system gives no thread, as rayon does in any other process.
pub fn on_all_cores<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let process = process::id();
    if *COMMON.get_or_init(|| process) == process { work() } else { pool_of(process).install(work) }
}

/// The pool of a forked child.
fn pool_of(process: u32) -> &'static ThreadPool {
    let mut place = &FORKED;
    loop {
        match place.get() {
            Some(forked) if forked.process == process => return &forked.pool,
            Some(forked) => place = &forked.later,
            None => {
                #[expect(clippy::expect_used, reason = "rayon's common pool does the same")]
                let pool = ThreadPoolBuilder::new().build().expect("a forked process got no threads");
                // If another thread was first, its pool is found, and this one ends with its threads.
                let _ = place.set(Box::new(Forked { process, pool, later: OnceLock::new() }));
            }
        }
    }
}
