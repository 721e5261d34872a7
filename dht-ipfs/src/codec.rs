//! Requests and answers of the kad protocol, and the rules of the network about what may stand in them.
//!
//! Sources: the libp2p and IPFS kad-dht specifications, and what the deployed servers do where they differ: ADD_PROVIDER
//! is never answered, because the Go client takes an echo for the answer to its next request. Whether it was taken is
//! learned from a FIND_NODE sent behind it on the same stream: a server answers in order and resets the stream when it
//! refuses.
//!
//! The codec does not judge records; a validator does.

use bytes::{Bytes, BytesMut};
use dht_core::{Contact, Request, Response};
use dht_protocol::{Malformed, StreamCodec};

use crate::{
    Ipfs, Item, PeerId, ProviderRecord, Query, Record,
    frame::Frame,
    time,
    wire::{Head, MAX_PEERS, Side, Source, contact, kind, message},
};

/// Bytes of the longest content key (the IPFS specification, and every server).
pub const MAX_PROVIDER_KEY: usize = 80;
/// Bytes of the largest message on the network.
pub const MAX_FRAME: usize = 4 << 20;
/// Answers above this many bytes are copied from, so that a few addresses do not keep megabytes.
const MAX_BORROWED: usize = 16 << 10;

/// Bytes of a peer with a few addresses.
const TYPICAL_PEER: usize = 80;

/// The protobuf codec of `/kad/1.0.0`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Codec;

impl StreamCodec<Ipfs> for Codec {
    fn max_frame(&self) -> usize {
        MAX_FRAME
    }

    fn encode_request(&self, request: &Request<Ipfs>, out: &mut BytesMut) {
        let frame = match request {
            Request::Ping => Frame::ping(),
            Request::FindNode { target } => Frame::new(kind::FIND_NODE, target),
            Request::Get { query: Query::Value(key) } => Frame::new(kind::GET_VALUE, key),
            Request::Get { query: Query::Providers(key) } => Frame::new(kind::GET_PROVIDERS, key),
            Request::Put { query: Query::Value(key), item, .. } => {
                Frame::new(kind::PUT_VALUE, key).record(item.as_value())
            }
            Request::Put { query: Query::Providers(key), item, .. } => {
                let put = Frame::new(kind::ADD_PROVIDER, key).providers(item.as_provider());
                put.write(MAX_FRAME, out);
                Frame::new(kind::FIND_NODE, key) // the barrier
            }
        };
        frame.write(MAX_FRAME, out);
    }

    fn decode_response(
        &self,
        request: &Request<Ipfs>,
        frame: Bytes,
    ) -> Result<Option<Response<Ipfs>>, Malformed> {
        let source = if frame.len() > MAX_BORROWED { Source::Copy } else { Source::Borrow(&frame) };
        let with_providers = matches!(request, Request::Get { query: Query::Providers(_) });
        let mut response = Response::<Ipfs>::default();
        // What a usual answer holds, so that its peers are not moved while the list grows.
        response.closer.reserve((frame.len() / TYPICAL_PEER).min(MAX_PEERS));
        let head = message(&frame, |side, bytes| {
            match side {
                Side::Provider if !with_providers => {}
                Side::Closer => response.closer.extend(contact(bytes, source)?),
                Side::Provider => response.items.extend(contact(bytes, source)?.map(provider)),
            }
            Ok(())
        })?;
        let (want, key): (i32, &[u8]) = match request {
            Request::Ping => (kind::PING, &[]),
            Request::FindNode { target } => (kind::FIND_NODE, target),
            Request::Get { query: Query::Value(key) } => (kind::GET_VALUE, key),
            Request::Get { query: Query::Providers(key) } => (kind::GET_PROVIDERS, key),
            Request::Put { query: Query::Value(key), .. } => (kind::PUT_VALUE, key),
            Request::Put { query: Query::Providers(key), .. } => (kind::FIND_NODE, key),
        };
        if head.kind != want {
            // Some servers echo ADD_PROVIDER, as the specification says; the echo is no answer to anything.
            return if head.kind == kind::ADD_PROVIDER {
                Ok(None)
            } else {
                Err(Malformed("an answer of another type"))
            };
        }
        // Some servers leave the key out; one that names another key answers another request.
        if !head.key.is_empty() && head.key != key && *request != Request::Ping {
            return Err(Malformed("an answer for another key"));
        }
        match request {
            Request::Get { query: Query::Value(key) } => response.items.extend(held(key, &head, source)?),
            Request::Put { query: Query::Value(key), item, .. } => {
                check_echo(key, item, &head)?;
                response.items.push(item.clone());
            }
            Request::Put { item, .. } => response.items.push(item.clone()),
            _ => {}
        }
        Ok(Some(response))
    }

