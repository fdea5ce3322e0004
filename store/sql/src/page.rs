//! Parts of tables that are too long to be read at once: by the id where the last part ended, or by
//! a page's number. Each is one statement for all tables; PostgreSQL and SQLite take the same text.

/// Rows by their ids, beginning after one: no id is empty, so an empty text begins.
macro_rules! list {
    ($database:expr, $after:expr, $limit:expr, [$($columns:tt)+] of $table:literal by $id:literal, $read:path) => {
        $crate::database::on!($database, pool => {
            let rows = sqlx::query(concat!(
                "SELECT ", $($columns)+, " FROM ", $table,
                " WHERE ", $id, " > $1 ORDER BY ", $id, " LIMIT $2"
            ))
            .bind($crate::column::before_nul($after.unwrap_or_default()).to_owned())
            .bind(i64::from($limit.min(postern_store::durable::MAX_PAGE)))
            .fetch_all(pool)
            .await
            .map_err($crate::error::store_error)?;
            rows.iter().map($read).collect()
        })
    };
}
pub(crate) use list;

/// A page of rows in the order in which they were made, and how many there are in all. Those are
/// counted apart from the page: what is made in between is only counted.
macro_rules! page {
    ($database:expr, $ask:expr, [$($columns:tt)+] of $table:literal by $id:literal, $read:path) => {{
        let ask: postern_store::durable::PageAsk = $ask;
        let statement = if ask.newest_first {
            concat!(
                "SELECT ", $($columns)+, " FROM ", $table,
                " ORDER BY created_at DESC, ", $id, " DESC LIMIT $1 OFFSET $2"
            )
        } else {
            concat!(
                "SELECT ", $($columns)+, " FROM ", $table,
                " ORDER BY created_at, ", $id, " LIMIT $1 OFFSET $2"
            )
        };
        $crate::database::on!($database, pool => {
            let rows = sqlx::query(statement)
                .bind(i64::from(ask.limit.min(postern_store::durable::MAX_PAGE)))
                .bind($crate::column::write_number(ask.offset))
                .fetch_all(pool)
                .await
                .map_err($crate::error::store_error)?;
            let total: i64 = sqlx::query_scalar(concat!("SELECT COUNT(*) FROM ", $table))
                .fetch_one(pool)
                .await
                .map_err($crate::error::store_error)?;
            Ok(postern_store::durable::Paged {
                records: rows.iter().map($read).collect::<Result<_, _>>()?,
                total: u64::try_from(total).map_err(|_| $crate::column::corrupt("count"))?,
            })
        })
    }};
}
pub(crate) use page;
