//! What services hand to the web and to REST: plain shapes, the same on the wire and in the browser.

use crate::{Event, Lang, Level, Role, SourceKey, TenantId, TimeRange, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// Where the next page starts; `null` on the last.
    pub next_cursor: Option<String>,
    /// How many there are in all.
    pub total: u64,
}

/// Newest or oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Newest first.
    #[default]
    Desc,
    /// Oldest first.
    Asc,
}

/// A query over a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventFilter {
    /// Text in the query language; empty is everything.
    pub q: String,
    /// By `ts`.
    pub range: TimeRange,
}

/// One page of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SearchResult {
    /// The events and their exact total.
    pub page: Page<Event>,
    /// How long the store took, in milliseconds.
    pub took_ms: f64,
    /// Arrivals of the last 15 minutes that match but whose `ts` lies outside the window; where there are any, the
    /// window that holds them.
    pub outside: Option<OutsideWindow>,
}

/// Events that arrived just now but lie outside the shown window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutsideWindow {
    /// How many.
    pub count: u64,
    /// A window that shows them all.
    pub range: TimeRange,
}

/// Counts over time, by level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Histogram {
    /// Bucket edges: `counts[i]` covers `edges[i] .. edges[i + 1]`; one more edge than buckets.
    pub edges: Vec<Timestamp>,
    /// One row a level (`None`: events without a level), each with a count per bucket.
    pub series: Vec<HistogramSeries>,
    /// Sum of all counts.
    pub total: u64,
    /// How long the store took, in milliseconds.
    pub took_ms: f64,
}

/// One level's counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistogramSeries {
    /// The level; `None`: events without one.
    pub level: Option<Level>,
    /// A count per bucket.
    pub counts: Vec<u64>,
}

/// A field's most frequent values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Facet {
    /// `level`, `source`, `kind`, or a field's name with dots.
    pub field: String,
    /// How many different values there are (exact below 10,000).
    pub distinct: u64,
    /// Most frequent first.
    pub values: Vec<FacetValue>,
}

/// One value of a facet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FacetValue {
    /// As text.
    pub value: String,
    /// How many events have it.
    pub count: u64,
}

/// A field that occurs, for completion and for columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldInfo {
    /// With dots.
    pub name: String,
    /// It has numbers.
    pub numeric: bool,
    /// It has strings.
    pub text: bool,
    /// It has booleans.
    pub boolean: bool,
}

/// The events around one: of the same source, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Surroundings {
    /// Earlier ones, oldest first.
    pub before: Vec<Event>,
    /// The one itself.
    pub event: Event,
    /// Later ones, oldest first.
    pub after: Vec<Event>,
}

/// How values of a step are summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    /// Mean.
    Avg,
    /// Least.
    Min,
    /// Greatest.
    Max,
    /// Sum.
    Sum,
    /// How many values.
    Count,
    /// The latest by `ts`.
    Last,
}

/// A question about a number over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MetricQuery {
    /// The field's name, with dots.
    pub metric: String,
    /// Of these sources; empty is all, each a series.
    #[serde(default)]
    pub sources: Vec<SourceKey>,
    /// How a step is summed up.
    pub aggregate: Aggregate,
    /// The window.
    pub range: TimeRange,
    /// Seconds a step; `None`: chosen so that about 300 points come.
    #[serde(default)]
    pub step_secs: Option<u32>,
}

/// The answer to a [`MetricQuery`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MetricResult {
    /// Start of each step.
    pub times: Vec<Timestamp>,
    /// Seconds a step.
    pub step_secs: u32,
    /// One a source.
    pub series: Vec<MetricSeries>,
    /// The least and greatest single value in the window, with their time: exact, whatever the step.
    pub extremes: Option<Extremes>,
}

/// One line of a chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MetricSeries {
    /// Whose.
    pub source: SourceKey,
    /// A value per step; `None` is a gap.
    pub values: Vec<Option<f64>>,
}

/// Least and greatest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Extremes {
    /// Least value.
    pub min: f64,
    /// When it was.
    pub min_at: Timestamp,
    /// Greatest value.
    pub max: f64,
    /// When it was.
    pub max_at: Timestamp,
}

/// Whether a source is heard from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum SourceState {
    /// Heard from within its interval.
    Online,
    /// Not heard from within its interval.
    Offline,
    /// Registered, never heard from.
    Unseen,
}

