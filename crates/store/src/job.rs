//! The caller of a command, who waits for its commit.

use tokio::sync::oneshot;
use tollgate_core::ports::StoreError;

use crate::error::Result;

/// What a command came to, until it is committed.
pub(crate) struct Pending<T> {
    out: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T> Pending<T> {
    /// One, and where its answer comes.
    pub(crate) fn new() -> (Self, oneshot::Receiver<Result<T>>) {
        let (reply, answer) = oneshot::channel();
        (Self { out: None, reply }, answer)
    }

    /// Keeps what a run came to; answers whether it succeeded.
    pub(crate) fn ran(&mut self, out: Result<T>) -> bool {
        let ok = out.is_ok();
        self.out = Some(out);
        ok
    }

    /// Answers, after the commit or instead of it.
    pub(crate) fn answer(self, failure: Option<StoreError>) {
        let out = match (failure, self.out) {
            // A refusal stands whatever became of the others' writes.
            (_, Some(Err(e))) => Err(e),
            (Some(e), _) => Err(e),
            (None, Some(Ok(v))) => Ok(v),
            (None, None) => Err(StoreError::Unavailable("the command did not run".to_owned())),
        };
        // A caller that went away does not undo what is committed.
        let _ = self.reply.send(out);
    }
}
