use super::*;
use redis::ConnectionAddr;

fn at(node: &ConnectionInfo) -> String {
    match node.addr() {
        ConnectionAddr::Tcp(host, port) => format!("{host} {port}"),
        ConnectionAddr::TcpTls { host, port, insecure: false, .. } => format!("{host} {port} TLS"),
        other => panic!("{other:?}"),
    }
}

fn user(node: &ConnectionInfo) -> (Option<&str>, Option<&str>) {
    (node.redis_settings().username(), node.redis_settings().password())
}

#[test]
fn one_server() {
    let Ok(Address::One(server)) = Address::parse("redis://u:p%40ss@127.0.0.1:7000/3") else {
        panic!("not one server")
    };
    assert_eq!(
        (at(&server), user(&server)),
        ("127.0.0.1 7000".to_owned(), (Some("u"), Some("p@ss")))
    );
    assert_eq!(server.redis_settings().db(), 3);
    let Ok(Address::One(server)) = Address::parse("rediss://cache.test") else {
        panic!("not one server")
    };
    assert_eq!(at(&server), "cache.test 6379 TLS");
}

#[test]
fn a_master_that_sentinels_name() {
    let url = "rediss+sentinel://u:p%2Fq@s1.test,[::1]:7001,s3.test:7002/main-1/2?sentinel=w:v";
    let address = Address::parse(url).unwrap();
    assert!(address.is_tls());
    let Address::Sentinel { sentinels, master, server } = address else { panic!("{address:?}") };
    let found: Vec<_> = sentinels.iter().map(at).collect();
    assert_eq!(found, ["s1.test 26379 TLS", "::1 7001 TLS", "s3.test 7002 TLS"]);
    assert!(sentinels.iter().all(|node| user(node) == (Some("w"), Some("v"))));
    assert_eq!(master, "main-1");
    let server = format!("{server:?}");
    for part in ["Secure", "db: 2", "\"u\""] {
        assert!(server.contains(part), "{server}");
    }

    let plain = Address::parse("redis+sentinel://127.0.0.1:7001/limits").unwrap();
    assert!(!plain.is_tls());
    let Address::Sentinel { sentinels, .. } = plain else { panic!("{plain:?}") };
    assert_eq!(user(&sentinels[0]), (None, None), "the server's password is not for sentinels");
}

#[test]
fn a_cluster() {
    let url = "redis+cluster://u:p@10.0.0.1:7000,10.0.0.2";
    let Ok(Address::Cluster(nodes)) = Address::parse(url) else { panic!("not a cluster") };
    assert_eq!(nodes.iter().map(at).collect::<Vec<_>>(), ["10.0.0.1 7000", "10.0.0.2 6379"]);
    assert!(nodes.iter().all(|node| user(node) == (Some("u"), Some("p"))));
}

#[test]
fn anything_else_is_refused_without_being_repeated() {
    for bad in [
        "",
        "redis",
        "redis:/secret",
        "memcached://secret",
        "unix:///secret",
        "redis+pool://secret",
        "redis+sentinel://secret",
        "redis+sentinel://secret/",
        "redis+sentinel://secret/ma ster",
        "redis+sentinel://secret/master/x",
        "redis+sentinel://secret/master?password=secret",
        "redis+sentinel:///master",
        "redis+cluster://",
        "redis+cluster://secret,",
        "redis+cluster://secret/1",
        "redis+cluster://secret:port",
        "rediss://secret#insecure",
        "rediss+cluster://secret#insecure",
    ] {
        let error = Address::parse(bad).unwrap_err();
        assert!(!format!("{error:?}").contains("secret"), "{bad}");
    }
}

#[test]
fn addresses_of_redis_are_known_by_their_scheme() {
    for (address, known) in [
        ("redis://a", true),
        ("rediss://a", true),
        ("redis+sentinel://a/m", true),
        ("rediss+cluster://a", true),
        ("redisss://a", false),
        ("redis+nonsense://a", false),
        ("memory", false),
        ("postgres://a", false),
    ] {
        assert_eq!(is_redis(address), known, "{address}");
    }
}
