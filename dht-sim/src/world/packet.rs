//! Messages under way, in a slab: the queue moves their numbers only.

use derive_where::derive_where;
use dht_core::{Failure, Overlay, Request, RequestId, Response};

/// A message. `life` is the asker's, so that an answer does not reach a process that was started since; `meant` says whether
/// the request is for the node that lives there.
#[derive_where(Clone)]
pub(crate) enum Packet<O: Overlay> {
    Request { from: u32, to: u32, life: u32, id: RequestId, meant: bool, request: Request<O> },
    Answer { from: u32, to: u32, life: u32, id: RequestId, result: Result<Response<O>, Failure> },
}

#[derive_where(Default)]
pub(crate) struct Packets<O: Overlay> {
    slots: Vec<Option<Packet<O>>>,
    free: Vec<u32>,
}

impl<O: Overlay> Packets<O> {
    pub(crate) fn add(&mut self, packet: Packet<O>) -> u32 {
        match self.free.pop() {
            Some(handle) => {
                self.slots[handle as usize] = Some(packet);
                handle
            }
            None => {
                self.slots.push(Some(packet));
                (self.slots.len() - 1) as u32
            }
        }
    }

    pub(crate) fn take(&mut self, handle: u32) -> Packet<O> {
        self.free.push(handle);
        self.slots[handle as usize].take().expect("the queue has each number once")
    }
}
