use super::*;

fn addr(text: &str) -> Multiaddr {
    text.parse().unwrap()
}

fn from(i: u8) -> IpAddr {
    [8, i, 1, 1].into()
}

const HOUR: Duration = Duration::from_secs(3600);

/// How often the client is made anew.
const CYCLE: Duration = Duration::from_secs(1800);

/// Four networks name it; whether it is to be tested.
fn named(reach: &mut Reach, addr: &Multiaddr, now: Instant) -> bool {
    (0..4).any(|i| reach.observe(addr, from(i), now))
}

/// A new client.
fn renew(reach: &mut Reach, now: Instant) -> Due {
    reach.forget_tests();
    reach.recheck(now)
}

fn due<const N: usize>(test: [&Multiaddr; N]) -> Due {
    Due { test: test.map(Clone::clone).into(), unreachable: false }
}

#[test]
fn four_networks_must_agree() {
    let now = Instant::now();
    let mut reach = Reach::new(Scope::Public, HOUR);
    let ours = addr("/ip4/1.1.1.1/tcp/4001");
    assert!((0..100).all(|_| !reach.observe(&ours, from(1), now)));
    assert!(!reach.observe(&ours, from(2), now) && !reach.observe(&ours, from(3), now));
    assert!(reach.observe(&ours, from(4), now));
    assert!(!reach.observe(&ours, from(5), now), "it is tested once");
    for private in ["/ip4/10.0.0.1/tcp/1", "/ip6/::1/tcp/1", "/dns4/a.example/tcp/1"] {
        assert!((0..9).all(|i| !reach.observe(&addr(private), from(i), now)));
    }
    let relay = "/ip4/1.1.1.1/tcp/1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN/p2p-circuit";
    assert!((0..9).all(|i| !reach.observe(&addr(relay), from(i), now)));
}

#[test]
fn what_others_claim_is_bounded() {
    let now = Instant::now();
    let mut reach = Reach::new(Scope::Public, HOUR);
    let claim = |port: u16| addr(&format!("/ip4/1.1.1.1/tcp/{port}"));
    for port in 0..1000 {
        (0..4).for_each(|i| assert!(reach.observe(&claim(port), from(i), now) == (i == 3 && port < 16)));
    }
    assert!(reach.tested.len() == MAX_TESTED && reach.named.len() <= MAX_NAMED);
    (0..=255).for_each(|i| assert!(!reach.observe(&claim(999), from(i), now)));
    assert!(
        reach.named.values().all(|(networks, _)| networks.len() <= OBSERVERS),
        "while none can be tested"
    );
    assert!(renew(&mut reach, now) == due([]) && reach.tested.is_empty(), "failed tests make room");
}

#[test]
fn what_was_given_up_makes_room() {
    let mut now = Instant::now();
    let mut reach = Reach::new(Scope::Public, HOUR);
    let claim = |port: u16| addr(&format!("/ip4/1.1.1.1/tcp/{port}"));
    (0..16).for_each(|port| assert!(named(&mut reach, &claim(port), now)));
    for _ in 0..2 {
        (0..16).for_each(|port| assert!(reach.fail(&claim(port), now) != Told::Lost));
        now += CYCLE;
        renew(&mut reach, now);
    }
    assert!(reach.tested.len() == MAX_TESTED && !named(&mut reach, &claim(3), now), "kept for a while");
    (100..116).for_each(|port| assert!(named(&mut reach, &claim(port), now)));
    assert!(!named(&mut reach, &claim(116), now) && reach.tested.len() == MAX_TESTED);
}

#[test]
fn an_address_that_was_never_reached_is_given_up_by_the_second_failure() {
    let start = Instant::now();
    let mut reach = Reach::new(Scope::Public, HOUR);
    let [a, b] = [addr("/ip4/1.1.1.1/tcp/1"), addr("/ip4/1.1.1.1/udp/1/quic-v1")];
    assert!(named(&mut reach, &a, start) && named(&mut reach, &b, start));
    assert!(reach.fail(&a, start) == Told::Nothing && reach.fail(&b, start) == Told::Nothing);
    assert_eq!(renew(&mut reach, start + CYCLE), due([&a, &b]), "one failure proves little");
    let second = start + CYCLE + CYCLE / 10;
    assert_eq!(reach.fail(&a, second), Told::Nothing, "the other one is still under test");
    assert_eq!(reach.fail(&b, second), Told::Unreachable, "none is left");
    for cycle in [2, 3] {
        assert_eq!(renew(&mut reach, start + cycle * CYCLE), due([]));
        assert!(!named(&mut reach, &a, start + cycle * CYCLE), "not for a full recheck");
    }
    assert_eq!(renew(&mut reach, start + 4 * CYCLE), due([]));
    assert!(named(&mut reach, &a, start + 4 * CYCLE), "it may be tested another time");
}

