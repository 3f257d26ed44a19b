//! What the server tells the browser once a page, so that both draw the same first picture: language, theme, zone,
//! person, and the one "now".

use domain::api::{Me, Theme};
use domain::{Lang, Timestamp, Zone};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// Whether a person may sign in over this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SignIn {
    /// https, or http on loopback.
    #[default]
    Allowed,
    /// Plain http from elsewhere: the page says why sign-in is off and what to do.
    PlainHttp,
}

/// Where programs and devices send to, as Connect prints it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ports {
    /// The TCP ingestion port.
    pub ingest: u16,
    /// The REST API's port.
    pub api: u16,
    /// Scheme, host and port of the REST API, where the settings name them.
    pub api_origin: Option<String>,
    /// The host of the ingestion port, where the settings name it.
    pub ingest_host: Option<String>,
}

impl Ports {
    /// The host to send to, of one whose web was asked for as `host`.
    pub(crate) fn ingest_host<'a>(&'a self, host: &'a str) -> &'a str {
        self.ingest_host.as_deref().unwrap_or(host)
    }

    /// Scheme, host and port of the REST API.
    pub(crate) fn api_origin(&self, host: &str) -> String {
        self.api_origin.clone().unwrap_or_else(|| format!("http://{host}:{}", self.api))
    }
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Boot {
    /// The language of the page.
    pub lang: Lang,
    /// The theme of the page.
    pub theme: Theme,
    /// The rail is folded.
    pub narrow: bool,
    /// Who is signed in.
    pub me: Option<Me>,
    /// The tenant's zone.
    pub zone: Zone,
    /// When the server made the page.
    pub now: Timestamp,
    /// Whether the sign-in form is shown.
    pub sign_in: SignIn,
    /// The host name the browser asked for.
    pub host: String,
    /// Ports that Connect prints.
    pub ports: Ports,
    /// A token that a form sent without scripts has just made, to be shown this once.
    pub made: Option<String>,
}

impl Default for Boot {
    fn default() -> Self {
        Self {
            lang: Lang::default(),
            theme: Theme::default(),
            narrow: false,
            me: None,
            zone: Zone::utc(),
            now: Timestamp::default(),
            sign_in: SignIn::default(),
            host: String::new(),
            ports: Ports::default(),
            made: None,
        }
    }
}

impl Boot {
    #[cfg(feature = "ssr")]
    fn of_request() -> Self {
        let Some(request) = crate::context::use_request() else { return Self::default() };
        let zone = request.me.as_ref().map_or(Zone::DEFAULT, |me| &me.tenant.zone);
        Self {
            lang: request.lang,
            theme: request.theme,
            narrow: request.cookie(crate::cookies::RAIL).as_deref() == Some("narrow"),
            zone: Zone::named(zone).unwrap_or_else(Zone::utc),
            now: request.now,
            sign_in: request.sign_in,
            host: request.host.to_string(),
            ports: request.ports.clone(),
            made: crate::server_fns::take_over(&request),
            me: request.me,
        }
    }

    /// From the request on the server, from the page in the browser.
    pub(crate) fn shared() -> Self {
        #[cfg(feature = "ssr")]
        return SharedValue::new(Self::of_request).into_inner();
        #[cfg(not(feature = "ssr"))]
        SharedValue::new(Self::default).into_inner()
    }
}

/// Person, theme and the like, for every page.
#[derive(Clone, Copy)]
pub(crate) struct Session {
    /// Who is signed in; the profile page changes it.
    pub me: RwSignal<Option<Me>>,
    /// The theme in force.
    pub theme: RwSignal<Theme>,
    /// The rail is folded.
    pub narrow: RwSignal<bool>,
    /// The rest, which does not change while the page lives.
    pub boot: StoredValue<Boot>,
}

impl Session {
    /// Makes it known to the pages.
    pub(crate) fn provide(boot: Boot) {
        provide_context(Self {
            me: RwSignal::new(boot.me.clone()),
            theme: RwSignal::new(boot.theme),
            narrow: RwSignal::new(boot.narrow),
            boot: StoredValue::new(boot),
        });
    }

    /// Whether the person's role holds a permission; the server decides, this only hides what it would refuse.
    pub(crate) fn may(&self, permission: domain::Permission) -> bool {
        self.me.with_untracked(|me| me.as_ref().is_some_and(|me| me.role.may(permission)))
    }
}

/// The session of the page.
pub(crate) fn use_session() -> Session {
    expect_context()
}
