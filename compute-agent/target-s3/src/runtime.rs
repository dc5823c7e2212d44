//! The SDK is asynchronous, targets block: a small runtime of each target's own lies between.

use std::future::Future;
use std::io;
use std::sync::mpsc;

use agent_target::{ErrorKind, Result, TargetError};
use tokio::runtime::{Builder, Handle, Runtime};

/// Hashing what is sent is done by these threads too.
const THREADS: usize = 2;

/// Runs futures for threads that wait for them.
#[derive(Debug)]
pub(crate) struct Blocking {
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Blocking {
    pub(crate) fn new() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("s3-target")
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Self {
            runtime: Some(runtime),
            handle,
        })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits for `future`. It may be called from a thread of another runtime, which must be one that
    /// may block.
    pub(crate) fn run<T, F>(&self, future: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (answer, answered) = mpsc::sync_channel(1);
        self.handle.spawn(async move {
            // Nobody waits any more: then nobody wants to know.
            drop(answer.send(future.await));
        });
        answered.recv().unwrap_or_else(|_| {
            Err(TargetError {
                kind: ErrorKind::Other,
                operation: "use",
                name: "the bucket".to_owned(),
                source: Some("the request ended without an answer".into()),
            })
        })
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for its threads is not allowed on a thread of another runtime.
            runtime.shutdown_background();
        }
    }
}
