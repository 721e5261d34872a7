//! Which connections are closed when there are too many.

use std::time::Duration;

use libp2p::swarm::ConnectionId;

/// A connection as trimming sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) connection: ConnectionId,
    pub(super) protected: bool,
    /// Requests of ours that wait on it.
    pub(super) load: usize,
    pub(super) age: Duration,
    /// Since a request was last answered on it, in either direction.
    pub(super) idle: Duration,
}

/// The connections to close so that at most `low` are left, once there are more than `high`: the longest unused first.
/// Those that are protected, younger than `grace` or waited for stay, even if more than `low` are left by that.
pub(super) fn victims(
    mut open: Vec<Candidate>,
    low: usize,
    high: usize,
    grace: Duration,
) -> Vec<ConnectionId> {
    if open.len() <= high {
        return Vec::new();
    }
    let surplus = open.len() - low;
    open.retain(|candidate| !candidate.protected && candidate.load == 0 && candidate.age >= grace);
    open.sort_by_key(|candidate| (std::cmp::Reverse(candidate.idle), candidate.connection));
    open.truncate(surplus);
    open.into_iter().map(|candidate| candidate.connection).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_go_and_the_needed_stay() {
        let candidate = |id: usize| Candidate {
            connection: ConnectionId::new_unchecked(id),
            protected: id == 0,
            load: usize::from(id == 1),
            age: Duration::from_secs(if id == 2 { 1 } else { 100 }),
            idle: Duration::from_secs(50 - id as u64),
        };
        let all: Vec<_> = (0..10).map(candidate).collect();
        let grace = Duration::from_secs(20);
        assert!(victims(all.clone(), 5, 10, grace).is_empty());
        let ids = |ids: &[usize]| ids.iter().map(|id| ConnectionId::new_unchecked(*id)).collect::<Vec<_>>();
        assert_eq!(victims(all.clone(), 6, 9, grace), ids(&[3, 4, 5, 6]));
        assert_eq!(victims(all, 0, 9, grace), ids(&[3, 4, 5, 6, 7, 8, 9]));
    }
}
