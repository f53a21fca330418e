//! Futures run to their end in the caller's thread, for the simulator: its world stands still while the store works.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};

use tokio::runtime::Handle;
use tollgate_core::ports::BoxFuture;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end; its connections live in the other runtime.
fn wait<T>(handle: &Handle, future: impl Future<Output = T>) -> T {
    let _context = handle.enter();
    // The budget of the task round it would run out, and never be filled up while it waits here.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(out) => return out,
            Poll::Pending => thread::park(),
        }
    }
}

/// A future as it is, or its outcome when everything runs inline.
pub(crate) fn settle<'a, T: Send + 'a>(inline: Option<&Handle>, future: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
    match inline {
        Some(handle) => Box::pin(std::future::ready(wait(handle, future))),
        None => Box::pin(future),
    }
}
