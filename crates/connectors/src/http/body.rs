//! A request body that knows whether the request was given to a connection.
//!
//! The HTTP client asks a body whether it ends at once just before it encodes the request's head, and not earlier. That
//! question is the point of no return: before it no byte of the request exists, and after it the outcome is in doubt.
//! If the call was abandoned meanwhile, the body breaks off before the head is flushed. Being a stream, it can also
//! never be sent a second time by any layer of the client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::commit::Commit;

/// See the module.
pub(crate) struct GatedBody {
    commit: Arc<Commit>,
    data: Option<Bytes>,
}

/// The call was given up before a connection took it.
#[derive(Debug, thiserror::Error)]
#[error("the call was given up before it was sent")]
pub(crate) struct GivenUp;

impl GatedBody {
    /// A body of these bytes.
    pub fn new(commit: Arc<Commit>, data: Option<String>) -> Self {
        Self { commit, data: data.filter(|d| !d.is_empty()).map(Bytes::from) }
    }
}

impl Body for GatedBody {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        if !self.commit.begin() {
            return Poll::Ready(Some(Err(GivenUp)));
        }
        Poll::Ready(self.data.take().map(|d| Ok(Frame::data(d))))
    }

    fn is_end_stream(&self) -> bool {
        // An abandoned body pretends to have more, so that it is polled and can break off.
        self.commit.begin() && self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.data.as_ref().map_or(0, |d| d.len() as u64);
        SizeHint::with_exact(if self.commit.is_abandoned() { length.max(1) } else { length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn the_question_of_the_end_is_the_point_of_no_return() {
        let commit = Arc::new(Commit::within(std::time::Duration::from_secs(60)));
        let body = GatedBody::new(commit.clone(), Some("{}".into()));
        assert_eq!(body.size_hint().exact(), Some(2));
        assert!(!body.is_end_stream());
        assert!(!commit.abandon(), "the head may be on its way");
        assert_eq!(body.collect().await.unwrap().to_bytes(), "{}");
    }

    #[tokio::test]
    async fn an_abandoned_body_breaks_off_even_when_it_is_empty() {
        for data in [None, Some("{}".to_owned())] {
            let commit = Arc::new(Commit::within(std::time::Duration::from_secs(60)));
            let body = GatedBody::new(commit.clone(), data);
            assert!(commit.abandon());
            assert!(!body.is_end_stream());
            assert!(body.size_hint().exact() > Some(0));
            assert!(body.collect().await.is_err());
        }
    }
}
