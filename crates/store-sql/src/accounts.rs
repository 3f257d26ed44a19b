//! Tenants, people, memberships, settings.

use crate::SqlDatabase;
use crate::dialect::{Merge, Upsert};
use crate::fault::unreadable;
use crate::migration;
use crate::row::Row;
use crate::value::{Value, values};
use async_trait::async_trait;
use domain::api::Theme;
use domain::{Lang, Role, TenantId, Timestamp};
use store::sql::{Accounts, MembershipRow, SqlError, SqlResult, TenantRow, UserRow};

const MEMBERSHIPS: Upsert =
    Upsert { table: "memberships", key: &["user_id", "tenant_key"], columns: &[("role", Merge::Replace)] };
const SETTINGS: Upsert =
    Upsert { table: "settings", key: &["name"], columns: &[("setting_value", Merge::Replace)] };

/// The columns of [`tenant_row`], each with the table's name before it: memberships are joined with it.
macro_rules! select_tenants {
    ($rest:literal) => {
        concat!(
            "SELECT t.tenant_key, t.slug, t.name, t.zone, t.retention_class, t.index_group, t.quota_events_per_sec, ",
            "t.quota_bytes_per_sec, t.quota_bytes_per_day, t.created_at, t.suspended_at ",
            $rest
        )
    };
}

macro_rules! select_users {
    ($rest:literal) => {
        concat!(
            "SELECT user_id, email, name, password_hash, is_operator, lang, theme, created_at, disabled_at, ",
            "must_change_password FROM users ",
            $rest
        )
    };
}

fn tenant_row(row: &Row) -> SqlResult<TenantRow> {
    Ok(TenantRow {
        key: row.tenant(0)?,
        slug: row.text(1)?,
        name: row.text(2)?,
        zone: row.text(3)?,
        class: row.text(4)?,
        index_group: u16::try_from(row.int(5)?).map_err(unreadable)?,
        quota_events_per_sec: row.opt_count(6)?,
        quota_bytes_per_sec: row.opt_count(7)?,
        quota_bytes_per_day: row.opt_count(8)?,
        created_at: row.time(9)?,
        suspended_at: row.opt_time(10)?,
    })
}

fn user_row(row: &Row) -> SqlResult<UserRow> {
    Ok(UserRow {
        id: row.text(0)?,
        email: row.text(1)?,
        name: row.text(2)?,
        password_hash: row.text(3)?,
        operator: row.flag(4)?,
        lang: row.opt_text(5)?.and_then(|tag| Lang::from_tag(&tag)),
        theme: theme(&row.text(6)?),
        created_at: row.time(7)?,
        disabled_at: row.opt_time(8)?,
        must_change_password: row.flag(9)?,
    })
}

fn theme(name: &str) -> Theme {
    match name {
        "light" => Theme::Light,
        "dark" => Theme::Dark,
        _ => Theme::System,
    }
}

fn theme_name(theme: Theme) -> &'static str {
    match theme {
        Theme::System => "system",
        Theme::Light => "light",
        Theme::Dark => "dark",
    }
}

fn role(name: &str) -> SqlResult<Role> {
    Role::parse(name).ok_or_else(|| unreadable("a role"))
}

