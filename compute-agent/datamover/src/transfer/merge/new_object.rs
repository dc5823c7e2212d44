//! As a new object in the place of the image that stays.

use std::io;
use std::ops::Range;

use agent_contract::ImageFacts;
use agent_format::ObjectName;
use agent_format::merge_intent::MergeWay;
use agent_qcow2::{
    Backing, BackingFormat, CopyingSink, ImageSink, MergeComposition, MergeError, MergePair,
    MergeSource, MergedImage, write_merged,
};
use agent_target::ImageComposition;

use super::subject::Subject;
use super::{Progress, declare, facts, indexes, recover};
use crate::transfer::error::{JobError, target as failed};
use crate::transfer::run::Run;

pub(super) fn merge(run: &Run<'_>, subject: &Subject) -> Result<ImageFacts, JobError> {
    let pair = subject.pair()?;
    declare(subject, MergeWay::NewObject)?;
    let facts = match compose(run, subject, &pair)? {
        Some(facts) => facts,
        None => write_anew(run, subject, &pair)?,
    };
    let (removed, kept) = (&subject.removed, &subject.kept);
    recover::complete(removed, kept, subject.base.as_ref(), &facts)?;
    Ok(facts)
}

/// None if the target does not copy, the images do not fit, or too much would be dead.
fn compose(
    run: &Run<'_>,
    subject: &Subject,
    pair: &MergePair,
) -> Result<Option<ImageFacts>, JobError> {
    if !subject.header_fits() {
        return Ok(None);
    }
    let (removed, kept) = (&subject.removed, &subject.kept);
    let sink = kept.target.compose_image(&kept.image);
    let Some(sink) = sink.map_err(failed("begin a merged image"))? else {
        return Ok(None);
    };
    let composition = match MergeComposition::plan(pair, sink.head_minimum_bytes()) {
        Ok(composition) => composition,
        Err(MergeError::Unsupported { .. }) => return Ok(None),
        Err(error) => return Err(JobError::Merge(error)),
    };
    if composition.dead_bytes().saturating_mul(10) > composition.live_bytes().saturating_mul(3) {
        return Ok(None);
    }
    let mut sink = Copying {
        sink,
        parent: &removed.image,
        successor: &kept.image,
    };
    let mut progress = Progress::new(run, pair.parent_bytes() + pair.successor_bytes());
    let composed = composition.write(&mut sink, &mut |bytes| progress.pass(bytes));
    let composed = composed.map_err(|error| progress.error(error))?;
    let index = indexes::merge(removed, kept, subject.base.as_ref(), Some(pair))?;
    run.ticket.check()?;
    let finished = sink.finish(&composed.head);
    finished.map_err(|source| JobError::Merge(MergeError::Write { offset: 0, source }))?;
    published(index, &composed.merged).map(Some)
}

fn write_anew(run: &Run<'_>, subject: &Subject, pair: &MergePair) -> Result<ImageFacts, JobError> {
    let (removed, kept) = (&subject.removed, &subject.kept);
    let index = indexes::merge(removed, kept, subject.base.as_ref(), Some(pair))?;
    let sink = kept.target.create_image(&kept.image, None);
    let sink = sink.map_err(failed("begin a merged image"))?;
    let backing = subject.base.as_ref().map(|base| Backing {
        name: kept.image.relative_path_to(base),
        format: BackingFormat::Qcow2,
    });
    let mut progress = Progress::new(run, pair.parent_bytes() + pair.successor_bytes());
    let written = write_merged(pair, sink, backing, &mut |bytes| progress.pass(bytes));
    let summary = written.map_err(|error| progress.error(error))?;
    let merged = MergedImage {
        size_bytes: summary.size_bytes,
        virtual_size: summary.virtual_size,
        head_blake3: summary.head_blake3,
    };
    published(index, &merged)
}

fn published(index: indexes::MergedIndex, merged: &MergedImage) -> Result<ImageFacts, JobError> {
    let facts = facts::made(merged, &index);
    index.publish()?;
    Ok(facts)
}

/// A composition that knows the two images by their names.
struct Copying<'a> {
    sink: Box<dyn ImageComposition>,
    parent: &'a ObjectName,
    successor: &'a ObjectName,
}

impl ImageSink for Copying<'_> {
    fn head_minimum_bytes(&self) -> u64 {
        self.sink.head_minimum_bytes()
    }

    fn reserve_head(&mut self, length: u64) -> io::Result<()> {
        self.sink.reserve_head(length)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sink.append(bytes)
    }

    fn position(&self) -> u64 {
        self.sink.position()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sink.sync()
    }

    fn finish(&mut self, head: &[u8]) -> io::Result<()> {
        self.sink.finish(head)
    }
}

impl CopyingSink for Copying<'_> {
    fn append_copy(&mut self, source: MergeSource, range: Range<u64>) -> io::Result<()> {
        let source = match source {
            MergeSource::Parent => self.parent,
            MergeSource::Successor => self.successor,
        };
        self.sink.append_copy(source, range)
    }
}
