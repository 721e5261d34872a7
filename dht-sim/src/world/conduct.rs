//! Nodes that do not keep to the rules: what they answer instead.
//!
//! They are ordinary nodes in all else: they join, refresh and ask as the others do, and whoever asks them has to find out.

use dht_core::{Contact, Failure, KadKey, Overlay, Request, Response};

use super::World;
use crate::{dice::hash, scenario::Conduct};

/// Numbers from which on no node ever is, and below which networks with addresses still have room.
const NOBODY: u32 = (1 << 24) - (1 << 20);

impl<O: Overlay> World<O> {
    pub(crate) fn set_conduct(&mut self, i: u32, conduct: Option<Conduct>) {
        if conduct.is_some() || self.members[i as usize].extra.is_some() {
            self.members[i as usize].extra().conduct = conduct;
        }
        self.gang.retain(|member| *member != i);
        if conduct == Some(Conduct::Collude) {
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
            Conduct::Collude => {
                Some(Ok(Response { closer: self.nearest_of_gang(&key, i), items, ticket: None }))
            }
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
