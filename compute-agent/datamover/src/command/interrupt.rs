//! SIGINT and SIGTERM end what is under way in good order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use services_foundation::shutdown;

use super::error::{CommandError, io};

/// Whether somebody told us to end.
#[derive(Debug, Clone)]
pub(super) struct Interrupt(Arc<AtomicBool>);

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
        let tells = told.clone();
        std::thread::spawn(move || {
            runtime.block_on(token.cancelled());
            tells.store(true, Ordering::SeqCst);
        });
        Ok(Self(told))
    }

    pub(super) fn is_told(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