    fn decode_request(&self, from: &PeerId, frame: Bytes) -> Result<Request<Ipfs>, Malformed> {
        let mut own: Option<ProviderRecord> = None;
        let head = message(&frame, |side, bytes| {
            if side == Side::Provider
                && let Some(Contact { peer, addr }) = contact(bytes, Source::Copy)?
                && peer == *from
                && !addr.is_empty()
            {
                let addrs = own.as_ref().map_or_else(|| addr.clone(), |known| known.addrs.merge(&addr));
                own = Some(ProviderRecord { peer, addrs });
            }
            Ok(())
        })?;
        // A key is copied: a small slice must not keep the frame.
        let key = || Bytes::copy_from_slice(head.key);
        match head.kind {
            kind::PING => return Ok(Request::Ping),
            _ if head.key.is_empty() => return Err(Malformed("a request without a key")),
            kind::ADD_PROVIDER | kind::GET_PROVIDERS if head.key.len() > MAX_PROVIDER_KEY => {
                return Err(Malformed("a content key is too long"));
            }
            _ => {}
        }
        Ok(match head.kind {
            kind::PUT_VALUE => {
                let Some(record) = head.record else { return Err(Malformed("no record to store")) };
                if record.key != head.key {
                    return Err(Malformed("the record has another key than the message"));
                }
                let record = Record {
                    key: key(),
                    value: Bytes::copy_from_slice(record.value),
                    time_received: time::parse(record.time_received),
                };
                Request::Put {
                    query: Query::Value(record.key.clone()),
                    item: Item::Value(record),
                    ticket: None,
                }
            }
            kind::GET_VALUE => Request::Get { query: Query::Value(key()) },
            kind::ADD_PROVIDER => {
                let record = own.ok_or(Malformed("the sender does not offer itself as a provider"))?;
                Request::Put { query: Query::Providers(key()), item: Item::Provider(record), ticket: None }
            }
            kind::GET_PROVIDERS => Request::Get { query: Query::Providers(key()) },
            kind::FIND_NODE => Request::FindNode { target: key() },
            _ => return Err(Malformed("an unknown message type")),
        })
    }

    fn encode_response(
        &self,
        request: &Request<Ipfs>,
        response: &Response<Ipfs>,
        out: &mut BytesMut,
    ) -> bool {
        let frame = match request {
            Request::Ping => Frame::ping(),
            Request::FindNode { target } => Frame::new(kind::FIND_NODE, target),
            Request::Get { query: Query::Value(key) } => {
                let held = response.items.iter().filter_map(Item::as_value).find(|record| record.key == *key);
                Frame::new(kind::GET_VALUE, key).record(held)
            }
            Request::Get { query: Query::Providers(key) } => Frame::new(kind::GET_PROVIDERS, key)
                .providers(response.items.iter().filter_map(Item::as_provider)),
            Request::Put { query: Query::Value(key), item, .. } => {
                let stored = response.items.first().unwrap_or(item);
                Frame::new(kind::PUT_VALUE, key).record(stored.as_value())
            }
            Request::Put { query: Query::Providers(_), .. } => return false,
        };
        frame.closer(&response.closer).write(MAX_FRAME, out);
        true
    }
}

fn provider(contact: Contact<Ipfs>) -> Item {
    Item::Provider(ProviderRecord { peer: contact.peer, addrs: contact.addr })
}

/// The record of a GET_VALUE answer, if there is one.
fn held(key: &Bytes, head: &Head<'_>, source: Source<'_>) -> Result<Option<Item>, Malformed> {
    let Some(record) = head.record else { return Ok(None) };
    if record.key != key {
        return Err(Malformed("a record under another key"));
    }
    Ok(Some(Item::Value(Record {
        key: key.clone(),
        value: source.keep(record.value),
        time_received: time::parse(record.time_received),
    })))
}

/// A server that took a value shows it; one that shows another value did not store ours.
fn check_echo(key: &Bytes, item: &Item, head: &Head<'_>) -> Result<(), Malformed> {
    match (head.record, item.as_value()) {
        (Some(echo), Some(sent)) if echo.key == key && echo.value == sent.value => Ok(()),
        (None, _) => Err(Malformed("a stored value is not shown")),
        _ => Err(Malformed("another value was stored")),
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
