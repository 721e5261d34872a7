//! A stranger's request between the node and the store: what the driver must load or save before the answer exists.

use derive_where::derive_where;
use dht_core::{Contact, Now, Observation, Overlay, RequestKind, Response, StoreKind};
use dht_records::{Invalid, Lease, Saved, StoreError, Stored, Validator};

use crate::{Refusal, Rules};

/// What became of a request.
#[derive_where(Clone, Debug)]
pub enum Served<O: Overlay> {
    /// Here is the answer.
    Answer(Response<O>),
    /// The answer needs what the store holds.
    Load(Load<O>),
    /// The answer depends on whether the store takes the item.
    Save(Save<O>),
    /// No.
    Refused(Refusal),
}

/// Load `query`, then call [`Load::answer`].
#[derive_where(Clone, Debug)]
pub struct Load<O: Overlay> {
    /// What to load.
    pub query: O::Query,
    pub(crate) from: Contact<O>,
    /// What is known of the answer.
    pub(crate) response: Response<O>,
    pub(crate) local: Contact<O>,
}

impl<O: Overlay> Load<O> {
    /// The answer, with what was found. A store that failed is answered like an empty one, for the closer peers are worth
    /// having.
    pub fn answer(
        self,
        found: impl IntoIterator<Item = Stored<O>>,
        rules: &dyn Rules<O>,
        validator: &dyn Validator<O>,
        now: Now,
    ) -> (Response<O>, Observation<O>) {
        let Self { query, from, mut response, local } = self;
        let mut held = 0;
        response.items.extend(found.into_iter().filter_map(|mut stored| {
            held += 1;
            // What was true when it came may have expired since.
            validator.check(&query, &stored.item, now).ok()?;
            stored.item = rules.renew(stored.item, &local);
            rules.present(&stored, now)
        }));
        response.ticket = rules.ticket(&from, &query, held, now);
        let seen = Observation::Stored {
            kind: StoreKind::Loaded,
            plural: !O::corrects(&query),
            items: response.items.len(),
        };
        (response, seen)
    }
}

/// Save `item` under `query`, then call [`Save::answer`].
#[derive_where(Clone, Debug)]
pub struct Save<O: Overlay> {
    /// Where.
    pub query: O::Query,
    /// What, stamped by the rules.
    pub item: O::Item,
    /// On whose behalf and for how long.
    pub lease: Lease<O>,
    pub(crate) received: O::Item,
}

impl<O: Overlay> Save<O> {
    /// The answer, or the refusal when the store did not take the item.
    pub fn answer(self, saved: &Result<Saved, StoreError>) -> (Result<Response<O>, Refusal>, Observation<O>) {
        let answer = match saved {
            Ok(Saved::New | Saved::Better | Saved::Refreshed) => {
                Ok(Response { items: vec![self.received], ..Response::default() })
            }
            Ok(Saved::Worse(conflict)) => Err(Refusal::Worse(*conflict)),
            Err(StoreError::Expired) => Err(Refusal::Invalid(Invalid::Expired)),
            Err(StoreError::TooLarge { limit, .. }) => {
                Err(Refusal::Invalid(Invalid::TooLarge { limit: *limit }))
            }
            Err(_) => Err(Refusal::Unavailable),
        };
        let kind = if answer.is_ok() { StoreKind::Saved } else { StoreKind::Refused };
        (answer, Observation::Stored { kind, plural: !O::corrects(&self.query), items: 1 })
    }
}

/// The observation of a served request.
pub(crate) fn served<O: Overlay>(kind: RequestKind, ok: bool) -> Observation<O> {
    Observation::RequestServed { kind, ok }
}
