//! What the nodes do with items (BEP 44), and what each step must see to have held.

use anyhow::{Context, anyhow, ensure};
use dht::{
    Dht, Failure,
    core::Key,
    mainline::{Item, ItemKey, Mainline, Query, Record, bencode::Tree, krpc::code},
    query::QueryOptions,
};
use ed25519_dalek::SigningKey;

use crate::demo::{
    report::{Report, Seen},
    swarm::{Swarm, stored},
};

const SALT: &[u8] = b"demo";

/// What one round stored, for a later one to find again.
pub struct Kept {
    key: SigningKey,
    latest: Tree,
    value: Tree,
}

impl Kept {
    /// The value that never changes is found.
    pub async fn look(&self, seeker: &Dht<Mainline>) -> Seen {
        get(seeker, &self.value).await
    }
}

/// Puts and gets, each step from another node.
pub async fn round(swarm: &Swarm<Mainline>, report: &mut Report, round: usize) -> anyhow::Result<Kept> {
    let at = |number: usize| swarm.pick(round * 37 + number * 7);
    let title = |what: &str| format!("{round}. {what}");

    let value = Tree::from(format!("value of round {round}").as_str());
    report.step(swarm, &title("put immutable"), put(at(1), &value)).await?;
    let seeker = swarm.pick_without(&Query::Item(ItemKey::new(target(&value)?)), round).await?;
    report.step(swarm, &title("get immutable"), get(seeker, &value)).await?;

    let key = SigningKey::from_bytes(&rand::random());
    let (first, latest) = (Tree::from("first"), Tree::from("latest"));
    let owner = at(3);
    report.step(swarm, &title("put mutable"), replace(owner, &key, 1, None, &first)).await?;
    let seeker = swarm.pick_without(&query(&key), round).await?;
    report.step(swarm, &title("get mutable"), get_latest(seeker, &key, 1, &first)).await?;
    report.step(swarm, &title("put in its place"), replace(owner, &key, 2, Some(1), &latest)).await?;
    report.step(swarm, &title("the higher number wins"), get_latest(at(5), &key, 2, &latest)).await?;
    let wrong = refused(owner, &key, 3, Some(1), code::CAS);
    report.step(swarm, &title("wrong cas"), wrong).await?;
    let old = refused(owner, &key, 1, None, code::OLD_SEQ);
    report.step(swarm, &title("lower number"), old).await?;
    Ok(Kept { key, latest, value })
}

/// What was stored before the nodes went is still found.
pub async fn still_there(swarm: &Swarm<Mainline>, report: &mut Report, kept: &Kept) -> anyhow::Result<()> {
    report.step(swarm, "earlier immutable value", kept.look(swarm.pick(2))).await?;
    let latest = get_latest(swarm.pick(3), &kept.key, 2, &kept.latest);
    report.step(swarm, "earlier mutable value", latest).await
}

fn target(value: &Tree) -> anyhow::Result<Key<20>> {
    Ok(Item::immutable(value)?.target())
}

fn query(key: &SigningKey) -> Query {
    Query::Item(ItemKey::mutable(&key.verifying_key().to_bytes(), SALT))
}

async fn put(owner: &Dht<Mainline>, value: &Tree) -> Seen {
    let put = owner.put_immutable(value).await?;
    ensure!(put.target == target(value)?, "it was put under {}", put.target);
    stored(&put.receipt)
}

async fn get(seeker: &Dht<Mainline>, value: &Tree) -> Seen {
    let found = seeker.get_immutable(target(value)?).await?.context("the value was not found")?;
    ensure!(found.tree()? == *value, "another value was found");
    Ok(format!("the same {} bytes", found.value.len()))
}

async fn replace(owner: &Dht<Mainline>, key: &SigningKey, seq: i64, cas: Option<i64>, value: &Tree) -> Seen {
    stored(&owner.put_mutable(key, SALT, seq, cas, value).await?.receipt)
}

async fn get_latest(seeker: &Dht<Mainline>, key: &SigningKey, seq: i64, value: &Tree) -> Seen {
    let found = seeker.get_mutable(&key.verifying_key().to_bytes(), SALT).await?;
    let found = found.context("the value was not found")?;
    let told = found.seq().ok_or_else(|| anyhow!("an unsigned value was found"))?;
    ensure!(told == seq && found.tree()? == *value, "a value with number {told} was found");
    Ok(format!("the value with number {seq}, signature checked"))
}

/// The owner asks whom it had asked before, so every one of them holds the latest value. Its own store is passed by: it
/// would not even try.
async fn refused(owner: &Dht<Mainline>, key: &SigningKey, seq: i64, cas: Option<i64>, code: u32) -> Seen {
    let item = Item::mutable(key, SALT, seq, &Tree::from("never stored"))?;
    let offered = owner.handle().offer(query(key), Record::Item(item, cas), QueryOptions::default()).await?;
    let receipt = offered.receipt;
    ensure!(receipt.stored.is_empty(), "{} nodes took it", receipt.stored.len());
    ensure!(!receipt.refused.is_empty(), "nobody refused it");
    let other = receipt.refused.iter().find(|(_, why)| *why != Failure::Refused(code));
    ensure!(other.is_none(), "a node refused it otherwise: {other:?}");
    Ok(format!("refused with {code} by {} nodes", receipt.refused.len()))
}
