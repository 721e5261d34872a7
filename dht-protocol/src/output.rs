//! What a node is built from, what it wants of the world, and what it tells.

use std::{sync::Arc, time::Duration};

use derive_where::derive_where;
use dht_core::{Contact, Failure, Mono, Observation, Overlay, Request, RequestId, Response};
use dht_query::{Finished, Progress, QueryId};
use dht_records::Validator;
use dht_routing::Admit;

use crate::{Config, Rules};

/// What a node is built from; every part is there from the start.
pub struct Parts<O: Overlay> {
    /// Options of the node itself.
    pub config: Config,
    /// Options of the routing table.
    pub routing: dht_routing::Config,
    /// Options of the queries.
    pub queries: dht_query::Config,
    /// Who may enter the table.
    pub admit: Box<dyn Admit<O>>,
    /// Which of the peers that answers name are asked; `None` asks all.
    pub filter: Option<dht_query::Filter<O>>,
    /// Which items are true.
    pub validator: Arc<dyn Validator<O>>,
    /// What others see and store.
    pub rules: Arc<dyn Rules<O>>,
    /// Seeds every generator of the node.
    pub seed: u64,
}

/// What the node wants of the world, or tells it.
#[derive_where(Clone, Debug)]
pub enum Output<O: Overlay> {
    /// Send this request; report with [`Node::on_response`](crate::Node::on_response) or
    /// [`Node::on_failure`](crate::Node::on_failure).
    Send {
        /// Names it.
        id: RequestId,
        /// To whom.
        to: Contact<O>,
        /// What.
        request: Request<O>,
    },
    /// Nobody waits for this answer any more.
    Forget(RequestId),
    /// Something the owner of the node asked for, or should know.
    Event(Event<O>),
    /// Something to count.
    Observed(Observation<O>),
    /// Nothing to do until then (or until the next input, when `None`).
    Wait(Option<Mono>),
}

/// What the owner of a node is told.
#[derive_where(Clone, Debug)]
#[non_exhaustive]
pub enum Event<O: Overlay> {
    /// A running query found something or took a step.
    Progress(QueryId, Progress<O>),
    /// A query ended; every query does, once.
    Finished(QueryId, Finished<O>),
    /// A question to one peer ended.
    Answered {
        /// Which.
        id: RequestId,
        /// The answer and its round-trip time, or why there is none.
        result: Result<(Response<O>, Duration), Failure>,
        /// Tries, the first one included.
        attempts: u32,
    },
    /// The routing table changed or finished its upkeep.
    Table(dht_routing::Event<O>),
}
