//! Why a connection was refused, and what to do.

use crate::texts::T;

/// A text of the catalogue, in whichever language is asked for.
type Text = fn(T) -> &'static str;

/// The reason and the remedy of a code of [`domain::api::Refusal`].
pub(super) fn reason(code: &str) -> (Text, Text) {
    match code {
        "no_credential" => (T::r_no_credential, T::r_no_credential_do),
        "bad_token" => (T::r_bad_token, T::r_bad_token_do),
        "expired_token" => (T::r_expired, T::r_new_token_do),
        "revoked_token" => (T::r_revoked, T::r_new_token_do),
        "wrong_kind" => (T::r_wrong_kind, T::r_wrong_kind_do),
        "http" => (T::r_http, T::r_http_do),
        "frame_too_large" => (T::r_frame, T::r_frame_do),
        "identity_changed" => (T::r_identity, T::r_identity_do),
        "too_many_connections" => (T::r_connections, T::r_connections_do),
        "quota" => (T::r_quota, T::r_quota_do),
        "too_many_sources" => (T::r_sources, T::r_sources_do),
        "suspended" => (T::r_suspended, T::r_suspended_do),
        "bad_relp" => (T::r_relp, T::r_relp_do),
        "framing" => (T::r_framing, T::r_framing_do),
        "proxy_not_allowed" => (T::r_proxy, T::r_proxy_do),
        "bad_proxy_header" => (T::r_proxy_header, T::r_proxy_header_do),
        "unsupported_protocol" => (T::r_protocol, T::r_protocol_do),
        _ => (T::r_other, T::r_other_do),
    }
}
