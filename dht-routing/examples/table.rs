//! The routing table used alone, on a network of our own with 8-byte keys: fill it, ask it for the closest, refresh it.
//!
//! The table does no I/O. It says what it wants (a check, a lookup), we do it in whatever way we have, and report.
//!
//! `cargo run -p dht-routing --example table`

use std::{convert::Infallible, time::Duration};

use dht_core::{Contact, KadKey, Key, Now, Overlay};
use dht_routing::{Action, AdmitAll, Checked, Config, Event, Routing};

/// A network whose peers are numbers. It stores nothing, so most types are empty.
struct Numbers;

impl Overlay for Numbers {
    type Key = Key<8>;
    type Target = u64;
    type PeerId = u64;
    type Addr = u16;
    type Query = u64;
    type Item = ();
    type Slot = ();
    type Ticket = Infallible;
    const TICKETED: bool = false;

    fn peer_key(peer: &u64) -> Key<8> {
        Key(peer.to_be_bytes())
    }
    fn key_of(target: &u64) -> Key<8> {
        Key(target.to_be_bytes())
    }
    fn peer_target(peer: &u64) -> u64 {
        *peer
    }
    fn target_peer(target: &u64) -> Option<u64> {
        Some(*target)
    }
    fn target_of(query: &u64) -> u64 {
        *query
    }
    fn refresh_target(local: &Key<8>, prefix: u32, seed: u64) -> u64 {
        // The same up to `prefix`, another bit there, anything behind it.
        let flip = 1 << 63 >> prefix;
        let behind = flip - 1;
        (u64::from_be_bytes(local.0) ^ flip) & !behind | spread(seed) & behind
    }
    fn slot((): &()) {}
    fn weight((): &()) -> usize {
        0
    }
    fn corrects(_: &u64) -> bool {
        false
    }
}

/// Numbers that look like hashes.
fn spread(n: u64) -> u64 {
    (n ^ n >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// What the table asked for since the last time.
#[derive(Default)]
struct Done {
    checks: usize,
    lookups: usize,
    refreshed: bool,
}

/// Drains the table until it waits. Peers with an odd port answer their check, the others do not; every lookup succeeds.
fn drain(table: &mut Routing<Numbers>, now: Now) -> Done {
    let mut done = Done::default();
    loop {
        match table.poll(now) {
            Action::Check { id, contact, .. } => {
                done.checks += 1;
                let answer = Checked { rtt: Duration::from_millis(30), closer: 20 };
                let alive = contact.addr % 2 == 1;
                table.checked(now, id, alive.then_some(answer).ok_or(dht_core::Failure::Timeout));
            }
            Action::Lookup { id, .. } => {
                done.lookups += 1;
                table.looked_up(now, id, 20);
            }
            Action::Event(Event::Refreshed { report, .. }) => {
                println!("refreshed: {} lookups, {} peers", report.lookups, report.peers);
                done.refreshed = true;
            }
            Action::Event(_) => {}
            Action::Wait(_) => return done,
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config { k: 8, replacements: 8, ..Config::default() };
    let mut table = Routing::<Numbers>::new(spread(0), config, Box::new(AdmitAll), 1)?;
    let mut now = Now::default();

    // Hearing of a peer is not enough: it enters when it has answered a check.
    for n in 1..=1000 {
        table.heard(now, Contact::new(spread(n), (n % 3) as u16));
        drain(&mut table, now);
    }
    println!("{} peers in {} buckets", table.len(), table.health().buckets);
    assert!(table.iter().all(|entry| entry.contact.addr == 1));

    let target = Key(spread(5000).to_be_bytes());
    let mut closest = Vec::new();
    table.closest(&target, 5, &mut closest);
    for contact in &closest {
        println!("{:016x}  {} bits shared", contact.peer, contact.key().common_prefix_len(&target));
    }
    assert!(closest.is_sorted_by_key(|contact| contact.key().distance(&target)));
    assert_eq!(closest.len(), 5);

    // An hour later everybody was silent for long: they are asked again, and every bucket gets its lookup.
    now = now.after(Duration::from_secs(3600));
    table.refresh(now, true);
    let done = drain(&mut table, now);
    assert!(done.refreshed && done.lookups > 1 && done.checks > 0);
    Ok(())
}

#[test]
fn the_table_works_alone() {
    main().unwrap();
}
