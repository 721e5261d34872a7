//! What a scenario says is run as it says, or refused by `validate`: no number makes a run panic, hang, or do nothing.

use dht_sim::{
    Burst, Check, Churn, Conduct, Engine, Fault, Latency, Links, Measure, OpKind, OverlayKind, Population,
    Reorder, Scenario, Start, Stores, What,
};
use proptest::prelude::*;

use crate::busy;

#[cfg(feature = "serde")]
#[test]
fn what_cannot_be_run_as_it_says_is_refused_by_name() {
    const NAN: &str = "nan";
    let engine = |field: &str, value: &str| format!("[engine]\n{field} = {value}");
    let fault = |at: &str, what: &str| format!("[[faults]]\nat = {at}\nwhat.{what}");
    let two = |what: &str, second: u32| {
        format!("[[faults]]\nat = 1\nlasts = 9\nwhat{what}\n[[faults]]\nat = {second}\nlasts = 9\nwhat{what}")
    };
    let work = |text: &str| format!("[workload]\n{text}");
    let check = |text: &str| format!("[[phases]]\nname = \"a\"\nfrom = 0\n[[checks]]\n{text}");
    let mut table = vec![
        (work("updates = 0.1"), "`workload.updates`"),
        (work("updates = 0.1\nproviders = 5"), "`workload.updates`"),
        (work("reads = 1"), "`workload.reads`"),
        (work("lookups = 1e6\n[links]"), "`workload.lookups`"),
        (work("values = 1\npublish_from = 600"), "`workload.publish_from`"),
        ("duration = 1e9\nsample_interval = 1".into(), "`sample_interval`"),
        ("links.burst = { every = 1e-9, lasts = 1e-9, loss = 1 }".into(), "`links.burst`"),
        ("population.slow = 0.1".into(), "`population.slow_by`"),
        ("stores.sync_interval = 5".into(), "`stores.sync_interval`"),
        ("stores.max_records = 0".into(), "`stores.max_records`"),
        ("stores.max_records = 3000000000".into(), "`stores.max_records`"),
        (engine("beta", "30"), "`engine.beta`"),
        (engine("max_table", "5"), "`engine.max_table`"),
        (engine("alpha", "9223372036854775807"), "`engine.alpha`"),
        (engine("alpha", "0"), "the engine says"),
        (engine("k", "300"), "the engine says"),
        (engine("disjoint_paths", "50"), "the engine says"),
        (fault("600", "exit.share = 0.1"), "`faults.exit.at`"),
        (fault("1", "slow = { share = 0.1, by = nan }"), "`faults.slow.by`"),
        (fault("1", "clock_drift = { share = 1, ppm = -9223372036854775808 }"), "`faults.clock_drift.ppm`"),
        (fault("1", "partition.sides = [1e308, 1e308]"), "`faults.partition.sides`"),
        (fault("1", "lying_doors.share = 0.1"), "`faults.lying_doors.share`"),
        (fault("1", "rebind.share = 0.5"), "`faults.rebind`"),
        (fault("1", "sybils = { each = 1, keys = 1, conduct = \"bait\" }"), "`faults.sybils.keys`"),
        (fault("1", "spam = { ids = 1, keys = 1, over = 1 }"), "`faults.spam.keys`"),
        (
            "nodes = 5\n[[faults]]\nat = 1\nwhat.eclipse = { per_bucket = 1, conduct = \"collude\" }".into(),
            "`nodes`",
        ),
        (
            "churn.publishers_stay = false\n[[faults]]\nat = 1\nwhat = \"publishers_away\"".into(),
            "`faults.publishers_away`",
        ),
        ("[[phases]]\nname = \"late\"\nfrom = 600".into(), "`phases.from`"),
        ("[[phases]]\nname = \"a\"\nfrom = 0\n[[phases]]\nname = \"a\"\nfrom = 1".into(), "`phases.name`"),
        (check("measure = \"violations\"\nphase = \"a\"\nat_most = 0"), "`checks.phase`"),
        (check("measure = \"timeouts\"\nat_most = nan"), "`checks`"),
        (check("measure = \"timeouts\"\nat_least = 0.2\nat_most = 0.1"), "`checks.at_least`"),
        (check("measure.attacked.of = \"get\"\nat_least = 0.5"), "`checks.measure`"),
        (check("measure = \"honest_contacts\"\nat_least = 0.5"), "`checks.measure`"),
        ("phases = [{ name = \"a\", from = 1 }, { name = \"b\", from = 1 }]".into(), "`phases.from`"),
        ("nodes = 1".into(), "`nodes`"),
    ];
    for (value, fields) in [
        ("0", &["sweep_interval", "republish_interval", "request_timeout"][..]),
        ("-1", &["sweep_interval", "republish_interval", "refresh_interval", "request_timeout"]),
        (NAN, &["sweep_interval", "republish_interval", "refresh_interval", "request_timeout"]),
        ("1e-9", &["sweep_interval", "republish_interval", "refresh_interval", "request_timeout"]),
        ("1e12", &["sweep_interval", "republish_interval", "refresh_interval", "request_timeout"]),
    ] {
        table.extend(fields.iter().map(|field| (engine(field, value), "`engine.")));
    }
    for (what, name) in [
        (".partition.sides = [1, 1]", "partition"),
        (".one_way.share = 0.1", "one_way"),
        (".weather.links.loss = 0.1", "weather"),
        (".silence.share = 0.1", "silence"),
        (".slow = { share = 0.1, by = 1 }", "slow"),
        (".misbehave = { share = 0.1, conduct = \"collude\" }", "misbehave"),
        (".lying_doors.share = 0.5", "lying_doors"),
        (".clock_drift = { share = 0.1, ppm = 7 }", "clock_drift"),
        (".clock_freeze.share = 0.1", "clock_freeze"),
        (".store_fails = { share = 0.1, calls = 0.5 }", "store_fails"),
        (".store_full.share = 0.1", "store_full"),
        (" = \"bootstrap_down\"", "bootstrap_down"),
        (" = \"publishers_away\"", "publishers_away"),
    ] {
        let apart: Scenario = toml::from_str(&two(what, 11)).unwrap();
        apart.validate().unwrap_or_else(|error| panic!("{name}: {error}"));
        let endless = two(what, 50).replacen("lasts = 9\n", "", 1);
        let touching = two(what, 10);
        for text in [endless, touching] {
            let scenario: Scenario = toml::from_str(&text).unwrap();
            let error = scenario.validate().unwrap_err().to_string();
            assert!(error.contains(&format!("`faults.{name}.at`")), "{text}: {error}");
        }
    }
    for (text, says) in table {
        let scenario: Scenario = toml::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let error = scenario.validate().expect_err(&text).to_string();
        assert!(error.contains(says), "{text}: {error}");
        assert_eq!(scenario.run().unwrap_err().to_string(), error);
    }
}

