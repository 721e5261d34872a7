//! A query that is read while it runs.

use std::task::{Context, Poll};

use dht_core::Overlay;
use dht_query::{Finished, Progress, StartError};
use tokio::sync::{mpsc, oneshot};

use crate::{RunError, handle::Interest};

/// A running query: what it finds, then how it ended. Dropping it cancels the query.
pub struct Search<O: Overlay> {
    pub(crate) progress: mpsc::Receiver<Progress<O>>,
    pub(crate) finished: oneshot::Receiver<Result<Finished<O>, StartError>>,
    // Declared last: dropped after the receivers, so that the driver finds them gone when it is woken.
    pub(crate) _interest: Interest,
}

impl<O: Overlay> Search<O> {
    /// The next thing found; `None` when the query has ended.
    pub async fn next(&mut self) -> Option<Progress<O>> {
        self.progress.recv().await
    }

    /// The same, for those who poll.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Progress<O>>> {
        self.progress.poll_recv(cx)
    }

    /// How it ended; what was found and not read is dropped, the result holds all of it.
    ///
    /// # Errors
    /// When the node was closed meanwhile or too many queries ran.
    pub async fn finish(mut self) -> Result<Finished<O>, RunError> {
        // The driver must not wait for a reader that will not come.
        self.progress.close();
        Ok((&mut self.finished).await.map_err(|_| RunError::Closed)??)
    }
}
