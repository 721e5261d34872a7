//! The messages of the kad protocol as `prost` has them, for tests and benches to compare with. Derived by hand from the
//! published schema; `timeReceived` is bytes here, so that the oracle judges the wire format and not the text.

/// Message.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Message {
    /// type
    #[prost(int32, tag = "1")]
    pub kind: i32,
    /// key
    #[prost(bytes = "vec", tag = "2")]
    pub key: Vec<u8>,
    /// record
    #[prost(message, optional, tag = "3")]
    pub record: Option<Record>,
    /// closerPeers
    #[prost(message, repeated, tag = "8")]
    pub closer: Vec<Peer>,
    /// providerPeers
    #[prost(message, repeated, tag = "9")]
    pub providers: Vec<Peer>,
    /// clusterLevelRaw
    #[prost(int32, tag = "10")]
    pub cluster_level: i32,
}

/// Message.Peer.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Peer {
    /// id
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// addrs
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub addrs: Vec<Vec<u8>>,
    /// connection
    #[prost(int32, tag = "3")]
    pub connection: i32,
}

/// Record.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Record {
    /// key
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// value
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
    /// timeReceived
    #[prost(bytes = "vec", tag = "5")]
    pub time_received: Vec<u8>,
}
