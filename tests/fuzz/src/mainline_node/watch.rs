//! What the node wants sent, and what must hold after every step and at the end.

use std::{collections::BTreeMap, time::Duration};

use dht_core::{Contact, Failure, Request, RequestId};
use dht_mainline::{Endpoint, Mainline, Record, Records, address, address::Reach, krpc};
use dht_protocol::{DatagramCodec as _, Event, Output};
use dht_records::{Store as _, Validator as _};
use futures::executor::block_on;

use super::{
    MAX_BYTES, MAX_CANDIDATES, MAX_KNOWN, MAX_LONE, MAX_QUERIES, MAX_RECORDS, MAX_SIZE, PER_GROUP,
    QUERY_TIMEOUT, Run, Waiting, speech,
};

impl Run {
    pub(super) fn drain(&mut self) {
        for _ in 0..20_000 {
            match self.node.poll_output(self.now) {
                Output::Send { id, to, request } => self.send(id, to, request),
                Output::Forget(id) => self.open.retain(|_, waiting| waiting.id != id),
                Output::Event(Event::Finished(id, finished)) => {
                    assert!(finished.closest.iter().all(|contact| contact.peer != self.codec.local()));
                    *self.queries.get_mut(&id.0).expect("a query of ours ends") += 1;
                }
                Output::Event(Event::Answered { id, .. }) => *self.asked.entry(id).or_default() += 1,
                Output::Event(_) | Output::Observed(_) => {}
                Output::Wait(until) => {
                    assert!(until.is_none_or(|at| at > self.now.mono), "it waits for the past");
                    self.wake = until;
                    return;
                }
            }
        }
        panic!("it does not come to rest");
    }

    fn send(&mut self, id: RequestId, to: Contact<Mainline>, request: Request<Mainline>) {
        assert_ne!(to.peer, self.codec.local(), "it asks itself");
        let place = self.codec.socket_addr(&to.addr);
        let tid = (id.0 as u32).to_be_bytes();
        let mut out = Vec::new();
        self.codec.encode_request(tid, super::HERE, &request, &mut out);
        let (Some(place), false) = (place, out.is_empty()) else {
            self.node.on_failure(self.now, id, Failure::Unreachable);
            return;
        };
        assert!(out.len() <= super::FULL.bytes, "{} bytes", out.len());
        let message = krpc::decode(&out).expect("it was written here");
        assert!(
            message.tid == tid
                && matches!(message.body, krpc::Body::Query(query) if query.id == self.codec.local())
        );
        let waiting = Waiting { id, to: place, peer: to.peer, request };
        assert!(self.open.insert(tid, waiting).is_none(), "an id names one request");
    }

    pub(super) fn bounds(&self) {
        let table = self.node.routing();
        assert!(table.len() <= MAX_SIZE);
        let running = self.queries.values().filter(|times| **times == 0).count();
        assert!(running <= MAX_QUERIES);
        assert!(self.open.len() <= MAX_QUERIES * 2 * MAX_CANDIDATES + MAX_LONE, "{}", self.open.len());
        let held = block_on(self.store.statistics()).expect("memory does not fail");
        assert!(held.records <= MAX_RECORDS && held.bytes <= MAX_BYTES, "{held:?}");
    }

    /// At the latest at its deadline every query has ended, once; what is known and kept is within its bounds, and true.
    pub(super) fn end(mut self) {
        self.drain();
        self.contents();
        let end = self.now.mono + QUERY_TIMEOUT + Duration::from_secs(1);
        let mut turns = 0;
        while let Some(due) = self.wake.filter(|due| *due <= end) {
            self.now = self.now.after(due.since(self.now.mono));
            self.drain();
            turns += 1;
            assert!(turns < 5_000, "it wakes all the time");
        }
        self.bounds();
        assert!(self.queries.values().all(|times| *times == 1), "{:?}", self.queries);
    }

    fn contents(&self) {
        let table = self.node.routing();
        let mut groups = BTreeMap::new();
        for entry in table.iter() {
            let Endpoint(Some(addr)) = entry.contact.addr else { panic!("somebody nowhere is in the table") };
            assert!(Reach::Public.allows(addr) && entry.contact.peer != self.codec.local());
            *groups.entry(address::group(addr.ip())).or_insert(0) += 1;
        }
        assert!(groups.values().all(|count| *count <= PER_GROUP), "{groups:?}");
        let known = (0..=255).filter(|peer| self.node.known(&speech::peer(*peer)).is_some()).count();
        assert!(known <= MAX_KNOWN + table.len() + 1, "{known}");
        let kept = block_on(self.store.scan(false, None, 2 * MAX_RECORDS)).expect("memory does not fail");
        for (query, stored) in kept {
            assert_eq!(Records::default().check(&query, &stored.item, self.now), Ok(()));
            assert!(matches!(stored.item, Record::Peer(_) | Record::Item(..)), "answers are not kept");
        }
    }
}
