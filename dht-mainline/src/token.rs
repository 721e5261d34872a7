//! Write tokens: proof that whoever stores can be reached at its address, because the token was sent there.
//!
//! A token is a keyed hash over (address, target, epoch). Nothing is remembered per asker, a flood of askers costs nothing,
//! and seeing any number of tokens tells nothing about others: unlike a checksum, the hash is not linear.

use std::{
    fmt::{self, Debug},
    hash::Hasher,
    net::IpAddr,
    time::Duration,
};

use dht_core::{Key, Mono};
use siphasher::sip::SipHasher24;

/// What a node hands out with an answer and wants to see again with a store. Those of deployed peers have 4 to 20 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    length: u8,
    bytes: [u8; Token::MAX],
}

impl Token {
    /// Bytes of the longest token that is kept.
    pub const MAX: usize = 63;

    /// A token as it came; `None` when it is longer than any should be.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut token = Self { length: u8::try_from(bytes.len()).ok()?, bytes: [0; Self::MAX] };
        token.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(token)
    }

    /// The bytes of the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Hands out tokens of 8 bytes and knows them again.
#[derive(Clone)]
pub struct Tokens {
    secret: [u8; 16],
}

impl Tokens {
    /// How long an epoch lasts. A token holds in its own and in the next: 5 to 10 minutes.
    pub const EPOCH: Duration = Duration::from_secs(300);

    /// Tokens by a secret of 16 random bytes, one for each socket (BEP 45).
    pub fn new(secret: [u8; 16]) -> Self {
        Self { secret }
    }

    /// The token that lets `ip` store under `target`.
    pub fn issue(&self, ip: IpAddr, target: &Key<20>, now: Mono) -> Token {
        let mut bytes = [0; Token::MAX];
        bytes[..8].copy_from_slice(&self.hash(ip, target, epoch(now)).to_be_bytes());
        Token { length: 8, bytes }
    }

    /// Whether `token` lets `ip` store under `target` now.
    pub fn holds(&self, token: &[u8], ip: IpAddr, target: &Key<20>, now: Mono) -> bool {
        let Ok(token) = token.try_into().map(u64::from_be_bytes) else { return false };
        let epoch = epoch(now);
        let previous = epoch.checked_sub(1).map(|epoch| self.hash(ip, target, epoch));
        token == self.hash(ip, target, epoch) || previous == Some(token)
    }

    fn hash(&self, ip: IpAddr, target: &Key<20>, epoch: u64) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        // One length per family keeps the parts apart.
        match ip.to_canonical() {
            IpAddr::V4(ip) => hasher.write(&ip.octets()),
            IpAddr::V6(ip) => hasher.write(&ip.octets()),
        }
        hasher.write(&target.0);
        hasher.write(&epoch.to_be_bytes());
        hasher.finish()
    }
}

impl Debug for Tokens {
    /// The secret stays one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

fn epoch(now: Mono) -> u64 {
    now.0.as_secs() / Tokens::EPOCH.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dht_core::{
        Rng,
        rand_core::{Rng as _, SeedableRng},
    };
    use proptest::prelude::*;

    const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(9, 8, 7, 6));
    const TARGET: Key<20> = Key([3; 20]);

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    #[test]
    fn a_token_holds_in_its_epoch_and_the_next() {
        let tokens = Tokens::new([1; 16]);
        for (issued, last) in [(0, 599), (299, 599), (300, 899), (1000, 1499)] {
            let token = tokens.issue(IP, &TARGET, at(issued));
            assert_eq!(token.as_bytes().len(), 8);
            for (now, holds) in [(issued, true), (last, true), (last + 1, false), (last + 10_000, false)] {
                assert_eq!(tokens.holds(token.as_bytes(), IP, &TARGET, at(now)), holds, "{issued} at {now}");
            }
        }
        let mapped = "::ffff:9.8.7.6".parse().unwrap();
        assert!(tokens.holds(tokens.issue(IP, &TARGET, at(5)).as_bytes(), mapped, &TARGET, at(6)));
        assert!(!format!("{tokens:?}").contains('1'));
    }

    proptest! {
        #[test]
        fn a_token_holds_for_nothing_else(
            secret in any::<[u8; 16]>(), other_secret in any::<[u8; 16]>(),
            ip in any::<IpAddr>(), other_ip in any::<IpAddr>(),
            target in any::<[u8; 20]>(), bit in 0usize..160, flip in 0usize..64,
        ) {
            prop_assume!(ip.to_canonical() != other_ip.to_canonical() && secret != other_secret);
            let tokens = Tokens::new(secret);
            let target = Key(target);
            let mut other_target = target;
            other_target.0[bit / 8] ^= 0x80 >> (bit % 8);
            let token = tokens.issue(ip, &target, at(0));
            let bytes = token.as_bytes();
            prop_assert!(tokens.holds(bytes, ip, &target, at(0)));
            prop_assert!(!tokens.holds(bytes, other_ip, &target, at(0)));
            prop_assert!(!tokens.holds(bytes, ip, &other_target, at(0)));
            prop_assert!(!Tokens::new(other_secret).holds(bytes, ip, &target, at(0)));
            let mut forged = bytes.to_vec();
            forged[flip / 8] ^= 1 << (flip % 8);
            prop_assert!(!tokens.holds(&forged, ip, &target, at(0)));
            prop_assert!(!tokens.holds(&bytes[..7], ip, &target, at(0)));
        }
    }

    #[test]
    fn a_million_guesses_are_in_vain() {
        let tokens = Tokens::new([7; 16]);
        let mut rng = Rng::seed_from_u64(1);
        for _ in 0..1_000_000 {
            assert!(!tokens.holds(&rng.next_u64().to_be_bytes(), IP, &TARGET, at(400)));
        }
    }

    /// The attack that a checksum of (address, secret) falls to: the difference of two tokens depends on the difference
    /// of the addresses alone, so one token makes all others.
    #[test]
    fn tokens_of_some_addresses_do_not_add_up_to_that_of_another() {
        let tokens = Tokens::new([9; 16]);
        let token = |last: u8| {
            let bytes = tokens.issue(IpAddr::from([9, 8, 7, last]), &TARGET, at(0));
            u64::from_be_bytes(bytes.as_bytes().try_into().unwrap())
        };
        for a in 0..64u8 {
            for b in 1..4u8 {
                let forged = token(a) ^ token(a ^ b) ^ token(a ^ 64);
                assert_ne!(forged, token(a ^ b ^ 64));
            }
        }
    }

    #[test]
    fn tokens_of_others_are_kept_up_to_a_length() {
        for length in [0, 4, 20, 63] {
            assert_eq!(Token::new(&vec![5; length]).unwrap().as_bytes(), vec![5; length]);
        }
        assert_eq!(Token::new(&[5; 64]), None);
        assert_eq!(Token::new(&[5; 300]), None);
    }
}
