//! `qgx migrate`, `tenant`, `user`, `source`, `token`.

use super::args::{
    AdminArgs, Common, SourceAction, SourceArgs, TenantAction, TenantArgs, TokenAction, TokenArgs,
    UserAction, UserArgs,
};
use super::print::{Output, say, say_json, say_list};
use super::settings::load;
use crate::control::{Command, client};
use crate::serve::banner::terminal_language;
use crate::serve::data_dir::DataDir;
use crate::serve::owner::{self, OwnerPassword};
use crate::serve::stores;
use anyhow::{Context, Result, bail};
use domain::{SourceKey, Timestamp};
use serde_json::Value;
use std::io::{IsTerminal, Read};

const DAY_NANOS: i64 = 86_400_000_000_000;

pub(super) fn ask(admin: &AdminArgs, command: Command) -> Result<Value> {
    let config = load(&admin.common)?;
    super::runtime()?.block_on(client::run(&config, command, terminal_language()))
}

/// Prints one thing: as JSON, or one of its members.
pub(super) fn say_one(admin: &AdminArgs, value: &Value, text: impl Fn(&Value) -> String) {
    match Output::of(admin.json) {
        Output::Json => say_json(value),
        Output::Text => say(&text(value)),
    }
}

pub(super) fn member<'a>(value: &'a Value, name: &str) -> &'a str {
    value.pointer(name).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn source_key(text: &str) -> Result<SourceKey> {
    SourceKey::new(text).with_context(|| format!("{text:?} is no source key"))
}

/// `qgx migrate`
pub fn migrate(common: &Common) -> Result<()> {
    let config = load(common)?;
    super::runtime()?.block_on(async {
        let data_dir = DataDir::open(&config.data_dir)?;
        stores::prepare(&config).await?.iter().for_each(|line| say(line));
        let services = stores::open(&data_dir, &config, stores::Cost::Strong).await?;
        let made = owner::bootstrap(&services, &config.access, data_dir.path()).await;
        stores::close(&services).await;
        let (bootstrap, password) = made?;
        say("the database is at this version's schema");
        if bootstrap.created {
            say(&format!("the owner is {}", bootstrap.owner_email));
        }
        match password {
            OwnerPassword::Known => {}
            OwnerPassword::Shown(password) => say(&format!("the password, shown only now, is {password}")),
            OwnerPassword::Written(file) => say(&format!("the password is in {}", file.display())),
        }
        Ok(())
    })
}

/// `qgx tenant`
pub fn tenant(args: TenantArgs) -> Result<()> {
    match args.action {
        TenantAction::Create { admin, slug, name, zone, retention } => {
            let name = name.unwrap_or_else(|| slug.clone());
            let made = ask(&admin, Command::TenantCreate { slug, name, zone, retention })?;
            say_one(&admin, &made, |made| format!("{} {}", member(made, "/slug"), member(made, "/key")));
        }
        TenantAction::List(admin) => {
            let list = ask(&admin, Command::TenantList)?;
            let columns = [
                ("SLUG", "slug"),
                ("NAME", "name"),
                ("ZONE", "zone"),
                ("RETENTION", "retention"),
                ("KEY", "key"),
            ];
            say_list(Output::of(admin.json), &list, &columns);
        }
        TenantAction::Ca { action } => super::trust::authority(action)?,
        TenantAction::Certificate { action } => super::trust::certificate(action)?,
    }
    Ok(())
}

