//! From flags, file and environment to a node: the options, and the client that asks the network one question.
//!
//! A client serves nobody. One that asks a single question listens nowhere and keeps nothing fresh either.

use std::{path::PathBuf, time::Duration};

use anyhow::anyhow;
use clap::Args;
use dht::{
    BootstrapError, Dht, ErrorKind,
    config::{ConfigError, Loaded, Loader, Settings, Source, settings},
    ipfs::{BuildError, Builder, Ipfs, Keypair},
    net::libp2p::StartError,
    routing::BootstrapOptions,
};
use tokio::time::Instant;

use crate::{exit::usage, identity, text};

/// Namespace of private networks for values that follow no rules, and of keys without a namespace.
const FREE_NAMESPACE: &str = "v";

/// Where options come from besides flags and the environment.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A TOML file.
    pub file: Option<PathBuf>,
}

/// Which network, and who introduces us.
#[derive(Clone, Debug, Default, Args)]
pub struct NetworkArgs {
    /// Join through this peer, `/ip4/…/tcp/…/p2p/<id>`; several times for several
    #[arg(long, value_name = "ADDR", value_parser = text::bootstrap)]
    bootstrap: Vec<String>,
    /// `amino`, or the prefix of a private network such as `/my-net`
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// Take values of this namespace as they are; without it, a private network takes `v`
    #[arg(long, value_name = "NS")]
    namespace: Vec<String>,
}

/// What a command takes that asks one question.
#[derive(Clone, Debug, Args)]
pub struct ClientArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// How long it may take in all, joining included
    #[arg(long, value_name = "DURATION", value_parser = text::duration, default_value = "60s")]
    timeout: Duration,
}

/// Where a node listens and who it is.
#[derive(Clone, Debug, Default, Args)]
pub struct PlaceArgs {
    /// Listen here, such as `/ip4/0.0.0.0/tcp/4001`; several times for several
    #[arg(long, value_name = "ADDR", value_parser = text::listen)]
    listen: Vec<String>,
    /// File with the node's key, as `dht keygen` makes it; a new key otherwise
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

impl NetworkArgs {
    /// The flags as a layer over the other options.
    pub fn layer(&self, loader: Loader) -> Loader {
        let loader = list(loader, "--bootstrap", "bootstrap.peers", &self.bootstrap);
        let loader = list(loader, "--namespace", "records.namespaces", &self.namespace);
        match &self.network {
            Some(name) => loader.flag("--network", "network.name", name),
            None => loader,
        }
    }
}

impl PlaceArgs {
    /// The flags as a layer over the other options.
    pub fn layer(&self, loader: Loader) -> Loader {
        let loader = list(loader, "--listen", "network.listen", &self.listen);
        match &self.identity {
            Some(path) => loader.flag("--identity", "network.identity", path.to_string_lossy()),
            None => loader,
        }
    }
}

impl ClientArgs {
    /// The options that hold with these flags.
    pub fn load(&self, options: &Options) -> anyhow::Result<Settings> {
        Ok(options.load(|loader| self.network.layer(loader))?.settings)
    }

    /// When it must be over.
    pub fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout)
    }

    /// How long it may take in all.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Which network.
    pub fn network(&self) -> &NetworkArgs {
        &self.network
    }
}

fn list(loader: Loader, flag: &str, option: &str, values: &[String]) -> Loader {
    if values.is_empty() { loader } else { loader.flag(flag, option, values.join(",")) }
}

impl Options {
    /// For commands that take all their options as flags.
    pub fn none(&self, command: &str) -> anyhow::Result<()> {
        match &self.file {
            Some(_) => Err(usage(format!("`{command}` reads no file of options; leave --config out"))),
            None => Ok(()),
        }
    }

    /// Defaults, file, environment and the flags that `layer` adds.
    pub fn load(&self, layer: impl Fn(Loader) -> Loader) -> anyhow::Result<Loaded> {
        let mut loader = Loader::new().process_environment();
        if let Some(path) = &self.file {
            loader = loader.file(path);
        }
        let loader = layer(loader);
        let loaded = loader.clone().load().map_err(refused)?;
        let free = !loaded.settings.is_amino() && *loaded.source("records.namespaces") == Source::Default;
        if !free {
            return Ok(loaded);
        }
        loader.flag("private network", "records.namespaces", FREE_NAMESPACE).load().map_err(refused)
    }
}

/// A file that is not there is a failure; what is written in it is how the program was used.
fn refused(error: ConfigError) -> anyhow::Error {
    match error {
        ConfigError::Read { .. } => error.into(),
        error => usage(error),
    }
}

