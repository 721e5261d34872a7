//! Every way a value can arrive, what each error says, and that every option arrives somewhere.

use std::{collections::BTreeMap, time::Duration};

use dht_core::ErrorKind;

use crate::{
    Loader, Preset, Settings, Source,
    leaves::{self, OPTIONS},
    settings::{Addresses, Mode, Switch},
};

fn text(content: &str) -> Loader {
    Loader::new().text("dht.toml", content)
}

fn fault(loader: Loader) -> String {
    let error = loader.load().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let line = error.to_string();
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

#[test]
fn defaults_are_valid_and_are_those_of_the_crates() {
    let settings = Settings::default();
    assert_eq!(settings.validate(), Ok(()));
    assert_eq!(settings.routing_config(), dht_routing::Config::default());
    assert_eq!(settings.query_config(), dht_query::Config::default());
    assert_eq!(settings.node_config(), dht_protocol::Config::default());
    assert_eq!(settings.bootstrap_options(), dht_routing::BootstrapOptions::default());
    assert_eq!(settings.memory_config(), dht_records::MemoryConfig::default());
    assert_eq!(settings.republish_config(), dht_records::RepublishConfig::default());
}

#[test]
fn defaults_are_the_documented_figures() {
    let settings = Settings::default();
    let hours = |n: u64| Duration::from_secs(n * 3600);
    assert_eq!((settings.routing.bucket_size, settings.query.alpha, settings.query.beta), (20, 10, 3));
    assert_eq!(settings.records.value_age, hours(48));
    assert_eq!(settings.records.provider_age, hours(48));
    assert_eq!(settings.records.address_age, hours(24));
    assert_eq!(settings.republish.interval, hours(22));
    assert_eq!(settings.routing.refresh_interval, Duration::from_secs(600));
    assert_eq!(settings.routing.lookup_timeout, Duration::from_secs(10));
    assert_eq!(settings.bootstrap.timeout, Duration::from_secs(30));
    assert_eq!(settings.query.query_timeout, Duration::from_secs(60));
    assert_eq!((settings.query.retries, settings.query.backoff_factor), (3, 2.0));
    assert_eq!(settings.query.backoff_jitter, 0.2);
    assert_eq!((settings.routing.max_size, settings.routing.max_checks), (1000, 256));
    assert_eq!(settings.protocols(), ["/ipfs/kad/1.0.0"]);
    assert!(settings.public_addresses_only() && settings.hides_localhost());
}

#[test]
fn each_layer_is_stronger_than_the_one_before_and_is_named_as_the_source() {
    let loaded =
        text("preset = 'server'\n[network]\nname = '/my-net'\n\n[query]\nalpha = 7\nretries = 9\nbeta = 8")
            .environment([("DHT_QUERY__BETA", "6"), ("DHT_QUERY__RETRIES", "5"), ("HOME", "x")])
            .flag("--retries", "query.retries", "4")
            .load()
            .unwrap();
    let settings = &loaded.settings;
    assert_eq!(settings.routing.bucket_size, 30);
    assert_eq!(*loaded.source("routing.bucket_size"), Source::Preset(Preset::Server));
    assert_eq!(settings.query.alpha, 7);
    assert_eq!(loaded.source("query.alpha").to_string(), "dht.toml:6");
    assert_eq!(settings.query.beta, 6);
    assert_eq!(loaded.source("query.beta").to_string(), "DHT_QUERY__BETA");
    assert_eq!(settings.query.retries, 4);
    assert_eq!(loaded.source("query.retries").to_string(), "--retries");
    assert_eq!(*loaded.source("query.hedge"), Source::Default);
    assert_eq!(loaded.preset, Some(Preset::Server));
    assert_eq!(loaded.source("preset").to_string(), "dht.toml:1");
}

#[test]
fn a_later_file_is_stronger_and_the_program_names_the_preset_first() {
    let loaded = text("preset = 'server'\n[query]\nalpha = 7")
        .text("local.toml", "[query]\nalpha = 8")
        .preset(Preset::Testing)
        .load()
        .unwrap();
    assert_eq!(loaded.settings.query.alpha, 8);
    assert_eq!(loaded.source("query.alpha").to_string(), "local.toml:2");
    assert_eq!(loaded.preset, Some(Preset::Testing));
    assert_eq!(loaded.source("preset").to_string(), "program");
}

#[test]
fn every_option_can_be_set_in_toml_and_in_the_environment() {
    let mut file = BTreeMap::<&str, String>::new();
    for (option, value) in OPTIONS.iter() {
        let (section, key) = option.split_once('.').unwrap();
        file.entry(section).or_default().push_str(&format!("{key} = {value}\n"));
        let plain = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Array(items) => {
                items.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(",")
            }
            other => other.to_string(),
        };
        let variable = format!("DHT_{}", option.replace('.', "__").to_uppercase());
        let loaded = Loader::new().environment([(&variable, plain)]).load().unwrap();
        assert_eq!(*loaded.source(option), Source::Environment(variable));
        let shown = loaded.show().into_iter().find(|shown| shown.option == *option).unwrap();
        assert_eq!(shown.value, Some(value.to_string()));
    }
    let file: String = file.into_iter().map(|(section, keys)| format!("[{section}]\n{keys}")).collect();
    let loaded = text(&file).load().unwrap();
    assert!(OPTIONS.keys().all(|option| matches!(loaded.source(option), Source::File { .. })));
    assert_eq!(loaded.show().len(), OPTIONS.len() + 1);
}

