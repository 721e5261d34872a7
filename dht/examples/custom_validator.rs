//! A namespace with rules of our own: `/score/<player>` holds a number, and the highest score stands.
//!
//! Three nodes of a private network in this process: `cargo run -p dht --example custom_validator`

use dht::{
    Contact, Dht, Mode, PutError,
    core::Now,
    ipfs::{AddrList, Ipfs, Multiaddr, NamespaceValidator},
    net::memory::Hub,
    records::Invalid,
};

/// A score is a decimal number; of several the highest is best.
struct Scores;

fn score(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

impl NamespaceValidator for Scores {
    fn check(&self, key: &[u8], value: &[u8], _: Now) -> Result<(), Invalid> {
        if key.len() <= "/score/".len() {
            return Err(Invalid::InvalidKey);
        }
        score(value).map(|_| ()).ok_or(Invalid::Malformed("a score is a decimal number"))
    }

    fn best(&self, _: &[u8], values: &[&[u8]]) -> Option<usize> {
        // Of equals the earlier one, which is what is stored already.
        (0..values.len()).max_by_key(|i| (score(values[*i]), std::cmp::Reverse(*i)))
    }
}

fn join(hub: &Hub<Ipfs>, through: Option<Contact<Ipfs>>) -> Result<Dht<Ipfs>, Box<dyn std::error::Error>> {
    let addr: Multiaddr = "/memory/1".parse()?;
    let dht = Dht::<Ipfs>::builder()
        .network("/game")
        .mode(Mode::Server)
        .validator("score", Scores)
        .bootstrap_from(move || through.clone().into_iter().collect())
        .build_on(|local| hub.join(Contact::new(local.peer, AddrList::from(addr))))?;
    Ok(dht)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Hub::new();
    let first = join(&hub, None)?;
    let second = join(&hub, Some(first.local()))?;
    let third = join(&hub, Some(first.local()))?;
    second.bootstrap(Default::default()).await?;
    third.bootstrap(Default::default()).await?;

    second.put_value("/score/ada", "120").await?;
    third.put_value("/score/ada", "150").await?;

    // Lower than what is known, no score at all, and a namespace that nobody has rules for.
    assert!(matches!(first.put_value("/score/ada", "90").await, Err(PutError::Worse)));
    let no_number = second.put_value("/score/ada", "many").await;
    assert!(matches!(no_number, Err(PutError::Invalid(Invalid::Malformed(_)))));
    let unknown = second.put_value("/level/ada", "3").await;
    assert!(matches!(unknown, Err(PutError::Invalid(Invalid::UnknownNamespace))));

    let best = second.get_value("/score/ada").await?;
    println!("ada has {best:?}");
    assert_eq!(best.as_deref(), Some(&b"150"[..]));
    Ok(())
}

#[test]
fn a_namespace_has_its_own_rules() {
    main().unwrap();
}
