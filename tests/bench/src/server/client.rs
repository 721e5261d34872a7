//! The client of line B7: one connection, no swarm, so that it costs little and treats both servers alike.
//!
//! Negotiation is written by hand: the client sends the protocol's name and its request in one go and checks what came
//! back when it reads the answer, as lazy negotiation does.

use std::{sync::Arc, task::Poll};

use anyhow::{Context as _, Result, anyhow, ensure};
use bytes::Bytes;
use futures::{AsyncReadExt as _, AsyncWriteExt as _, future::poll_fn, io::BufReader};
use libp2p::{
    Transport as _,
    core::{
        Endpoint,
        muxing::{StreamMuxer as _, StreamMuxerBox, SubstreamBox},
        transport::{DialOpts, PortUse},
        upgrade::Version,
    },
    identity::Keypair,
    noise, tcp, yamux,
};
use std::pin::Pin;
use tokio::sync::{mpsc, oneshot};

use super::{process::Server, serve::PROTOCOL};

/// How requests are spread over streams.
#[derive(Clone, Copy, Debug)]
pub enum Style {
    /// A new stream for each.
    NewStream,
    /// Streams used again and again, one request under way on each.
    Streams,
    /// One stream, all requests under way on it.
    Pipelined,
}

impl Style {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::NewStream => "a new stream each",
            Self::Streams => "streams reused",
            Self::Pipelined => "one stream, pipelined",
        }
    }
}

type Opened = oneshot::Sender<SubstreamBox>;

/// One connection to a server.
pub struct Session {
    open: mpsc::Sender<Opened>,
    hello: Arc<Vec<u8>>,
}

/// A stream whose first answer begins with what was negotiated.
struct Stream {
    io: BufReader<SubstreamBox>,
    /// What the server has to send back before the first answer.
    hello: Option<Arc<Vec<u8>>>,
    /// Whether it was sent to the server.
    greeted: bool,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// When that fails.
    pub async fn open(server: &Server) -> Result<Self> {
        let keypair = Keypair::generate_ed25519();
        let mut transport = tcp::tokio::Transport::new(tcp::Config::default())
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(&keypair)?)
            .multiplex(yamux::Config::default())
            .boxed();
        let how = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let (_, connection) =
            transport.dial(server.addr.clone(), how).map_err(|why| anyhow!("{why}"))?.await?;
        let (open, wanted) = mpsc::channel(64);
        tokio::spawn(drive(connection, wanted));
        let mut hello = Vec::new();
        for line in ["/multistream/1.0.0", PROTOCOL] {
            hello.push(line.len() as u8 + 1);
            hello.extend(line.as_bytes());
            hello.push(b'\n');
        }
        Ok(Self { open, hello: Arc::new(hello) })
    }

    async fn stream(open: &mpsc::Sender<Opened>, hello: &Arc<Vec<u8>>) -> Result<Stream> {
        let (opened, stream) = oneshot::channel();
        open.send(opened).await.context("the connection ended")?;
        let io = BufReader::with_capacity(16 << 10, stream.await.context("the connection ended")?);
        Ok(Stream { io, hello: Some(hello.clone()), greeted: false })
    }

    /// Asks once, on a new stream, and returns the answer without its length.
    ///
    /// # Errors
    /// When there is none.
    pub async fn ask_once(&mut self, request: &Bytes) -> Result<Bytes> {
        let mut stream = Self::stream(&self.open, &self.hello).await?;
        stream.send(request).await?;
        let answer = stream.receive().await?;
        stream.io.into_inner().close().await?;
        Ok(answer)
    }

    /// Asks `count` times, going through the requests in turn, `width` of them under way at a time.
    ///
    /// # Errors
    /// When an answer does not come.
    pub async fn ask(&mut self, style: Style, requests: &[Bytes], count: usize, width: usize) -> Result<()> {
        if let Style::Pipelined = style {
            return self.pipelined(requests, count, width).await;
        }
        let one = |worker: usize| {
            let (open, hello) = (self.open.clone(), self.hello.clone());
            let mine = (worker..count).step_by(width);
            async move {
                let mut stream = Self::stream(&open, &hello).await?;
                for i in mine {
                    stream.send(&requests[i % requests.len()]).await?;
                    stream.receive().await?;
                    if let Style::NewStream = style {
                        let next = Self::stream(&open, &hello).await?;
                        std::mem::replace(&mut stream, next).io.into_inner().close().await?;
                    }
                }
                stream.io.into_inner().close().await?;
                anyhow::Ok(())
            }
        };
        futures::future::try_join_all((0..width).map(one)).await?;
        Ok(())
    }

    async fn pipelined(&mut self, requests: &[Bytes], count: usize, width: usize) -> Result<()> {
        let mut stream = Self::stream(&self.open, &self.hello).await?;
        for i in 0..width.min(count) {
            stream.send(&requests[i % requests.len()]).await?;
        }
        for i in width..count + width.min(count) {
            stream.receive().await?;
            if i < count {
                stream.send(&requests[i % requests.len()]).await?;
            }
        }
        stream.io.into_inner().close().await?;
        Ok(())
    }
}

impl Stream {
    async fn send(&mut self, request: &Bytes) -> Result<()> {
        let io = self.io.get_mut();
        if let Some(hello) = &self.hello
            && !std::mem::replace(&mut self.greeted, true)
        {
            io.write_all(&[hello, &request[..]].concat()).await?;
        } else {
            io.write_all(request).await?;
        }
        Ok(io.flush().await?)
    }

    async fn receive(&mut self) -> Result<Bytes> {
        if let Some(hello) = self.hello.take() {
            let mut echo = vec![0; hello.len()];
            self.io.read_exact(&mut echo).await?;
            ensure!(echo == *hello, "the protocol was not accepted");
        }
        let (mut length, mut shift, mut byte) = (0usize, 0, [0x80]);
        while byte[0] & 0x80 != 0 {
            self.io.read_exact(&mut byte).await?;
            length |= usize::from(byte[0] & 0x7f) << shift;
            shift += 7;
        }
        let mut body = vec![0; length];
        self.io.read_exact(&mut body).await?;
        Ok(body.into())
    }
}

/// Keeps the connection going and opens streams on it; streams that the server opens are turned away.
async fn drive(mut connection: StreamMuxerBox, mut wanted: mpsc::Receiver<Opened>) {
    let mut next: Option<Opened> = None;
    poll_fn(|context| {
        loop {
            let mut connection = Pin::new(&mut connection);
            if next.is_none() {
                match wanted.poll_recv(context) {
                    Poll::Ready(Some(opened)) => next = Some(opened),
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
            }
            if next.is_some()
                && let Poll::Ready(opened) = connection.as_mut().poll_outbound(context)
            {
                let Ok(stream) = opened else { return Poll::Ready(()) };
                let _ = next.take().map(|waiting| waiting.send(stream));
                continue;
            }
            match connection.as_mut().poll_inbound(context) {
                Poll::Ready(Ok(_)) => continue,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
            match connection.poll(context) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}
