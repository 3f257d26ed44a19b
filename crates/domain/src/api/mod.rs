//! What services hand to the web and to REST: plain shapes, the same on the wire and in the browser.

mod account;
mod dead_letters;
mod events;
mod live;
mod metrics;
mod overview;
mod problem;
mod sources;
mod tokens;
mod trust;

pub use account::{Me, ProfileInput, SessionInfo, TenantInfo, TenantInput, Theme, UserProfile};
pub use dead_letters::{
    DeadLetter, DeadLetterDetail, LetterBytes, LetterCodeCount, LetterEdit, LetterFailure, LetterForm,
    LetterPreview, LetterQuery, LetterReport, LetterSelection, LetterState, NotReplayable,
};
pub use events::{
    EventFilter, Facet, FacetValue, FieldInfo, Histogram, HistogramSeries, Order, OutsideWindow,
    SearchResult, Surroundings,
};
pub use live::{LiveMessage, LiveTotals, Refusal};
pub use metrics::{Aggregate, Extremes, LatestValue, MetricQuery, MetricResult, MetricSeries};
pub use overview::Overview;
pub use problem::{FieldProblem, Problem};
pub use sources::{ImportReport, SourceCounts, SourceInput, SourceListRequest, SourceState, SourceSummary};
pub use tokens::{NewToken, TokenInfo, TokenInput, TokenKind};
pub use trust::{AddressRuleInfo, AuthorityInfo, RevokedCertificateInfo};

use serde::{Deserialize, Serialize};

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