/// An update of one row that must be there. A driver may count a row that was found but not changed as none.
async fn update_one(
    database: &SqlDatabase,
    sql: &'static str,
    values: Vec<Value>,
    unique: &[&'static str],
    there: impl Future<Output = SqlResult<bool>>,
) -> SqlResult<()> {
    let changed = database.pool.run(sql, values, unique).await?;
    if changed == 0 && !there.await? { Err(SqlError::NotFound) } else { Ok(()) }
}

impl SqlDatabase {
    async fn update_user_columns(&self, sql: &'static str, values: Vec<Value>, id: &str) -> SqlResult<()> {
        let there = async { Ok(self.user(id).await?.is_some()) };
        update_one(self, sql, values, &[], there).await
    }
}

#[async_trait]
impl Accounts for SqlDatabase {
    async fn migrate(&self) -> SqlResult<i64> {
        migration::migrate(&self.pool).await
    }

    async fn create_tenant(&self, tenant: &TenantRow) -> SqlResult<()> {
        let sql = "INSERT INTO tenants (tenant_key, slug, name, zone, retention_class, index_group, \
                   quota_events_per_sec, quota_bytes_per_sec, quota_bytes_per_day, created_at, suspended_at) VALUES \
                   (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let values = values![
            &tenant.key,
            tenant.slug.as_str(),
            tenant.name.as_str(),
            tenant.zone.as_str(),
            tenant.class.as_str(),
            u32::from(tenant.index_group),
            tenant.quota_events_per_sec,
            tenant.quota_bytes_per_sec,
            tenant.quota_bytes_per_day,
            tenant.created_at,
            tenant.suspended_at,
        ];
        match self.pool.run(sql, values, &["slug", "tenant_key", "PRIMARY"]).await {
            Err(SqlError::Conflict("tenant_key" | "PRIMARY")) => Err(SqlError::Conflict("key")),
            done => done.map(|_| ()),
        }
    }

    async fn update_tenant(&self, tenant: &TenantRow) -> SqlResult<()> {
        let sql = "UPDATE tenants SET slug = ?, name = ?, zone = ?, retention_class = ?, index_group = ?, \
                   quota_events_per_sec = ?, quota_bytes_per_sec = ?, quota_bytes_per_day = ?, suspended_at = ? \
                   WHERE tenant_key = ?";
        let values = values![
            tenant.slug.as_str(),
            tenant.name.as_str(),
            tenant.zone.as_str(),
            tenant.class.as_str(),
            u32::from(tenant.index_group),
            tenant.quota_events_per_sec,
            tenant.quota_bytes_per_sec,
            tenant.quota_bytes_per_day,
            tenant.suspended_at,
            &tenant.key,
        ];
        let there = async { Ok(self.tenant(&tenant.key).await?.is_some()) };
        update_one(self, sql, values, &["slug"], there).await
    }

    async fn tenant(&self, key: &TenantId) -> SqlResult<Option<TenantRow>> {
        let sql = select_tenants!("FROM tenants t WHERE t.tenant_key = ?");
        self.pool.row(sql, values![key]).await?.map(|row| tenant_row(&row)).transpose()
    }

    async fn tenant_by_slug(&self, slug: &str) -> SqlResult<Option<TenantRow>> {
        let sql = select_tenants!("FROM tenants t WHERE t.slug = ?");
        self.pool.row(sql, values![slug]).await?.map(|row| tenant_row(&row)).transpose()
    }

    async fn tenants(&self) -> SqlResult<Vec<TenantRow>> {
        let rows = self.pool.rows(select_tenants!("FROM tenants t ORDER BY t.slug"), vec![]).await?;
        rows.iter().map(tenant_row).collect()
    }

    async fn create_user(&self, user: &UserRow) -> SqlResult<()> {
        let sql = "INSERT INTO users (user_id, email, name, password_hash, is_operator, lang, theme, created_at, \
                   disabled_at, must_change_password) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let values = values![
            user.id.as_str(),
            user.email.as_str(),
            user.name.as_str(),
            user.password_hash.as_str(),
            user.operator,
            user.lang.map(Lang::tag),
            theme_name(user.theme),
            user.created_at,
            user.disabled_at,
            user.must_change_password,
        ];
        match self.pool.run(sql, values, &["email", "user_id", "PRIMARY"]).await {
            Err(SqlError::Conflict("user_id" | "PRIMARY")) => Err(SqlError::Conflict("id")),
            done => done.map(|_| ()),
        }
    }

    async fn update_user(&self, user: &UserRow) -> SqlResult<()> {
        let sql = "UPDATE users SET email = ?, name = ?, password_hash = ?, is_operator = ?, lang = ?, theme = ?, \
                   disabled_at = ?, must_change_password = ? WHERE user_id = ?";
        let values = values![
            user.email.as_str(),
            user.name.as_str(),
            user.password_hash.as_str(),
            user.operator,
            user.lang.map(Lang::tag),
            theme_name(user.theme),
            user.disabled_at,
            user.must_change_password,
            user.id.as_str(),
        ];
        let there = async { Ok(self.user(&user.id).await?.is_some()) };
        update_one(self, sql, values, &["email"], there).await
    }

    async fn set_user_profile(
        &self,
        id: &str,
        name: &str,
        lang: Option<Lang>,
        theme: Theme,
    ) -> SqlResult<()> {
        let sql = "UPDATE users SET name = ?, lang = ?, theme = ? WHERE user_id = ?";
        let values = values![name, lang.map(Lang::tag), theme_name(theme), id];
        self.update_user_columns(sql, values, id).await
    }

    async fn set_user_password(&self, id: &str, hash: &str, must_change: bool) -> SqlResult<()> {
        let sql = "UPDATE users SET password_hash = ?, must_change_password = ? WHERE user_id = ?";
        self.update_user_columns(sql, values![hash, must_change, id], id).await
    }

    async fn set_user_disabled(&self, id: &str, since: Option<Timestamp>) -> SqlResult<()> {
        let sql = "UPDATE users SET disabled_at = ? WHERE user_id = ?";
        self.update_user_columns(sql, values![since, id], id).await
    }

    async fn user(&self, id: &str) -> SqlResult<Option<UserRow>> {
        let sql = select_users!("WHERE user_id = ?");
        self.pool.row(sql, values![id]).await?.map(|row| user_row(&row)).transpose()
    }

    async fn user_by_email(&self, email: &str) -> SqlResult<Option<UserRow>> {
        let sql = select_users!("WHERE email = ?");
        self.pool.row(sql, values![email]).await?.map(|row| user_row(&row)).transpose()
    }

    async fn users(&self) -> SqlResult<Vec<UserRow>> {
        self.pool.rows(select_users!("ORDER BY email"), vec![]).await?.iter().map(user_row).collect()
    }

    async fn set_membership(&self, user_id: &str, tenant: &TenantId, role: Role) -> SqlResult<()> {
        let sql = self.pool.dialect().upsert(&MEMBERSHIPS, 1);
        self.pool.run(sql, values![user_id, tenant, role.name()], &[]).await.map(|_| ())
    }

    async fn memberships(&self, user_id: &str) -> SqlResult<Vec<MembershipRow>> {
        let sql = select_tenants!(
            ", m.role FROM memberships m JOIN tenants t ON t.tenant_key = m.tenant_key WHERE m.user_id = ? ORDER BY \
             t.slug"
        );
        let rows = self.pool.rows(sql, values![user_id]).await?;
        rows.iter()
            .map(|row| {
                Ok(MembershipRow {
                    user_id: user_id.to_owned(),
                    tenant: tenant_row(row)?,
                    role: role(&row.text(11)?)?,
                })
            })
            .collect()
    }

    async fn setting(&self, name: &str) -> SqlResult<Option<String>> {
        let sql = "SELECT setting_value FROM settings WHERE name = ?";
        self.pool.row(sql, values![name]).await?.map(|row| row.text(0)).transpose()
    }

    async fn set_setting(&self, name: &str, value: &str) -> SqlResult<()> {
        let sql = self.pool.dialect().upsert(&SETTINGS, 1);
        self.pool.run(sql, values![name, value], &[]).await.map(|_| ())
    }
}
