//! `qgx tenant ca`, `qgx tenant certificate` and `qgx address-rule`: who needs no token.

use super::admin::{ask, member, say_one, source_key};
use super::args::{AdminArgs, SourceFlag};
use super::print::{Output, say_list};
use crate::control::Command;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// `qgx tenant ca …`
#[derive(Subcommand)]
pub enum AuthorityAction {
    /// Let the client certificates that an authority has signed speak for a tenant.
    Add {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whose.
        #[arg(long, default_value = "default")]
        tenant: String,
        /// The authority's own certificate, PEM.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// List all authorities.
    List(AdminArgs),
    /// Believe an authority no more; its connections are closed within seconds.
    Remove {
        #[command(flatten)]
        admin: AdminArgs,
        /// Its fingerprint, as lists show it.
        #[arg(value_name = "FINGERPRINT")]
        fingerprint: String,
    },
}

/// `qgx tenant certificate …`
#[derive(Subcommand)]
pub enum CertificateAction {
    /// End one client certificate; its connections are closed within seconds.
    Revoke {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whose.
        #[arg(long, default_value = "default")]
        tenant: String,
        #[command(flatten)]
        which: Which,
    },
    /// List all that were ended.
    List(AdminArgs),
    /// Let a certificate that was ended be good again.
    Restore {
        #[command(flatten)]
        admin: AdminArgs,
        #[command(flatten)]
        which: Which,
    },
}

/// Which certificate.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// Its SHA-256 fingerprint.
    #[arg(value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
    /// The certificate itself, PEM.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Which {
    fn fingerprint(self) -> Result<String> {
        match (self.fingerprint, self.file) {
            (Some(fingerprint), _) => Ok(fingerprint),
            (None, Some(file)) => {
                let certificate = CertificateDer::from_pem_file(&file)
                    .with_context(|| format!("{} is no PEM certificate", file.display()))?;
                Ok(hex::encode(Sha256::digest(&certificate)))
            }
            (None, None) => bail!("give a fingerprint, or --file"),
        }
    }
}

/// `qgx address-rule`
#[derive(Args)]
pub struct AddressRuleArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: AddressRuleAction,
}

/// `qgx address-rule …`
#[derive(Subcommand)]
pub enum AddressRuleAction {
    /// Let the TCP connections of a network that show no credential speak for a tenant.
    Create {
        #[command(flatten)]
        admin: AdminArgs,
        /// Whose.
        #[arg(long, default_value = "default")]
        tenant: String,
        #[command(flatten)]
        source: SourceFlag,
        /// An address, or a network such as 10.0.0.0/8.
        #[arg(value_name = "CIDR")]
        network: String,
    },
    /// List all rules.
    List(AdminArgs),
    /// Remove a rule; its connections are closed within seconds.
    Delete {
        #[command(flatten)]
        admin: AdminArgs,
        /// Its id, as lists show it.
        #[arg(value_name = "ID")]
        id: String,
    },
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// `qgx tenant ca`
pub fn authority(action: AuthorityAction) -> Result<()> {
    match action {
        AuthorityAction::Add { admin, tenant, file } => {
            let made = ask(&admin, Command::AuthorityAdd { tenant, certificate: read(&file)? })?;
            say_one(&admin, &made, |made| {
                format!("{} {}", member(made, "/fingerprint"), member(made, "/subject"))
            });
        }
        AuthorityAction::List(admin) => {
            let list = ask(&admin, Command::AuthorityList)?;
            let columns = [
                ("TENANT", "tenant_slug"),
                ("SUBJECT", "subject"),
                ("EXPIRES", "expires_at"),
                ("FINGERPRINT", "fingerprint"),
            ];
            say_list(Output::of(admin.json), &list, &columns);
        }
        AuthorityAction::Remove { admin, fingerprint } => {
            let done = ask(&admin, Command::AuthorityRemove { fingerprint })?;
            say_one(&admin, &done, |_| "the authority is believed no more".to_owned());
        }
    }
    Ok(())
}

/// `qgx tenant certificate`
pub fn certificate(action: CertificateAction) -> Result<()> {
    match action {
        CertificateAction::Revoke { admin, tenant, which } => {
            let fingerprint = which.fingerprint()?;
            let done = ask(&admin, Command::CertificateRevoke { tenant, fingerprint })?;
            say_one(&admin, &done, |done| format!("{} is revoked", member(done, "/fingerprint")));
        }
        CertificateAction::List(admin) => {
            let list = ask(&admin, Command::CertificateList)?;
            let columns =
                [("TENANT", "tenant_slug"), ("REVOKED", "revoked_at"), ("FINGERPRINT", "fingerprint")];
            say_list(Output::of(admin.json), &list, &columns);
        }
        CertificateAction::Restore { admin, which } => {
            let fingerprint = which.fingerprint()?;
            let done = ask(&admin, Command::CertificateRestore { fingerprint })?;
            say_one(&admin, &done, |_| "the certificate is good again".to_owned());
        }
    }
    Ok(())
}

/// `qgx address-rule`
pub fn address_rule(args: AddressRuleArgs) -> Result<()> {
    match args.action {
        AddressRuleAction::Create { admin, tenant, source, network } => {
            let source = source.source.map(|text| source_key(&text)).transpose()?;
            let made = ask(&admin, Command::AddressRuleCreate { tenant, network, source })?;
            say_one(&admin, &made, |made| format!("{} {}", member(made, "/id"), member(made, "/network")));
        }
        AddressRuleAction::List(admin) => {
            let list = ask(&admin, Command::AddressRuleList)?;
            let columns =
                [("ID", "id"), ("NETWORK", "network"), ("TENANT", "tenant_slug"), ("SOURCE", "source")];
            say_list(Output::of(admin.json), &list, &columns);
        }
        AddressRuleAction::Delete { admin, id } => {
            let done = ask(&admin, Command::AddressRuleDelete { id })?;
            say_one(&admin, &done, |_| "the rule is removed".to_owned());
        }
    }
    Ok(())
}
