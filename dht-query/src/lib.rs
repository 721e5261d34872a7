//! Iterative Kademlia lookups: closest, fetch and store goals as pure machines, without I/O