/// When a command must be over.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// So long from now.
    pub fn after(time: Duration) -> Self {
        // A year is as good as for ever, and does not overflow.
        Self(Instant::now() + time.min(Duration::from_secs(365 * 86_400)))
    }

    /// What is left; never zero, so that whoever gets it ends by itself with its own words.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
    }
}

/// A node on a libp2p host.
pub async fn build(builder: Builder) -> anyhow::Result<Dht<Ipfs>> {
    builder.build().await.map_err(|error| match error.kind() {
        ErrorKind::Configuration => usage(error),
        _ => not_started(error),
    })
}

fn not_started(error: BuildError) -> anyhow::Error {
    match error {
        BuildError::Host(StartError::Listen { .. }) => {
            anyhow!("{error}; give another address with --listen; port 0 takes any that is free")
        }
        error => error.into(),
    }
}

/// The node's key from its file, or a new one.
pub fn identity(settings: &Settings) -> anyhow::Result<Keypair> {
    match &settings.network.identity {
        Some(path) => identity::read(path),
        None => Ok(Keypair::generate_ed25519()),
    }
}

/// How long a client means to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// For one question: whom it joins through is enough, its lookup finds the rest.
    Once,
    /// Until it is told to end: it learns its neighbourhood and keeps the table fresh.
    On,
}

/// A client that has joined, with what is left of the time for each of its calls.
pub struct Client {
    dht: Dht<Ipfs>,
    deadline: Deadline,
}

impl Client {
    /// Joins to ask once, listening nowhere.
    pub async fn join(mut settings: Settings, deadline: Deadline) -> anyhow::Result<Self> {
        settings.network.listen.clear();
        settings.network.announce.clear();
        Self::join_as(settings, Keypair::generate_ed25519(), Stay::Once, deadline).await
    }

    /// Joins nothing: for peers whose place is known.
    pub async fn alone(mut settings: Settings, deadline: Deadline) -> anyhow::Result<Self> {
        settings.network.listen.clear();
        settings.network.announce.clear();
        settings.network.mode = settings::Mode::Client;
        settings.routing.auto_refresh = false;
        Ok(Self { dht: build(Dht::<Ipfs>::builder().settings(settings)).await?, deadline })
    }

    /// Joins as somebody, listening where the options say.
    pub async fn join_as(
        mut settings: Settings,
        keypair: Keypair,
        stay: Stay,
        deadline: Deadline,
    ) -> anyhow::Result<Self> {
        settings.network.mode = settings::Mode::Client;
        settings.routing.auto_refresh &= stay == Stay::On;
        let bootstrap = BootstrapOptions {
            quick_connect_only: stay == Stay::Once,
            limit: deadline.left().min(settings.bootstrap.timeout),
            ..settings.bootstrap_options()
        };
        require_introducer(&settings)?;
        let dht = build(Dht::<Ipfs>::builder().settings(settings.clone()).identity(keypair)).await?;
        match dht.bootstrap(bootstrap).await {
            Ok(_) => Ok(Self { dht, deadline }),
            Err(error) => Err(not_joined(&settings, &error)),
        }
    }

    /// The node, its calls bounded by what is left of the time.
    pub fn dht(&self) -> Dht<Ipfs> {
        self.dht.timeout(self.deadline.left())
    }

    /// The node, each call with this time of its own.
    pub fn dht_within(&self, time: Duration) -> Dht<Ipfs> {
        self.dht.timeout(time)
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.dht.close().await;
    }
}

/// A private network has no published peers: somebody must be named.
pub fn require_introducer(settings: &Settings) -> anyhow::Result<()> {
    let published = settings.is_amino() && !settings.bootstrap.peers.is_empty();
    if names_peers(settings) || published {
        return Ok(());
    }
    let name = &settings.network.name;
    Err(usage(format!(
        "the network `{name}` publishes no peers; name one with --bootstrap /ip4/…/tcp/…/p2p/<id>"
    )))
}

/// Why nobody could be joined through, and what would be right.
pub fn not_joined(settings: &Settings, error: &BootstrapError<Ipfs>) -> anyhow::Error {
    let hint = if names_peers(settings) {
        "--bootstrap must name a server of that network that runs"
    } else {
        "is this machine online? --bootstrap names other peers than the published ones"
    };
    anyhow!("cannot join `{}`: {error}; {hint}", settings.network.name)
}

/// Whether somebody is named beside the peers that the network publishes.
pub fn names_peers(settings: &Settings) -> bool {
    settings.bootstrap.peers.iter().any(|peer| peer != settings::Bootstrap::DEFAULT_PEERS)
}