#[test]
fn every_option_without_a_default_is_known() {
    // Serialised, an unset option does not show; deserialised, serde would name it among those it expects.
    for section in ["network", "bootstrap", "routing", "query", "records", "republish", "filter", "host"] {
        let option = format!("{section}.no-such-option");
        let expected = leaves::unflatten(&[(option, true.into())].into()).unwrap_err();
        let named: Vec<&str> = expected.split('`').skip(3).step_by(2).collect();
        assert!(named.len() > 1, "{expected}");
        for key in named {
            assert!(OPTIONS.contains_key(&format!("{section}.{key}")), "{section}.{key}");
        }
    }
}

#[test]
fn each_option_that_a_crate_takes_reaches_its_config() {
    // Doubles every number and duration of these sections, one at a time: some config must differ from the default.
    let configs = |settings: &Settings| {
        format!(
            "{:?}{:?}{:?}{:?}{:?}{:?}",
            settings.routing_config(),
            settings.query_config(),
            settings.node_config(),
            settings.bootstrap_options(),
            settings.memory_config(),
            settings.republish_config(),
        )
    };
    let default = configs(&Settings::default());
    let elsewhere = [
        "bootstrap.peers",
        "records.values",
        "records.providers",
        "records.namespaces",
        "records.value_age",
        "records.provider_age",
        "records.address_age",
        "records.sweep_interval",
        "records.max_store_jobs",
        "republish.interval",
        "republish.timeout",
    ];
    let sections = ["bootstrap.", "routing.", "query.", "records.", "republish."];
    for (option, value) in OPTIONS.iter() {
        if !sections.iter().any(|section| option.starts_with(section)) || elsewhere.contains(&option.as_str())
        {
            continue;
        }
        let changed = match value {
            toml::Value::Integer(n) => toml::Value::Integer(n * 2),
            toml::Value::Float(n) => toml::Value::Float(n * 2.0),
            toml::Value::Boolean(on) => toml::Value::Boolean(!on),
            _ => toml::Value::String("77s".to_owned()),
        };
        let settings = leaves::unflatten(&[(option.clone(), changed)].into()).unwrap();
        assert_ne!(configs(&settings), default, "{option} changes nothing");
    }
    let server = Settings {
        network: crate::settings::Network { mode: Mode::Server, ..Default::default() },
        ..Default::default()
    };
    assert!(server.node_config().serve);
}

