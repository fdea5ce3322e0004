//! A Redis that already runs and that somebody lends us: `REDIS_URL`.
//!
//! It may hold anything. Every user of it (a test, a run of `up`) takes one database that is
//! empty, marks it as taken, and in the end deletes Postern's own keys from it. No other
//! database is written to, and nothing is ever flushed.
//!
//! The file knows only std and belongs to two crates: xtask, which must know none of ours, and
//! the test kit, which includes it by its path (`tests/src/redis.rs`).

use std::fmt;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What `postern serve` takes as well; a text that is none is not repeated, for its password.
const EXPECTED: &str = "expected redis://[user:password@]host[:port][/database]";
const NO_TLS: &str = "rediss:// is not supported yet, neither here nor by `postern serve`: name a \
                      Redis without TLS (redis://…)";
/// Longest time for a connection, and for an answer.
const LONGEST: Duration = Duration::from_secs(5);
/// Answers are numbers and short texts; what is longer comes from no Redis.
const LONGEST_LINE: u64 = 1024;
/// How many databases are looked at. A Redis has 16 unless configured otherwise.
const DATABASES: u32 = 64;

/// The key that marks a database as taken.
const MARK: &str = "postern:dev:taken";
/// Marks an empty database. KEYS: the mark. ARGV: whose it is, and for how many seconds.
/// One script, so that two who look at the same time cannot both find it empty.
const TAKE: &str = "if redis.call('DBSIZE') > 0 then return 0 end \
                    redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) return 1";
/// Deletes Postern's keys, the mark among them. KEYS: the mark. ARGV: whose it must be.
const GIVE_BACK: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
                         for _, key in ipairs(redis.call('KEYS', 'postern:*')) do \
                         redis.call('DEL', key) end return 1";

/// Where a Redis is. Holds a password perhaps, so that `Debug` shows only host and port.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    /// All but the database, as it was given.
    base: String,
    /// User (empty for the default one) and password.
    credentials: Option<(String, String)>,
    host: String,
    port: u16,
    database: u32,
}

