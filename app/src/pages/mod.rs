//! The screens.

mod connect;
mod explore;
mod loading;
mod login;
mod not_found;
mod overview;
mod settings;
mod source;
mod sources;

pub(crate) use connect::{ConnectPage, FirstCommand};
pub(crate) use explore::ExplorePage;
pub(crate) use loading::{loaded, loaded_json, loaded_or, page_title};
pub(crate) use login::Login;
pub(crate) use not_found::NotFound;
pub(crate) use overview::OverviewPage;
pub(crate) use settings::SettingsPage;
pub(crate) use source::SourcePage;
pub(crate) use sources::SourcesPage;
