//! Records used alone: a validator of our own, a bounded store in memory, leases that end, announcements that come due.
//!
//! Time is an argument, so two days pass in no time at all. Any executor does; this one only blocks.
//!
//! `cargo run -p dht-records --example store`

use std::time::Duration;

use dht_core::{
    Now,
    testing::{Tiny, TinyItem, TinyQuery},
};
use dht_records::{
    Conflict, Invalid, Lease, MemoryConfig, MemoryStore, Republish, RepublishConfig, Republisher, Saved,
    Store, Validator,
};
use futures::executor::block_on;

const HOUR: Duration = Duration::from_secs(3600);

/// Version 0 is invalid; of several the highest version is best, and of equals the one that was there first.
struct Versions;

impl Validator<Tiny> for Versions {
    fn check(&self, _: &TinyQuery, item: &TinyItem, _: Now) -> Result<(), Invalid> {
        if item.version == 0 { Err(Invalid::Malformed("version 0")) } else { Ok(()) }
    }
    fn best(&self, _: &TinyQuery, items: &[TinyItem]) -> Option<usize> {
        (0..items.len()).max_by_key(|i| (items[*i].version, std::cmp::Reverse(*i)))
    }
}

/// Checks an item as a server would, then saves it for `peer` and 48 hours.
fn save(
    store: &MemoryStore<Tiny>,
    peer: u8,
    version: u8,
    now: Now,
) -> Result<Saved, Box<dyn std::error::Error>> {
    let (query, item) = (TinyQuery::Value(7), TinyItem::value(version));
    Versions.check(&query, &item, now)?;
    let lease = Lease { from: peer, received: now.wall, lifetime: 48 * HOUR, own: false };
    let saved = block_on(store.save(&query, item, lease, &Versions, now))?;
    println!("version {version}: {saved:?}");
    Ok(saved)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = MemoryConfig { max_records: 1000, ..MemoryConfig::default() };
    let store = MemoryStore::<Tiny>::new(&0, config, 1)?;
    let now = Now::default().after(1000 * HOUR);

    // The best survives, whatever the order; the same again renews the lease; what is invalid never gets there.
    assert_eq!(save(&store, 1, 2, now)?, Saved::New);
    assert_eq!(save(&store, 2, 5, now)?, Saved::Better);
    assert_eq!(save(&store, 3, 4, now)?, Saved::Worse(Conflict::Older));
    assert_eq!(save(&store, 2, 5, now.after(HOUR))?, Saved::Refreshed);
    assert!(save(&store, 1, 0, now).is_err());
    let held = block_on(store.load(&TinyQuery::Value(7), now.after(48 * HOUR)))?;
    assert_eq!(held[0].item.version, 5);

    // Two days after its renewal it is gone; sweeping gives the memory back.
    let later = now.after(49 * HOUR + Duration::from_secs(2));
    assert_eq!(block_on(store.sweep(later))?, 1);
    assert!(block_on(store.load(&TinyQuery::Value(7), later))?.is_empty());
    assert_eq!(block_on(store.statistics())?.records, 0);

    // What is ours is announced again before others forget it.
    let mut own = Republisher::<Tiny>::new(RepublishConfig::default(), 1)?;
    own.track(now, TinyQuery::Value(9), TinyItem::value(1), now.wall, 22 * HOUR)?;
    assert!(matches!(own.poll(now), Republish::Wait(Some(_))));
    let Republish::Due { query, .. } = own.poll(now.after(22 * HOUR)) else {
        return Err("nothing is due".into());
    };
    println!("{query:?} is due");
    Ok(())
}

#[test]
fn records_work_alone() {
    main().unwrap();
}
