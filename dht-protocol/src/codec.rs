//! Where a dialect and a stream transport meet: frames in, requests and responses out.
//!
//! A frame is the body of one message; the transport reads the unsigned-varint length before it and refuses a length
//! above [`StreamCodec::max_frame`] before it allocates.

use bytes::{Bytes, BytesMut};
use dht_core::{Overlay, Request, Response};
use thiserror::Error;

/// A message breaks the protocol; the stream it came on is reset.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("malformed message: {0}")]
pub struct Malformed(pub &'static str);

/// How a dialect writes requests and responses on a stream of length-prefixed frames.
pub trait StreamCodec<O: Overlay>: Send + Sync + 'static {
    /// Bytes of the largest frame that is read.
    fn max_frame(&self) -> usize;

    /// Appends the request as complete frames, each behind its length. More than one where only the answer to a later
    /// frame proves that an earlier one was taken. A ping never gets here: transports have their own.
    fn encode_request(&self, request: &Request<O>, out: &mut BytesMut);

    /// Reads an answer to `request`. `Ok(None)`: this frame is not the answer, read the next one.
    ///
    /// # Errors
    /// When the frame breaks the protocol or does not fit the request.
    fn decode_response(&self, request: &Request<O>, frame: Bytes) -> Result<Option<Response<O>>, Malformed>;

    /// Reads a request of the authenticated peer `from`.
    ///
    /// # Errors
    /// When the frame breaks the protocol.
    fn decode_request(&self, from: &O::PeerId, frame: Bytes) -> Result<Request<O>, Malformed>;

    /// Appends the answer to `request` as one frame behind its length; `false` when such a request is never answered.
    fn encode_response(&self, request: &Request<O>, response: &Response<O>, out: &mut BytesMut) -> bool;
}
