//! Masking rules: the installation's, and a tenant's own in their place.

use crate::check::Check;
use crate::{Ctx, Masking, ServiceError, Services};
use domain::masking::{MAX_PATTERN, MAX_RULES, Rule, Rules, RulesError};
use domain::{Permission, TenantId};
use sha2::{Digest, Sha256};

/// The setting that holds the installation's rules, as JSON.
const INSTALLATION: &str = "masking";

/// The setting that holds a tenant's rules.
fn setting_of(tenant: &TenantId) -> String {
    format!("{INSTALLATION}.{tenant}")
}

impl Services {
    /// What is masked in the tenant's data: by its own rules, else by the installation's, else by the standard ones.
    /// Needs [`Permission::TenantSettings`].
    ///
    /// # Errors
    /// As [`Ctx::require`].
    pub async fn masking(&self, ctx: &Ctx) -> Result<Vec<Rule>, ServiceError> {
        let tenant = ctx.require(Permission::TenantSettings)?;
        Ok(self.masking_of(tenant).await?.rules.rules().to_vec())
    }

    /// Sets the tenant's own rules; they hold for what arrives from now on, within 3 s, and no rule at all masks
    /// nothing. Needs [`Permission::TenantSettings`].
    ///
    /// # Errors
    /// `Invalid("rules")`.
    pub async fn set_masking(&self, ctx: &Ctx, rules: Vec<Rule>) -> Result<(), ServiceError> {
        let tenant = ctx.require(Permission::TenantSettings)?;
        self.keep_masking(ctx, &setting_of(tenant), rules).await?;
        self.forget_tenant(tenant);
        Ok(())
    }

    /// Puts a rule in the place of another, or at the end where it replaces none; with nothing to put there, takes the
    /// other away. Needs [`Permission::TenantSettings`].
    ///
    /// # Errors
    /// `Invalid("rules")`; `NotFound("rule")` where somebody else has changed the other meanwhile.
    pub async fn change_masking(
        &self,
        ctx: &Ctx,
        was: Option<Rule>,
        rule: Option<Rule>,
    ) -> Result<(), ServiceError> {
        let mut rules = self.masking(ctx).await?;
        let at = match &was {
            None => rules.len(),
            Some(was) => {
                let place = rules.iter().position(|rule| rule == was);
                place.ok_or(ServiceError::NotFound { what: "rule" })?
            }
        };
        rules.splice(at..at + usize::from(was.is_some()), rule);
        self.set_masking(ctx, rules).await
    }

    /// What would be stored of a text: by the rules that hold, and one more after them. Needs
    /// [`Permission::TenantSettings`].
    ///
    /// # Errors
    /// `Invalid` for a text over 10,000 characters or a rule that cannot be followed.
    pub async fn try_masking(&self, ctx: &Ctx, more: Rule, text: &str) -> Result<String, ServiceError> {
        let tenant = ctx.require(Permission::TenantSettings)?;
        let mut check = Check::new(ctx.lang);
        check.number("text", text.len() as u64, 0..=40_000);
        check.done()?;
        let mut rules = self.masking_of(tenant).await?.rules.rules().to_vec();
        rules.push(more);
        let rules = Rules::new(rules, self.masking_key(tenant)?)
            .map_err(|error| ServiceError::invalid("rule", in_korean(&error)))?;
        Ok(rules.in_text(text).0.into_owned())
    }

    /// Sets the installation's rules, for tenants without rules of their own. Needs [`Permission::Platform`].
    ///
    /// # Errors
    /// `Invalid("rules")`.
    pub async fn set_installation_masking(&self, ctx: &Ctx, rules: Vec<Rule>) -> Result<(), ServiceError> {
        ctx.require_platform()?;
        self.keep_masking(ctx, INSTALLATION, rules).await
    }

    async fn keep_masking(&self, ctx: &Ctx, setting: &str, rules: Vec<Rule>) -> Result<(), ServiceError> {
        let json = serde_json::to_string(&rules).map_err(|error| ServiceError::internal("masking", error))?;
        if let Err(error) = Rules::new(rules, [0; 32]) {
            let mut check = Check::new(ctx.lang);
            check.wrong("rules", in_korean(&error), error.to_string());
            check.done()?;
        }
        Ok(self.sql().set_setting(setting, &json).await?)
    }

    /// A tenant's rules, ready. What cannot be read is an error: nothing may come in unmasked.
    pub(crate) async fn masking_of(&self, tenant: &TenantId) -> Result<Masking, ServiceError> {
        let mut json = self.sql().setting(&setting_of(tenant)).await?;
        if json.is_none() {
            json = self.sql().setting(INSTALLATION).await?;
        }
        let key = self.masking_key(tenant)?;
        let rules = match json {
            Some(json) => Rules::read(&json, key),
            None => Rules::new(Rules::standard(), key),
        };
        rules.map(Masking::by).map_err(|error| ServiceError::internal("masking rules", error))
    }

    /// The key of a tenant's hashes. It is another one once another key seals.
    fn masking_key(&self, tenant: &TenantId) -> Result<[u8; 32], ServiceError> {
        let secret = self.inner.config.secret_keys.first();
        let secret = secret.ok_or_else(|| ServiceError::internal("masking", "there is no secret key"))?;
        let mut hash = Sha256::new();
        hash.update(secret);
        hash.update(b"masking\0");
        hash.update(tenant.as_str());
        Ok(hash.finalize().into())
    }
}

fn in_korean(error: &RulesError) -> String {
    match error {
        RulesError::TooMany => format!("마스킹 규칙은 {MAX_RULES}개까지 둘 수 있습니다."),
        RulesError::Pattern(pattern) => {
            format!("패턴은 1~{MAX_PATTERN}자이고, \\ 뒤에는 글자가 있어야 합니다: {pattern:?}")
        }
        RulesError::NoPattern(kind) => format!("{kind} 규칙에는 패턴을 쓸 수 없습니다."),
        RulesError::Unreadable(_) => "마스킹 규칙의 목록이 아닙니다.".to_owned(),
    }
}
