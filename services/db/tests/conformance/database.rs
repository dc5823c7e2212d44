//! A fresh, migrated database for one test.

use services_db::Datastore;
use tests_support::MariaDb;

pub(crate) struct Database {
    pub(crate) store: Datastore,
    pub(crate) url: String,
    _folder: Option<tempfile::TempDir>,
}

impl Database {
    pub(crate) async fn sqlite() -> Self {
        Self::migrated(Self::sqlite_url()).await
    }

    pub(crate) async fn mariadb() -> Self {
        Self::migrated(Self::mariadb_url()).await
    }

    pub(crate) fn sqlite_url() -> (String, Option<tempfile::TempDir>) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:///{}", folder.path().join("db").display());
        (url, Some(folder))
    }

    pub(crate) fn mariadb_url() -> (String, Option<tempfile::TempDir>) {
        let server = MariaDb::of_this_run().unwrap();
        (server.database().unwrap(), None)
    }

    async fn migrated((url, folder): (String, Option<tempfile::TempDir>)) -> Self {
        let store = Datastore::connect(&url).await.unwrap();
        store.migrate().await.unwrap();
        Self {
            store,
            url,
            _folder: folder,
        }
    }
}
