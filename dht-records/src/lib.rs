//! What is true and what is kept: validators, record stores with caps and expiry, republishing; without I/O of its own
