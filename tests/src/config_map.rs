//! A folder as Kubernetes mounts a ConfigMap: links through one link, which an update turns to
//! another folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// One with one file.
#[derive(Debug)]
pub struct ConfigMap {
    place: PathBuf,
    file: &'static str,
    version: u32,
}

impl ConfigMap {
    /// Makes the folder.
    ///
    /// # Panics
    /// When that does not work.
    #[must_use]
    pub fn new(place: PathBuf, file: &'static str, text: &str) -> Self {
        fs::create_dir(&place).expect("a folder");
        symlink(Path::new("..data").join(file), place.join(file)).expect("a link");
        let mut map = Self { place, file, version: 0 };
        map.update(text);
        map
    }

    /// Puts another text in place of the one before, which is gone.
    ///
    /// # Panics
    /// When that does not work.
    pub fn update(&mut self, text: &str) {
        let before = self.folder();
        self.version += 1;
        fs::create_dir(self.folder()).expect("a folder");
        fs::write(self.folder().join(self.file), text).expect("a text");
        let (new, link) = (self.place.join("..data_tmp"), self.place.join("..data"));
        symlink(self.folder().file_name().expect("a name"), &new).expect("a link");
        fs::rename(new, link).expect("a link that was turned");
        if self.version > 1 {
            fs::remove_dir_all(before).expect("a folder that was removed");
        }
    }

    fn folder(&self) -> PathBuf {
        self.place.join(format!("..{}", self.version))
    }
}
