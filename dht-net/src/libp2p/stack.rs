//! The transports: TCP with Noise or TLS and Yamux, QUIC beside it, names resolved above both.

use std::io;

use futures::{
    AsyncRead, AsyncWrite, FutureExt, TryFutureExt,
    future::{BoxFuture, Either},
};
use libp2p::{
    PeerId, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, timeout::TransportTimeout},
        upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo, Version},
    },
    dns,
    identity::Keypair,
    noise, tcp, tls, yamux,
};

use super::{Config, StartError, guard::Guard};

/// Streams of all protocols that one TCP connection may have open. Yamux ends the whole connection at the next one, so this
/// lies above everything that is refused stream by stream.
const YAMUX_STREAMS: usize = 512;
/// The same of a QUIC connection, where the peer waits instead.
#[cfg(feature = "quic")]
const QUIC_STREAMS: u32 = 128;

type Stack = Boxed<(PeerId, StreamMuxerBox)>;
type Secured<S> = (PeerId, Either<noise::Output<S>, tls::TlsStream<S>>);

/// Both ways to secure a connection, which servers of the public network have to know (Amino spec, A5).
#[derive(Clone)]
struct Security {
    noise: noise::Config,
    tls: tls::Config,
}

impl UpgradeInfo for Security {
    type Info = &'static str;
    type InfoIter = std::iter::Chain<std::iter::Once<&'static str>, std::iter::Once<&'static str>>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.noise.protocol_info().chain(self.tls.protocol_info())
    }
}

macro_rules! secure {
    ($upgrade:ident, $method:ident) => {
        impl<S> $upgrade<S> for Security
        where
            S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        {
            type Output = Secured<S>;
            type Error = io::Error;
            type Future = BoxFuture<'static, Result<Secured<S>, io::Error>>;

            fn $method(self, socket: S, name: &'static str) -> Self::Future {
                if self.noise.protocol_info().any(|noise| noise == name) {
                    let noise = self.noise.$method(socket, name).map_err(io::Error::other);
                    noise.map_ok(|(peer, stream)| (peer, Either::Left(stream))).boxed()
                } else {
                    let tls = self.tls.$method(socket, name).map_err(io::Error::other);
                    tls.map_ok(|(peer, stream)| (peer, Either::Right(stream))).boxed()
                }
            }
        }
    };
}
secure!(InboundConnectionUpgrade, upgrade_inbound);
secure!(OutboundConnectionUpgrade, upgrade_outbound);

/// Everything between a multiaddr and a stream multiplexer.
pub(super) fn build(keypair: &Keypair, config: &Config) -> Result<Stack, StartError> {
    let setup = |what| move |cause: String| StartError::Setup { what, cause };
    let noise = noise::Config::new(keypair).map_err(|error| setup("Noise")(error.to_string()))?;
    let tls = tls::Config::new(keypair).map_err(|error| setup("TLS")(error.to_string()))?;
    let mut muxer = yamux::Config::default();
    muxer.set_max_num_streams(YAMUX_STREAMS);
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(Security { noise, tls })
        .multiplex(muxer)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    #[cfg(feature = "quic")]
    let both = tcp.or_transport(quic(keypair, config)).map(|either, _| either.into_inner());
    #[cfg(not(feature = "quic"))]
    let both = tcp;
    // A name may stand for several addresses, which are tried in turn: a dead one must leave time for the next.
    let one = TransportTimeout::new(both, config.dial_timeout / 2);
    let guarded = Guard::new(one, config.scope, config.dials_per_host);
    if !config.names {
        return Ok(TransportTimeout::with_outgoing_timeout(guarded, config.dial_timeout).boxed());
    }
    let named = dns::tokio::Transport::system(guarded)
        .map_err(|error| setup("name resolution")(error.to_string()))?;
    Ok(TransportTimeout::with_outgoing_timeout(named, config.dial_timeout).boxed())
}

/// QUIC with less credit than the 10 MB per stream and 15 MB per connection that libp2p gives to strangers.
#[cfg(feature = "quic")]
fn quic(
    keypair: &Keypair,
    config: &Config,
) -> impl Transport<
    Output = (PeerId, StreamMuxerBox),
    Error = impl Send + Sync + std::error::Error + 'static,
    Dial = impl Send + 'static,
    ListenerUpgrade = impl Send + 'static,
> + Send
+ Unpin
+ 'static {
    let mut quic = libp2p::quic::Config::new(keypair);
    quic.handshake_timeout = config.dial_timeout / 2;
    quic.max_concurrent_stream_limit = QUIC_STREAMS;
    quic.max_stream_data = 256 << 10;
    quic.max_connection_data = 2 << 20;
    libp2p::quic::tokio::Transport::new(quic).map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
}
