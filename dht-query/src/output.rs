//! What comes out of [`Queries`](crate::Queries): requests to send, news, and results.

use std::time::Duration;

use derive_where::derive_where;
use dht_core::{Contact, Failure, KadKey, Mono, Observation, Overlay, Request, RequestId, Response};

/// Names one query of this node; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u64);

/// One thing for the caller of [`Queries::poll`](crate::Queries::poll) to do or to know.
#[derive_where(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "moved once, from the queue to the caller; boxing would allocate per result"
)]
pub enum Output<O: Overlay> {
    /// Send this request; its answer or failure comes back under the same id.
    Send {
        /// Its name.
        id: RequestId,
        /// To whom.
        to: Contact<O>,
        /// What.
        request: Request<O>,
    },
    /// Nobody waits for this request any more: it timed out, or its query is over.
    Forget(RequestId),
    /// A lone request ended. Follows exactly once for every [`Queries::request`](crate::Queries::request) that was not
    /// forgotten.
    Lone {
        /// The name that `request` gave.
        id: RequestId,
        /// Who was asked.
        to: Contact<O>,
        /// The answer and its round-trip time.
        result: Result<(Response<O>, Duration), Failure>,
        /// How often it was sent, the first time included; 0 when there was no room for it.
        attempts: u32,
    },
    /// A peer answered one of our requests: it is alive.
    Answered {
        /// Who, and where we reached it.
        contact: Contact<O>,
        /// From sending to answer.
        rtt: Duration,
    },
    /// A peer failed one of our requests. Not said when the fault is ours (overloaded, closed) or the query was over.
    Failed {
        /// Who, and where we tried to reach it.
        contact: Contact<O>,
        /// How.
        why: Failure,
    },
    /// A query has news.
    Progress(QueryId, Progress<O>),
    /// A query is over; said exactly once per query, and last.
    Finished(QueryId, Finished<O>),
    /// For counting.
    Observed(Observation<O>),
    /// Nothing to do until then, or until something arrives.
    Wait(Option<Mono>),
}

/// News from a running query.
#[derive_where(Clone, Debug, PartialEq)]
pub enum Progress<O: Overlay> {
    /// A fetch found an item in a slot that had none, or a better one than the slot had.
    Item(O::Item),
    /// A store was confirmed by this peer.
    Stored(O::PeerId),
    /// What happened in the lookup, when [`QueryOptions::trace`](crate::QueryOptions::trace) asks for it.
    Step(Step<O>),
}

/// One event in the life of a query.
#[derive_where(Clone, Debug, PartialEq)]
pub struct Step<O: Overlay> {
    /// Since the query's start.
    pub at: Duration,
    /// Whom it concerns.
    pub peer: O::PeerId,
    /// How far the peer is from the target.
    pub distance: <O::Key as KadKey>::Distance,
    /// How many answers deep the peer was found; 1 for seeds.
    pub hop: u32,
    /// What happened.
    pub outcome: StepOutcome,
}

/// What happened in a [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepOutcome {
    /// The peer was asked.
    Asked,
    /// It answered.
    Answered {
        /// Peers in the answer that the query did not know.
        newcomers: usize,
        /// Valid items in the answer.
        items: usize,
    },
    /// It is overdue: its place is given to another peer.
    Overdue,
    /// It failed.
    Failed(Failure),
}

/// Why a query ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// It did all there was to do: the closest peers have answered, the item was offered to all of them.
    Complete,
    /// The quorum, the limit or the peer that was looked for was reached.
    Enough,
    /// Peers were asked and not one of them answered.
    Exhausted,
    /// The deadline passed; the result is what was known by then.
    Timeout,
    /// The caller cancelled it.
    Cancelled,
    /// There was nobody to ask.
    NoPeers,
}

/// The result of a query.
#[derive_where(Clone, Debug, PartialEq)]
pub struct Finished<O: Overlay> {
    /// Why it ended.
    pub reason: Reason,
    /// The closest peers, nearest first, at most k. After [`Reason::Complete`] all of them answered; a query that ended
    /// earlier adds those that were not heard of otherwise than by name. Peers that failed are never in it.
    pub closest: Vec<Contact<O>>,
    /// How many of `closest` answered.
    pub confirmed: usize,
    /// Fetches: the best item of every slot, local ones included, in order of slots.
    pub items: Vec<O::Item>,
    /// Fetches of what is corrected ([`Overlay::corrects`]): those of the k closest that answered with a worse item or
    /// none, with the ticket they gave.
    pub outdated: Vec<(Contact<O>, Option<O::Ticket>)>,
    /// Stores: who took the item.
    pub receipt: Receipt<O>,
    /// `find_peer`: the peer and where it is.
    pub found: Option<Contact<O>>,
    /// Requests sent.
    pub requests: u32,
    /// How many answers deep the query went to what it wanted: to the peer whose answer ended it, or else to the
    /// nearest peer that answered. 1 is a seed, 0 nobody.
    pub hops: u32,
    /// From start to end.
    pub took: Duration,
}

/// Who took an item.
#[derive_where(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt<O: Overlay> {
    /// These confirmed that they keep it.
    pub stored: Vec<O::PeerId>,
    /// These are there and did not take it.
    pub refused: Vec<(O::PeerId, Failure)>,
    /// From these nothing was heard; they may or may not have it.
    pub failed: Vec<(O::PeerId, Failure)>,
}

/// Where the queries of a node stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Queries that run.
    pub queries: usize,
    /// Lone requests that run.
    pub lone: usize,
    /// Requests that wait for their answer.
    pub in_flight: usize,
    /// Answers and failures that came for requests nobody waited for (late, duplicate or made up), since the start.
    pub ignored: u64,
    /// Smoothed round-trip time, once known.
    pub rtt: Option<Duration>,
    /// After this a request sent now would be overdue, and another peer asked as well.
    pub overdue_after: Duration,
}
