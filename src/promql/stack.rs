//! Room for deep expressions.
//!
//! Parsing and evaluating go down an expression level by level. Threads of a pool have 2 MiB of
//! stack, which is plenty for what people write, but not for the deepest expression that
//! [`crate::syntax`] lets through; such a one gets a thread with more stack of its own.

use std::thread;

use crate::syntax;
use crate::value::{ErrorKind, QueryError};

/// Up to so many levels any thread will do: a level takes up to 10 KB in a debug build.
const DEPTH_SHALLOW: usize = 60;

/// Stack for the deepest expression with a wide margin. Only pages that are touched cost memory.
const STACK_BYTES: usize = 64 << 20;

/// Does work on an expression where there is room for it.
pub(crate) fn with_room_for<T: Send>(
    text: &str,
    work: impl FnOnce() -> Result<T, QueryError> + Send,
) -> Result<T, QueryError> {
    if syntax::depth(text) <= DEPTH_SHALLOW {
        return work();
    }
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("promql-deep".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|error| QueryError {
                kind: ErrorKind::Internal,
                message: format!("cannot start a thread for a deep expression: {error}"),
                position: None,
            })?;
        match thread.join() {
            Ok(result) => result,
            // As if it had happened here.
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
