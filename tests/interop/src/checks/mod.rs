//! What is checked, in the order in which it runs: first what the rest needs, last what ends the foreign node.

mod admission;
mod content;
mod load;
mod lookup;
mod refusals;
mod values;

use futures::future::{FutureExt, LocalBoxFuture};

use crate::{
    report::Side::{self, TheyAsk, WeAsk},
    scene::Scene,
    verdict::Outcome,
};

/// One row of the table.
pub struct Check {
    /// What one of the two should be able to do.
    pub capability: &'static str,
    /// Who asks.
    pub side: Side,
    /// Does it.
    pub run: for<'a> fn(&'a mut Scene) -> LocalBoxFuture<'a, Outcome>,
}

macro_rules! checks {
    ($($capability:literal $side:ident $run:expr;)+) => {
        /// All of them.
        pub const CHECKS: &[Check] =
            &[$(Check { capability: $capability, side: $side, run: |scene| async { $run(scene).await }.boxed_local() },)+];
    };
}

checks! {
    "server admitted" TheyAsk admission::they_admit;
    "server admitted" WeAsk admission::we_admit;
    "find node" WeAsk lookup::we_find_nodes;
    "find node" TheyAsk lookup::they_find_nodes;
    "find peer" WeAsk lookup::we_find_a_peer;
    "find peer" TheyAsk lookup::they_find_a_peer;
    "put /pk/" WeAsk values::we_put_keys;
    "put /pk/" TheyAsk values::they_put_a_key;
    "get /pk/" WeAsk values::we_get_keys;
    "get /pk/" TheyAsk values::they_get_a_key;
    "put /ipns/" WeAsk values::we_put_names;
    "put /ipns/" TheyAsk values::they_put_a_name;
    "get /ipns/" WeAsk values::we_get_names;
    "get /ipns/" TheyAsk values::they_get_a_name;
    "put /v/" WeAsk values::we_put_anything;
    "put /v/" TheyAsk values::they_put_anything;
    "get /v/" WeAsk values::we_get_anything;
    "get /v/" TheyAsk values::they_get_anything;
    "provide" WeAsk content::we_provide;
    "provide" TheyAsk content::they_provide;
    "find providers" WeAsk content::we_find_providers;
    "find providers" TheyAsk content::they_find_providers;
    "ADD_PROVIDER answered by nobody" WeAsk content::an_echo_is_discarded;
    "ADD_PROVIDER answered by nobody" TheyAsk content::we_echo_nothing;
    "pipelined requests" WeAsk load::we_pipeline;
    "pipelined requests" TheyAsk load::they_pipeline;
    "200 concurrent requests" WeAsk load::we_burst;
    "200 concurrent requests" TheyAsk load::they_burst;
    "unknown namespace refused" WeAsk refusals::they_refuse_a_namespace;
    "unknown namespace refused" TheyAsk refusals::we_refuse_a_namespace;
    "invalid record refused" WeAsk refusals::they_refuse_invalid;
    "invalid record refused" TheyAsk refusals::we_refuse_invalid;
    "older record refused" WeAsk refusals::they_refuse_older;
    "older record refused" TheyAsk refusals::we_refuse_older;
    "server kept after a refresh" TheyAsk admission::they_keep;
    "server kept after a refresh" WeAsk admission::we_keep;
    "client kept out of the table" TheyAsk admission::they_keep_clients_out;
    "client kept out of the table" WeAsk admission::we_keep_clients_out;
    "mode switch seen" TheyAsk admission::they_see_the_switch;
    "no receipt from a dead peer" WeAsk refusals::a_dead_peer_failed;
}
