//! What every SQL store must do. Each case gets a fresh, migrated database of its own.
//!
//! [`sql_conformance!`](crate::sql_conformance) makes a test of each case.

mod access;
mod accounts;
mod dead_letters;
mod expiry;
mod flush;
mod names;
mod quotas;
mod sources;
mod trust;
mod writers;

pub use access::*;
pub use accounts::*;
pub use dead_letters::*;
pub use expiry::*;
pub use flush::*;
pub use names::*;
pub use quotas::*;
pub use sources::*;
pub use trust::*;
pub use writers::*;

use super::{Flush, SourceDelta, SqlStore, TenantRow, UserRow};
use crate::broker::{Offset, Partition};
use domain::api::Theme;
use domain::{SourceKey, TenantId, Timestamp};
use std::sync::Arc;

/// A case's outcome: a call that failed fails the case.
pub type Outcome = super::SqlResult<()>;
/// The store a case works on.
pub type Store = Arc<dyn SqlStore>;

/// A test of each case. `$fresh` is an `async fn() -> Option<(Arc<dyn SqlStore>, guard)>` that makes an empty, migrated
/// database, which may go once the guard is dropped; `None` where what it needs is not there, and the case is skipped.
#[macro_export]
macro_rules! sql_conformance {
    ($fresh:path) => {
        $crate::sql_conformance! { @cases $fresh:
            tenants_are_kept_whole tenant_keys_and_slugs_are_unique people_are_kept_whole people_are_changed_in_parts
            emails_are_unique
            memberships_join_tenants settings_are_overwritten keys_are_case_sensitive
            four_byte_text_comes_back_whole sessions_live_and_end tokens_live_and_end tokens_belong_to_a_tenant
            revocations_are_told sources_are_registered sources_are_filtered sources_count_by_their_own_interval
            deleted_sources_come_back a_tenant_sees_its_own_only a_flush_is_read_back
            a_stream_may_have_several_sources rollups_merge
            latest_values_keep_the_later positions_never_go_back a_flush_again_changes_nothing
            a_flush_half_behind_is_refused given_ids_are_known arrivals_are_added rollups_answer_steps
            extremes_are_exact sums_beyond_doubles_leave_a_gap minutes_become_hours hours_go_by_class the_rest_expires
            readers_see_whole_flushes large_flushes_are_written names_differ_by_any_byte longest_names_fit
            a_writer_that_lost_its_partition_is_refused writers_side_by_side_lose_nothing
            letters_are_kept_whole letters_again_change_nothing letters_are_filtered letters_are_dealt_with letters_expire
            late_minutes_join_their_hours authorities_belong_to_one_tenant certificates_are_revoked_and_restored
            address_rules_of_two_tenants_never_overlap quotas_are_told_to_all days_add_up_side_by_side
        }
    };
    (@cases $fresh:path: $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let Some((store, _guard)) = $fresh().await else { return };
                if let Err(error) = $crate::sql::conformance::$case(store).await {
                    panic!("{error}");
                }
            }
        )*
    };
}

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// A whole day, so that steps of any length start here.
const DAY_ONE: Timestamp = Timestamp::from_secs(1_700_006_400);

fn tenant(name: &str) -> TenantId {
    TenantId::new(&format!("t_{name}")).expect("a valid tenant key")
}

fn source(name: &str) -> SourceKey {
    SourceKey::new(name).expect("a valid source key")
}

fn tenant_row(name: &str) -> TenantRow {
    TenantRow {
        key: tenant(name),
        slug: name.to_owned(),
        name: format!("The {name}"),
        zone: "Asia/Seoul".to_owned(),
        class: "30d".to_owned(),
        index_group: 1,
        quota_events_per_sec: None,
        quota_bytes_per_sec: Some(1 << 40),
        quota_bytes_per_day: None,
        created_at: DAY_ONE,
        suspended_at: None,
    }
}

fn user_row(name: &str) -> UserRow {
    UserRow {
        id: format!("id-of-{name}"),
        email: format!("{name}@example.org"),
        name: name.to_owned(),
        password_hash: "$argon2id$…".to_owned(),
        operator: false,
        lang: None,
        theme: Theme::System,
        created_at: DAY_ONE,
        disabled_at: None,
        must_change_password: false,
    }
}

/// `count` arrivals of a source in the minute of `at`.
fn arrivals(tenant_name: &str, source_name: &str, at: Timestamp, level: u8, count: u64) -> SourceDelta {
    SourceDelta {
        tenant: tenant(tenant_name),
        source: source(source_name),
        protocol: "qgx".to_owned(),
        arrivals: vec![(at, level, count, count * 100)],
        received: (at, at),
        ts: (at, at),
    }
}

fn flush(offsets: &[(Partition, Offset)]) -> Flush {
    Flush { offsets: offsets.to_vec(), ..Flush::default() }
}

const TOPIC: &str = "qgx.events.v1";
