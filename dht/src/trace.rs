//! A lookup that is watched step by step.

use dht_core::{Contact, Overlay};
use dht_net::Search;
use dht_query::{Progress, Reason, Step};

use crate::QueryError;

/// A running lookup that tells its steps. Dropping it ends the lookup.
pub struct Trace<O: Overlay>(pub(crate) Search<O>);

impl<O: Overlay> Trace<O> {
    /// The next step; `None` when the lookup is over.
    pub async fn next(&mut self) -> Option<Step<O>> {
        loop {
            match self.0.next().await? {
                Progress::Step(step) => return Some(step),
                _ => continue,
            }
        }
    }

    /// How it ended: the reason and the closest peers.
    ///
    /// # Errors
    /// When the node was closed meanwhile.
    pub async fn finish(self) -> Result<(Reason, Vec<Contact<O>>), QueryError> {
        let finished = self.0.finish().await?;
        Ok((finished.reason, finished.closest))
    }
}
