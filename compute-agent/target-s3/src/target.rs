//! The bucket as a target.

use std::sync::Arc;

use agent_format::ObjectName;
use agent_target::{
    Capabilities, Capacity, ErrorKind, ImageComposition, ImageSink, ObjectStat, ReadAt, Result,
    Retention, Target, TargetError,
};
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::bucket::Bucket;
use crate::composition::Composition;
use crate::error::bare;
use crate::features::Known;
use crate::limits::plan_parts;
use crate::read_ahead::CHUNK_BYTES;
use crate::reader::Reader;
use crate::runtime::Blocking;
use crate::settings::{S3Settings, SettingsError};
use crate::sink::Sink;

/// A bucket as a target; a clone is the same one.
#[derive(Debug, Clone)]
pub struct S3Target(Arc<Shared>);

/// What a target and all that is open in it share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) bucket: Bucket,
    pub(crate) blocking: Blocking,
    /// One permit for each chunk in memory that was fetched ahead.
    pub(crate) ahead: Arc<Semaphore>,
    known: Known,
}

impl Shared {
    /// How many chunks one reader may have ahead of it.
    pub(crate) fn chunks_ahead(&self) -> u64 {
        self.bucket.settings.parts_in_flight as u64
    }
}

impl S3Target {
    /// The target in this bucket. Nothing is asked of the server yet.
    pub fn new(settings: S3Settings) -> std::result::Result<Self, SettingsError> {
        // As much as one image that is written may use, and enough to be of use.
        let memory = settings.largest_part_bytes * settings.parts_in_flight as u64;
        let chunks = usize::try_from(memory / CHUNK_BYTES).unwrap_or(usize::MAX);
        let blocking = Blocking::new().map_err(|error| SettingsError {
            key: "type",
            why: format!("no threads for it: {error}"),
        })?;
        Ok(Self(Arc::new(Shared {
            bucket: Bucket::new(settings)?,
            blocking,
            ahead: Arc::new(Semaphore::new(chunks.clamp(2, Semaphore::MAX_PERMITS))),
            known: Known::default(),
        })))
    }

    pub(crate) fn key(&self, name: &ObjectName) -> String {
        self.0.bucket.key(name)
    }

    pub(crate) fn run<T, F>(&self, request: impl FnOnce(Arc<Shared>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.0.blocking.run(request(self.0.clone()))
    }

    /// Throws away what there is of an unfinished one, and begins one of at most `bound` bytes.
    fn begin(&self, name: &ObjectName, bound: Option<u64>) -> Result<(Sink, u64)> {
        let begun = name.clone();
        let planned = self.run(|shared| async move {
            let bucket = &shared.bucket;
            let limit = shared.known.part_limit.get(bucket).await?;
            let largest = bucket.settings.largest_part_bytes;
            let part_bytes = plan_parts(begun.as_str(), bound, largest, limit)?;
            shared.known.features(bucket).await?;
            bucket.abandon("create image", &begun).await?;
            Ok((part_bytes, limit))
        });
        let (part_bytes, limit) = planned.map_err(named(name))?;
        let sink = Sink::create(self.0.clone(), name, part_bytes, limit);
        Ok((sink, limit))
    }

    fn go_on(&self, name: &ObjectName, length: u64) -> Result<Box<dyn ImageSink>> {
        let resumed = name.clone();
        let unfinished = self.run(|shared| async move {
            let limit = shared.known.part_limit.get(&shared.bucket).await?;
            shared.known.features(&shared.bucket).await?;
            let unfinished = shared.bucket.unfinished(&resumed, length).await?;
            Ok((unfinished, limit))
        });
        let (unfinished, limit) = unfinished.map_err(named(name))?;
        let sink = Sink::resume(self.0.clone(), name, unfinished, length, limit);
        Ok(Box::new(sink))
    }
}

/// Errors name the object, not the key that was asked for.
pub(crate) fn named(name: &ObjectName) -> impl Fn(TargetError) -> TargetError {
    move |error| TargetError {
        name: name.to_string(),
        ..error
    }
}

impl Target for S3Target {
    fn put_object(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        let bytes = Bytes::copy_from_slice(bytes);
        let key = self.0.bucket.key(name);
        let put = self.run(|shared| async move {
            let bucket = &shared.bucket;
            bucket.put("write object", &key, bytes).await
        });
        put.map_err(named(name))
    }

    fn get_object(&self, name: &ObjectName, limit_bytes: u64) -> Result<Vec<u8>> {
        let key = self.0.bucket.key(name);
        let got = self.run(|shared| async move {
            let bucket = &shared.bucket;
            bucket.get("read object", &key, limit_bytes).await
        });
        got.map_err(named(name))
    }