/// A source as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourceSummary {
    /// Its key.
    pub key: SourceKey,
    /// What people call it; empty where nobody named it.
    pub name: String,
    /// Free words such as 설비 or server.
    pub kind: String,
    /// Free attributes, such as site.
    pub attributes: BTreeMap<String, String>,
    /// Online, offline, unseen.
    pub state: SourceState,
    /// First event ever.
    pub first_seen: Option<Timestamp>,
    /// Latest arrival.
    pub last_seen: Option<Timestamp>,
    /// By which protocol it last came: `qgx`, `syslog`, …
    pub protocol: Option<String>,
    /// Events ever.
    pub events: u64,
    /// Bytes ever.
    pub bytes: u64,
    /// Events a second over the last minute.
    pub rate: f64,
    /// Events a minute over the last hour, oldest first, 60 values.
    pub sparkline: Vec<u32>,
    /// Seconds of silence after which it counts as offline.
    pub offline_after_secs: u32,
    /// The arrival-independent span of its events' `ts`, where known.
    pub ts_range: Option<TimeRange>,
}

/// What a person may set of a source.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourceInput {
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// Free words.
    #[serde(default)]
    pub kind: String,
    /// Free attributes.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Seconds of silence after which it counts as offline; `None`: 300.
    #[serde(default)]
    pub offline_after_secs: Option<u32>,
}

/// The latest value of a metric of a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LatestValue {
    /// The field's name, with dots.
    pub metric: String,
    /// The value with the greatest `ts`.
    pub value: f64,
    /// Its `ts`.
    pub ts: Timestamp,
}

/// The first screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overview {
    /// When it was made.
    pub at: Timestamp,
    /// Events a second over the last ten seconds.
    pub rate: f64,
    /// The rate of each of the last 60 seconds, oldest first.
    pub rate_history: Vec<f64>,
    /// Events since the tenant's midnight.
    pub events_today: u64,
    /// Bytes since the tenant's midnight.
    pub bytes_today: u64,
    /// Change against the same part of yesterday, in per cent.
    pub change_percent: Option<f64>,
    /// Sources by state: online, offline, unseen.
    pub sources: SourceCounts,
    /// From arrival to searchable, p99 over the last minute, in milliseconds.
    pub freshness_p99_ms: Option<f64>,
    /// Arrivals a minute by level over the last hour.
    pub inflow: Histogram,
    /// The busiest sources.
    pub top_sources: Vec<SourceSummary>,
    /// Latest warnings and worse.
    pub notable: Vec<Event>,
    /// Latest arrival of all.
    pub last_event: Option<Timestamp>,
}

/// Sources by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the fields are what they are called")]
pub struct SourceCounts {
    pub online: u64,
    pub offline: u64,
    pub unseen: u64,
}

/// One second of a tenant, published on `qgx.live.v1` and pushed to its browsers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LiveTotals {
    /// The second, by arrival.
    pub at: Timestamp,
    /// Events indexed in it.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Events by level, in the order of [`Level::ALL`], then those without.
    pub levels: [u64; 10],
    /// Events by source, the busiest 20.
    pub sources: Vec<(SourceKey, u64)>,
    /// p99 from arrival to searchable, in milliseconds.
    pub freshness_p99_ms: f64,
}

/// What the multiplexed stream of a page carries. `id` names a subscription of the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LiveMessage {
    /// One second of the tenant.
    Totals(LiveTotals),
    /// Events that match a tail.
    Tail {
        /// The tail.
        id: String,
        /// At most 200 a second.
        events: Vec<Event>,
        /// How many matched but were left out in this second.
        omitted: u64,
    },
    /// A source came, went, or was heard from for the first time.
    Source {
        /// Which.
        key: SourceKey,
        /// Its new state.
        state: SourceState,
    },
    /// A connection was refused (on Connect).
    Refusal(Refusal),
    /// A token's first event arrived (on Connect).
    TokenSeen {
        /// The token's id.
        token: String,
        /// The source it came as.
        source: SourceKey,
    },
    /// Nothing happened; the stream is alive.
    Heartbeat {
        /// Server time.
        at: Timestamp,
    },
    /// The reader was too slow; this many messages were left out.
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// A connection or record that was turned away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// From where.
    pub peer: String,
    /// By which protocol, as far as known.
    pub protocol: String,
    /// Stable code: `no_credential`, `bad_token`, `expired_token`, `revoked_token`, `wrong_kind`, `http`,
    /// `frame_too_large`, …
    pub code: String,
    /// The token it showed, by id, where it is one of the tenant's.
    pub token: Option<String>,
    /// How often within the minute.
    pub count: u64,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// Sends events.
    Ingest,
    /// Calls the API.
    Api,
}

