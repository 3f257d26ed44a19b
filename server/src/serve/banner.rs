//! What `qgx serve` says once it is ready: where it is, and what to do next.

use super::Addresses;
use super::owner::OwnerPassword;
use crate::config::{Config, Tls};
use domain::Lang;
use std::fmt::Write;
use std::net::SocketAddr;

/// The language of a terminal, by `LC_ALL`, `LC_MESSAGES`, `LANG`; English where they say neither.
pub fn terminal_language() -> Lang {
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .and_then(|value| Lang::from_tag(&value))
        .unwrap_or(Lang::En)
}

/// The address by which a browser on this machine reaches a listener.
fn local(address: SocketAddr) -> String {
    if address.ip().is_unspecified() || address.ip().is_loopback() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

/// The lines.
pub fn text(
    lang: Lang,
    config: &Config,
    addresses: &Addresses,
    email: Option<&str>,
    password: &OwnerPassword,
) -> String {
    let scheme = if config.tls == Tls::Off { "http" } else { "https" };
    let public = |listens: Option<SocketAddr>, set: &Option<String>| {
        listens.map(|at| set.clone().unwrap_or_else(|| format!("{scheme}://{}", local(at))))
    };
    let web = public(addresses.front, &config.web.public_url);
    let api = public(addresses.back, &config.web.api_public_url).map(|api| format!("{api}/api/v1/docs"));
    let tcp = addresses.ingestion.map(local);
    let processor = addresses.processor.map(|at| format!("{scheme}://{}", local(at)));
    let management_scheme = if config.listen.management_tls { scheme } else { "http" };
    let management = format!("{management_scheme}://{}/readyz", local(addresses.management));
    let mut out = String::new();
    let rows = [
        (lang.pick("웹", "web"), web),
        (lang.pick("REST API", "REST API"), api),
        (lang.pick("수집 (TCP)", "data (TCP)"), tcp.clone()),
        (lang.pick("처리기", "processor"), processor),
        (lang.pick("관리", "management"), Some(management)),
        (lang.pick("데이터 폴더", "data directory"), Some(config.data_dir.display().to_string())),
    ];
    let rows = rows.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let _ = writeln!(out, "\n  {}\n", lang.pick("QGX가 준비되었습니다.", "QGX is ready."));
    for (name, value) in rows {
        let _ = writeln!(out, "  {}{value}", padded(name));
    }
    let _ = writeln!(out);
    if let Some(email) = email {
        let _ = writeln!(out, "  {}{email}", padded(lang.pick("로그인", "sign in as")));
    }
    match password {
        OwnerPassword::Known => {}
        OwnerPassword::Shown(secret) => {
            let note = lang.pick("지금 한 번만 보입니다", "shown only now");
            let _ = writeln!(out, "  {}{secret}   ({note})", padded(lang.pick("비밀번호", "password")));
        }
        OwnerPassword::Written(file) => {
            let _ =
                writeln!(out, "  {}{}", padded(lang.pick("비밀번호 파일", "password in")), file.display());
        }
    }
    let Some(tcp) = tcp else { return out };
    let (host, port) = tcp.rsplit_once(':').unwrap_or((&tcp, ""));
    let _ = writeln!(out, "\n  {}", lang.pick("다음 단계", "Next"));
    let _ = writeln!(out, "    nc {host} {port} < FILE");
    let _ = writeln!(out, "    qgx send --to {tcp} FILE");
    let _ = writeln!(
        out,
        "    qgx token create{} --tenant default --kind ingest   {}",
        config.data_dir_flag(),
        lang.pick("# 다른 기기에서 보낼 때", "# to send from other machines")
    );
    out
}

/// A heading of fixed width; Hangul is two columns wide.
fn padded(name: &str) -> String {
    let width: usize = name.chars().map(|c| if c > '\u{1100}' { 2 } else { 1 }).sum();
    format!("{name}{}", " ".repeat(18_usize.saturating_sub(width)))
}