#[test]
fn what_nobody_dials_keeps_nothing_from_being_told() {
    let start = Instant::now();
    let mut reach = Reach::new(Scope::Public, HOUR);
    let [dialled, strange] = [addr("/ip4/1.1.1.1/tcp/1"), addr("/ip6/2600::1/udp/1/quic-v1")];
    assert!(named(&mut reach, &dialled, start) && named(&mut reach, &strange, start));
    assert_eq!(reach.fail(&dialled, start), Told::Nothing);
    assert_eq!(renew(&mut reach, start + CYCLE), due([&dialled]));
    assert!(named(&mut reach, &strange, start + CYCLE), "it is named again at once");
    assert_eq!(reach.fail(&dialled, start + CYCLE), Told::Unreachable);
}

#[test]
fn verdicts_out_of_phase_end_all_the_same() {
    let start = Instant::now();
    let mut reach = Reach::new(Scope::Public, HOUR);
    let [a, b] = [addr("/ip4/1.1.1.1/tcp/1"), addr("/ip4/1.1.1.1/tcp/2")];
    assert!(named(&mut reach, &a, start));
    assert_eq!(reach.fail(&a, start), Told::Nothing);
    assert_eq!(renew(&mut reach, start + CYCLE), due([&a]));
    assert!(named(&mut reach, &b, start + CYCLE));
    assert_eq!(reach.fail(&b, start + CYCLE), Told::Nothing);
    assert_eq!(reach.fail(&a, start + CYCLE), Told::Nothing, "the other one failed once");
    assert!(!named(&mut reach, &a, start + CYCLE), "it comes not back under another's test");
    assert_eq!(renew(&mut reach, start + 2 * CYCLE), due([&b]));
    assert!(!named(&mut reach, &a, start + 2 * CYCLE));
    assert_eq!(reach.fail(&b, start + 2 * CYCLE), Told::Unreachable);
}

#[test]
fn new_addresses_that_fail_once_delay_it_for_one_recheck_only() {
    let start = Instant::now();
    let mut reach = Reach::new(Scope::Public, HOUR);
    let claim = |port: u32| addr(&format!("/ip4/1.1.1.1/tcp/{port}"));
    let mut told = Vec::new();
    for cycle in 0..5 {
        let now = start + cycle * CYCLE;
        told.extend(renew(&mut reach, now).unreachable.then_some(cycle));
        assert!(named(&mut reach, &claim(cycle), now));
        // The new one first, so that the one before is not the last.
        for port in [cycle, cycle.saturating_sub(1)] {
            assert_eq!(reach.fail(&claim(port), now), Told::Nothing);
        }
    }
    assert_eq!(told, [3], "the first was given up in cycle 1");
}

#[test]
fn an_address_that_nobody_dials_twice_is_dropped_and_told() {
    let start = Instant::now();
    let mut reach = Reach::new(Scope::Public, HOUR);
    let [a, b] = [addr("/ip4/1.1.1.1/tcp/1"), addr("/ip4/1.1.1.1/udp/1/quic-v1")];
    assert!(named(&mut reach, &a, start) && named(&mut reach, &b, start));
    assert!(reach.fail(&b, start) == Told::Nothing && reach.fail(&a, start) == Told::Nothing);
    assert_eq!(renew(&mut reach, start + CYCLE), due([&a, &b]));
    assert_eq!(reach.fail(&a, start + CYCLE + CYCLE / 2), Told::Nothing, "the other one failed once");
    assert_eq!(renew(&mut reach, start + 2 * CYCLE), Due { test: vec![], unreachable: true });
    assert!(reach.tested.len() == 1 && !reach.tested.contains_key(&b));
}

