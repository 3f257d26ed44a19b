use super::*;
use std::collections::BTreeMap;

fn given(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> (tempfile::TempDir, Given) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("qgx.toml");
    std::fs::write(&path, file).unwrap();
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let mut env: BTreeMap<String, String> = env.iter().map(own).collect();
    env.entry("HOME".to_owned()).or_insert_with(|| "/home/somebody".to_owned());
    (dir, Given { config: Some(path), env, flags: flags.iter().map(own).collect() })
}

fn load(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let (_dir, given) = given(file, env, flags);
    Config::load(&given)
}

fn check_wrong(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)], expect: &[&str]) {
    let message = load(file, env, flags).unwrap_err().to_string();
    for part in expect {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn the_defaults_hold_together() {
    let config = load("", &[], &[]).unwrap();
    assert_eq!(config.roles.len(), 4);
    assert_eq!(config.listen.front.port(), 31_080);
    assert!(config.listen.management.ip().is_loopback());
    assert_eq!(config.data_dir, PathBuf::from("/home/somebody/.local/share/qgx"));
}

#[test]
fn commands_to_copy_name_the_data_directory_where_it_is_another() {
    fn check(flags: &[(&str, &str)], expect: &str) {
        assert_eq!(load("", &[], flags).unwrap().data_dir_flag(), expect);
    }
    check(&[], "");
    check(&[("data_dir", "/home/somebody/.local/share/qgx")], "");
    check(&[("data_dir", "/srv/qgx-2")], " --data-dir /srv/qgx-2");
    check(&[("data_dir", "/srv/it's here")], r" --data-dir '/srv/it'\''s here'");
}

#[test]
fn flags_win_over_environment_over_file_over_default() {
    fn check(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)], expect: u32) {
        assert_eq!(load(file, env, flags).unwrap().web.requests_per_sec, expect);
    }
    let env = [("QGX_API_REQUESTS_PER_SEC", "3")];
    check("", &[], &[], 50);
    check("api_requests_per_sec = 2", &[], &[], 2);
    check("api_requests_per_sec = 2", &env, &[], 3);
    check("api_requests_per_sec = 2", &env, &[("api_requests_per_sec", "4")], 4);
}

#[test]
fn every_listener_is_shifted_but_those_on_port_0() {
    let config = load("", &[("QGX_BACK_LISTEN", "127.0.0.1:0")], &[("port_offset", "100")]).unwrap();
    let Listen { front, back, ingestion, processor, management, management_tls: _ } = config.listen;
    assert_eq!(
        [front, back, ingestion, processor, management].map(|address| address.port()),
        [31_180, 0, 31_201, 31_202, 31_200]
    );
}

#[test]
fn all_mistakes_come_at_once_with_name_and_remedy() {
    check_wrong(
        "worker_thread = 3\nport_offset = \"many\"",
        &[("QGX_ROLES", "front,chef"), ("QGX_SECRET_KEYS", "short-but-secret"), ("QGX_TLS_CERT", "/x")],
        &[("public_url", "qgx.example.com/app")],
        &[
            "did you mean worker_threads?",
            "port_offset is \"many\"; give a whole number",
            "QGX_ROLES has \"chef\"; give all",
            "QGX_SECRET_KEYS has key 1 that is not 32 bytes",
            "QGX_TLS_CERT is set without tls_key",
            "--public-url is",
        ],
    );
}

#[test]
fn a_wrong_secret_is_not_repeated() {
    let message = load("", &[("QGX_SECRET_KEYS", "hunter2"), ("QGX_OWNER_PASSWORD", "hunter3")], &[])
        .unwrap_err()
        .to_string();
    assert!(!message.contains("hunter"), "{message}");
}

#[test]
fn other_stores_and_split_roles_are_refused_with_the_remedy() {
    check_wrong(
        "",
        &[("QGX_DATABASE_URL", "oracle://qgx:pass@db/qgx")],
        &[],
        &["QGX_DATABASE_URL", "does not support yet; give embedded:", "oracle://********@db/qgx"],
    );
    check_wrong("", &[], &[("roles", "front,back")], &["--roles splits the roles", "use --roles all"]);
}

#[test]
fn roles_are_split_on_engines_and_with_keys_that_all_share() {
    let key = base64::engine::general_purpose::STANDARD.encode([7; 32]);
    let engines = [
        ("QGX_DATABASE_URL", "mysql://qgx:hush@db/qgx"),
        ("QGX_BROKER_URL", "kafka://h1"),
        ("QGX_SEARCH_URL", "https://h1:9200"),
        ("QGX_SECRET_KEYS", &key),
    ];
    let roles = [("roles", "ingestion")];
    let config = load("", &engines, &roles).unwrap();
    assert!(config.is_split() && !config.is_embedded() && config.has(ServerRole::Ingestion));
    assert!(!config.has(ServerRole::Front));
    // Without one of them.
    let without = |index: usize, expect: &[&str]| {
        let mut some = engines.to_vec();
        some.remove(index);
        check_wrong("", &some, &roles, expect);
    };
    without(0, &["QGX_DATABASE_URL is embedded:", "give the address of an engine"]);
    without(1, &["QGX_BROKER_URL is embedded:"]);
    without(2, &["QGX_SEARCH_URL is embedded:"]);
    without(3, &["QGX_SECRET_KEYS is not set", "openssl rand"]);
    check_wrong("", &engines[1..2], &roles, &["QGX_DATABASE_URL, QGX_SEARCH_URL are embedded:"]);
}

