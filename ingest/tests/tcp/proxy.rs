//! Connections through a proxy.

use crate::rig::Rig;
use crate::tls::Tls;
use ingest::protocol::proxy::SIGNATURE;
use ingest::{IntakeConfig, TcpConfig};
use store::broker::Topic;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn behind(networks: &[&str]) -> TcpConfig {
    let proxy_protocol_from = networks.iter().map(|network| network.parse().unwrap()).collect();
    TcpConfig { proxy_protocol_from, ..TcpConfig::default() }
}

fn version_2(address: [u8; 4]) -> Vec<u8> {
    [SIGNATURE, &[0x21, 0x11, 0, 12], &address, &[10, 0, 0, 1, 0, 1, 0, 2]].concat()
}

#[tokio::test]
async fn the_address_behind_counts() {
    async fn check(header: &[u8], peer: &str) {
        let rig = Rig::with(behind(&["127.0.0.0/8"]), IntakeConfig::default(), true).await;
        rig.send([header, b"AUTH qgx_good\n{\"message\":\"a\"}\nnope\n"].concat()).await;
        assert_eq!(rig.messages(1).await, ["a"]);
        assert_eq!(rig.letters(1).await[0]["peer"], peer);
    }
    check(b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n", "192.0.2.7").await;
    check(b"PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n", "2001:db8::7").await;
    check(&version_2([192, 0, 2, 7]), "192.0.2.7").await;
    check(b"PROXY UNKNOWN\r\n", "127.0.0.1").await;
    check(b"", "127.0.0.1").await;
}

#[tokio::test]
async fn a_header_may_come_in_pieces() {
    let rig = Rig::with(behind(&["127.0.0.1/32"]), IntakeConfig::default(), true).await;
    let mut client = rig.connect().await;
    client.stream.get_ref().set_nodelay(true).unwrap();
    for byte in [version_2([192, 0, 2, 7]), b"HELLO {\"token\":\"qgx_good\"}\n".to_vec()].concat() {
        client.say([byte]).await;
        tokio::task::yield_now().await;
    }
    assert!(client.line().await.starts_with("OK "));
}

#[tokio::test]
async fn only_configured_proxies_are_believed_and_once() {
    async fn check(networks: &[&str], bytes: &[u8], code: &str) {
        let rig = Rig::with(behind(networks), IntakeConfig::default(), true).await;
        rig.send(bytes).await;
        assert_eq!(rig.refusals(1).await, [code], "{}", String::from_utf8_lossy(bytes));
        assert_eq!(rig.broker.records(Topic::Events).len(), 0);
    }
    let header = "PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n";
    let good = "AUTH qgx_good\n";
    check(&[], format!("{header}{good}a\n").as_bytes(), "proxy_not_allowed").await;
    check(&["10.0.0.0/8"], format!("{header}{good}a\n").as_bytes(), "proxy_not_allowed").await;
    check(&["10.0.0.0/8"], &version_2([127, 0, 0, 1]), "proxy_not_allowed").await;
    check(&["127.0.0.1/32"], format!("{header}{header}{good}a\n").as_bytes(), "proxy_not_allowed").await;
    check(&["127.0.0.1/32"], format!("{good}{header}a\n").as_bytes(), "proxy_not_allowed").await;
    check(&["127.0.0.1/32"], b"PROXY TCP4 nonsense\r\n", "bad_proxy_header").await;
    check(&["127.0.0.1/32"], SIGNATURE, "bad_proxy_header").await;
    // What comes through a proxy is not from this machine, whatever is said.
    check(&["127.0.0.1/32"], b"PROXY TCP4 127.0.0.1 10.0.0.1 1 2\r\na\n", "no_credential").await;
}

#[tokio::test]
async fn connections_are_counted_by_the_address_behind() {
    let config = TcpConfig { max_connections_per_address: 1, ..behind(&["127.0.0.1/32"]) };
    let rig = Rig::with(config, IntakeConfig::default(), true).await;
    let open =
        |address: &str| format!("PROXY TCP4 {address} 10.0.0.1 1 2\r\nHELLO {{\"token\":\"qgx_good\"}}\n");
    let (mut first, mut second) = (rig.connect().await, rig.connect().await);
    first.say(open("192.0.2.7")).await;
    assert!(first.line().await.starts_with("OK "));
    second.say(open("192.0.2.8")).await;
    assert!(second.line().await.starts_with("OK "));
    let mut third = rig.connect().await;
    third.say(open("192.0.2.7")).await;
    assert!(third.rest().await.starts_with("ERR {\"code\":\"too_many_connections\""));
}

#[tokio::test]
async fn the_header_comes_before_tls() {
    let tls = Tls::new();
    let proxies = behind(&["127.0.0.1/32"]).proxy_protocol_from;
    let rig =
        Rig::with(TcpConfig { proxy_protocol_from: proxies, ..tls.port() }, IntakeConfig::default(), true)
            .await;
    let mut client = tls.connect_behind(&rig, b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n").await;
    client.write_all(b"HELLO {\"token\":\"qgx_good\"}\n").await.unwrap();
    let mut answer = [0; 3];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"OK ");
}
