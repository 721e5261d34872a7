//! A Mainline node among hostile peers over real sockets: what they make it send, store, believe and hold is bounded, and
//! honest peers are served meanwhile.
//!
//! What is attacked through the limits on strangers is a server with the limits of the public network, on loopback: each
//! stranger has an address of its own there, and the clock is moved by hand, so that a minute of flood takes a moment and
//! nothing depends on how fast the machine is. What a client believes is tried with the node that a user runs.

#![allow(clippy::unwrap_used)] // a test that fails may panic

mod client;
mod floods;
mod harvest;
mod liars;
mod metadata;
mod poison;
mod server;
mod spoofed;
mod stranger;
mod table;
mod tokens;

use std::{future::Future, time::Duration};

use tokio::sync::RwLock;

/// Those that measure memory are alone.
static QUIET: RwLock<()> = RwLock::const_new(());

/// Nothing here takes longer, unless it hangs.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it hangs")
}

/// Waits until something is so that others bring about.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    within(async {
        let mut turns = 0;
        while !is_so().await {
            turns += 1;
            // Others have their turn; who needs more of them has time.
            match turns % 64 {
                0 => tokio::time::sleep(Duration::from_millis(1)).await,
                _ => tokio::task::yield_now().await,
            }
        }
    })
    .await;
}