/// A token as lists show it; the secret is shown once, at creation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenInfo {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub kind: TokenKind,
    /// What people call it.
    pub name: String,
    /// The first characters, to tell tokens apart: `qgx_ab12…`.
    pub prefix: String,
    /// The source it is bound to (ingest).
    pub source: Option<SourceKey>,
    /// The rights it has (API).
    pub role: Option<Role>,
    /// Made.
    pub created_at: Timestamp,
    /// By whom (e-mail).
    pub created_by: String,
    /// Ends.
    pub expires_at: Option<Timestamp>,
    /// Ended by a person.
    pub revoked_at: Option<Timestamp>,
    /// Last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// From where.
    pub last_used_peer: Option<String>,
}

/// What to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenInput {
    /// What it is for.
    pub kind: TokenKind,
    /// What people call it, 1–100 characters.
    pub name: String,
    /// Bind to a source (ingest).
    #[serde(default)]
    pub source: Option<SourceKey>,
    /// Rights (API); at most the maker's. `None`: viewer.
    #[serde(default)]
    pub role: Option<Role>,
    /// Ends at.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// A new token, with its secret, shown once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewToken {
    /// The secret: `qgx_` and 40 characters.
    pub token: String,
    /// What lists show.
    pub info: TokenInfo,
}

/// Who is asking, and how they like it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Me {
    /// The person; `None` for an API token.
    pub user: Option<UserProfile>,
    /// The selected tenant.
    pub tenant: TenantInfo,
    /// All tenants the person belongs to.
    pub tenants: Vec<TenantInfo>,
    /// The role in the selected tenant.
    pub role: Role,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserProfile {
    /// Id.
    pub id: String,
    /// E-mail, the login name.
    pub email: String,
    /// What people call them.
    pub name: String,
    /// Language; `None`: the browser's.
    pub lang: Option<Lang>,
    /// Theme.
    pub theme: Theme,
}

/// Light, dark, or as the system has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// As the system has it.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TenantInfo {
    /// Its key.
    pub key: TenantId,
    /// Short name in addresses.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// IANA zone.
    pub zone: String,
    /// Retention class: `7d`, `30d`, `90d`, `1y`.
    pub retention: String,
}

/// A signed-in browser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionInfo {
    /// Opaque; not the cookie's value.
    pub id: String,
    /// The browser, as it calls itself.
    pub user_agent: String,
    /// From where.
    pub peer: String,
    /// Signed in.
    pub created_at: Timestamp,
    /// Last seen, to the minute.
    pub last_seen_at: Timestamp,
    /// The asker's own.
    pub current: bool,
}

/// What people may set of themselves.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProfileInput {
    /// What others call them, up to 100 characters.
    #[serde(default)]
    pub name: String,
    /// Language; `None`: the browser's.
    #[serde(default)]
    pub lang: Option<Lang>,
    /// Theme.
    #[serde(default)]
    pub theme: Theme,
}

/// What owners may set of their tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TenantInput {
    /// What people call it, 1–100 characters.
    pub name: String,
    /// IANA zone.
    pub zone: String,
    /// Retention class: `7d`, `30d`, `90d`, `1y`.
    pub retention: String,
}

/// Which sources, in which order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourceListRequest {
    /// In key, name or kind, without regard to case; empty is all.
    #[serde(default)]
    pub search: String,
    /// Only these.
    #[serde(default)]
    pub state: Option<SourceState>,
    /// By latest arrival, newest first, instead of by key.
    #[serde(default)]
    pub by_last_seen: bool,
    /// Where the page starts: `next_cursor` of the one before.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most this many, 1–200.
    pub limit: u32,
}

impl Default for SourceListRequest {
    fn default() -> Self {
        Self { search: String::new(), state: None, by_last_seen: false, cursor: None, limit: 50 }
    }
}

/// What became of an import.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportReport {
    /// Made.
    pub created: u64,
    /// Known before, and overwritten.
    pub updated: u64,
    /// Lines left out; `field` is `line 3: kind`, lines counted from 1 with the header.
    pub problems: Vec<FieldProblem>,
}

/// Problem details (RFC 9457) with our `code` and the request's id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `about:blank` or a documentation address.
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    /// Short, for people, in their language.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What, where, and what to do, in the person's language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Stable, for programs.
    pub code: String,
    /// To name when asking for help.
    pub request_id: String,
    /// Which input is wrong, where one is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

/// One wrong input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldProblem {
    /// The input's name.
    pub field: String,
    /// What is wrong and what to do, in the person's language.
    pub message: String,
    /// Where in the text, in characters, for a query: start and end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<(u32, u32)>,
}
