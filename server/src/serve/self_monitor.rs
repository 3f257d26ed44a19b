//! The agent on this machine itself, over loopback and with a token of its own.

use crate::agent;
use crate::client::{SenderOptions, Target};
use anyhow::{Context, Result};
use domain::api::{TokenInput, TokenKind};
use domain::{Lang, SourceKey, TenantId};
use services::{Ctx, Services};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What its token is called.
const NAME: &str = "self-monitor";

/// How it sends into a tenant: as a source with this machine's name, by a token that is made anew at each start, so that
/// its secret is written nowhere. The one of the start before is revoked, those before it are removed.
///
/// # Errors
/// Where the database fails.
pub async fn options(services: &Services, tenant: TenantId, ingestion: SocketAddr) -> Result<SenderOptions> {
    let ctx = Ctx::local_in(Lang::En, tenant);
    let host = agent::host_name();
    // A name that no source can have is left to the server, which says so.
    let source = SourceKey::new(&host).ok();
    let before = services.tokens(&ctx, Some(TokenKind::Ingest)).await.context("reading the tokens")?;
    for old in before {
        // Other machines on the same database have tokens of the same name.
        if old.name != NAME || old.source != source {
            continue;
        }
        if old.revoked_at.is_none() {
            // For now it stays, so that a process that has it is refused by that name.
            services.revoke_token(&ctx, &old.id).await.context("revoking the self-monitor's last token")?;
        } else {
            services
                .remove_ended_token(&ctx, &old.id)
                .await
                .context("removing an old self-monitor's token")?;
        }
    }
    let input = TokenInput {
        kind: TokenKind::Ingest,
        name: NAME.to_owned(),
        source: source.clone(),
        role: None,
        expires_at: None,
    };
    let made = services.create_token(&ctx, input).await.context("making the self-monitor's token")?;
    let ip = if ingestion.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { ingestion.ip() };
    Ok(SenderOptions {
        target: Target { address: SocketAddr::new(ip, ingestion.port()).to_string(), ..Target::default() },
        token: Some(made.token),
        source: source.is_none().then_some(host),
        stream: agent::new_stream("self"),
        window: 1_000,
        ..SenderOptions::default()
    })
}

/// Measures and sends until stopped.
pub async fn run(options: SenderOptions, every: Duration, stop: CancellationToken) {
    if let Err(error) = agent::run(options, every, stop).await {
        tracing::warn!(%error, "this machine is no longer watched; the next start makes a new token for it");
    }
}
