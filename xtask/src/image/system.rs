//! Which package of the distribution a file came from.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::oci::Digest;
use crate::process;

/// A package, as far as it is in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name; that of the file where nobody knows the package.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Where it is defined (`pkg:deb/…`).
    pub purl: Option<String>,
    /// Its terms, as the distribution has them.
    pub copyright: Option<Vec<u8>>,
    /// The files that are taken from it: paths in the image, with their digests.
    pub files: Vec<(String, Digest)>,
}

/// The packages of these files, each once, by name. What `dpkg` does not know becomes a package of
/// its own.
pub fn packages<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<Package> {
    let mut packages: Vec<Package> = Vec::new();
    for (path, bytes) in files {
        let file = (path.to_owned(), Digest::of(bytes));
        let package = owner(path).and_then(|owner| named(&owner)).unwrap_or_else(|| Package {
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            version: None,
            purl: None,
            copyright: None,
            files: Vec::new(),
        });
        match packages.iter_mut().find(|known| known.name == package.name) {
            Some(known) => known.files.push(file),
            None => packages.push(Package { files: vec![file], ..package }),
        }
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    packages
}

/// A package by its name.
pub fn named(name: &str) -> Option<Package> {
    const FORMAT: &str = "${Package} ${Version} ${Architecture}";
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", FORMAT, name]);
    let text = process::output(&mut query).ok()?;
    let mut words = text.split_whitespace();
    let (name, version, architecture) = (words.next()?, words.next()?, words.next()?);
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let copyright = Path::new("/usr/share/doc").join(name).join("copyright");
    Some(Package {
        name: name.to_owned(),
        version: Some(version.to_owned()),
        purl: Some(purl(name, version, architecture, &release)),
        copyright: fs::read(copyright).ok(),
        files: Vec::new(),
    })
}

/// The package that a file belongs to. `/lib` may be a link to `/usr/lib`, and packages name
/// either.
fn owner(path: &str) -> Option<String> {
    let other = path.strip_prefix("/usr").map_or_else(|| format!("/usr{path}"), str::to_owned);
    [path, &other].into_iter().find_map(|path| {
        let text = process::output(Command::new("dpkg-query").args(["--search", path])).ok()?;
        owner_in(&text)
    })
}

/// From `libc6:amd64: /lib/…`, or `one, two: /lib/…`; lines about diversions name no package.
fn owner_in(text: &str) -> Option<String> {
    let line = text.lines().find(|line| !line.starts_with("diversion "))?;
    let (packages, _) = line.rsplit_once(": ")?;
    Some(packages.split(',').next()?.trim().to_owned())
}

/// A package URL: <https://github.com/package-url/purl-spec>.
fn purl(name: &str, version: &str, architecture: &str, os_release: &str) -> String {
    let field = |name: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let distribution = field("ID").unwrap_or_else(|| "debian".to_owned());
    let (name, version) = (escaped(name), escaped(version));
    let release = field("VERSION_ID").map(|version| format!("&distro={distribution}-{version}"));
    format!(
        "pkg:deb/{distribution}/{name}@{version}?arch={architecture}{}",
        release.unwrap_or_default()
    )
}

/// A part of a package URL, with everything else escaped.
pub fn escaped(part: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '~' | ':');
    let mut escaped = String::with_capacity(part.len());
    for c in part.chars() {
        if is_plain(c) {
            escaped.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                escaped.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_read() {
        for (text, owner) in [
            ("libc6:amd64: /lib/x86_64-linux-gnu/libc.so.6\n", Some("libc6:amd64")),
            ("one, two:arm64: /lib/x\n", Some("one")),
            ("diversion by dash from: /bin/sh\ndash: /bin/sh\n", Some("dash")),
            ("", None),
        ] {
            assert_eq!(owner_in(text).as_deref(), owner, "{text}");
        }
    }

    #[test]
    fn package_urls_are_escaped() {
        let release = "NAME=\"Debian\"\nVERSION_ID=\"12\"\nID=debian\n";
        assert_eq!(
            purl("libc6", "2.36-9+deb12u14", "amd64", release),
            "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12"
        );
        assert_eq!(purl("a", "1:2", "all", ""), "pkg:deb/debian/a@1:2?arch=all");
    }

    #[test]
    fn a_file_of_nobody_is_its_own_package() {
        let files = [("/opt/b/libb.so.1", &b"b"[..]), ("/opt/a/liba.so.1", b"a")];
        let packages = packages(files.into_iter());
        let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["liba.so.1", "libb.so.1"]);
        let expected = ("/opt/a/liba.so.1".to_owned(), Digest::of(b"a"));
        assert_eq!(packages.first().unwrap().files, [expected]);
    }
}
