//! The first start's owner, and where their password goes.

use super::data_dir::write_secret;
use crate::config::AccessConfig;
use anyhow::{Context, Result};
use services::{Bootstrap, OwnerSetup, Services};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Where a generated password went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerPassword {
    /// There was an owner already, or the settings gave the password.
    Known,
    /// Generated now, to be shown once.
    Shown(String),
    /// Generated now, and written here.
    Written(PathBuf),
}

/// Makes the default tenant and its owner where they are not there.
///
/// # Errors
/// Where the store fails or the password cannot be written.
pub async fn bootstrap(
    services: &Services,
    access: &AccessConfig,
    data_dir: &Path,
) -> Result<(Bootstrap, OwnerPassword)> {
    let setup =
        OwnerSetup { email: Some(access.owner_email.clone()), password: access.owner_password.clone() };
    let made = services.bootstrap(setup).await.context("the default tenant cannot be made")?;
    let password = match &made.generated_password {
        None => OwnerPassword::Known,
        Some(password) if std::io::stdout().is_terminal() => OwnerPassword::Shown(password.clone()),
        Some(password) => {
            let file = data_dir.join("owner-password");
            write_secret(&file, format!("{password}\n").as_bytes())?;
            OwnerPassword::Written(file)
        }
    };
    Ok((made, password))
}