#[test]
fn options_that_several_crates_need_reach_each_of_them() {
    let settings =
        text("[network]\nname = '/n'\n[routing]\nbucket_size = 7\n[query]\nalpha = 1\nbeta = 4").load();
    let settings = settings.unwrap().settings;
    assert_eq!((settings.routing_config().k, settings.query_config().k), (7, 7));
    assert_eq!(settings.node_config().closer_per_answer, 7);
    assert_eq!(settings.query_config().alpha, 1);
    assert_eq!(settings.query_config().approach, 1);
    assert_eq!((settings.routing_config().resiliency, settings.query_config().beta), (4, 4));
}

#[test]
fn an_unknown_option_is_named_with_its_line_and_the_nearest_one() {
    assert_eq!(
        fault(text("[query]\nalpha = 3\nalfa = 4")),
        "dht.toml:3: there is no option `query.alfa`; did you mean `query.alpha`?"
    );
    assert_eq!(
        fault(text("[quary]\nalpha = 3")),
        "dht.toml:2: there is no option `quary.alpha`; did you mean `query.alpha`?"
    );
    assert_eq!(
        fault(text("alpha = 3")),
        "dht.toml:1: there is no option `alpha`; did you mean `query.alpha`?"
    );
    assert_eq!(fault(text("\n[metriks]")), "dht.toml:2: there is no option `metriks`");
    assert_eq!(
        fault(Loader::new().environment([("DHT_QUERY__ALFA", "4")])),
        "DHT_QUERY__ALFA: there is no option `query.alfa`; did you mean `query.alpha`?"
    );
    assert_eq!(
        fault(Loader::new().environment([("DHT_QUERY_ALPHA", "4")])),
        "DHT_QUERY_ALPHA: there is no option `query_alpha`; did you mean `DHT_QUERY__ALPHA`?"
    );
}

#[test]
fn variables_of_container_platforms_are_left_alone() {
    let loaded =
        Loader::new().environment([("DHT_PORT", "tcp://10.0.0.1:4001"), ("DHT_SERVICE_HOST", "10.0.0.1")]);
    assert_eq!(loaded.load().unwrap().settings, Settings::default());
}

#[test]
fn a_value_of_the_wrong_kind_says_what_would_be_right() {
    for (content, expected) in [
        ("[query]\nalpha = 'many'", "dht.toml:2: `query.alpha` is \"many\": a whole number, zero or more"),
        ("[query]\nalpha = -1", "dht.toml:2: `query.alpha` is -1: a whole number, zero or more"),
        ("[query]\nhedge = 1", "dht.toml:2: `query.hedge` is 1: true or false"),
        (
            "[query]\nquery_timeout = 60",
            "dht.toml:2: `query.query_timeout` is 60: a duration, such as \"500ms\", \"10s\" or \"48h\"",
        ),
        (
            "[network]\nlisten = '/ip4/0.0.0.0/tcp/1'",
            "dht.toml:2: `network.listen` is \"/ip4/0.0.0.0/tcp/1\": a list of texts, such as [\"a\", \"b\"]",
        ),
        (
            "[network]\nmode = 'serve'",
            "dht.toml:2: `network.mode` is \"serve\": one of `auto`, `client`, `server`, `auto-server`",
        ),
        ("query = 3", "dht.toml:1: `query` is 3: a section"),
    ] {
        assert_eq!(fault(text(content)), expected);
    }
    assert_eq!(
        fault(Loader::new().environment([("DHT_QUERY__RETRIES", "few")])),
        "DHT_QUERY__RETRIES: `query.retries` is \"few\": a whole number, zero or more"
    );
    assert_eq!(
        fault(Loader::new().flag("--timeout", "query.query_timeout", "soon")),
        "--timeout: `query.query_timeout` is \"soon\": a duration, such as \"500ms\", \"10s\" or \"48h\""
    );
}