#[test]
fn service_keys_are_two_at_most_and_long() {
    let check = |keys: &str, expect: usize| {
        assert_eq!(load("", &[("QGX_SERVICE_KEYS", keys)], &[]).unwrap().access.service_keys.len(), expect);
    };
    check("", 0);
    check("0123456789abcdef", 1);
    check("0123456789abcdef, fedcba9876543210", 2);
    let (short, three) = ("0123456789abcdef,hunter", "0123456789abcdef,0123456789abcde1,0123456789abcde2");
    check_wrong("", &[("QGX_SERVICE_KEYS", short)], &[], &["key 2 of fewer than 16 characters"]);
    check_wrong("", &[("QGX_SERVICE_KEYS", three)], &[], &["more than two keys"]);
}

#[test]
fn a_database_of_ones_own_is_taken_and_not_shown() {
    let config = load("", &[("QGX_DATABASE_URL", "mysql://qgx:hunter2@db/qgx")], &[]).unwrap();
    assert_eq!(config.database.as_ref().map(DatabaseUrl::secret), Some("mysql://qgx:hunter2@db/qgx"));
    assert!(!format!("{config:?}").contains("hunter"));
}

#[test]
fn kafka_is_a_broker_with_settings_of_its_own() {
    let url = ("QGX_BROKER_URL", "kafka://h1:9092,h2");
    let secure = [("QGX_KAFKA_USER", "qgx"), ("QGX_KAFKA_PASSWORD", "hush"), ("QGX_KAFKA_TLS", "true")];
    let env: Vec<_> = [url, ("QGX_KAFKA_REPLICATION", "1")].into_iter().chain(secure).collect();
    let kafka = load("", &env, &[]).unwrap().kafka.expect("the broker is Kafka");
    assert_eq!(kafka.bootstrap, "h1:9092,h2");
    assert_eq!((kafka.partitions, kafka.replication, kafka.min_in_sync), (24, 1, 1));
    assert!(kafka.tls.is_some() && kafka.sasl.is_some_and(|it| it.password == "hush"));
    assert!(load("", &[], &[]).unwrap().kafka.is_none());

    check_wrong("", &[("QGX_BROKER_URL", "kafka://")], &[], &["QGX_BROKER_URL names no servers"]);
    check_wrong("", &[url, ("QGX_KAFKA_USER", "qgx")], &[], &["QGX_KAFKA_USER goes with kafka_password"]);
    check_wrong(
        "",
        &[url, secure[0], secure[1], ("QGX_KAFKA_SASL_MECHANISM", "GSSAPI")],
        &[],
        &["QGX_KAFKA_SASL_MECHANISM is \"GSSAPI\""],
    );
}

#[test]
fn what_is_printed_is_redacted() {
    let key = base64::engine::general_purpose::STANDARD.encode([7; 32]);
    let (_dir, given) = given("", &[("QGX_SECRET_KEYS", &key), ("QGX_OWNER_PASSWORD", "correct horse")], &[]);
    let layers = Layers::read(&given, &mut Vec::new());
    for shown in [reference::effective(&layers), reference::effective_json(&layers).to_string()] {
        assert!(!shown.contains(&key) && !shown.contains("correct horse"), "{shown}");
        assert!(shown.contains("********"));
    }
}

#[test]
fn keys_are_unique_and_the_example_is_toml() {
    let keys: BTreeSet<_> = VARIABLES.iter().map(|variable| variable.key).collect();
    assert_eq!(keys.len(), VARIABLES.len());
    let uncommented: String = reference::toml_example()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    load(&uncommented, &[], &[]).unwrap();
}

#[test]
fn the_generated_files_are_current() {
    fn check(path: &str, expect: &str, command: &str) {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let found = std::fs::read_to_string(format!("{root}/{path}")).unwrap_or_default();
        assert!(found == expect, "{path} is out of date; run: {command}");
    }
    check(
        "qgx.toml.example",
        &reference::toml_example(),
        "cargo run -p server -- config --example > qgx.toml.example",
    );
    check(
        "docs/settings.md",
        &reference::markdown(),
        "cargo run -p server -- config --reference > docs/settings.md",
    );
}
