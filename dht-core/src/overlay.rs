//! What differs between two Kademlia networks, as one trait of types and pure functions.

use std::{
    fmt::{Debug, Display},
    hash::Hash,
};

use derive_where::derive_where;

use crate::KadKey;

/// A Kademlia network's types and its pure functions. Implemented by a dialect, never instantiated.
pub trait Overlay: Sized + Send + Sync + 'static {
    /// A point of the key space.
    type Key: KadKey;
    /// What a lookup aims at, as it goes over the wire: the key itself, or what is hashed to it.
    type Target: Clone + Eq + Hash + Debug + Send + Sync + 'static;
    /// Who a peer is.
    type PeerId: Clone + Ord + Hash + Debug + Display + Send + Sync + 'static;
    /// Where a peer can be reached: a socket address, or a packed list of addresses.
    /// `Default` means that nothing is known.
    type Addr: Clone + Eq + Default + Debug + Send + Sync + 'static;
    /// What can be asked for: a value under a key, the providers of some content.
    type Query: Clone + Ord + Hash + Debug + Send + Sync + 'static;
    /// What can be stored under a query.
    type Item: Clone + Eq + Debug + Send + Sync + 'static;
    /// Items of one slot compete, the best one stays; items of different slots stand side by side.
    /// A value has one slot, provider records one per provider.
    type Slot: Clone + Ord + Hash + Debug + Send + Sync + 'static;
    /// What a store request must present, handed out with an earlier answer; `Infallible` where nothing is asked.
    type Ticket: Clone + Eq + Debug + Send + Sync + 'static;

    /// Whether a store must first collect tickets, so that its lookup asks with [`Request::Get`](crate::Request::Get).
    const TICKETED: bool;

    /// A peer's place in the key space.
    fn peer_key(peer: &Self::PeerId) -> Self::Key;
    /// A target's place in the key space.
    fn key_of(target: &Self::Target) -> Self::Key;
    /// The target whose key is the peer's own; a lookup check asks a peer for it.
    fn peer_target(peer: &Self::PeerId) -> Self::Target;
    /// The peer that a target names, if it names one; the inverse of [`Overlay::peer_target`].
    fn target_peer(target: &Self::Target) -> Option<Self::PeerId>;
    /// Where the items of a query are kept.
    fn target_of(query: &Self::Query) -> Self::Target;
    /// A target whose key shares exactly `prefix` leading bits with `local` (`prefix < BITS`; at most 15 need be exact),
    /// a different one for each `seed`.
    fn refresh_target(local: &Self::Key, prefix: u32, seed: u64) -> Self::Target;
    /// The slot that an item competes in.
    fn slot(item: &Self::Item) -> Self::Slot;
    /// Bytes that an item takes in a store, its query not included.
    fn weight(item: &Self::Item) -> usize;
    /// Bytes that a query takes in a store; what it holds on the heap is to be counted too.
    fn query_weight(_query: &Self::Query) -> usize {
        size_of::<Self::Query>()
    }
    /// The network group that an item comes from, such as the /16 of the IPv4 address it names; `None` when it tells nothing.
    /// Where places under a query are scarce, groups share them, so that one host with many names does not take all.
    fn item_group(_item: &Self::Item) -> Option<u64> {
        None
    }
    /// The network group that a contact is in, such as the /24 of its IPv4 address; `None` when it tells nothing.
    /// Where a routing table is told to, groups share its places, so that one network with many names does not take all.
    fn contact_group(_contact: &Contact<Self>) -> Option<u64> {
        None
    }
    /// Whether both addresses are one place at which only one peer can be, such as a socket; not so where names may share an
    /// address, or where one tells nothing. A routing table has one name for such a place.
    fn same_place(_one: &Self::Addr, _other: &Self::Addr) -> bool {
        false
    }
    /// Whether holders of a worse item (or none) are to be sent the best one after a fetch.
    fn corrects(query: &Self::Query) -> bool;

    /// The same contact, owning its bytes: one that is kept for long must not hold the message it came in.
    /// The default suits types that own their bytes anyway.
    fn detach(contact: Contact<Self>) -> Contact<Self> {
        contact
    }

    /// The same item, owning its bytes, for the same reason.
    fn detach_item(item: Self::Item) -> Self::Item {
        item
    }
}

/// A peer and where it can be reached.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub struct Contact<O: Overlay> {
    /// Who.
    pub peer: O::PeerId,
    /// Where; `Default` when unknown.
    pub addr: O::Addr,
}

impl<O: Overlay> Contact<O> {
    /// A contact at a known place.
    pub fn new(peer: O::PeerId, addr: O::Addr) -> Self {
        Self { peer, addr }
    }

    /// A contact of whom only the name is known.
    pub fn unlocated(peer: O::PeerId) -> Self {
        Self { peer, addr: O::Addr::default() }
    }

    /// Whether it is known where the peer can be reached.
    pub fn is_located(&self) -> bool {
        self.addr != O::Addr::default()
    }

    /// The peer's place in the key space.
    pub fn key(&self) -> O::Key {
        O::peer_key(&self.peer)
    }
}
