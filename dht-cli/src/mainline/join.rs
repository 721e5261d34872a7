//! From flags to a node of this network: its options, and the client that asks one question.
//!
//! A client is a node like any other while it runs: nodes that guard against made-up addresses give stored values only to
//! those who answer their pings.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::anyhow;
use clap::Args;
use dht::{
    BootstrapError, Dht,
    mainline::{BuildError, Builder, Mainline, Options, address, compact::Family},
    net::RunError,
};
use tokio::time::timeout;

use super::text;
use crate::{
    exit::usage,
    join::{Deadline, Stay},
    text::duration,
};

/// Who introduces us, and to which sort of network.
#[derive(Clone, Debug, Default, Args)]
pub struct NetworkArgs {
    /// Join through this node, several times for several; without it through those that everybody uses
    #[arg(long, value_name = "HOST:PORT", value_parser = text::host)]
    bootstrap: Vec<String>,
    /// Loopback and private addresses are members too; so it is anyway when every --listen is such an address
    #[arg(long)]
    local: bool,
}

/// Where a command that does not stay for long listens, and whom it joins.
#[derive(Clone, Debug, Args)]
pub struct PlaceArgs {
    /// Listen here, with a node for each address; several times for several [default: 0.0.0.0:0]
    #[arg(long, value_name = "IP:PORT", value_parser = text::listen)]
    listen: Vec<SocketAddr>,
    #[command(flatten)]
    network: NetworkArgs,
}

/// What a command takes that asks one question.
#[derive(Clone, Debug, Args)]
pub struct ClientArgs {
    /// Where, and whom it joins.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// How long it may take in all, joining included
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "60s")]
    timeout: Duration,
}

impl NetworkArgs {
    /// The options that hold with these flags for a node that listens there. Closed networks publish no hosts.
    pub fn options(&self, listen: &[SocketAddr]) -> anyhow::Result<Options> {
        let mut options = Options { listen: listen.to_vec(), ..Options::default() };
        if self.local {
            options.local = Some(true);
        }
        if !self.bootstrap.is_empty() {
            options.bootstrap.clone_from(&self.bootstrap);
        } else if options.is_local() {
            options.bootstrap.clear();
        }
        let is_local =
            |host: &String| host.parse::<SocketAddr>().is_ok_and(|addr| address::is_local(addr.ip()));
        if !options.is_local() && !self.bootstrap.is_empty() && self.bootstrap.iter().all(is_local) {
            return Err(usage(format!(
                "`{}` is no member of the public network; add --local to join a closed one through it",
                self.bootstrap[0]
            )));
        }
        Ok(options)
    }

    /// Whether somebody is named beside the hosts that everybody uses.
    pub fn names_hosts(&self) -> bool {
        !self.bootstrap.is_empty()
    }
}

impl PlaceArgs {
    /// The options that hold with these flags.
    pub fn options(&self) -> anyhow::Result<Options> {
        let anywhere = [anywhere(Family::V4)];
        self.network.options(if self.listen.is_empty() { &anywhere } else { &self.listen })
    }
}