impl RedisUrl {
    /// Reads `redis://[user:password@]host[:port][/database]`.
    ///
    /// # Errors
    /// When it is something else; the text does not repeat it.
    pub fn parse(text: &str) -> io::Result<Self> {
        if text.starts_with("rediss://") {
            return Err(io::Error::new(ErrorKind::Unsupported, NO_TLS));
        }
        Self::read(text).ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, EXPECTED))
    }

    fn read(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("redis://")?;
        if rest.contains(|c: char| matches!(c, '?' | '#') || c.is_whitespace()) {
            return None;
        }
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let database = if database.is_empty() { 0 } else { database.parse::<u32>().ok()? };
        let (user, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        let credentials = if password.is_empty() {
            None
        } else {
            Some((percent_decoded(name)?, percent_decoded(password)?))
        };
        let (host, port) = host_and_port(address)?;
        Some(Self { base: format!("redis://{authority}"), credentials, host, port, database })
    }

    /// The whole URL, with its secrets: for a program's environment, never for people.
    #[must_use]
    pub fn url(&self) -> String {
        self.at(self.database)
    }

    /// Asks whether it is there.
    ///
    /// # Errors
    /// When nobody answers, or not as Redis does, or refuses us.
    pub fn ping(&self) -> io::Result<()> {
        if self.connect()?.ask(&["PING"])? == "PONG" { Ok(()) } else { Err(no_redis()) }
    }

    /// Takes the first empty database, from the URL's own one upwards. The mark ends by itself
    /// after `lease`, so that nothing stays taken by a program that was killed.
    ///
    /// # Errors
    /// When there is none, or Redis cannot be asked.
    pub fn take_database(&self, lease: Duration) -> io::Result<Database> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mark = format!("{}-{}", std::process::id(), since.as_nanos());
        let seconds = lease.as_secs().max(1).to_string();
        let mut connection = self.connect()?;
        let mut end = "and no more were looked at".to_owned();
        for number in self.database..self.database.saturating_add(DATABASES) {
            match connection.ask(&["SELECT", &number.to_string()]) {
                Ok(_) => {}
                // Refused: there are no more.
                Err(error) if error.kind() == ErrorKind::Other => {
                    end = format!("then: {error}");
                    break;
                }
                Err(error) => return Err(error),
            }
            if connection.ask(&["EVAL", TAKE, "1", MARK, &mark, &seconds])? == "1" {
                return Ok(Database { server: self.clone(), number, mark });
            }
        }
        Err(io::Error::other(format!(
            "{self:?} has no empty database from number {} on ({end}), and every test and every \
             `up` takes one to itself",
            self.database
        )))
    }

    fn at(&self, database: u32) -> String {
        format!("{}/{database}", self.base)
    }

    fn connect(&self) -> io::Result<Connection> {
        let mut problem = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, LONGEST) {
                Ok(stream) => return self.log_in(stream),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    fn log_in(&self, stream: TcpStream) -> io::Result<Connection> {
        stream.set_read_timeout(Some(LONGEST))?;
        stream.set_write_timeout(Some(LONGEST))?;
        let mut connection = Connection(BufReader::new(stream));
        if let Some((name, password)) = &self.credentials {
            let mut words = vec!["AUTH"];
            if !name.is_empty() {
                words.push(name);
            }
            words.push(password);
            connection.ask(&words).map_err(|error| match error.kind() {
                // What refuses a command may repeat it, with the password.
                ErrorKind::Other => io::Error::new(
                    ErrorKind::PermissionDenied,
                    "it refuses the user or the password",
                ),
                _ => error,
            })?;
        }
        Ok(connection)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A database that is ours until this value is dropped.
#[derive(Debug)]
pub struct Database {
    server: RedisUrl,
    number: u32,
    mark: String,
}

impl Database {
    /// Its URL, with secrets: for a program, never for people.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.at(self.number)
    }

    fn give_back(&self) -> io::Result<()> {
        let mut connection = self.server.connect()?;
        connection.ask(&["SELECT", &self.number.to_string()])?;
        connection.ask(&["EVAL", GIVE_BACK, "1", MARK, &self.mark])?;
        Ok(())
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database {} of {:?}", self.number, self.server)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // All keys have an end: what cannot be deleted now goes by itself.
        let _ = self.give_back();
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    /// One command and its answer, which is a text or a number. A refusal is an error of the
    /// kind `Other`; everything else that goes wrong has another kind.
    fn ask(&mut self, words: &[&str]) -> io::Result<String> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.0.get_mut().write_all(command.as_bytes())?;
        let mut line = String::new();
        self.0.by_ref().take(LONGEST_LINE).read_line(&mut line)?;
        match line.trim_end().split_at_checked(1) {
            Some(("+" | ":", answer)) => Ok(answer.to_owned()),
            Some(("-", refusal)) => Err(io::Error::other(refusal.to_owned())),
            _ => Err(no_redis()),
        }
    }
}

fn no_redis() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "what listens there does not answer as Redis does")
}

/// `host`, `host:port`, `[::1]`, `[::1]:port`
fn host_and_port(address: &str) -> Option<(String, u16)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => address.split_at_checked(address.find(':').unwrap_or(address.len()))?,
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse::<u16>().ok()?,
        None if port.is_empty() => 6379,
        None => return None,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// RFC 3986, section 2.1.
fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use super::*;

    #[test]
    fn urls_are_read() {
        let login = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        for (text, credentials, host, port, database) in [
            ("redis://localhost", None, "localhost", 6379, 0),
            ("redis://10.0.0.1:7000/", None, "10.0.0.1", 7000, 0),
            ("redis://[::1]:7000/3", None, "::1", 7000, 3),
            ("redis://[::1]", None, "::1", 6379, 0),
            ("redis://alice@cache", None, "cache", 6379, 0),
            ("redis://:s3@cache/12", login("", "s3"), "cache", 6379, 12),
            ("redis://alice:s%2F%40:3@cache", login("alice", "s/@:3"), "cache", 6379, 0),
        ] {
            let url = RedisUrl::parse(text).unwrap();
            assert_eq!(url.credentials, credentials, "{text}");
            assert_eq!((url.host.as_str(), url.port, url.database), (host, port, database));
            assert_eq!(RedisUrl::parse(&url.url()).unwrap(), url, "{text}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_and_not_repeated() {
        for text in [
            "",
            "hush",
            "http://hush@cache",
            "redis:cache",
            "redis://",
            "redis://:hush@",
            "redis://:hush@:6379",
            "redis://:hush@cache:port",
            "redis://:hush@cache:6379x",
            "redis://:hush@[::1",
            "redis://:hush@[::1]6379",
            "redis://:hush@::1",
            "redis://:hush@cache/one",
            "redis://:hush@cache/1/2",
            "redis://:hush@cache/-1",
            "redis://:hush@cache?protocol=resp3",
            "redis://:hush@cache\n",
            "redis://:hush%@cache",
            "redis://:hush%zz@cache",
            "redis://:hush%ff@cache",
        ] {
            let error = RedisUrl::parse(text).unwrap_err();
            assert_eq!(error.to_string(), EXPECTED, "{text}");
        }
        let error = RedisUrl::parse("rediss://:hush@cache").unwrap_err().to_string();
        assert!(error.contains("TLS") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn nothing_that_is_shown_holds_a_password() {
        let server = RedisUrl::parse("redis://alice:hush@cache:7000/3").unwrap();
        assert_eq!(format!("{server:?}"), "cache:7000");
    }

    /// Gives these answers in turn, and tells what it was asked.
    fn redis(answers: &'static [&'static str]) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = thread::spawn(move || {
            let mut asked = Vec::new();
            let mut answers = answers.iter();
            while answers.len() > 0 {
                let (stream, _) = listener.accept().unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                while let Some(head) = lines.next() {
                    let words: usize = head.unwrap().strip_prefix('*').unwrap().parse().unwrap();
                    let words = lines.by_ref().take(2 * words).map(Result::unwrap);
                    // Each word comes after a line with its length.
                    asked.push(words.skip(1).step_by(2).collect::<Vec<_>>().join(" "));
                    let answer = format!("{}\r\n", answers.next().unwrap());
                    (&stream).write_all(answer.as_bytes()).unwrap();
                }
            }
            asked
        });
        (address.to_string(), asked)
    }

    #[test]
    fn a_ping_logs_in_first() {
        let (address, asked) = redis(&["+OK", "+PONG"]);
        RedisUrl::parse(&format!("redis://:s3@{address}")).unwrap().ping().unwrap();
        assert_eq!(asked.join().unwrap(), ["AUTH s3", "PING"]);
        let (address, asked) = redis(&["+OK", "-NOAUTH Authentication required."]);
        let url = RedisUrl::parse(&format!("redis://alice:s3@{address}")).unwrap();
        assert!(url.ping().unwrap_err().to_string().starts_with("NOAUTH"));
        assert_eq!(asked.join().unwrap(), ["AUTH alice s3", "PING"]);
    }

    #[test]
    fn a_refused_password_is_not_repeated() {
        let (address, asked) = redis(&["-ERR unknown command 'AUTH', beginning with: 'hush'"]);
        let url = RedisUrl::parse(&format!("redis://:hush@{address}")).unwrap();
        let error = url.ping().unwrap_err();
        assert_eq!(error.to_string(), "it refuses the user or the password");
        asked.join().unwrap();
    }

    #[test]
    fn what_is_no_redis_is_told() {
        let (address, asked) = redis(&["HTTP/1.1 400 Bad Request"]);
        let error = RedisUrl::parse(&format!("redis://{address}")).unwrap().ping().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        asked.join().unwrap();
    }

    #[test]
    fn the_first_empty_database_is_taken_and_given_back() {
        let (address, asked) = redis(&["+OK", ":0", "+OK", ":1", "+OK", ":1"]);
        let url = RedisUrl::parse(&format!("redis://{address}/3")).unwrap();
        let database = url.take_database(Duration::from_secs(60)).unwrap();
        assert_eq!(database.url(), format!("redis://{address}/4"));
        assert_eq!(database.to_string(), format!("database 4 of {address}"));
        let mark = database.mark.clone();
        drop(database);
        let take = format!("EVAL {TAKE} 1 {MARK} {mark} 60");
        let give_back = format!("EVAL {GIVE_BACK} 1 {MARK} {mark}");
        let asked = asked.join().unwrap();
        assert_eq!(asked, ["SELECT 3", &take, "SELECT 4", &take, "SELECT 4", &give_back]);
    }

    #[test]
    fn a_redis_without_an_empty_database_says_so() {
        let (address, asked) = redis(&["+OK", ":0", "-ERR DB index is out of range"]);
        let url = RedisUrl::parse(&format!("redis://{address}")).unwrap();
        let error = url.take_database(Duration::from_secs(60)).unwrap_err().to_string();
        assert!(error.contains("no empty database") && error.contains("out of range"), "{error}");
        asked.join().unwrap();
    }
}
