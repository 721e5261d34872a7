//! Whole nodes that talk in a loop, two at a time, without I/O and in virtual time: one stores a value, another finds it.
//!
//! This is all that a driver or a simulator has to do: after any call into a node, drain it until it says `Wait`.
//!
//! `cargo run -p dht-protocol --example two_nodes`

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use dht_core::{
    Contact, Failure, Now, Request, RequestId, Response,
    testing::{Tiny, TinyItem, TinyQuery},
};
use dht_protocol::{Config, Event, Node, Output, Parts, Refusal, Rules, Served};
use dht_query::Finished;
use dht_records::{Invalid, MemoryConfig, MemoryStore, Store, Stored, Validator};
use dht_routing::AdmitAll;
use futures::executor::block_on;

/// Everything is true, the highest version is best.
struct Versions;

impl Validator<Tiny> for Versions {
    fn check(&self, _: &TinyQuery, _: &TinyItem, _: Now) -> Result<(), Invalid> {
        Ok(())
    }
    fn best(&self, _: &TinyQuery, items: &[TinyItem]) -> Option<usize> {
        (0..items.len()).max_by_key(|i| (items[*i].version, std::cmp::Reverse(*i)))
    }
}

/// Serves everybody and keeps everything for a day.
struct Open;

impl Rules<Tiny> for Open {
    fn admit(&self, _: &Contact<Tiny>, _: &Request<Tiny>, _: Now) -> Result<(), Refusal> {
        Ok(())
    }
    fn show(&self, contact: &Contact<Tiny>, _: &Contact<Tiny>) -> Option<u16> {
        Some(contact.addr)
    }
    fn ticket(&self, _: &Contact<Tiny>, _: &TinyQuery, _: usize, _: Now) -> Option<Infallible> {
        None
    }
    fn redeem(
        &self,
        _: &Contact<Tiny>,
        _: &TinyQuery,
        _: Option<&Infallible>,
        _: Now,
    ) -> Result<(), Refusal> {
        Ok(())
    }
    fn lifetime(&self, _: &TinyQuery, _: &TinyItem) -> Duration {
        Duration::from_secs(86_400)
    }
    fn receive(&self, item: TinyItem, _: Now) -> TinyItem {
        item
    }
    fn present(&self, stored: &Stored<Tiny>, _: Now) -> Option<TinyItem> {
        Some(stored.item)
    }
    fn renew(&self, item: TinyItem, _: &Contact<Tiny>) -> TinyItem {
        item
    }
}

/// A node with its store.
struct Peer {
    node: Node<Tiny>,
    store: MemoryStore<Tiny>,
}

fn peer(id: u8) -> Result<Peer, dht_core::InvalidConfig> {
    let parts = Parts {
        config: Config { serve: true, ..Config::default() },
        routing: dht_routing::Config::default(),
        queries: dht_query::Config::default(),
        admit: Box::new(AdmitAll),
        filter: None,
        validator: Arc::new(Versions),
        rules: Arc::new(Open),
        seed: u64::from(id),
    };
    let store = MemoryStore::new(&id, MemoryConfig::default(), 1)?;
    Ok(Peer { node: Node::new(Contact::new(id, 1), parts)?, store })
}

impl Peer {
    /// Answers the other one; where the store is needed it is asked here, outside the node.
    fn serve(&mut self, now: Now, from: u8, request: Request<Tiny>) -> Result<Response<Tiny>, Failure> {
        match self.node.serve(now, &Contact::new(from, 1), request) {
            Served::Answer(response) => Ok(response),
            Served::Load(load) => {
                let found = block_on(self.store.load(&load.query, now));
                Ok(load.answer(found.unwrap_or_default(), &Open, &Versions, now).0)
            }
            Served::Save(save) => {
                let saving = self.store.save(&save.query, save.item, save.lease.clone(), &Versions, now);
                let saved = block_on(saving);
                self.node.settle(save, &saved).map_err(|_| Failure::Reset)
            }
            Served::Refused(_) => Err(Failure::Reset),
        }
    }
}

/// The driver: drains one node and carries its requests to the other, 10 ms each way, until a query ends.
fn run(asks: &mut Peer, answers: &mut Peer, now: &mut Now) -> Finished<Tiny> {
    let mut under_way: VecDeque<(RequestId, Request<Tiny>)> = VecDeque::new();
    loop {
        match asks.node.poll_output(*now) {
            Output::Send { id, request, .. } => under_way.push_back((id, request)),
            Output::Event(Event::Finished(_, finished)) => return finished,
            Output::Wait(wake) => {
                *now = now.after(Duration::from_millis(20));
                if let Some((id, request)) = under_way.pop_front() {
                    println!("{:?} {request:?}", now.mono.0);
                    match answers.serve(*now, asks.node.local().peer, request) {
                        Ok(response) => asks.node.on_response(*now, id, response),
                        Err(why) => asks.node.on_failure(*now, id, why),
                    }
                } else if let Some(wake) = wake {
                    *now = now.after(wake.since(now.mono));
                }
            }
            Output::Forget(_) | Output::Event(_) | Output::Observed(_) => {}
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut writer, mut keeper, mut reader) = (peer(0x10)?, peer(0xf0)?, peer(0x20)?);
    let mut now = Now::default();
    let (query, item) = (TinyQuery::Value(0xff), TinyItem::value(3));

    // A connection would introduce them; here we do.
    writer.node.on_peer(now, keeper.node.local().clone(), true);
    writer.node.add_peer(now, keeper.node.local().clone())?;
    writer.node.store(now, query, item, Default::default())?;
    let stored = run(&mut writer, &mut keeper, &mut now);
    assert_eq!(stored.receipt.stored, [0xf0]);

    reader.node.add_peer(now, keeper.node.local().clone())?;
    reader.node.fetch(now, query, Vec::new(), Default::default())?;
    let found = run(&mut reader, &mut keeper, &mut now);
    assert_eq!(found.items, [item]);
    println!("found {:?} after {:?}", found.items, now.mono.0);
    Ok(())
}

#[test]
fn nodes_work_without_io() {
    main().unwrap();
}
