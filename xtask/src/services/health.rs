//! Whether a server answers in its own protocol: a listening port alone says little.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(3);

fn connect(port: u16) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), LIMIT).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    Some(stream)
}

/// How many servers a Kafka knows to be in its cluster: a Metadata request, version 1, for no topic.
pub fn kafka_servers(port: u16) -> Option<u32> {
    // Length, key 3, version 1, correlation 7, no client id, no topics.
    const REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0];
    let mut stream = connect(port)?;
    stream.write_all(&REQUEST).ok()?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).ok()?;
    // Length, correlation, count.
    u32::try_from(i32::from_be_bytes(answer[8..12].try_into().ok()?)).ok()
}

/// Whether anything answers HTTP.
pub fn http(port: u16) -> bool {
    let ask = || {
        let mut stream = connect(port)?;
        let request = format!("GET / HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).ok()?;
        Some(&answer == b"HTTP/")
    };
    ask().unwrap_or(false)
}

/// Whether an OpenSearch has a cluster manager and its shards.
pub fn opensearch(port: u16) -> bool {
    let ask = || {
        let mut stream = connect(port)?;
        let request = format!("GET /_cluster/health HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer.contains("\"status\":\"green\"") || answer.contains("\"status\":\"yellow\""))
    };
    ask().unwrap_or(false)
}

/// Whether a MySQL or MariaDB greets: the first packet is a handshake, version 10.
pub fn mysql(port: u16) -> bool {
    let ask = || {
        let mut stream = connect(port)?;
        let mut greeting = [0; 5];
        stream.read_exact(&mut greeting).ok()?;
        Some(greeting[4] == 10)
    };
    ask().unwrap_or(false)
}

/// Whether a PostgreSQL answers an SSLRequest, as it does once it takes connections.
pub fn postgres(port: u16) -> bool {
    let ask = || {
        let mut stream = connect(port)?;
        stream.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]).ok()?;
        let mut answer = [0];
        stream.read_exact(&mut answer).ok()?;
        Some(matches!(answer[0], b'S' | b'N'))
    };
    ask().unwrap_or(false)
}
