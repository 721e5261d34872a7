//! The IPFS dialect: protobuf codec, pk and ipns validators, Amino and private-network rules