#[test]
fn bait_that_nobody_lays_is_refused() {
    let misbehave = What::Misbehave { share: 0.1, conduct: Conduct::Bait };
    let eclipse = What::Eclipse { per_bucket: 1, conduct: Conduct::Bait, restart_after: None };
    for (what, field) in [(misbehave, "`faults.misbehave.conduct`"), (eclipse, "`faults.eclipse.conduct`")] {
        let alone = busy(OverlayKind::Compact, 60).fault(1.0, what);
        let error = alone.validate().unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
        let sybils = |conduct| What::Sybils { each: 1, keys: 1, conduct };
        alone.clone().fault(1.0, sybils(Conduct::Collude)).validate().unwrap_err();
        alone.fault(1.0, sybils(Conduct::Bait)).validate().unwrap();
    }
}

#[test]
fn attackers_need_room_as_everybody_does() {
    let spam = What::Spam { ids: 1 << 20, keys: 1, networks: None, over: 1.0 };
    let crowd = What::Crowd { share: 1.0, over: 1.0 };
    let sybils = |keys| What::Sybils { each: 10_000, keys, conduct: Conduct::Collude };
    let plain = || busy(OverlayKind::Compact, 60);
    let times = |count: usize| (0..count).fold(plain(), |scenario, _| scenario.fault(1.0, spam.clone()));
    let many = || {
        let mut scenario = plain();
        (scenario.workload.values, scenario.workload.providers) = (1000, 1000);
        scenario
    };
    for fits in [times(3), times(1).fault(2.0, crowd.clone()), many().fault(1.0, sybils(200))] {
        fits.validate().unwrap();
    }
    let mut endless = plain().fault(1.0, sybils(u32::MAX));
    (endless.workload.values, endless.workload.providers) = (u32::MAX, u32::MAX);
    for not in [times(4), times(2).fault(2.0, crowd), many().fault(1.0, sybils(210)), endless] {
        let error = not.validate().unwrap_err().to_string();
        assert!(error.contains("`nodes`"), "{error}");
    }
}

