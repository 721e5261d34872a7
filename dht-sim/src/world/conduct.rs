//! Nodes that do not keep to the rules: what they answer instead.
//!
//! They are ordinary nodes in all else: they join, refresh and ask as the others do, and whoever asks them has to find out.

use dht_core::{Contact, Failure, KadKey, Now, Overlay, Request, Response};
use dht_protocol::Node;

use super::World;
use crate::{dice::hash, scenario::Conduct};

/// Numbers from which on no node ever is, and below which networks with addresses still have room.
pub(super) const NOBODY: u32 = (1 << 24) - (1 << 20);

impl<O: Overlay> World<O> {
    pub(crate) fn set_conduct(&mut self, i: u32, conduct: Option<Conduct>) {
        if conduct.is_some() || self.members[i as usize].extra.is_some() {
            self.members[i as usize].extra().conduct = conduct;
        }
        self.gang.retain(|member| *member != i);
        if matches!(conduct, Some(Conduct::Collude | Conduct::Bait)) {
            self.gang.push(i);
            self.gang.sort_unstable();
        }
    }

    pub(crate) fn conduct(&self, i: u32) -> Option<Conduct> {
        self.members[i as usize].extra.as_ref()?.conduct
    }

    /// What a node answers that does not keep to the rules; `None` where it does.
    pub(super) fn misbehave(
        &mut self,
        i: u32,
        node: &Node<O>,
        now: Now,
        asker: &Contact<O>,
        request: &Request<O>,
    ) -> Option<Result<Response<O>, Failure>> {
        let conduct = self.conduct(i)?;
        let key = O::key_of(&request.target()?);
        let items = match request {
            Request::Put { item, .. } => vec![item.clone()],
            _ => Vec::new(),
        };
        match conduct {
            Conduct::NameTheDead => {
                let draw = self.dice.roll();
                let dead = |j: u64| self.network.contact(NOBODY + (hash(draw, j, 0) % (1 << 20)) as u32);
                Some(Ok(Response { closer: (0..20).map(dead).collect(), items, ticket: None }))
            }
            Conduct::Collude | Conduct::Bait => {
                let mut answer = Response { closer: self.nearest_of_gang(&key, i), items, ticket: None };
                if let Request::Get { query } = request {
                    // Whoever wants others to store here lets them.
                    answer.ticket = node.rules().ticket(asker, query, 0, now);
                }
                if conduct == Conduct::Bait {
                    self.lure(request, &mut answer);
                }
                Some(Ok(answer))
            }
            Conduct::Mislead => Some(Ok(Response { closer: self.misleading(&key, i), items, ticket: None })),
            Conduct::Stumble => {
                let own = self.members[i as usize].contact.clone();
                match self.dice.below(4) {
                    0 => Some(Err(Failure::Malformed)),
                    1 => Some(Ok(Response::default())),
                    // Names itself, the asker, and both again.
                    2 => {
                        let closer = vec![own.clone(), asker.clone(), own, asker.clone()];
                        Some(Ok(Response { closer, ..Response::default() }))
                    }
                    _ => None,
                }
            }
        }
    }

    /// Puts the bait into an answer. The first version of a value that somebody wants to be kept becomes one when there is a
    /// later: before, it would be the truth.
    fn lure(&mut self, request: &Request<O>, answer: &mut Response<O>) {
        let version = |item: &O::Item| self.network.mark(item).map_or(0, |mark| mark.version);
        match request {
            Request::Get { query } => {
                let Some(bait) = self.attackers.bait.get(query) else { return };
                answer.items = match bait.as_slice() {
                    [old, .., _] if O::corrects(query) => vec![old.clone()],
                    _ if O::corrects(query) => Vec::new(),
                    lies => lies.to_vec(),
                };
            }
            Request::Put { query, item, .. } if O::corrects(query) => {
                let Some(bait) = self.attackers.bait.get_mut(query).filter(|bait| bait.len() < 2) else {
                    return;
                };
                if bait.first().is_none_or(|old| version(old) < version(item)) {
                    bait.push(item.clone());
                }
            }
            _ => {}
        }
    }

    /// Itself, again and again; or peers that are farther from the key than it is; or invented names at the address of
    /// somebody who has nothing to do with it.
    fn misleading(&mut self, key: &O::Key, i: u32) -> Vec<Contact<O>> {
        let own = &self.members[i as usize].contact;
        let count = self.answer_size;
        let draw = self.dice.roll();
        match (draw % 3, self.attackers.scapegoat) {
            (0, _) => vec![own.clone(); count],
            (1, Some(scapegoat)) => {
                let addr = &self.members[scapegoat as usize].contact.addr;
                let name = |j: u64| self.network.contact(NOBODY + (hash(draw, j, 0) % (1 << 20)) as u32).peer;
                (0..count as u64).map(|j| Contact::new(name(j), addr.clone())).collect()
            }
            _ => {
                let distance = key.distance(&own.key());
                let len = self.members.len() as u64;
                let some = (0..4 * count as u64).map(|j| (hash(draw, j, 1) % len) as usize);
                let far =
                    some.map(|j| &self.members[j].contact).filter(|c| key.distance(&c.key()) > distance);
                far.take(count).cloned().collect()
            }
        }
    }

    /// As many as an honest answer would name.
    fn nearest_of_gang(&self, key: &O::Key, asked: u32) -> Vec<Contact<O>> {
        let contact = |i: &u32| &self.members[*i as usize].contact;
        let mut near: Vec<_> = self
            .gang
            .iter()
            .filter(|i| **i != asked && self.is_up(**i))
            .map(|i| (key.distance(&contact(i).key()), *i))
            .collect();
        if near.len() > self.answer_size {
            near.select_nth_unstable(self.answer_size);
            near.truncate(self.answer_size);
        }
        near.sort_unstable();
        near.iter().map(|(_, i)| contact(i).clone()).collect()
    }

    /// The mapping of a node's NAT is gone, and with it its connections; nobody is told.
    pub(crate) fn rebind(&mut self, i: u32) {
        for peer in self.members[i as usize].part_all() {
            self.members[peer as usize].part(i);
        }
    }
}