fn anywhere(family: Family) -> SocketAddr {
    match family {
        Family::V4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
        Family::V6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// A node on its sockets.
pub async fn build(builder: Builder) -> anyhow::Result<Dht<Mainline>> {
    builder.build().await.map_err(|error| match error {
        BuildError::Config(error) => usage(error),
        BuildError::Listen { .. } => {
            anyhow!("{error}; give another address with --listen; port 0 takes any that is free")
        }
        error => error.into(),
    })
}

/// A node that has joined, with what is left of the time for each of its calls.
pub struct Client {
    dht: Dht<Mainline>,
    deadline: Deadline,
}

impl Client {
    /// Joins: to ask once, or to stay.
    pub async fn join(args: &ClientArgs, stay: Stay) -> anyhow::Result<Self> {
        Self::join_by(&args.place, Deadline::after(args.timeout), stay).await
    }

    /// The same with another deadline.
    pub async fn join_by(args: &PlaceArgs, deadline: Deadline, stay: Stay) -> anyhow::Result<Self> {
        let mut options = args.options()?;
        if options.bootstrap.is_empty() {
            return Err(usage("a closed network publishes no hosts; name one with --bootstrap HOST:PORT"));
        }
        options.routing.auto_refresh &= stay == Stay::On;
        // A lookup finds the rest; the silence of the dead in between is not waited for.
        options.join.quick_connect_only = true;
        options.join.limit = deadline.left().min(options.join.limit);
        let hosts = options.bootstrap.clone();
        let dht = build(Dht::<Mainline>::builder().options(options)).await?;
        let failed = match timeout(deadline.left(), dht.bootstrap_all()).await {
            Ok(Err(error)) => Some(error),
            // Who meets nobody believes to be the first; here somebody was named.
            Ok(Ok(_)) if known(&dht).await? > 0 => {
                if stay == Stay::On {
                    look_around(dht.clone());
                }
                return Ok(Self { dht, deadline });
            }
            _ => None,
        };
        Err(not_joined(&hosts, args.network.names_hosts(), failed.as_ref()))
    }

    /// Joins nothing: for somebody whose place is known. Who types an address means it, a private one too.
    pub async fn toward(args: &ClientArgs, place: SocketAddr) -> anyhow::Result<Self> {
        let deadline = Deadline::after(args.timeout);
        let mut options = args.place.options()?;
        if args.place.listen.is_empty() {
            options.listen = vec![anywhere(Family::of(place.ip()))];
        }
        if address::is_local(place.ip()) {
            options.local = Some(true);
        }
        options.bootstrap.clear();
        options.routing.auto_refresh = false;
        Ok(Self { dht: build(Dht::<Mainline>::builder().options(options)).await?, deadline })
    }

    /// The node, its calls bounded by what is left of the time.
    pub fn dht(&self) -> Dht<Mainline> {
        self.dht.timeout(self.deadline.left())
    }

    /// The node, its calls bounded by its own options.
    pub fn node(&self) -> &Dht<Mainline> {
        &self.dht
    }

    /// What is left of the time.
    pub fn left(&self) -> Duration {
        self.deadline.left()
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.dht.close_all().await;
    }
}

/// Gets to know the neighbourhood meanwhile.
fn look_around(dht: Dht<Mainline>) {
    tokio::spawn(async move {
        if let Err(error) = dht.table().refresh().await {
            tracing::debug!(%error, "the table was not filled");
        }
    });
}

/// Nodes in the tables of all sockets.
pub async fn known(dht: &Dht<Mainline>) -> Result<usize, RunError> {
    Ok(dht.saved_state().await?.tables.iter().map(|table| table.contacts.len()).sum())
}

/// Why nobody could be joined through, and what would be right.
fn not_joined(hosts: &[String], named: bool, error: Option<&BootstrapError<Mainline>>) -> anyhow::Error {
    let why = match error {
        Some(error) => error.to_string(),
        None => "nobody answered there".to_owned(),
    };
    let hint = if named {
        "--bootstrap must name a node of that network that runs"
    } else {
        "is this machine online? --bootstrap names other hosts than those that everybody uses"
    };
    anyhow!("cannot join through {}: {why}; {hint}", hosts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(listen: &str, bootstrap: &[&str], local: bool) -> anyhow::Result<Options> {
        let bootstrap = bootstrap.iter().map(|host| (*host).to_owned()).collect();
        NetworkArgs { bootstrap, local }.options(&[listen.parse().unwrap()])
    }

    #[test]
    fn closed_networks_publish_no_hosts() {
        assert!(!options("0.0.0.0:0", &[], false).unwrap().bootstrap.is_empty());
        for (listen, local) in [("0.0.0.0:0", true), ("127.0.0.1:0", false)] {
            let closed = options(listen, &[], local).unwrap();
            assert!(closed.is_local() && closed.bootstrap.is_empty());
        }
    }

    #[test]
    fn who_joins_a_closed_network_says_so() {
        let error = options("0.0.0.0:0", &["127.0.0.1:6881"], false).unwrap_err();
        assert!(error.to_string().contains("127.0.0.1:6881") && error.to_string().contains("--local"));
        assert!(options("0.0.0.0:0", &["127.0.0.1:6881"], true).is_ok());
        assert!(options("127.0.0.1:0", &["127.0.0.1:6881"], false).is_ok());
        assert!(options("0.0.0.0:0", &["127.0.0.1:6881", "router.example:1"], false).is_ok());
    }
}