#[test]
fn hosts_look_only_where_one_could_be_wrong() {
    let looking = |people: Population| {
        busy(OverlayKind::Compact, 60).population(Population { recheck: 100.0, ..people })
    };
    // Clients serve nobody, and no host looks whether they can be dialled.
    let clients = looking(Population { clients: 0.5, ..Population::default() });
    let error = clients.validate().unwrap_err().to_string();
    assert!(error.contains("`population.recheck`"), "{error}");
    clients.fault(1.0, What::Firewall { share: 0.1 }).validate().unwrap();
    looking(Population { falsely_public: 0.1, ..Population::default() }).validate().unwrap();
}

#[test]
fn sleepers_and_attackers_may_overlap() {
    let sybils = |each| What::Sybils { each, keys: 1, conduct: Conduct::Collude };
    busy(OverlayKind::Compact, 60)
        .passing(10.0, 100.0, What::Sleep { share: 0.1 })
        .passing(20.0, 100.0, What::Sleep { share: 0.1 })
        .passing(10.0, 100.0, sybils(5))
        .passing(20.0, 100.0, sybils(5))
        .fault(30.0, What::ClockStep { share: 0.1, by: 9.0 })
        .fault(30.0, What::ClockStep { share: 0.1, by: -9.0 })
        .validate()
        .unwrap();
}

/// Half a minute in which something of everything happens.
fn eventful(overlay: OverlayKind) -> Scenario {
    let burst = Some(Burst { every: 10.0, lasts: 1.0, loss: 0.5 });
    let latency = Latency::Lognormal { median_ms: 20.0, sigma: 0.5 };
    let reorder = Some(Reorder { share: 0.1, by: 1.0 });
    let links = Links { latency, burst, reorder, bandwidth: Some(1e6), ..Links::default() };
    let mut scenario = busy(overlay, 8)
        .duration(30.0)
        .start(Start::Join { over: 5.0, settle: 5.0 })
        .links(links.clone())
        .stores(Stores { durable: true, sync_interval: 5.0, max_records: None })
        .engine(Engine {
            refresh_interval: Some(10.0),
            republish_interval: Some(10.0),
            sweep_interval: Some(10.0),
            request_timeout: Some(5.0),
            ..Engine::default()
        })
        .churn(Churn { median_session: 20.0, median_gap: 5.0, publishers_stay: false, ..Churn::default() })
        .sample_interval(10.0)
        .passing(5.0, 5.0, What::Weather { links })
        .passing(5.0, 5.0, What::Partition { sides: vec![1.0, 1.0] })
        .passing(6.0, 5.0, What::Slow { share: 0.2, by: 1.0 })
        .passing(7.0, 5.0, What::Sleep { share: 0.2 })
        .passing(8.0, 5.0, What::ClockDrift { share: 0.5, ppm: 1000 })
        .passing(8.0, 5.0, What::StoreFails { share: 0.5, calls: 0.5 })
        .fault(9.0, What::ClockStep { share: 0.5, by: -10.0 })
        .fault(10.0, What::Crash { share: 0.3, restart_after: 2.0 })
        .fault(11.0, What::Crowd { share: 0.3, over: 5.0 })
        .fault(12.0, What::Firewall { share: 0.3 })
        .phase("only", 1.0)
        .at_least(Measure::Success { of: OpKind::Get }, 0.0);
    (scenario.workload.values, scenario.workload.providers) = (2, 2);
    (scenario.workload.publish_over, scenario.workload.updates) = (5.0, 0.5);
    (scenario.population.slow, scenario.population.slow_by) = (0.1, 1.0);
    (scenario.population.falsely_public, scenario.population.recheck) = (0.1, 4.0);
    scenario
}

