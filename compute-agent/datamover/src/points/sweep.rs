//! Removing records of changes that nobody needs, when the guest lets us.

use agent_blocks::libvirt::{Domain, DomainStorage};
use agent_blocks::qemu_img;
use agent_blocks::qemu_nbd::FileFormat;
use agent_blocks::{BlocksError, ErrorKind};
use agent_contract::Refusal;
use services_foundation::error_chain::ErrorChain;
use uuid::Uuid;

use super::Points;
use super::entry::Mark;
use super::ledger::Ledger;
use crate::refused::{by_journal, by_storage, invalid};

impl Points {
    /// Removes what is obsolete on the server's disks; keeps note of what could not be removed.
    pub(super) fn sweep(&self, guest: &str) -> Result<(), Refusal> {
        let id = server(guest)?;
        let mut ledger = self.ledger(id)?;
        if ledger.obsolete.is_empty() {
            return Ok(());
        }
        let domain = match self.0.servers.libvirt.domain(guest) {
            Ok(domain) => domain,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let forgotten = self.0.ledgers.remove(id);
                return forgotten.map_err(|error| by_journal(&error));
            }
            Err(error) => return Err(by_storage(&error)),
        };
        let mut failed = Ok(());
        ledger
            .obsolete
            .retain(|mark| match self.remove(guest, &domain, mark) {
                Ok(()) => false,
                Err(error) => {
                    tracing::debug!("{}", ErrorChain(&error));
                    failed = Err(by_storage(&error));
                    true
                }
            });
        self.ledger_save(id, &ledger)?;
        failed
    }

    /// Forgets the records of servers that are no longer here: nobody will ask for another point of them.
    /// Nova undefines a guest for a moment at times; its newest record is adopted again by the next point.
    pub(super) fn forget_deleted(&self) {
        let known = self.0.ledgers.load::<Ledger>();
        let known = known.inspect_err(|error| tracing::warn!("{}", ErrorChain(error)));
        for (id, _) in known.unwrap_or_default() {
            let domain = self.0.servers.libvirt.domain(&id.to_string());
            let is_gone = domain.is_err_and(|error| error.kind() == ErrorKind::NotFound);
            if is_gone && let Err(error) = self.0.ledgers.remove(id) {
                tracing::warn!("{}", ErrorChain(&error));
            }
        }
    }

    fn remove(&self, guest: &str, domain: &Domain, mark: &Mark) -> Result<(), BlocksError> {
        let disk = domain.disk(&mark.device);
        let Some(DomainStorage::File {
            path,
            format: FileFormat::Qcow2,
        }) = disk.map(|disk| &disk.storage)
        else {
            // It went with the file.
            return Ok(());
        };
        let servers = &self.0.servers;
        if domain.is_running {
            servers
                .libvirt
                .remove_bitmap(guest, &mark.device, &mark.name)
        } else {
            qemu_img::remove_bitmap(path, &mark.name, &servers.blocks)
        }
    }

    /// Changes what is known of the server's records.
    pub(super) fn ledger_change(
        &self,
        guest: &str,
        change: impl FnOnce(&mut Ledger),
    ) -> Result<(), Refusal> {
        let id = server(guest)?;
        let mut ledger = self.ledger(id)?;
        change(&mut ledger);
        self.ledger_save(id, &ledger)
    }

    fn ledger(&self, id: Uuid) -> Result<Ledger, Refusal> {
        let ledger = self.0.ledgers.fetch(id);
        let ledger = ledger.map_err(|error| by_journal(&error))?;
        Ok(ledger.unwrap_or_default())
    }

    fn ledger_save(&self, id: Uuid, ledger: &Ledger) -> Result<(), Refusal> {
        let saved = if ledger.is_empty() {
            self.0.ledgers.remove(id)
        } else {
            self.0.ledgers.save(id, ledger)
        };
        saved.map_err(|error| by_journal(&error))
    }
}

fn server(guest: &str) -> Result<Uuid, Refusal> {
    guest
        .parse()
        .map_err(|_| invalid(format!("{guest} is no server's id")))
}
