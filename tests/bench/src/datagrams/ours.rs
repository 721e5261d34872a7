//! Our server of line B6: a [`Dht<Mainline>`] as its users start it, with the limits of a network that is all on one machine.

use std::net::SocketAddr;

use anyhow::Result;
use dht::{
    Dht,
    mainline::{Builder, Mainline},
    net::udp,
};

use super::serve::{announce, until_input_ends};

/// A node on loopback that joins through these hosts.
pub fn node(listen: SocketAddr, join: impl IntoIterator<Item = String>) -> Builder {
    let builder = Dht::<Mainline>::builder().listen([listen]).bootstrap(join);
    builder.configure(|options| options.udp = udp::Config::local())
}

/// Serves until the input ends.
///
/// # Errors
/// When it cannot start.
pub fn serve(listen: SocketAddr, join: Vec<String>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let node = runtime.block_on(node(listen, join).build())?;
    announce(listen);
    until_input_ends();
    runtime.block_on(node.close());
    Ok(())
}