type Field = (&'static str, fn(&mut Scenario, f64));

/// Every field that is a number; whole numbers take what is nearest.
const FIELDS: &[Field] = &[
    ("nodes", |s, x| s.nodes = x as u32),
    ("duration", |s, x| s.duration = x),
    ("start.over", |s, x| s.start = Start::Join { over: x, settle: 1.0 }),
    ("start.settle", |s, x| s.start = Start::Join { over: 1.0, settle: x }),
    ("sample_interval", |s, x| s.sample_interval = x),
    ("engine.k", |s, x| s.engine.k = Some(x as usize)),
    ("engine.alpha", |s, x| s.engine.alpha = Some(x as usize)),
    ("engine.beta", |s, x| s.engine.beta = Some(x as usize)),
    ("engine.disjoint_paths", |s, x| s.engine.disjoint_paths = Some(x as usize)),
    ("engine.retries", |s, x| s.engine.retries = Some(x as u32)),
    ("engine.request_timeout", |s, x| s.engine.request_timeout = Some(x)),
    ("engine.refresh_interval", |s, x| s.engine.refresh_interval = Some(x)),
    ("engine.replacements", |s, x| s.engine.replacements = Some(x as usize)),
    ("engine.max_failures", |s, x| s.engine.max_failures = Some(x as u32)),
    ("engine.max_table", |s, x| s.engine.max_table = Some(x as usize)),
    ("engine.known_peers", |s, x| s.engine.known_peers = Some(x as usize)),
    ("engine.republish_interval", |s, x| s.engine.republish_interval = Some(x)),
    ("engine.sweep_interval", |s, x| s.engine.sweep_interval = Some(x)),
    ("links.latency.ms", |s, x| s.links.latency = Latency::Constant { ms: x }),
    ("links.latency.median_ms", |s, x| {
        s.links.latency = Latency::Lognormal { median_ms: x, sigma: 5.0 };
    }),
    ("links.latency.sigma", |s, x| s.links.latency = Latency::Lognormal { median_ms: 1e6, sigma: x }),
    ("links.jitter", |s, x| s.links.jitter = x),
    ("links.loss", |s, x| s.links.loss = x),
    ("links.duplicate", |s, x| s.links.duplicate = x),
    ("links.burst.every", |s, x| s.links.burst.as_mut().unwrap().every = x),
    ("links.burst.lasts", |s, x| s.links.burst.as_mut().unwrap().lasts = x),
    ("links.reorder.by", |s, x| s.links.reorder.as_mut().unwrap().by = x),
    ("links.bandwidth", |s, x| s.links.bandwidth = Some(x)),
    ("population.clients", |s, x| s.population.clients = x),
    ("population.silent", |s, x| s.population.silent = x),
    ("population.slow_by", |s, x| s.population.slow_by = x),
    ("population.recheck", |s, x| s.population.recheck = x),
    ("stores.sync_interval", |s, x| s.stores.sync_interval = x),
    ("stores.max_records", |s, x| s.stores.max_records = Some(x as usize)),
    ("churn.median_session", |s, x| s.churn.as_mut().unwrap().median_session = x),
    ("churn.median_gap", |s, x| s.churn.as_mut().unwrap().median_gap = x),
    ("churn.sigma", |s, x| s.churn.as_mut().unwrap().sigma = x),
    ("churn.crashes", |s, x| s.churn.as_mut().unwrap().crashes = x),
    ("workload.values", |s, x| s.workload.values = x as u32),
    ("workload.providers", |s, x| s.workload.providers = x as u32),
    ("workload.publish_from", |s, x| s.workload.publish_from = x),
    ("workload.publish_over", |s, x| s.workload.publish_over = x),
    ("workload.updates", |s, x| s.workload.updates = x),
    ("workload.reads", |s, x| s.workload.reads = x),
    ("workload.wanted", |s, x| s.workload.wanted = x as u32),
    ("workload.zipf", |s, x| s.workload.zipf = x),
    ("workload.lookups", |s, x| s.workload.lookups = x),
    ("faults.at", |s, x| s.faults[0].at = x),
    ("faults.lasts", |s, x| s.faults[0].lasts = Some(x)),
    ("faults.weather", |s, x| {
        let latency = Latency::Constant { ms: x };
        s.faults[0].what = What::Weather { links: Links { latency, ..Links::default() } };
    }),
    ("faults.partition", |s, x| s.faults[1].what = What::Partition { sides: vec![1.0, x] }),
    ("faults.slow", |s, x| s.faults[2].what = What::Slow { share: 0.5, by: x }),
    ("faults.sleep", |s, x| s.faults[3].lasts = Some(x)),
    ("faults.clock_drift", |s, x| s.faults[4].what = What::ClockDrift { share: 0.5, ppm: x as i64 }),
    ("faults.store_fails", |s, x| s.faults[5].what = What::StoreFails { share: 0.5, calls: x }),
    ("faults.clock_step", |s, x| s.faults[6].what = What::ClockStep { share: 0.5, by: x }),
    ("faults.crash", |s, x| s.faults[7].what = What::Crash { share: 0.5, restart_after: x }),
    ("faults.crowd.share", |s, x| s.faults[8].what = What::Crowd { share: x, over: 1.0 }),
    ("faults.crowd.over", |s, x| s.faults[8].what = What::Crowd { share: 1.0, over: x }),
    ("faults.spam", |s, x| {
        s.faults.push(Fault {
            at: 1.0,
            lasts: None,
            what: What::Spam { ids: 2, keys: x as u32, networks: None, over: x },
        });
    }),
    ("faults.spam.networks", |s, x| {
        s.overlay = OverlayKind::Mainline;
        s.faults.push(Fault {
            at: 1.0,
            lasts: None,
            what: What::Spam { ids: 2, keys: 1, networks: Some(x as u32), over: 1.0 },
        });
    }),
    ("faults.eclipse", |s, x| {
        let what = What::Eclipse { per_bucket: 1, conduct: Conduct::Collude, restart_after: Some(x) };
        s.faults.push(Fault { at: 1.0, lasts: None, what });
    }),
    ("phases.from", |s, x| s.phases[0].from = x),
    ("checks.at_least", |s, x| s.checks.push(Check { at_least: Some(x), ..Check::of(Measure::Timeouts) })),
];

const ODD: [f64; 12] = [
    0.0,
    -1.0,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MIN_POSITIVE,
    1e-9,
    0.5,
    1.0,
    1e6,
    1e9,
    1e12,
];

/// Whether a run takes so little that a test can wait for it: what is allowed may still be long.
fn is_short(s: &Scenario) -> bool {
    let joining = match s.start {
        Start::Warm => 0.0,
        Start::Join { over, settle } => over + settle,
    };
    let crowd = s.faults.iter().all(|fault| !matches!(fault.what, What::Crowd { share, .. } if share > 10.0));
    let work = &s.workload;
    s.duration + joining < 1e3
        && s.nodes < 100
        && work.values.max(work.providers) < 1000
        && work.updates.max(work.reads).max(work.lookups) < 10.0
        && s.churn.is_none_or(|churn| churn.median_gap < 10.0 * churn.median_session)
        && crowd
}

fn ends_or_is_refused(scenario: &Scenario) {
    if scenario.validate().is_ok() && is_short(scenario) {
        scenario.run().unwrap();
    }
}

#[test]
fn one_odd_number_anywhere_is_refused_or_the_run_ends() {
    let mut runs = 0;
    for (name, set) in FIELDS {
        for odd in ODD {
            let mut scenario = eventful(OverlayKind::Compact);
            scenario.validate().unwrap();
            set(&mut scenario, odd);
            runs += u32::from(scenario.validate().is_ok() && is_short(&scenario));
            println!("{name} = {odd}");
            ends_or_is_refused(&scenario);
        }
    }
    assert!(runs > 150, "{runs}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn odd_numbers_together_are_refused_or_the_run_ends(
        seed in any::<u64>(),
        overlay in prop::sample::select(vec![OverlayKind::Ipfs, OverlayKind::Mainline, OverlayKind::Compact]),
        changes in prop::collection::vec((prop::sample::select(FIELDS), prop::sample::select(&ODD[..])), 2..4),
    ) {
        let mut scenario = eventful(overlay).seed(seed);
        changes.iter().for_each(|((_, set), odd)| set(&mut scenario, *odd));
        ends_or_is_refused(&scenario);
    }
}
