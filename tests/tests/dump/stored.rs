//! What the stores hold, as somebody with a copy reads it.

use std::fs;

use postern_e2e::gateway::Gateway;
use postern_e2e::postgres::Postgres;
use redis::Value;

/// Every key and every value of Redis, of whichever type, and each once more as it is dumped.
pub async fn of_redis(gateway: &Gateway) -> Vec<Vec<u8>> {
    let redis = gateway.redis.as_ref().expect("a Redis of its own");
    let client = redis::Client::open(redis.url()).expect("a client");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    let keys: Vec<Vec<u8>> =
        redis::cmd("KEYS").arg("*").query_async(&mut connection).await.expect("the keys");
    assert!(keys.len() > 5, "{keys:?}");
    let mut found = Vec::new();
    for key in keys {
        let kind: String =
            redis::cmd("TYPE").arg(&key).query_async(&mut connection).await.expect("a type");
        let read = match kind.as_str() {
            "string" => redis::cmd("GET").arg(&key).to_owned(),
            "hash" => redis::cmd("HGETALL").arg(&key).to_owned(),
            "set" => redis::cmd("SMEMBERS").arg(&key).to_owned(),
            "zset" => redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).to_owned(),
            "list" => redis::cmd("LRANGE").arg(&key).arg(0).arg(-1).to_owned(),
            "stream" => redis::cmd("XRANGE").arg(&key).arg("-").arg("+").to_owned(),
            other => panic!("a key of the type {other}"),
        };
        let value: Value = read.query_async(&mut connection).await.expect("a value");
        collect(&value, &mut found);
        let dumped: Option<Vec<u8>> =
            redis::cmd("DUMP").arg(&key).query_async(&mut connection).await.expect("a dump");
        found.extend(dumped);
        found.push(key);
    }
    found
}

fn collect(value: &Value, into: &mut Vec<Vec<u8>>) {
    match value {
        Value::BulkString(bytes) => into.push(bytes.clone()),
        Value::SimpleString(text) => into.push(text.clone().into_bytes()),
        Value::Array(values) | Value::Set(values) => {
            values.iter().for_each(|value| collect(value, into));
        }
        Value::Map(pairs) => {
            for (name, value) in pairs {
                collect(name, into);
                collect(value, into);
            }
        }
        _ => {}
    }
}

/// The files of SQLite, with what is not yet in the main one.
pub fn of_sqlite(gateway: &Gateway) -> Vec<Vec<u8>> {
    let file = gateway.folder().join("postern.db");
    let files = ["db", "db-wal"].map(|extension| file.with_extension(extension));
    files.iter().map(|path| fs::read(path).expect("a file of the database")).collect()
}

/// All rows of all tables, as text.
pub async fn of_postgres(postgres: &Postgres, database: &str) -> Vec<Vec<u8>> {
    let names = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
    let tables = postgres.sql(database, names).await;
    let mut found = Vec::new();
    for table in tables.lines() {
        let rows = postgres.sql(database, &format!("SELECT t::text FROM {table} t")).await;
        found.push(rows.into_bytes());
    }
    assert!(found.len() > 8, "{tables}");
    found
}