#[test]
fn what_is_no_toml_is_named_with_its_line() {
    let line = fault(text("[query]\nalpha = = 3"));
    assert!(line.starts_with("dht.toml:2: not valid TOML: "), "{line}");
    let line = fault(text("[query]\nalpha = 3\nalpha = 4"));
    assert!(line.starts_with("dht.toml:3: not valid TOML: "), "{line}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let line = fault(Loader::new().file("no-such-folder/dht.toml"));
    assert!(line.starts_with("cannot read no-such-folder/dht.toml: "), "{line}");
}

#[test]
fn a_broken_rule_names_the_place_of_the_value() {
    for (content, expected) in [
        ("[query]\nalpha = 0", "dht.toml:2: `query.alpha` is 0: 1 to 65536"),
        (
            "[network]\nname = 'my-net'",
            "dht.toml:2: `network.name` is \"my-net\": `amino`, or a protocol prefix such as `/my-net`",
        ),
        ("[host]\nhigh_water = 100", "default: `host.low_water` is 160: at most `host.high_water`"),
        ("[records]\naddress_age = '0s'", "dht.toml:2: `records.address_age` is 0ns: longer than zero"),
    ] {
        assert_eq!(fault(text(content)), expected);
    }
    for (content, option) in [
        ("[routing]\nmax_refresh_prefix = 16", "routing.max_refresh_prefix"),
        ("[routing]\nmax_known_peers = 0", "routing.max_known_peers"),
        ("[query]\nbeta = 21", "query.beta"),
        ("[query]\nbackoff_factor = 0.5", "query.backoff_factor"),
        ("[records]\nmax_records = 0", "records.max_records"),
        ("[republish]\njitter = 0.9", "republish.jitter"),
        ("[republish]\ninterval = '50h'", "republish.interval"),
        ("[bootstrap]\npeers = ['192.0.2.1:4001']", "bootstrap.peers"),
        ("[bootstrap]\nparallel = 0", "bootstrap.parallel"),
        ("[network]\nlisten = ['0.0.0.0:4001']", "network.listen"),
        ("[network]\nextension = 'lan'", "network.extension"),
        ("[network]\nprotocols = ['kad']", "network.protocols"),
        ("[network]\nidentity = ''", "network.identity"),
    ] {
        assert_eq!(text(content).load().unwrap_err().option(), Some(option), "{content}");
    }
}

#[test]
fn amino_refuses_what_harms_it_and_a_private_network_does_not() {
    for (section, line, option) in [
        ("routing", "bucket_size = 19", "routing.bucket_size"),
        ("records", "values = false", "records.values"),
        ("records", "providers = false", "records.providers"),
        ("records", "namespaces = ['v']", "records.namespaces"),
    ] {
        let content = format!("[{section}]\n{line}\n");
        let error = text(&content).load().unwrap_err();
        assert_eq!(error.option(), Some(option));
        assert!(error.to_string().starts_with("dht.toml:2: "), "{error}");
        let override_too =
            format!("{content}[network]\nname = '/n'\nprotocols = ['/n/kad/1.0.0', '/ipfs/kad/1.0.0']");
        assert_eq!(text(&override_too).load().unwrap_err().option(), Some(option));
        assert!(text(&format!("{content}[network]\nname = '/n'")).load().is_ok());
    }
    assert_eq!(
        text("[network]\nname = '/n'\n[records]\nnamespaces = ['a/b']").load().unwrap_err().option(),
        Some("records.namespaces")
    );
    assert_eq!(
        text("[network]\nname = '/n'\n[records]\nnamespaces = ['pk']").load().unwrap_err().option(),
        Some("records.namespaces")
    );
}

#[test]
fn the_network_decides_what_is_left_to_it() {
    let private = text("[network]\nname = '/n'\nextension = '/lan'").load().unwrap().settings;
    assert_eq!(private.protocols(), ["/n/lan/kad/1.0.0"]);
    assert!(!private.public_addresses_only() && !private.hides_localhost());
    let chosen = text("[network]\nname = '/n'\n[filter]\naddresses = 'public'\nlocalhost = 'off'");
    let chosen = chosen.load().unwrap().settings;
    assert!(chosen.public_addresses_only() && !chosen.hides_localhost());
    let mut settings = Settings::default();
    settings.filter.addresses = Addresses::Any;
    assert!(!settings.hides_localhost());
    settings.filter.localhost = Switch::On;
    assert!(settings.hides_localhost());
}

#[test]
fn presets_hold_the_documented_figures() {
    let private = |preset: Preset| {
        Loader::new().preset(preset).flag("--network", "network.name", "/n").load().unwrap().settings
    };
    for preset in Preset::ALL {
        assert_eq!(preset.name().parse(), Ok(preset));
        assert_eq!(Loader::new().preset(preset).load().unwrap().preset, Some(preset));
    }
    let mobile = private(Preset::Mobile);
    assert_eq!(mobile.network.mode, Mode::Client);
    assert!((10..=15).contains(&mobile.routing.bucket_size) && (3..=5).contains(&mobile.query.alpha));
    assert_eq!((mobile.query.beta, mobile.query.retries, mobile.routing.auto_refresh), (2, 2, false));
    let server = private(Preset::Server);
    assert_eq!(server.network.mode, Mode::Server);
    assert_eq!((server.routing.bucket_size, server.query.alpha, server.query.beta), (30, 15, 5));
    let fast = private(Preset::HighPerformance);
    assert_eq!((fast.routing.bucket_size, fast.query.alpha, fast.query.beta), (50, 25, 10));
    assert_eq!((fast.routing.max_checks, fast.query.retries), (1024, 7));
    assert_eq!(fast.query.backoff_initial, Duration::from_millis(50));
    assert_eq!(fast.query.backoff_max, Duration::from_secs(60));
    assert_eq!(fast.query.backoff_factor, 1.5);
    assert_eq!(fast.routing.refresh_interval, Duration::from_secs(120));
    let lan = Loader::new().preset(Preset::Lan).load().unwrap().settings;
    assert_eq!(lan.protocols(), ["/ipfs/lan/kad/1.0.0"]);
    assert!(lan.is_amino() && !lan.public_addresses_only() && lan.bootstrap.peers.is_empty());
    let amino = Loader::new().preset(Preset::Amino).load().unwrap().settings;
    assert_eq!(amino, Settings::default());
    let testing = Loader::new().preset(Preset::Testing).load().unwrap().settings;
    assert!(!testing.is_amino() && !testing.routing.auto_refresh && testing.network.mode == Mode::Server);
}

#[test]
fn on_amino_a_presets_bucket_size_gives_way_and_an_explicit_one_does_not() {
    let loaded = Loader::new().preset(Preset::Mobile).load().unwrap();
    assert_eq!(loaded.settings.routing.bucket_size, 20);
    assert_eq!(*loaded.source("routing.bucket_size"), Source::Amino);
    assert_eq!(
        fault(text("preset = 'mobile'\n[routing]\nbucket_size = 12")),
        "dht.toml:3: `routing.bucket_size` is 12: the Amino network takes only 20; \
         for another, set `network.name` to a private network"
    );
}

#[test]
fn an_unknown_preset_is_answered_with_the_known_ones() {
    assert_eq!(
        fault(Loader::new().environment([("DHT_PRESET", "phone")])),
        "DHT_PRESET: there is no preset `phone`; there are amino, lan, mobile, server, high_performance, testing"
    );
}

#[test]
fn what_is_shown_loads_again() {
    let loaded =
        text("preset = 'high_performance'\n[network]\nname = '/n'\nidentity = 'node.key'").load().unwrap();
    let again: Loader = loaded.show().into_iter().filter(|shown| shown.option != "preset").fold(
        Loader::new(),
        |loader, shown| match shown.value {
            Some(value) => {
                let (section, key) = shown.option.split_once('.').unwrap();
                loader.text("shown", format!("[{section}]\n{key} = {value}"))
            }
            None => loader,
        },
    );
    assert_eq!(again.load().unwrap().settings, loaded.settings);
}
