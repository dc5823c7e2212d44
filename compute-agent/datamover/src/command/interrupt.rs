//! SIGINT and SIGTERM end what is under way in good order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use services_foundation::shutdown;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::error::{CommandError, io};

/// Whether somebody told us to end.
#[derive(Debug, Clone)]
pub(super) struct Interrupt {
    is_told: Arc<AtomicBool>,
    token: CancellationToken,
    handle: Handle,
}

impl Interrupt {
    /// Listens from now on.
    pub(super) fn listen() -> Result<Self, CommandError> {
        let failed = || io("listen for signals");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(failed())?;
        let token = runtime
            .block_on(async { shutdown::on_signal() })
            .map_err(failed())?;
        let told = Arc::new(AtomicBool::new(false));
        let (is_told, told_too, watched) = (told.clone(), told, token.clone());
        let handle = runtime.handle().clone();
        std::thread::spawn(move || {
            runtime.block_on(watched.cancelled());
            told_too.store(true, Ordering::SeqCst);
            // The runtime stays for those who wait by its handle.
            runtime.block_on(std::future::pending::<()>());
        });
        Ok(Self {
            is_told,
            token,
            handle,
        })
    }

    pub(super) fn is_told(&self) -> bool {
        self.is_told.load(Ordering::SeqCst)
    }

    /// Returns when somebody told us to end.
    pub(super) fn wait(&self) {
        self.handle.block_on(self.token.cancelled());
    }
}
