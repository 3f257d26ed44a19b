//! Roles within a tenant, and what each may do.

use serde::{Deserialize, Serialize};

/// A person's role in a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything of the tenant.
    Viewer,
    /// Also changes sources, ingest tokens and shared views.
    Editor,
    /// Also members, API tokens of others, settings.
    Owner,
}

impl Role {
    /// The name stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        }
    }

    /// Reads [`Role::name`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Viewer, Self::Editor, Self::Owner].into_iter().find(|r| r.name() == text)
    }

    /// Whether this role holds a permission.
    pub fn may(self, permission: Permission) -> bool {
        self >= match permission {
            Permission::ReadEvents | Permission::ReadSources | Permission::OwnAccount => Self::Viewer,
            Permission::SendEvents
            | Permission::WriteSources
            | Permission::IngestTokens
            | Permission::ResolveDeadLetters => Self::Editor,
            Permission::ApiTokens | Permission::TenantSettings => Self::Owner,
            Permission::Platform => return false,
        }
    }
}

/// What a use case asks for. One row of the authorisation table names one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Search, histogram, facets, export, live tail, metrics.
    ReadEvents,
    /// List and look at sources.
    ReadSources,
    /// Send events by HTTP.
    SendEvents,
    /// Create, change, delete sources.
    WriteSources,
    /// Make, list and revoke ingest tokens; see refusals.
    IngestTokens,
    /// Edit, replay and discard dead letters.
    ResolveDeadLetters,
    /// Make, list and revoke API tokens.
    ApiTokens,
    /// Zone, retention and other settings of the tenant.
    TenantSettings,
    /// One's own profile, password, sessions and preferences. People only, never tokens.
    OwnAccount,
    /// Tenants and people of the whole installation: operators and the local command line, no tenant role.
    Platform,
}
