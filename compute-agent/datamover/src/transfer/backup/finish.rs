use agent_contract::ImageFacts;
use agent_format::Digest;
use agent_format::index::{IndexSummary, IndexWriter};
use agent_qcow2::{Header, ImageOptions, ImageSummary, ImageWriter, ReadAt, SinkStream};
use agent_target::ErrorKind;

use super::objects::{facts, finish_index, index_header};
use crate::transfer::entry::BackupWork;
use crate::transfer::error::{JobError, target};
use crate::transfer::reading::open_index;
use crate::transfer::run::Place;

/// Completes what was read to its end before the program ended; each of the two objects may have been
/// completed already.
pub(super) fn again(
    place: &Place,
    options: ImageOptions,
    work: &BackupWork,
) -> Result<ImageFacts, JobError> {
    let index = complete_index(place, &options, work)?;
    let image = complete_image(place, options, work)?;
    Ok(facts(&image, &index, work))
}

fn complete_index(
    place: &Place,
    options: &ImageOptions,
    work: &BackupWork,
) -> Result<IndexSummary, JobError> {
    match place
        .target
        .create_image(&place.index, Some(work.index.length_bytes))
    {
        Ok(sink) => {
            let header = index_header(options);
            let index = IndexWriter::resume(SinkStream { sink }, header, work.index.clone());
            finish_index(index.map_err(JobError::Index)?)
        }
        Err(error) if error.kind == ErrorKind::NotFound => {
            let mut index = open_index(place)?;
            let damaged = |source| JobError::ReadIndex {
                image: place.image.to_string(),
                source,
            };
            index
                .by_ref()
                .try_for_each(|record| record.map(|_| ()))
                .map_err(damaged)?;
            index.summary().ok_or(JobError::Broken)
        }
        Err(error) => Err(target("go on with an index")(error)),
    }
}

fn complete_image(
    place: &Place,
    options: ImageOptions,
    work: &BackupWork,
) -> Result<ImageSummary, JobError> {
    match place
        .target
        .create_image(&place.image, Some(work.image.length_bytes()))
    {
        Ok(sink) => {
            let image = ImageWriter::resume(sink, options, work.image.clone());
            image.and_then(ImageWriter::finish).map_err(JobError::Image)
        }
        Err(error) if error.kind == ErrorKind::NotFound => summary_of(place, work),
        Err(error) => Err(target("go on with an image")(error)),
    }
}

/// Of an image that was completed before.
fn summary_of(place: &Place, work: &BackupWork) -> Result<ImageSummary, JobError> {
    let damaged = |what| JobError::Damaged {
        image: place.image.to_string(),
        offset: 0,
        what,
    };
    let opened = place.target.open_image(&place.image);
    let image = opened.map_err(target("look at the completed image"))?;
    let header = Header::read(&image).map_err(|_| damaged("it has no header"))?;
    let length =
        usize::try_from(header.head_bytes()).map_err(|_| damaged("its head is too long"))?;
    let mut head = vec![0; length];
    let read = image.read_exact_at(&mut head, 0);
    read.map_err(|_| damaged("its head cannot be read"))?;
    Ok(ImageSummary {
        size_bytes: image.size_bytes(),
        virtual_size: header.virtual_size,
        counters: work.image.counters(),
        head_blake3: *Digest::of(&head).as_bytes(),
    })
}
