//! The directory by itself: every job has one outcome, and what is not needed any more is gone.

use bytes::Bytes;

use super::*;
use crate::libp2p::{
    dialect::{Addrs, Echoes, Id, Net, find},
    mailbox::{Letters, Task},
};

type TestHub = Arc<Hub<Net, Echoes>>;

fn hub(config: Config) -> (TestHub, mpsc::Receiver<Event<Net>>) {
    Hub::new(Echoes, config)
}

fn peer(n: u8) -> Contact<Net> {
    Contact::new(Id::from(&[n][..]), Addrs(vec!["/ip4/8.8.8.8/tcp/1".parse().unwrap()]))
}

fn job(id: u64) -> Job<Net> {
    Job { id: RequestId(id), task: Task::Ask(find(Bytes::new())), retried: false }
}

fn connection(n: usize) -> ConnectionId {
    ConnectionId::new_unchecked(n)
}

fn mailbox(to: &Contact<Net>, n: usize) -> Arc<Mailbox<Net>> {
    Arc::new(Mailbox::new(to.peer.clone(), connection(n)))
}

fn jobs(mailbox: &Mailbox<Net>) -> Vec<u64> {
    let mut letters = Letters::default();
    mailbox.take(&mut letters);
    letters.jobs.iter().map(|job| job.id.0).collect()
}

fn failures(events: &mut mpsc::Receiver<Event<Net>>) -> Vec<(u64, Failure)> {
    std::iter::from_fn(|| events.try_recv().ok())
        .map(|event| match event {
            Event::Failure(id, why) => (id.0, why),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn peers(hub: &TestHub) -> usize {
    hub.with(|directory| directory.peers.len())
}

#[test]
fn jobs_wait_for_one_dial_and_go_out_in_order() {
    let (hub, mut events) = hub(Config::default());
    let to = peer(1);
    (0..5).for_each(|id| hub.dispatch(to.clone(), job(id)).unwrap());
    assert_eq!(hub.next_dial(), Some((to.peer.clone(), to.addr.clone())));
    hub.dialed(&to.peer, Some(connection(1)));
    assert_eq!(hub.next_dial(), None);
    hub.forget(&to.peer, RequestId(2));
    let mailbox = mailbox(&to, 1);
    assert_eq!(hub.connected(mailbox.clone()), 1);
    hub.dispatch(to.clone(), job(5)).unwrap();
    assert_eq!((jobs(&mailbox), mailbox.load()), (vec![0, 1, 3, 4, 5], 5));
    assert_eq!((hub.disconnected(&to.peer, connection(1)), peers(&hub)), (0, 0));
    assert!(failures(&mut events).is_empty());
}

#[test]
fn a_failed_dial_fails_all_that_waited_and_leaves_nothing() {
    let (hub, mut events) = hub(Config { requests_per_peer: 3, ..Config::default() });
    let to = peer(1);
    (0..3).for_each(|id| hub.dispatch(to.clone(), job(id)).unwrap());
    assert_eq!(hub.dispatch(to.clone(), job(3)), Err(Failure::Overloaded));
    hub.next_dial().unwrap();
    hub.dialed(&to.peer, Some(connection(1)));
    hub.dial_failed(&to.peer, connection(9), Failure::Unreachable);
    assert!(failures(&mut events).is_empty(), "somebody else's dial");
    hub.dial_failed(&to.peer, connection(1), Failure::Unreachable);
    assert_eq!(failures(&mut events), [0, 1, 2].map(|id| (id, Failure::Unreachable)));
    assert_eq!(peers(&hub), 0);
    // Nowhere to dial.
    hub.dispatch(to.clone(), job(4)).unwrap();
    hub.next_dial().unwrap();
    hub.dialed(&to.peer, None);
    assert_eq!((failures(&mut events), peers(&hub)), (vec![(4, Failure::Unreachable)], 0));
}

#[test]
fn dials_are_bounded_and_those_that_nobody_wants_are_skipped() {
    let (hub, _events) = hub(Config { max_dials: 2, ..Config::default() });
    (1..6).for_each(|n| hub.dispatch(peer(n), job(u64::from(n))).unwrap());
    hub.forget(&peer(1).peer, RequestId(1));
    let dial = |n: usize| {
        let wanted = hub.next_dial().map(|(id, _)| id);
        wanted.inspect(|id| hub.dialed(id, Some(connection(n))))
    };
    assert_eq!((dial(1), dial(2), dial(3)), (Some(peer(2).peer), Some(peer(3).peer), None));
    hub.dial_failed(&peer(2).peer, connection(1), Failure::Unreachable);
    assert_eq!(hub.next_dial().map(|(id, _)| id), Some(peer(4).peer));
    assert_eq!(peers(&hub), 3, "the first is gone, as is the failed one");
}

#[test]
fn a_job_for_a_dying_connection_is_tried_once_more() {
    let (hub, mut events) = hub(Config::default());
    let to = peer(1);
    let (dying, other) = (mailbox(&to, 1), mailbox(&to, 2));
    hub.connected(dying.clone());
    hub.dispatch(to.clone(), job(0)).unwrap();
    // The handler is gone, the swarm has not told yet.
    for left in dying.close() {
        hub.again(&to.peer, left);
    }
    hub.dispatch(to.clone(), job(1)).unwrap();
    assert_eq!(hub.disconnected(&to.peer, connection(1)), 0);
    assert!(hub.next_dial().is_some());
    hub.dialed(&to.peer, Some(connection(2)));
    hub.connected(other.clone());
    let left = other.close();
    assert_eq!(left.iter().map(|job| (job.id.0, job.retried)).collect::<Vec<_>>(), [(0, true), (1, false)]);
    for job in left {
        hub.again(&to.peer, job);
    }
    assert_eq!(failures(&mut events), [(0, Failure::Reset)]);
}

#[test]
fn the_least_loaded_connection_gets_the_job() {
    let (hub, _events) = hub(Config::default());
    let to = peer(1);
    let (a, b) = (mailbox(&to, 1), mailbox(&to, 2));
    assert_eq!((hub.connected(a.clone()), hub.connected(b.clone())), (1, 2));
    (0..6).for_each(|id| hub.dispatch(to.clone(), job(id)).unwrap());
    assert_eq!((a.load(), b.load()), (3, 3));
    hub.forget(&to.peer, RequestId(0));
    assert_eq!(hub.disconnected(&to.peer, connection(1)), 1);
}

#[test]
fn what_a_peer_says_of_itself_is_told_once() {
    let (hub, _events) = hub(Config::default());
    let to = peer(1);
    let told = |addr: Option<&Contact<Net>>, serves| {
        hub.identified(&to.peer, addr.map(|contact| contact.addr.clone()), serves).map(|(_, serves)| serves)
    };
    assert_eq!(told(Some(&to), Some(true)), None, "it is not connected");
    hub.connected(mailbox(&to, 1));
    assert_eq!(told(None, Some(true)), None, "identify comes first");
    assert_eq!(told(Some(&to), Some(true)), Some(true));
    assert_eq!((told(Some(&to), Some(true)), told(None, Some(true))), (None, None));
    assert_eq!((told(None, Some(false)), told(None, Some(false))), (Some(false), None));
}
