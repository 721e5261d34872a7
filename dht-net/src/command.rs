//! What handles ask of the driver, as values on one bounded channel.

use std::time::Duration;

use derive_where::derive_where;
use dht_core::{Contact, Failure, Now, Overlay, Request};
use dht_protocol::Node;
use dht_query::{Finished, Progress, QueryOptions, StartError};
use dht_routing::{BootstrapFailed, BootstrapOptions, BootstrapReport, RefreshReport};
use tokio::sync::{mpsc, oneshot};

use crate::{Answered, Order};

/// What a query is for.
#[derive_where(Clone, Debug)]
pub(crate) enum Goal<O: Overlay> {
    Closest(O::Target),
    FindPeer(O::PeerId),
    /// The own store is asked first; what it holds counts as one answer.
    Fetch(O::Query),
    /// One peer is asked first, and the own store not at all.
    FetchThrough(O::Query, Contact<O>),
    Store(O::Query, O::Item),
}

/// Who waits for a query. Dropping the receivers cancels it.
pub(crate) struct Caller<O: Overlay> {
    pub(crate) done: oneshot::Sender<Result<Finished<O>, StartError>>,
    pub(crate) progress: Option<mpsc::Sender<Progress<O>>>,
    /// What a store places: announced again soon when nobody took it.
    pub(crate) placing: Option<(O::Query, O::Slot)>,
}

/// A peer that was reached.
pub(crate) struct Met<O: Overlay> {
    /// Who, where that was not known before.
    pub(crate) contact: Option<Contact<O>>,
    pub(crate) took: Duration,
}

pub(crate) type Visit<O> = Box<dyn FnOnce(&mut Node<O>, Now) + Send>;
pub(crate) type Bootstrapped<O> = Result<BootstrapReport<O>, BootstrapFailed<O>>;

pub(crate) enum Command<O: Overlay> {
    Start {
        goal: Goal<O>,
        options: QueryOptions,
        caller: Caller<O>,
    },
    Ask {
        to: Contact<O>,
        request: Request<O>,
        timeout: Duration,
        done: oneshot::Sender<Answered<O>>,
    },
    Dial {
        to: Contact<O>,
        timeout: Duration,
        done: oneshot::Sender<Result<Met<O>, Failure>>,
    },
    Greet {
        addr: O::Addr,
        timeout: Duration,
        done: oneshot::Sender<Result<Met<O>, Failure>>,
    },
    Refresh {
        forced: bool,
        done: oneshot::Sender<RefreshReport>,
    },
    Bootstrap {
        seeds: Vec<Contact<O>>,
        fallback: Vec<Contact<O>>,
        options: BootstrapOptions,
        done: oneshot::Sender<Bootstrapped<O>>,
    },
    /// An item was kept in the own store: announce it now and then.
    Kept {
        query: O::Query,
        item: O::Item,
    },
    /// An own item is no longer to be announced.
    Dropped {
        query: O::Query,
        slot: O::Slot,
        done: oneshot::Sender<()>,
    },
    DroppedAll {
        done: oneshot::Sender<()>,
    },
    Order(Order<O>),
    SetMode {
        mode: crate::Mode,
        done: oneshot::Sender<()>,
    },
    Visit(Visit<O>),
    Close(oneshot::Sender<()>),
}
