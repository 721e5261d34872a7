//! What nodes are asked to do, as the handles of real nodes do it.

use std::time::Duration;

use dht_core::{Overlay, Request};
use dht_protocol::Node;
use dht_query::{QueryId, QueryOptions, StartError};
use dht_records::{Lease, Saved, Store};

use super::{Done, Op, World};
use crate::now_or_never;

impl<O: Overlay> World<O> {
    /// Looks up the peers closest to a target.
    pub(crate) fn look_up(&mut self, i: u32, op: Op, target: O::Target) {
        if self.goes_elsewhere() {
            return self.walk(i, op, Request::FindNode { target }, Vec::new(), None);
        }
        self.start(i, op, |world, node| {
            let now = world.clock(i);
            node.closest(now, target, QueryOptions::default())
        });
    }

    /// Reads what stands under a query. What the own store holds counts as one answer.
    pub(crate) fn fetch(&mut self, i: u32, op: Op, query: O::Query, options: QueryOptions) {
        if self.goes_elsewhere() {
            let node = self.members[i as usize].node.as_ref();
            let own = node.map_or_else(Vec::new, |node| self.own(i, node, &query));
            return self.walk(i, op, Request::Get { query }, own, options.limit);
        }
        self.start(i, op, |world, node| {
            let own = world.own(i, node, &query);
            node.fetch(world.clock(i), query, own, options)
        });
    }

    /// What a node's own store holds under a query, as the node would show it.
    fn own(&self, i: u32, node: &Node<O>, query: &O::Query) -> Vec<O::Item> {
        let now = self.clock(i);
        let mut found = Vec::new();
        if let Some(store) = &self.members[i as usize].store {
            store.load_now(query, now, &mut found);
        }
        let (validator, rules, local) = (node.validator(), node.rules(), node.local());
        found
            .into_iter()
            .filter(|stored| validator.check(query, &stored.item, now).is_ok())
            .filter_map(|mut stored| {
                stored.item = rules.renew(stored.item, local);
                rules.present(&stored, now)
            })
            .collect()
    }

    /// Places an item on the closest peers now, and keeps it as an own one, to be announced again and again, unless the own
    /// store refuses it.
    pub(crate) fn publish(&mut self, i: u32, op: Op, query: O::Query, item: O::Item) {
        self.start(i, op, |world, node| {
            let now = world.clock(i);
            let item = node.rules().receive(item, now);
            let from = node.local().peer.clone();
            let lease = Lease { from, received: now.wall, lifetime: Duration::MAX, own: true };
            let store = world.store(i);
            let saved = now_or_never(store.save(&query, item.clone(), lease, &**node.validator(), now));
            if matches!(saved, Some(Ok(saved)) if !matches!(saved, Saved::Worse(_))) {
                world.announcer(i).keep(now, query.clone(), item.clone());
            }
            node.store(now, query, item, QueryOptions::default())
        });
    }

    /// An item that [`World::publish`] found no taker for is announced again soon, as the driver does it.
    pub(crate) fn retry_announcing(&mut self, i: u32, query: &O::Query, slot: &O::Slot) {
        if self.members[i as usize].is_up() {
            let now = self.clock(i);
            self.announcer(i).retry(now, query, slot);
        }
    }

    fn start(
        &mut self,
        i: u32,
        op: Op,
        call: impl FnOnce(&mut Self, &mut Node<O>) -> Result<QueryId, StartError>,
    ) {
        let member = &mut self.members[i as usize];
        let life = member.life;
        let node = if member.asleep { None } else { member.node.take() };
        let Some(mut node) = node else {
            self.done.push(Done { op, node: i, result: None });
            return;
        };
        match call(self, &mut node) {
            Ok(id) => drop(self.running.insert((i, life, id.0), op)),
            Err(_) => self.done.push(Done { op, node: i, result: None }),
        }
        self.settle(i, node);
    }
}
