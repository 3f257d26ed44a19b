//! The user web: server-rendered and hydrated.
