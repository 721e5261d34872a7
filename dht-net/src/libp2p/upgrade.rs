//! Which protocols a stream is negotiated for. The stream itself is handed over as it is.

use std::{convert::Infallible, future, sync::Arc};

use libp2p::{
    Stream, StreamProtocol,
    core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
};

use super::ping;

const PING: StreamProtocol = StreamProtocol::new(ping::PROTOCOL);

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Dht,
    Ping,
}

/// The protocols that one side of a stream offers or accepts.
#[derive(Clone, Debug)]
pub(super) struct Negotiation {
    dht: Option<Arc<[StreamProtocol]>>,
    ping: bool,
}

impl Negotiation {
    /// What is accepted: ping always, the DHT while it is served.
    pub(super) fn accept(dht: Option<Arc<[StreamProtocol]>>) -> Self {
        Self { dht, ping: true }
    }

    /// What is asked for.
    pub(super) fn open(purpose: Purpose, dht: &Arc<[StreamProtocol]>) -> Self {
        match purpose {
            Purpose::Dht => Self { dht: Some(dht.clone()), ping: false },
            Purpose::Ping => Self { dht: None, ping: true },
        }
    }
}

/// Names of a negotiation one after the other; asked for at every poll of a connection, so it must not allocate.
#[derive(Clone, Debug)]
pub(super) struct Names {
    of: Negotiation,
    next: usize,
}

impl Iterator for Names {
    type Item = StreamProtocol;

    fn next(&mut self) -> Option<StreamProtocol> {
        let dht = self.of.dht.as_deref().unwrap_or_default();
        let i = self.next;
        self.next += 1;
        match dht.get(i) {
            Some(name) => Some(name.clone()),
            None => (self.of.ping && i == dht.len()).then_some(PING),
        }
    }
}

impl UpgradeInfo for Negotiation {
    type Info = StreamProtocol;
    type InfoIter = Names;

    fn protocol_info(&self) -> Names {
        Names { of: self.clone(), next: 0 }
    }
}

impl InboundUpgrade<Stream> for Negotiation {
    type Output = (Purpose, Stream);
    type Error = Infallible;
    type Future = future::Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        future::ready(Ok((purpose(&name), stream)))
    }
}

impl OutboundUpgrade<Stream> for Negotiation {
    type Output = (Purpose, Stream);
    type Error = Infallible;
    type Future = future::Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        future::ready(Ok((purpose(&name), stream)))
    }
}

fn purpose(name: &StreamProtocol) -> Purpose {
    if *name == PING { Purpose::Ping } else { Purpose::Dht }
}