/// `qgx user`
pub fn user(args: UserArgs) -> Result<()> {
    match args.action {
        UserAction::Create { admin, email, name, tenant, role, operator, password_stdin } => {
            let password = if password_stdin { Some(password_from_stdin()?) } else { None };
            let command = Command::UserCreate { email, name, password, tenant: Some(tenant), role, operator };
            let made = ask(&admin, command)?;
            say_one(&admin, &made, |made| match member(made, "/password") {
                "" => member(made, "/user/email").to_owned(),
                password => format!(
                    "{}\npassword, shown only now and to be changed at the first sign-in: {password}",
                    member(made, "/user/email")
                ),
            });
        }
        UserAction::List(admin) => {
            let list = ask(&admin, Command::UserList)?;
            let columns = [
                ("E-MAIL", "email"),
                ("NAME", "name"),
                ("TENANT", "memberships.0.tenant"),
                ("ROLE", "memberships.0.role"),
                ("OPERATOR", "operator"),
                ("DISABLED", "disabled_at"),
            ];
            say_list(Output::of(admin.json), &list, &columns);
        }
        UserAction::SetPassword { admin, email } => {
            let password = password_from_stdin()?;
            let done = ask(&admin, Command::UserSetPassword { email, password })?;
            say_one(&admin, &done, |_| "the password is set, and all sessions are ended".to_owned());
        }
        UserAction::Disable { admin, email } => {
            let done = ask(&admin, Command::UserDisable { email })?;
            say_one(&admin, &done, |_| "kept out".to_owned());
        }
        UserAction::Unlock { admin, email } => {
            let done = ask(&admin, Command::UserUnlock { email })?;
            say_one(&admin, &done, |_| "may try again".to_owned());
        }
    }
    Ok(())
}

/// A password is no argument, which others on the machine could read.
fn password_from_stdin() -> Result<String> {
    if std::io::stdin().is_terminal() {
        bail!("give the password on standard input, such as: read -rs P; printf %s \"$P\" | qgx user …");
    }
    let mut text = String::new();
    std::io::stdin().take(4_096).read_to_string(&mut text)?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("standard input holds no password");
    }
    Ok(password.to_owned())
}

/// `qgx source`
pub fn source(args: SourceArgs) -> Result<()> {
    match args.action {
        SourceAction::Create { admin, tenant, key, name, kind } => {
            let key = source_key(&key)?;
            let made = ask(&admin, Command::SourceCreate { tenant, key, name, kind })?;
            say_one(&admin, &made, |made| member(made, "/key").to_owned());
        }
        SourceAction::List { admin, tenant } => {
            let list = ask(&admin, Command::SourceList { tenant })?;
            let columns = [
                ("KEY", "key"),
                ("NAME", "name"),
                ("STATE", "state"),
                ("PROTOCOL", "protocol"),
                ("EVENTS", "events"),
                ("LAST SEEN", "last_seen"),
            ];
            say_list(Output::of(admin.json), &list, &columns);
        }
    }
    Ok(())
}

/// `qgx token`
pub fn token(args: TokenArgs) -> Result<()> {
    match args.action {
        TokenAction::Create { admin, tenant, kind, name, source, role, days } => {
            let source = source.map(|text| source_key(&text)).transpose()?;
            let expires_at = days.map(|days| Timestamp::now().plus_nanos(i64::from(days) * DAY_NANOS));
            let command = Command::TokenCreate { tenant, kind, name, source, role, expires_at };
            let made = ask(&admin, command)?;
            say_one(&admin, &made, |made| member(made, "/token").to_owned());
        }
        TokenAction::List { admin, tenant, kind } => {
            let list = ask(&admin, Command::TokenList { tenant, kind })?;
            let columns = [
                ("ID", "id"),
                ("KIND", "kind"),
                ("NAME", "name"),
                ("TOKEN", "prefix"),
                ("SOURCE", "source"),
                ("ROLE", "role"),
                ("LAST USED", "last_used_at"),
                ("REVOKED", "revoked_at"),
            ];
            say_list(Output::of(admin.json), &list, &columns);
        }
        TokenAction::Revoke { admin, tenant, id } => {
            let done = ask(&admin, Command::TokenRevoke { tenant, id })?;
            say_one(&admin, &done, |done| format!("token {} is revoked", member(done, "/id")));
        }
    }
    Ok(())
}
