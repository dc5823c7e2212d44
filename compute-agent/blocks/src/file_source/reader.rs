use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::chunk::Pieces;
use crate::{
    BlocksError, Chunk, ChunkStream, DiskReader, ErrorKind, Extent, ExtentKind, ExtentStream,
    ReadPlan,
};

/// Reads that are under way at once: one to wait for the device, one to copy out of the page cache.
const THREADS: usize = 2;

pub(super) struct FileReader {
    path: PathBuf,
    file: Arc<File>,
    size_bytes: u64,
}

type Answer = Result<Chunk, BlocksError>;

struct Job {
    piece: Extent,
    answer: SyncSender<Answer>,
}

impl FileReader {
    pub(super) fn new(path: PathBuf, file: Arc<File>, size_bytes: u64) -> Self {
        Self {
            path,
            file,
            size_bytes,
        }
    }

    fn start_threads(&self) -> Sender<Job> {
        let (sender, jobs) = channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..THREADS {
            let (jobs, file, path) = (jobs.clone(), self.file.clone(), self.path.clone());
            // It ends when the stream of chunks, which has the other end, is dropped.
            std::thread::spawn(move || {
                while let Some(Job { piece, answer }) = take(&jobs) {
                    // Nobody waits for it any more if the stream was dropped.
                    let _nobody_waits = answer.send(read(&file, &path, piece));
                }
            });
        }
        sender
    }
}

fn take(jobs: &Mutex<Receiver<Job>>) -> Option<Job> {
    let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
    jobs.recv().ok()
}

fn read(file: &File, path: &std::path::Path, piece: Extent) -> Answer {
    let doing = || format!("read {piece} of {}", path.display());
    let length =
        usize::try_from(piece.length).map_err(|_| BlocksError::new(ErrorKind::Invalid, doing()))?;
    let mut bytes = vec![0; length];
    match file.read_exact_at(&mut bytes, piece.offset) {
        Ok(()) => Ok(Chunk::Data {
            offset: piece.offset,
            bytes,
        }),
        Err(error) => Err(BlocksError::io(doing(), error)),
    }
}

impl DiskReader for FileReader {
    fn read<'a>(&'a mut self, extents: ExtentStream<'a>, plan: ReadPlan) -> ChunkStream<'a> {
        Box::new(Chunks {
            pieces: Pieces::new(extents, self.size_bytes, plan.chunk_bytes),
            jobs: self.start_threads(),
            window: plan.window.max(1),
            slots: VecDeque::new(),
            is_over: false,
        })
    }
}

/// What will be handed out next, in order.
enum Slot {
    Ready(Answer),
    Asked(Receiver<Answer>),
}

struct Chunks<'a> {
    pieces: Pieces<ExtentStream<'a>>,
    jobs: Sender<Job>,
    window: usize,
    slots: VecDeque<Slot>,
    is_over: bool,
}

impl Chunks<'_> {
    fn fill_window(&mut self) {
        while !self.is_over && self.slots.len() < self.window {
            let slot = match self.pieces.next() {
                None => {
                    self.is_over = true;
                    return;
                }
                Some(Err(error)) => {
                    self.is_over = true;
                    Slot::Ready(Err(error))
                }
                Some(Ok(piece)) if piece.kind == ExtentKind::Zero => Slot::Ready(Ok(Chunk::Zero {
                    offset: piece.offset,
                    length: piece.length,
                })),
                Some(Ok(piece)) => {
                    let (answer, answers) = sync_channel(1);
                    match self.jobs.send(Job { piece, answer }) {
                        Ok(()) => Slot::Asked(answers),
                        Err(_) => Slot::Ready(Err(no_reader())),
                    }
                }
            };
            self.slots.push_back(slot);
        }
    }
}

fn no_reader() -> BlocksError {
    BlocksError::new(ErrorKind::Io, "read a file: its reader has ended")
}

impl Iterator for Chunks<'_> {
    type Item = Answer;

    fn next(&mut self) -> Option<Self::Item> {
        self.fill_window();
        let answer = match self.slots.pop_front()? {
            Slot::Ready(answer) => answer,
            Slot::Asked(answer) => answer.recv().unwrap_or_else(|_| Err(no_reader())),
        };
        if answer.is_err() {
            self.is_over = true;
            self.slots.clear();
        }
        Some(answer)
    }
}
