//! Where the target of a shell is: a folder, or a bucket of a server in this process.

use std::fs;
use std::path::{Path, PathBuf};

use tests_s3_server::{Contents, Habits, Server};

use crate::shell::copy;

/// On the command line, and of the file with what the target is.
const CONFIGURED: &str = "target:t";
const CONFIG: &str = "s3.conf";

#[derive(Debug, Clone, Copy)]
pub(crate) enum On {
    Folder,
    Bucket,
}

pub(crate) enum Place {
    Folder,
    Bucket(Server),
}

/// What a target held at a time.
pub(crate) enum Kept {
    Folder(&'static str),
    Bucket(Contents),
}

impl Place {
    /// An empty one.
    pub(crate) fn new(on: On, folder: &Path) -> Self {
        match on {
            On::Folder => {
                fs::create_dir(folder.join("t")).unwrap();
                agent_target::DirectoryTarget::initialise(folder.join("t")).unwrap();
                Self::Folder
            }
            On::Bucket => {
                let server = Server::start(Habits::default());
                let config = format!("[{CONFIGURED}]\n{}", server.section());
                fs::write(folder.join(CONFIG), config).unwrap();
                Self::Bucket(server)
            }
        }
    }

    /// The words of a line that says `t` for the target.
    pub(crate) fn words<'a>(&self, line: &'a str) -> Vec<&'a str> {
        let mut words: Vec<_> = line.split_whitespace().collect();
        if let Self::Bucket(_) = self {
            for word in words.iter_mut().filter(|word| **word == "t") {
                *word = CONFIGURED;
            }
            words.extend(["--config-file", CONFIG]);
        }
        words
    }

    /// A folder with what there is on the target now, hidden things included; the folder itself, if it is one.
    pub(crate) fn files(&self, folder: &Path) -> PathBuf {
        let Self::Bucket(server) = self else {
            return folder.join("t");
        };
        let files = folder.join("downloaded");
        if files.exists() {
            fs::remove_dir_all(&files).unwrap();
        }
        fs::create_dir(&files).unwrap();
        server.download(&files);
        files
    }

    /// Uploads that were begun and are neither done nor given up.
    pub(crate) fn unfinished_uploads(&self) -> usize {
        match self {
            Self::Folder => 0,
            Self::Bucket(server) => server.uploads(),
        }
    }

    /// Returns when the server has done all that it was asked for by who is gone.
    pub(crate) fn settle(&self) {
        if let Self::Bucket(server) = self {
            server.settle();
        }
    }

    /// The server, if it is a bucket.
    pub(crate) fn server(&self) -> &Server {
        match self {
            Self::Folder => panic!("a folder has no server"),
            Self::Bucket(server) => server,
        }
    }

    /// A folder's is kept under a name, of which there is one.
    pub(crate) fn keep(&self, folder: &Path, name: &'static str) -> Kept {
        match self {
            Self::Folder => {
                copy(&folder.join("t"), &folder.join(name));
                Kept::Folder(name)
            }
            Self::Bucket(server) => Kept::Bucket(server.contents()),
        }
    }

    pub(crate) fn put_back(&self, folder: &Path, kept: &Kept) {
        match (self, kept) {
            (Self::Folder, Kept::Folder(name)) => copy(&folder.join(name), &folder.join("t")),
            (Self::Bucket(server), Kept::Bucket(contents)) => server.reset(contents.clone()),
            _ => panic!("kept of another kind of target"),
        }
    }
}
