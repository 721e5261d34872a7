//! What the nodes do with swarms and torrents, and what each step must see to have held.

use anyhow::{Context, anyhow, bail, ensure};
use dht::{
    Dht, Failure, PeerError, Request,
    core::Key,
    mainline::{
        Announcement, InfoHash, ItemKey, Magnet, Mainline, Query, Record, Samples, Token, Torrent,
        bencode::Tree, krpc::code, metadata::Wanted,
    },
};

use super::{items, socket};
use crate::demo::{
    report::{Report, Seen},
    swarm::{Swarm, stored},
};

/// Lookups of the step that compares them with what is true.
const LOOKUPS: usize = 5;
/// Hashes of the pieces of the torrent: its description takes several pieces itself.
const PIECES: usize = 3_000;

/// What one round stored, for a later one to find again.
pub struct Kept {
    pub items: items::Kept,
    leechers: InfoHash,
}

/// Finds, stores and finds again, each step from another node.
pub async fn round(swarm: &Swarm<Mainline>, report: &mut Report, round: usize) -> anyhow::Result<Kept> {
    let at = |number: usize| swarm.pick(round * 31 + number * 7);
    let title = |what: &str| format!("{round}. {what}");

    let targets: [Key<20>; LOOKUPS] = std::array::from_fn(|_| Key(rand::random()));
    report.step(swarm, &title("find_node"), swarm.look_up(targets)).await?;

    let (leechers, seeds) = (InfoHash(rand::random()), InfoHash(rand::random()));
    let port = 7_000 + round as u16;
    report.step(swarm, &title("announce"), announce(at(1), leechers, seeds, port)).await?;
    report.step(swarm, &title("get_peers"), get_peers(at(2), leechers, port)).await?;
    report.step(swarm, &title("scrape"), scrape(at(3), leechers, seeds)).await?;
    report.step(swarm, &title("sample_infohashes"), sample(at(4), swarm, leechers)).await?;
    report.step(swarm, &title("forged token"), forge(at(5), at(6))).await?;

    let items = items::round(swarm, report, round).await?;

    let torrent = torrent(&format!("round {round}"))?;
    let (server, fetcher) = (at(7), at(8));
    report.step(swarm, &title("serve metadata"), serve(server, &torrent)).await?;
    report.step(swarm, &title("fetch metadata"), fetch(fetcher, &torrent)).await?;
    Ok(Kept { items, leechers })
}

/// What was stored before the nodes went is still found.
pub async fn still_there(swarm: &Swarm<Mainline>, report: &mut Report, kept: &Kept) -> anyhow::Result<()> {
    report.step(swarm, "earlier peer", get_peers(swarm.pick(1), kept.leechers, 7_001)).await?;
    items::still_there(swarm, report, &kept.items).await
}

async fn announce(announcer: &Dht<Mainline>, leechers: InfoHash, seeds: InfoHash, port: u16) -> Seen {
    announcer.announce(seeds, Announcement { port: None, seed: true }).await?;
    stored(&announcer.announce(leechers, Announcement { port: Some(port), seed: false }).await?)
}

/// There is one peer: all nodes have one address, and a swarm has one peer of each.
async fn get_peers(seeker: &Dht<Mainline>, info_hash: InfoHash, port: u16) -> Seen {
    let mut peers = seeker.get_peers(info_hash).await?;
    let mut found = Vec::new();
    while let Some(peer) = peers.next().await {
        found.push(peer.addr);
    }
    let [peer] = found[..] else { bail!("{} peers were found, there is one", found.len()) };
    ensure!(peer.ip().is_loopback() && peer.port() == port, "{peer} was found instead");
    Ok(format!("the peer at {peer}"))
}

async fn scrape(seeker: &Dht<Mainline>, leechers: InfoHash, seeds: InfoHash) -> Seen {
    let (one, other) = (seeker.scrape(leechers).await?, seeker.scrape(seeds).await?);
    let sizes = [one.seeds, one.peers, other.seeds, other.peers].map(f64::round);
    ensure!(sizes == [0.0, 1.0, 1.0, 0.0], "the filters tell {one:?} and {other:?}");
    Ok(format!("one peer by {} filters, one seed by {}", one.answers, other.answers))
}

/// Everybody answers, and those who were told of the swarm tell of it.
async fn sample(asker: &Dht<Mainline>, swarm: &Swarm<Mainline>, info_hash: InfoHash) -> Seen {
    let mut told = 0;
    for dht in swarm.live().iter().filter(|dht| dht.local().peer != asker.local().peer) {
        let sampled = asker.sample_infohashes(socket(dht)?, Key(rand::random())).await?;
        let Samples { hashes, num, .. } = sampled.samples.context("an answer had no samples")?;
        ensure!(hashes.len() <= num as usize, "{} of {num} swarms were told", hashes.len());
        told += usize::from(hashes.contains(&info_hash));
    }
    ensure!(told > 0, "nobody told of the swarm");
    Ok(format!("{told} of {} nodes told of the swarm", swarm.live().len() - 1))
}

/// Without the token that a node gave it takes nothing.
async fn forge(forger: &Dht<Mainline>, victim: &Dht<Mainline>) -> Seen {
    let item = dht::mainline::Item::immutable(&Tree::from("forged"))?;
    let query = Query::Item(ItemKey::new(item.target()));
    let token = Token::new(&rand::random::<[u8; 8]>());
    let put = Request::Put { query: query.clone(), item: Record::Item(item, None), ticket: token };
    match forger.ask(victim.local(), put).await {
        Err(PeerError::Failed { why: Failure::Refused(code::PROTOCOL), .. }) => {}
        Err(error) => return Err(error).context("another refusal came"),
        Ok(_) => bail!("it was taken"),
    }
    ensure!(!victim.datastore().has(&query).await?, "it was refused and is stored");
    Ok(format!("refused with {}", code::PROTOCOL))
}

/// A torrent that describes nothing, at length.
fn torrent(name: &str) -> anyhow::Result<Torrent> {
    let pieces: Vec<u8> = (0..PIECES).flat_map(|_| rand::random::<[u8; 20]>()).collect();
    let info: Tree = [
        ("length", Tree::from((PIECES * 16_384) as i64)),
        ("name", Tree::from(name)),
        ("piece length", Tree::from(16_384)),
        ("pieces", Tree::from(pieces)),
    ]
    .into_iter()
    .collect();
    Ok(Torrent::of(info.encode().into())?)
}

async fn serve(server: &Dht<Mainline>, torrent: &Torrent) -> Seen {
    let place = server.serve_metadata(torrent).await?;
    Ok(format!("{} bytes at {place}", torrent.info().len()))
}

/// The fetcher has nothing but the hash.
async fn fetch(fetcher: &Dht<Mainline>, torrent: &Torrent) -> Seen {
    let v1 = torrent.v1().ok_or_else(|| anyhow!("the torrent has no hash of version 1"))?;
    let info = fetcher.fetch_metadata(&Magnet { v1: Some(v1), ..Magnet::default() }).await?;
    ensure!(Wanted::V1(v1).is(&info), "the SHA-1 is another");
    ensure!(info == *torrent.info(), "other {} bytes came", info.len());
    Ok(format!("the same {} bytes, by the hash alone", info.len()))
}