    fn list(&self, folder: Option<&ObjectName>) -> Result<Vec<ObjectStat>> {
        let bucket = &self.0.bucket;
        let prefix = match folder {
            Some(folder) => bucket.folder_key(folder),
            None => bucket.prefix().to_owned(),
        };
        let found = self.run(|shared| async move {
            let bucket = &shared.bucket;
            bucket.list("list objects", &prefix).await
        })?;
        let stats = found.into_iter().filter_map(|found| {
            Some(ObjectStat {
                // What no object can be called (ours with a dot among them) is no object.
                name: bucket.object_name(&found.key)?,
                size_bytes: found.size_bytes,
            })
        });
        let mut stats: Vec<_> = stats.collect();
        stats.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(stats)
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        let key = self.0.bucket.key(name);
        let deleted = self.run(|shared| async move {
            let bucket = &shared.bucket;
            bucket.delete("delete object", &key).await
        });
        deleted.map_err(named(name))
    }

    fn delete_folder(&self, folder: &ObjectName) -> Result<()> {
        let prefix = self.0.bucket.folder_key(folder);
        let deleted = self.run(|shared| async move {
            let (bucket, operation) = (&shared.bucket, "delete folder");
            for upload in bucket.uploads(operation, &prefix).await? {
                bucket.abort_upload(operation, &upload).await?;
            }
            let found = bucket.list(operation, &prefix).await?;
            let keys: Vec<_> = found.into_iter().map(|found| found.key).collect();
            bucket.delete_all(operation, &keys).await
        });
        deleted.map_err(named(folder))
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<ObjectStat>> {
        let key = self.0.bucket.key(name);
        let found = self.run(|shared| async move {
            let bucket = &shared.bucket;
            bucket.head("look up object", &key).await
        });
        let found = found.map_err(named(name))?;
        Ok(found.map(|found| ObjectStat {
            name: name.clone(),
            size_bytes: found.size_bytes,
        }))
    }

    fn open_image(&self, name: &ObjectName) -> Result<Box<dyn ReadAt>> {
        let operation = "open image";
        let key = self.0.bucket.key(name);
        let found = self.run(|shared| async move {
            let bucket = &shared.bucket;
            bucket.head(operation, &key).await
        });
        let object = found.map_err(named(name))?;
        let object = object.ok_or_else(|| bare(ErrorKind::NotFound, operation, name.as_str()))?;
        Ok(Box::new(Reader::new(self.0.clone(), name, object)))
    }

    fn create_image(&self, name: &ObjectName, resume: Option<u64>) -> Result<Box<dyn ImageSink>> {
        match resume {
            None => Ok(Box::new(self.begin(name, None)?.0)),
            Some(length) => self.go_on(name, length),
        }
    }

    fn create_image_up_to(&self, name: &ObjectName, most_bytes: u64) -> Result<Box<dyn ImageSink>> {
        Ok(Box::new(self.begin(name, Some(most_bytes))?.0))
    }

    fn compose_image(&self, name: &ObjectName) -> Result<Option<Box<dyn ImageComposition>>> {
        let (sink, limit) = self.begin(name, None)?;
        let composition = Composition::new(sink, self.0.clone(), limit);
        Ok(Some(Box::new(composition)))
    }

    fn abandon_image(&self, name: &ObjectName) -> Result<()> {
        let abandoned = name.clone();
        let done = self.run(|shared| async move {
            let bucket = &shared.bucket;
            bucket.abandon("abandon image", &abandoned).await
        });
        done.map_err(named(name))
    }

    fn capacity(&self) -> Result<Option<Capacity>> {
        Ok(None)
    }

    fn check_writable(&self) -> Result<()> {
        let bucket = &self.0.bucket;
        let key = format!(
            "{}.backstay-write-test.{}",
            bucket.prefix(),
            uuid::Uuid::new_v4()
        );
        self.run(|shared| async move {
            let (bucket, operation) = (&shared.bucket, "write to target");
            let test = Bytes::from_static(&[0; 4096]);
            let written = bucket.put(operation, &key, test).await;
            // Also if it was not: the server may have it all the same.
            let removed = bucket.delete(operation, &key).await;
            written.and(removed)
        })
    }

    fn capabilities(&self) -> Result<Capabilities> {
        let features =
            self.run(|shared| async move { shared.known.features(&shared.bucket).await })?;
        let mut capabilities = Capabilities::default();
        capabilities.is_immutable = features.locks_by_default;
        capabilities.keeps_versions = features.keeps_versions;
        capabilities.has_object_lock = features.has_object_lock;
        Ok(capabilities)
    }

    fn retention(&self) -> Option<&dyn Retention> {
        Some(self)
    }
}
