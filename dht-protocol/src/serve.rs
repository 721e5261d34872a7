//! The server's side of the node: the answer to a request is the return value of one call.

use dht_core::{Contact, Now, Overlay, Request, RequestKind, Response};
use dht_records::Lease;

use crate::{Load, Node, Output, Refusal, Save, Served, served::served};

impl<O: Overlay> Node<O> {
    /// Answers a stranger's request, or says what the store must do first.
    ///
    /// The sender does not enter the table by asking (Amino spec, L3): it becomes known as a server through
    /// [`Node::on_peer`] only.
    pub fn serve(&mut self, now: Now, from: &Contact<O>, request: Request<O>) -> Served<O> {
        let kind = request.kind();
        let result = self.answer(now, from, request);
        match &result {
            Served::Refused(_) => self.observe_served(kind, false),
            Served::Answer(_) | Served::Load(_) => self.observe_served(kind, true),
            // Whether it is served is known when the store has answered: see `settle`.
            Served::Save(_) => {}
        }
        result
    }

    /// Finishes a request that had to be saved: counts it and gives the answer.
    ///
    /// # Errors
    /// The refusal that the stranger gets.
    pub fn settle(
        &mut self,
        save: Save<O>,
        saved: &Result<dht_records::Saved, dht_records::StoreError>,
    ) -> Result<Response<O>, Refusal> {
        let (answer, observation) = save.answer(saved);
        self.out.push_back(Output::Observed(observation));
        self.observe_served(RequestKind::Put, answer.is_ok());
        answer
    }

    /// Takes an answer back when it was sent, so that the next one needs no memory of its own.
    pub fn recycle(&mut self, mut response: Response<O>) {
        response.closer.clear();
        response.items.clear();
        response.ticket = None;
        self.spare = response;
    }

    /// An empty answer with the memory of an earlier one.
    fn blank(&mut self) -> Response<O> {
        std::mem::take(&mut self.spare)
    }

    fn observe_served(&mut self, kind: RequestKind, ok: bool) {
        self.out.push_back(Output::Observed(served(kind, ok)));
    }

    fn answer(&mut self, now: Now, from: &Contact<O>, request: Request<O>) -> Served<O> {
        if !self.serving {
            return Served::Refused(Refusal::NotServing);
        }
        if let Err(refusal) = self.rules.admit(from, &request, now) {
            return Served::Refused(refusal);
        }
        match request {
            Request::Ping => Served::Answer(self.blank()),
            Request::FindNode { target } => {
                let mut response = self.blank();
                self.closer(from, &target, &mut response.closer);
                Served::Answer(response)
            }
            Request::Get { query } => {
                let mut response = self.blank();
                self.push_closest(from, &O::key_of(&O::target_of(&query)), None, &mut response.closer);
                Served::Load(Load { query, from: from.clone(), response, local: self.local.clone() })
            }
            Request::Put { query, item, ticket } => self.take(now, from, query, item, ticket.as_ref()),
        }
    }

    fn take(
        &self,
        now: Now,
        from: &Contact<O>,
        query: O::Query,
        item: O::Item,
        ticket: Option<&O::Ticket>,
    ) -> Served<O> {
        if let Err(refusal) = self.rules.redeem(from, &query, ticket, now) {
            return Served::Refused(refusal);
        }
        if let Err(invalid) = self.validator.check(&query, &item, now) {
            return Served::Refused(invalid.into());
        }
        let lifetime = self.rules.lifetime(&query, &item);
        let received = item.clone();
        let item = self.rules.receive(item, now);
        let lease = Lease { from: from.peer.clone(), received: now.wall, lifetime, own: false };
        Served::Save(Save { query, item, lease, received })
    }

    /// The target itself when its address is known, even if it is this node, the asker or a client (Amino spec, A16),
    /// then the k closest servers without this node and the asker (A13).
    fn closer(&self, from: &Contact<O>, target: &O::Target, closer: &mut Vec<Contact<O>>) {
        let named = O::target_peer(target);
        if let Some(named) = named.as_ref().and_then(|peer| self.known(peer)) {
            closer.extend(self.shown(named, from));
        }
        self.push_closest(from, &O::key_of(target), named.as_ref(), closer);
    }

    fn push_closest(
        &self,
        from: &Contact<O>,
        key: &O::Key,
        named: Option<&O::PeerId>,
        closer: &mut Vec<Contact<O>>,
    ) {
        let k = self.config.closer_per_answer;
        let skip = |peer: &O::PeerId| *peer == from.peer || Some(peer) == named;
        let before = closer.len();
        let mut wanted = k;
        loop {
            self.routing.closest_except(key, wanted, skip, closer);
            let offered = closer.len() - before;
            let mut shown = before;
            for i in before..closer.len() {
                if let Some(addr) = self.rules.show(&closer[i], from) {
                    closer[i].addr = addr;
                    closer.swap(shown, i);
                    shown += 1;
                }
            }
            closer.truncate(shown);
            let enough = shown - before >= k || offered < wanted;
            if enough {
                closer.truncate(before + k);
                return;
            }
            // Some may not be shown to this asker: the next ones take their place.
            closer.truncate(before);
            wanted = wanted.saturating_mul(2);
        }
    }

    fn shown(&self, contact: Contact<O>, to: &Contact<O>) -> Option<Contact<O>> {
        let addr = self.rules.show(&contact, to)?;
        Some(Contact::new(contact.peer, addr))
    }
}
