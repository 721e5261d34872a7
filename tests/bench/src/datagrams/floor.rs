//! What the system alone takes: batches of datagrams in, the same short answer to each out. No table, no limits, no clock;
//! nobody who uses the same calls of the system can cost less.

use std::{
    io::{IoSlice, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd as _,
};

use anyhow::{Context as _, Result};
use dht_mainline::{
    NodeId,
    krpc::{Body, Message, Reply},
};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};

use super::{
    load::tid,
    serve::{announce, until_input_ends},
};

/// Datagrams in one call, as many as ours takes.
const BATCH: usize = 32;

/// Serves until the input ends.
///
/// # Errors
/// When it cannot start.
pub fn serve(listen: SocketAddr) -> Result<()> {
    let socket = UdpSocket::bind(listen)?;
    announce(listen);
    std::thread::spawn(move || {
        if let Err(error) = answer(&socket, listen) {
            eprintln!("{error:#}");
        }
    });
    until_input_ends();
    Ok(())
}

fn answer(socket: &UdpSocket, listen: SocketAddr) -> Result<()> {
    let fd = socket.as_raw_fd();
    let mut one = Vec::new();
    let body = Body::Reply(Reply::of(NodeId(*b"what the system take")));
    Message { tid: &[0; 4], version: Some(b"BN01"), ip: Some(listen), body }.encode(&mut one);
    let there = tid(&one)?;
    let (mut answers, mut questions) = (vec![one; BATCH], [[0; 512]; BATCH]);
    let mut received = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut sent = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let (mut to, mut lengths) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
    loop {
        to.clear();
        lengths.clear();
        let mut slices = questions.each_mut().map(|question| [IoSliceMut::new(question)]);
        let came = recvmmsg(fd, &mut received, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None);
        for message in came.context("recvmmsg")? {
            to.push(message.address);
            lengths.push(message.bytes);
        }
        for ((answer, question), length) in answers.iter_mut().zip(&questions).zip(&lengths) {
            let question = &question[..*length];
            answer[there..there + 4].copy_from_slice(&question[tid(question)?..][..4]);
        }
        let slices: Vec<_> = answers[..to.len()].iter().map(|answer| [IoSlice::new(answer)]).collect();
        sendmmsg(fd, &mut sent, &slices, &to, [], MsgFlags::empty()).context("sendmmsg")?;
    }
}
