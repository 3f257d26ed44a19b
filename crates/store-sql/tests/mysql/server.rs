//! A server for tests.

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use store::sql::Accounts;
use store_sql::SqlDatabase;

/// An empty database, which goes when this is dropped. Drop it in a runtime of several threads.
pub struct Scratch {
    /// Its address.
    pub url: String,
    options: MySqlConnectOptions,
    name: String,
    opened: Mutex<Vec<Arc<SqlDatabase>>>,
}

impl Scratch {
    /// `None`, with a word about it, where no server is named.
    pub async fn new() -> Option<Self> {
        let what = "the mysql:// URL of a server on which databases may be made";
        let server = store::testing::wanted("QGX_TEST_MYSQL", what)?;
        let options = MySqlConnectOptions::from_str(&server).expect("QGX_TEST_MYSQL is a URL");
        static MADE: AtomicU32 = AtomicU32::new(0);
        let (process, made) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let name = format!("qgx_test_{}_{process}_{made}", domain::Timestamp::now().as_nanos());
        Session::open(&options).await.run(&format!("CREATE DATABASE {name}")).await;
        let url = options.clone().database(&name).to_url_lossy().into();
        Some(Self { url, options, name, opened: Mutex::default() })
    }

    /// Opens it as one more process would.
    pub async fn connect(&self) -> Arc<SqlDatabase> {
        let database = SqlDatabase::connect(&self.url).await.expect("the database opens");
        self.opened.lock().unwrap().push(database.clone());
        database
    }

    /// Opens it and brings the schema up.
    pub async fn migrated(&self) -> Arc<SqlDatabase> {
        let database = self.connect().await;
        database.migrate().await.expect("the schema is brought up");
        database
    }

    /// Another program's session on it.
    pub async fn session(&self) -> Session {
        Session::open(&self.options.clone().database(&self.name)).await
    }

    /// Runs one statement in a session of its own.
    pub async fn run(&self, sql: String) {
        self.session().await.run(&sql).await;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for database in self.opened.get_mut().unwrap().drain(..) {
                    database.close().await;
                }
                Session::open(&self.options).await.run(&format!("DROP DATABASE {}", self.name)).await;
            });
        });
    }
}

/// Another program's session.
pub struct Session(MySqlConnection);

impl Session {
    async fn open(options: &MySqlConnectOptions) -> Self {
        Self(options.connect().await.expect("the test server answers"))
    }

    /// Runs one statement.
    pub async fn run(&mut self, sql: &str) {
        self.0.execute(AssertSqlSafe(sql.to_owned())).await.expect("the test server does it");
    }

    /// The number a query answers.
    pub async fn count(&mut self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.0).await.expect("the test server answers a number")
    }
}
