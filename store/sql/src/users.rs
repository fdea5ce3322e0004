//! The table `users`.

use postern_store::StoreError;
use postern_store::durable::users::{PasswordHash, Profile, UserChange, UserRecord};
use postern_store::durable::{AuditEntry, PageAsk, Paged, email_key};

use crate::audit::audited;
use crate::column::{Columns, corrupt, write_time};
use crate::database::{Database, on};
use crate::error::store_error;
use crate::page::{list, page};

macro_rules! columns {
    () => {
        "id, email, role, tier, is_active, first_name, last_name, photo, department, \
         password_hash, must_change_password, created_at, updated_at"
    };
}

const INSERT: &str = concat!(
    "INSERT INTO users (email_key, ",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
     ON CONFLICT DO NOTHING"
);

/// What is NULL stays as it is; of what may be NULL, a number of its own says whether it changes.
const CHANGE: &str = "UPDATE users SET \
    email = COALESCE($2, email), \
    email_key = COALESCE($3, email_key), \
    role = COALESCE($4, role), \
    is_active = COALESCE($5, is_active), \
    first_name = COALESCE($6, first_name), \
    last_name = COALESCE($7, last_name), \
    photo = CASE WHEN $8 THEN $9 ELSE photo END, \
    department = CASE WHEN $8 THEN $10 ELSE department END, \
    tier = CASE WHEN $11 THEN $12 ELSE tier END, \
    password_hash = COALESCE($13, password_hash), \
    must_change_password = COALESCE($14, must_change_password), \
    updated_at = $15 \
    WHERE id = $1";

pub(crate) async fn insert(
    database: &Database,
    user: UserRecord,
    entry: &AuditEntry,
) -> Result<(), StoreError> {
    let inserted = audited!(database, entry, transaction => {
        let done = sqlx::query(INSERT)
            .bind(email_key(&user.email))
            .bind(user.id)
            .bind(user.email)
            .bind(user.role)
            .bind(user.tier)
            .bind(user.is_active)
            .bind(user.profile.first_name)
            .bind(user.profile.last_name)
            .bind(user.profile.photo)
            .bind(user.profile.department)
            .bind(user.password.map(|hash| hash.0))
            .bind(user.must_change_password)
            .bind(write_time(user.created_at))
            .bind(write_time(user.updated_at))
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        done.rows_affected() == 1
    });
    if inserted { Ok(()) } else { Err(StoreError::Conflict) }
}

pub(crate) async fn find(database: &Database, id: &str) -> Result<Option<UserRecord>, StoreError> {
    on!(database, pool => {
        let row = sqlx::query(concat!("SELECT ", columns!(), " FROM users WHERE id = $1"))
            .bind(id.to_owned())
            .fetch_optional(pool)
            .await
            .map_err(store_error)?;
        row.as_ref().map(read).transpose()
    })
}

pub(crate) async fn find_by_email(
    database: &Database,
    email: &str,
) -> Result<Option<UserRecord>, StoreError> {
    on!(database, pool => {
        let row = sqlx::query(concat!("SELECT ", columns!(), " FROM users WHERE email_key = $1"))
            .bind(email_key(email))
            .fetch_optional(pool)
            .await
            .map_err(store_error)?;
        row.as_ref().map(read).transpose()
    })
}