#[test]
fn verdicts_of_an_older_client_are_not_heard() {
    let start = Instant::now();
    let mut reach = Reach::new(Scope::Any, HOUR);
    let ours = addr("/ip4/1.1.1.1/tcp/1");
    assert!(named(&mut reach, &ours, start) && reach.confirm(&ours, start));
    let later = start + HOUR;
    assert_eq!(renew(&mut reach, later), due([&ours]));
    reach.forget_tests();
    for _ in 0..3 {
        assert_eq!(reach.fail(&ours, later), Told::Nothing, "its dial-back may have been refused");
    }
    assert_eq!(reach.recheck(later), due([&ours]));
    for _ in 0..3 {
        assert_eq!(reach.fail(&ours, later), Told::Nothing, "one client has one verdict");
    }
    assert_eq!(renew(&mut reach, later), due([&ours]));
    assert_eq!(reach.fail(&ours, later), Told::Lost);
}

#[test]
fn proof_grows_old_and_two_failures_end_it() {
    let start = Instant::now();
    let mut reach = Reach::new(Scope::Public, HOUR);
    let (tcp, quic) = (addr("/ip4/1.1.1.1/tcp/1"), addr("/ip4/1.1.1.1/udp/1/quic-v1"));
    for ours in [&tcp, &quic] {
        assert!(named(&mut reach, ours, start));
        assert!(reach.confirm(ours, start) && !reach.confirm(ours, start));
    }
    let later = start + HOUR;
    reach.entered(&addr("/ip4/192.168.0.2/tcp/1"), &addr("/ip4/8.8.8.8/tcp/9"), later);
    reach.entered(&addr("/ip4/192.168.0.2/udp/1/quic-v1"), &addr("/ip4/192.168.0.9/udp/9/quic-v1"), later);
    assert_eq!(renew(&mut reach, later), due([&quic]), "the neighbour proves nothing");
    assert_eq!(reach.fail(&quic, later), Told::Nothing);
    assert_eq!(renew(&mut reach, later), due([&quic]));
    assert_eq!(reach.fail(&quic, later), Told::Lost);
    let last = later + HOUR;
    assert_eq!(renew(&mut reach, last), due([&tcp]));
    assert!(reach.fail(&tcp, last) == Told::Nothing && !reach.confirm(&tcp, last));
    assert_eq!(renew(&mut reach, last + HOUR), due([&tcp]));
    assert_eq!(reach.fail(&tcp, last + HOUR), Told::Nothing, "what succeeded since begins anew");
}

#[test]
fn what_was_never_reached_tells_nothing_beside_what_was() {
    let start = Instant::now();
    let mut reach = Reach::new(Scope::Public, HOUR);
    let [open, closed] = [addr("/ip4/1.1.1.1/tcp/1"), addr("/ip4/1.1.1.1/udp/1/quic-v1")];
    assert!(named(&mut reach, &open, start) && named(&mut reach, &closed, start));
    assert!(reach.confirm(&open, start) && reach.fail(&closed, start) == Told::Nothing);
    assert_eq!(renew(&mut reach, start + CYCLE), due([&closed]));
    assert_eq!(reach.fail(&closed, start + CYCLE), Told::Nothing);
    assert!((2..9).all(|cycle| !renew(&mut reach, start + cycle * CYCLE).unreachable));
}

#[test]
fn what_was_waited_for_and_then_reached_ends_the_wait() {
    let start = Instant::now();
    let mut reach = Reach::new(Scope::Public, HOUR);
    let [open, closed] = [addr("/ip4/1.1.1.1/tcp/1"), addr("/ip4/1.1.1.1/udp/1/quic-v1")];
    for ours in [&open, &closed] {
        assert!(named(&mut reach, ours, start) && reach.fail(ours, start) == Told::Nothing);
    }
    renew(&mut reach, start + CYCLE);
    assert!(reach.fail(&closed, start + CYCLE) == Told::Nothing && reach.confirm(&open, start + CYCLE));
    assert!((2..9).all(|cycle| !renew(&mut reach, start + cycle * CYCLE).unreachable));
}
