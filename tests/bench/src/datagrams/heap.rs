//! The other half of line B6: what an answered question takes from the heap on the whole way, from the socket through
//! transport, codec, driver, table and store and back.
//!
//! The node and the one who asks live in one process here, so that one allocator sees both; the one who asks takes nothing.
//! Unlike the times this count is the same on every machine, so a miss is an error.

use std::alloc::System;

use anyhow::{Result, ensure};
use stats_alloc::{Region, StatsAlloc};

use super::{Sort, VILLAGERS, fill, free_addr, introduce, load::Load, ours, questions, village::Village};
use crate::{
    args::Args,
    contest::{median, note},
};

/// How often all questions are asked and counted. Between them the node looks after its table now and then.
const TURNS: usize = 20;
/// How often they are asked at most until nothing was taken once. A node that has just joined looks after its table all the
/// time, which takes something; what every answer takes would be seen in every turn.
const MOST: usize = 1000;

/// The heap's part of line B6, counted by this allocator.
///
/// # Errors
/// When something is taken from the heap.
pub fn run(args: &Args, heap: &'static StatsAlloc<System>) -> Result<()> {
    let village = Village::start(VILLAGERS)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let listen = free_addr()?;
    let members = village.members.iter().map(|(_, addr)| addr.to_string());
    let node = runtime.block_on(ours::node(listen, members).build())?;
    let mut load = Load::new(listen)?;
    introduce(&mut load)?;
    fill(args, &mut load, &village)?;
    for (sort, name) in [(Sort::Ping, "ping"), (Sort::GetPeers, "get_peers")] {
        let mut questions = questions(sort);
        let mut turn = || -> Result<f64> {
            let region = Region::new(heap);
            questions.iter_mut().try_for_each(|question| load.ask_anew(question))?;
            let change = region.change();
            Ok((change.allocations + change.reallocations) as f64 / questions.len() as f64)
        };
        turn()?;
        let mut taken = Vec::new();
        while taken.len() < TURNS || taken.len() < MOST && taken.iter().all(|taken| *taken > 0.0) {
            taken.push(turn()?);
        }
        let least = taken.iter().copied().fold(f64::INFINITY, f64::min);
        let middle = median(taken.split_off(taken.len() - TURNS));
        note(
            args,
            "b6",
            &format!("{name}: {middle:.3} calls of the allocator for an answer, at least {least}"),
        );
        ensure!(least == 0.0, "every answer to {name} takes memory");
    }
    runtime.block_on(node.close());
    Ok(())
}
