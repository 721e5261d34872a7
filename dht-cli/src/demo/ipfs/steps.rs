//! What the nodes do, and what each step must see to have held.

use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use bytes::Bytes;
use dht::{
    Contact, Dht,
    ipfs::{
        ContentKey, Ipfs, Keypair, ValueKey,
        ipns::{Draft, IpnsRecord, Name},
    },
};

use crate::demo::{
    report::{Report, Seen},
    swarm::{Swarm, stored},
};

/// Lookups of the step that compares them with what is true.
const LOOKUPS: usize = 5;
/// How long nodes may take to learn their own address.
const LOCATE: Duration = Duration::from_secs(5);

/// What one round stored, for a later one to find again.
pub struct Kept {
    name: Name,
    value: Vec<u8>,
    content: ContentKey,
}

/// Finds, stores and finds again, each step from another node.
pub async fn round(swarm: &Swarm<Ipfs>, report: &mut Report, round: usize) -> anyhow::Result<Kept> {
    let at = |number: usize| swarm.pick(round * 31 + number * 7);
    let title = |what: &str| format!("{round}. {what}");

    let target = |number| ContentKey::of_bytes(format!("target {round}.{number}").as_bytes()).into_bytes();
    report.step(swarm, &title("closest peers"), swarm.look_up((0..LOOKUPS).map(target))).await?;
    report.step(swarm, &title("find peer"), find_peer(at(1), at(2))).await?;

    let owner = at(3);
    report.step(swarm, &title("put /pk/"), put_key(owner)).await?;
    report.step(swarm, &title("get /pk/"), get_key(at(4), owner)).await?;

    let keypair = Keypair::generate_ed25519();
    let name = Name((&keypair.public()).into());
    let value = format!("/ipfs/{}", ContentKey::of_bytes(name.to_string().as_bytes())).into_bytes();
    report.step(swarm, &title("put /ipns/"), publish(at(5), &keypair, &value)).await?;
    report.step(swarm, &title("get /ipns/"), resolve(at(6), &name, &value)).await?;

    let content = ContentKey::of_bytes(format!("content of round {round}").as_bytes());
    let (provider, seeker) = (at(7), at(8));
    report.step(swarm, &title("provide"), provide(provider, &content)).await?;
    report.step(swarm, &title("find providers"), find_provider(seeker, &content, provider)).await?;
    Ok(Kept { name, value, content })
}

/// What was stored before the nodes went is still found.
pub async fn still_there(swarm: &Swarm<Ipfs>, report: &mut Report, kept: &Kept) -> anyhow::Result<()> {
    report.step(swarm, "earlier /ipns/ value", resolve(swarm.pick(1), &kept.name, &kept.value)).await?;
    report.step(swarm, "earlier provider record", known_provider(swarm.pick(2), &kept.content)).await
}

async fn find_peer(seeker: &Dht<Ipfs>, sought: &Dht<Ipfs>) -> Seen {
    let peer = sought.local().peer;
    let found: Contact<Ipfs> =
        seeker.find_peer(peer).await?.ok_or_else(|| anyhow!("{peer} was not found"))?;
    ensure!(found.peer == peer && found.is_located(), "another peer was found, or none of its addresses");
    let rtt = seeker.ping_at(found).await?;
    Ok(format!("it answered a ping after {rtt:.1?}"))
}

fn key_of(owner: &Dht<Ipfs>) -> String {
    ValueKey::pk(&owner.local().peer).to_string()
}

async fn put_key(owner: &Dht<Ipfs>) -> Seen {
    let key = owner.keypair().public().encode_protobuf();
    stored(&owner.put_value(&key_of(owner), key).await?.receipt)
}

async fn get_key(seeker: &Dht<Ipfs>, owner: &Dht<Ipfs>) -> Seen {
    let found = seeker.get_value(&key_of(owner)).await?;
    same(found, &owner.keypair().public().encode_protobuf())
}

async fn publish(publisher: &Dht<Ipfs>, keypair: &Keypair, value: &[u8]) -> Seen {
    let (name, record) = Draft::new(value, 1).sign(keypair, publisher.handle().now().wall)?;
    let key = ValueKey::ipns(&name).into_bytes();
    stored(&publisher.put_record(key, record.as_bytes().clone()).await?.receipt)
}

async fn resolve(seeker: &Dht<Ipfs>, name: &Name, value: &[u8]) -> Seen {
    let found = seeker.get_value(&ValueKey::ipns(name).to_string()).await?;
    let record = IpnsRecord::parse(&found.ok_or_else(|| anyhow!("the value was not found"))?)?;
    record.verify(name)?;
    same(Some(record.value().clone()), value)
}

async fn provide(provider: &Dht<Ipfs>, content: &ContentKey) -> Seen {
    crate::provide::located(provider, LOCATE).await?;
    stored(&provider.provide(content.as_bytes().clone(), true).await?.receipt)
}

async fn find_provider(seeker: &Dht<Ipfs>, content: &ContentKey, provider: &Dht<Ipfs>) -> Seen {
    let found = seeker.find_providers(content.as_bytes().clone(), 0).await?.collect_all().await;
    let peer = provider.local().peer;
    let record =
        found.iter().find(|contact| contact.peer == peer).with_context(|| format!("{peer} was not found"))?;
    ensure!(record.is_located(), "the provider was found without an address");
    ensure!(found.len() == 1, "{} providers were found, there is one", found.len());
    Ok("the provider with its addresses".into())
}

async fn known_provider(seeker: &Dht<Ipfs>, content: &ContentKey) -> Seen {
    let found = seeker.find_providers(content.as_bytes().clone(), 0).await?.collect_all().await;
    ensure!(found.len() == 1, "{} providers were found, there was one", found.len());
    Ok("the record outlived its holders".into())
}

fn same(found: Option<Bytes>, wanted: &[u8]) -> Seen {
    let found = found.ok_or_else(|| anyhow!("the value was not found"))?;
    ensure!(found == wanted, "another value was found, of {} bytes", found.len());
    Ok(format!("the same {} bytes", found.len()))
}