pub(crate) async fn list(
    database: &Database,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<UserRecord>, StoreError> {
    list!(database, after, limit, [columns!()] of "users" by "id", read)
}

pub(crate) async fn page(
    database: &Database,
    ask: PageAsk,
) -> Result<Paged<UserRecord>, StoreError> {
    page!(database, ask, [columns!()] of "users" by "id", read)
}

/// Role by role: how many there are of each is asked in one snapshot, so that nobody who changes
/// from one to another is missed or counted twice.
pub(crate) async fn count_active(database: &Database, roles: &[String]) -> Result<u64, StoreError> {
    let counted: Vec<(String, i64)> = on!(database, pool => {
        sqlx::query_as("SELECT role, COUNT(*) FROM users WHERE is_active GROUP BY role")
            .fetch_all(pool)
            .await
            .map_err(store_error)?
    });
    let wanted = counted.into_iter().filter(|(role, _)| roles.contains(role));
    let count: i64 = wanted.map(|(_, count)| count).sum();
    u64::try_from(count).map_err(|_| corrupt("count"))
}

/// Changes a user within a transaction of either database; whether there is one.
macro_rules! apply {
    ($transaction:ident, $id:expr, $change:expr) => {{
        let UserChange { email, role, is_active, profile, tier, password, at } = $change;
        let changes_profile = profile.is_some();
        let (first_name, last_name, photo, department) = match profile {
            Some(Profile { first_name, last_name, photo, department }) => {
                (Some(first_name), Some(last_name), photo, department)
            }
            None => (None, None, None, None),
        };
        let (password, must_change) = match password {
            Some((hash, must_change)) => (Some(hash.0), Some(must_change)),
            None => (None, None),
        };
        let done = sqlx::query(CHANGE)
            .bind($id.to_owned())
            .bind(email.clone())
            .bind(email.as_deref().map(email_key))
            .bind(role)
            .bind(is_active)
            .bind(first_name)
            .bind(last_name)
            .bind(changes_profile)
            .bind(photo)
            .bind(department)
            .bind(tier.is_some())
            .bind(tier.flatten())
            .bind(password)
            .bind(must_change)
            .bind(write_time(at))
            .execute(&mut *$transaction)
            .await
            .map_err(store_error)?;
        done.rows_affected() == 1
    }};
}

pub(crate) async fn change(
    database: &Database,
    id: &str,
    change: UserChange,
    entry: &AuditEntry,
) -> Result<bool, StoreError> {
    let changed = audited!(database, entry, transaction => apply!(transaction, id, change));
    Ok(changed)
}

/// Who is changed by this at the same time waits at the beginning, and then sees what the first
/// one has left.
pub(crate) async fn change_but_the_last(
    database: &Database,
    id: &str,
    change: UserChange,
    roles: &[String],
    entry: &AuditEntry,
) -> Result<bool, StoreError> {
    let changed = audited!(database, entry, begin_demotion: transaction => {
        let counted: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT role, COUNT(*), COUNT(CASE WHEN id = $1 THEN 1 END) FROM users \
             WHERE is_active GROUP BY role",
        )
        .bind(id.to_owned())
        .fetch_all(&mut *transaction)
        .await
        .map_err(store_error)?;
        if is_last(&counted, roles) { false } else { apply!(transaction, id, change) }
    });
    Ok(changed)
}

/// Whether one user alone has one of these roles: of each role, how many may log in with it, and
/// how often that user is among them.
fn is_last(counted: &[(String, i64, i64)], roles: &[String]) -> bool {
    let those = counted.iter().filter(|(role, ..)| roles.contains(role));
    let (all, own) =
        those.fold((0_i64, 0_i64), |(all, own), (_, more, its)| (all + more, own + its));
    own > 0 && all == own
}

pub(crate) async fn upgrade_password(
    database: &Database,
    id: &str,
    from: &PasswordHash,
    to: PasswordHash,
) -> Result<bool, StoreError> {
    let rows = on!(database, pool => {
        let done = sqlx::query(
            "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3",
        )
        .bind(to.0)
        .bind(id.to_owned())
        .bind(from.0.clone())
        .execute(pool)
        .await
        .map_err(store_error)?;
        done.rows_affected()
    });
    Ok(rows > 0)
}

fn read<R: Columns>(row: &R) -> Result<UserRecord, StoreError> {
    Ok(UserRecord {
        id: row.text("id")?,
        email: row.text("email")?,
        role: row.text("role")?,
        is_active: row.boolean("is_active")?,
        profile: Profile {
            first_name: row.text("first_name")?,
            last_name: row.text("last_name")?,
            photo: row.optional_text("photo")?,
            department: row.optional_text("department")?,
        },
        password: row.optional_text("password_hash")?.map(PasswordHash),
        must_change_password: row.boolean("must_change_password")?,
        tier: row.optional_text("tier")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}
