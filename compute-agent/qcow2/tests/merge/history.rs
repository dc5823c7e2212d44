//! A chain in a folder, and what each of its images must show.

use std::path::PathBuf;

use agent_qcow2::MergedImage;
use tempfile::TempDir;

use crate::stored::{compose, open_pair, prepare, rewrite};
use crate::support::plan::{Plan, write};
use crate::support::{Model, assert_clean, assert_reads_as, open_chain};

/// The ways to merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    InPlace,
    Composed,
    /// With a head as long as an S3 part.
    ComposedLikeS3,
    Anew,
}

pub(crate) struct History {
    folder: TempDir,
    /// Oldest first.
    pub(crate) images: Vec<(PathBuf, Model)>,
    written: usize,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            images: Vec::new(),
            written: 0,
        }
    }

    /// Writes the next image; builds upon the newest there is.
    pub(crate) fn add(&mut self, plan: &Plan) {
        let path = self.next_path();
        let (backing, mut model) = self.newest();
        let seed = (self.written % 200) as u8 + 1;
        write(plan, &path, backing.as_deref(), seed, &mut model);
        self.push(path, model);
    }

    pub(crate) fn next_path(&self) -> PathBuf {
        let folder = format!("snapshot_{}/vm", self.written);
        let folder = self.folder.path().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder.join("image")
    }

    /// The newest image's name as the next one's backing file, and what it shows.
    pub(crate) fn newest(&self) -> (Option<String>, Model) {
        let Some((path, model)) = self.images.last() else {
            return (None, Model::default());
        };
        let name = path.strip_prefix(self.folder.path()).unwrap();
        (Some(format!("../../{}", name.display())), model.clone())
    }

    pub(crate) fn push(&mut self, path: PathBuf, model: Model) {
        self.images.push((path, model));
        self.written += 1;
    }

    /// Merges the image at `index` into the next one.
    pub(crate) fn merge(&mut self, index: usize, way: Way) {
        let (parent, before) = &self.images[index];
        let (successor, after) = &self.images[index + 1];
        let base = index.checked_sub(1).map(|base| self.images[base].0.clone());
        let pair = open_pair(parent, successor, base.as_deref(), after);
        let merged = match way {
            Way::InPlace => {
                let (prepared, mut update) = prepare(&pair, parent);
                self.assert_shows(parent, before);
                self.assert_shows(successor, after);
                prepared.flip(&mut update).unwrap();
                self.assert_shows(successor, after);
                prepared.reclaim(&mut update).unwrap();
                self.assert_shows(successor, after);
                std::fs::rename(parent, successor).unwrap();
                Some(prepared.merged())
            }
            Way::Composed => compose(&pair, parent, successor, 0),
            Way::ComposedLikeS3 => compose(&pair, parent, successor, 5 << 20),
            Way::Anew => None,
        };
        let merged = merged.unwrap_or_else(|| rewrite(&pair, successor));
        if parent.exists() {
            std::fs::remove_file(parent).unwrap();
        }
        self.images.remove(index);
        self.assert_is(index, merged);
    }

    fn assert_is(&self, index: usize, merged: MergedImage) {
        let path = &self.images[index].0;
        assert_eq!(merged.size_bytes, std::fs::metadata(path).unwrap().len());
        let chain = self.chain(index);
        let image = &chain.images()[0];
        assert_eq!(merged.head_blake3, image.head_blake3().unwrap());
        assert_eq!(merged.virtual_size, image.header().virtual_size);
    }

    fn chain(&self, index: usize) -> agent_qcow2::Chain {
        let images = self.images[..=index].iter().rev();
        let paths: Vec<_> = images.map(|(path, _)| path.clone()).collect();
        open_chain(&paths).unwrap()
    }

    fn assert_shows(&self, path: &std::path::Path, model: &Model) {
        let raw = self.folder.path().join("model.raw");
        model.write_raw(&raw);
        assert_clean(path);
        assert_reads_as(path, &raw);
    }

    /// Every image of the chain, by `qemu-img` and by our reader.
    pub(crate) fn assert_all(&self) {
        for (index, (path, model)) in self.images.iter().enumerate() {
            self.assert_shows(path, model);
            let chain = self.chain(index);
            assert_eq!(chain.virtual_size(), model.end);
            for (cluster, bytes) in &model.clusters {
                let offset = cluster << 16;
                let length = (model.end - offset).min(1 << 16) as usize;
                let mut read = vec![0xCC; length];
                chain.read_at(&mut read, offset).unwrap();
                assert!(read == bytes[..length], "cluster {cluster}");
            }
        }
    }
}
