//! A repository: sealed chunks and manifests at a place.

use super::manifest::{FORMAT, Manifest};
use super::place::Place;
use super::seal::{Derivation, Key, Seal, hex};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinHandle;

const HEAD: &str = "qgx-backup.json";
const CHECK: &str = "check";
const CHECK_TEXT: &[u8] = b"qgx-backup";
/// How often a writer says that it is still there.
const BEAT: Duration = Duration::from_secs(60);
/// A writer that has not said so for this long is dead.
const DEAD_AFTER: Duration = Duration::from_secs(600);

/// The one object in clear.
#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    sealed: Option<Sealed>,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(flatten)]
    derivation: Derivation,
    /// A known text, sealed: tells a wrong key at once. Hexadecimal.
    check: String,
}

/// What to do about a repository that is not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// Make it.
    Make,
    /// Say so.
    Refuse,
}

/// A repository.
pub struct Repository {
    place: Arc<dyn Place>,
    seal: Seal,
}

impl Repository {
    /// Opens a repository with its key; `None` for one in clear.
    ///
    /// # Errors
    /// Where it cannot be read, is of a newer format, or the key is missing, superfluous or another one.
    pub async fn open(place: Arc<dyn Place>, key: Option<&Key>, absent: Absent) -> Result<Self> {
        let shown = place.shown();
        let Some(head) = place.get(HEAD).await? else {
            if absent == Absent::Refuse {
                bail!("there is no backup of QGX at {shown}");
            }
            return Self::make(place, key).await;
        };
        let head: Head = serde_json::from_slice(&head)
            .with_context(|| format!("{shown}/{HEAD} is no repository of QGX backups"))?;
        if head.format > FORMAT {
            bail!(
                "the backups at {shown} were written by a newer version of qgx (format {}, this one reads {FORMAT}): \
                 use that version",
                head.format
            );
        }
        let seal = match (head.sealed, key) {
            (None, None) => Seal::none(),
            (None, Some(_)) => {
                bail!("the backups at {shown} are not encrypted: give --unencrypted, and no key")
            }
            (Some(_), None) => {
                bail!("the backups at {shown} are encrypted: give QGX_BACKUP_KEY or --key-file")
            }
            (Some(sealed), Some(key)) => {
                let seal = derived(key.clone(), sealed.derivation).await?;
                let check = unhex(&sealed.check).and_then(|check| seal.open(CHECK, &check).ok());
                if check.as_deref() != Some(CHECK_TEXT) {
                    bail!("this is not the key of the backups at {shown}");
                }
                seal
            }
        };
        Ok(Self { place, seal })
    }

    async fn make(place: Arc<dyn Place>, key: Option<&Key>) -> Result<Self> {
        let (seal, sealed) = match key {
            None => (Seal::none(), None),
            Some(key) => {
                let derivation = Derivation::fresh()?;
                let seal = derived(key.clone(), derivation.clone()).await?;
                let check = hex(&seal.seal(CHECK, CHECK_TEXT)?);
                (seal, Some(Sealed { derivation, check }))
            }
        };
        let head = serde_json::to_vec_pretty(&Head { format: FORMAT, sealed })?;
        place.put(HEAD, head.into()).await?;
        Ok(Self { place, seal })
    }

    /// Where it is, as people write it.
    pub fn shown(&self) -> String {
        self.place.shown()
    }

    /// Whether a key is used.
    pub fn is_sealed(&self) -> bool {
        self.seal.is_sealed()
    }

    /// The names of all chunks there are.
    ///
    /// # Errors
    /// As the place.
    pub async fn chunks(&self) -> Result<HashSet<String>> {
        let listed = self.place.list("chunks/").await?;
        Ok(listed.into_iter().filter_map(|it| it.name.rsplit('/').next().map(str::to_owned)).collect())
    }

    /// The name of a content.
    pub fn name(&self, content: &[u8]) -> String {
        self.seal.name(content)
    }

    /// Writes a chunk; answers its bytes as they lie there.
    ///
    /// # Errors
    /// As the place.
    pub async fn put_chunk(&self, name: &str, content: &[u8]) -> Result<u64> {
        let object = chunk_object(name);
        let sealed = Bytes::from(self.seal.seal(&object, content)?);
        let len = sealed.len() as u64;
        self.place.put(&object, sealed).await?;
        Ok(len)
    }

    /// Reads a chunk, and checks that it is what its name says.
    ///
    /// # Errors
    /// Where it is missing or damaged.
    pub async fn chunk(&self, name: &str) -> Result<Vec<u8>> {
        let object = chunk_object(name);
        let sealed = self.place.get(&object).await?;
        let sealed = sealed.with_context(|| format!("{object} is missing at {}", self.shown()))?;
        let content = self.seal.open(&object, &sealed)?;
        if self.seal.name(&content) != name {
            bail!("{object} is damaged");
        }
        Ok(content)
    }

    /// Removes a chunk.
    ///
    /// # Errors
    /// As the place.
    pub async fn delete_chunk(&self, name: &str) -> Result<()> {
        self.place.delete(&chunk_object(name)).await
    }

    /// The ids of all finished backups, oldest first.
    ///
    /// # Errors
    /// As the place.
    pub async fn ids(&self) -> Result<Vec<String>> {
        let listed = self.place.list("snapshots/").await?;
        let mut ids: Vec<String> = listed
            .into_iter()
            .filter_map(|it| Some(it.name.strip_prefix("snapshots/")?.to_owned()))
            .collect();
        ids.sort();
        Ok(ids)
    }

    /// Makes a backup a finished one.
    ///
    /// # Errors
    /// As the place.
    pub async fn put_manifest(&self, manifest: &Manifest) -> Result<()> {
        let object = format!("snapshots/{}", manifest.id);
        let sealed = self.seal.seal(&object, &serde_json::to_vec(manifest)?)?;
        self.place.put(&object, sealed.into()).await
    }

    /// A backup by its id.
    ///
    /// # Errors
    /// Where there is none, or it is damaged or of a newer format.
    pub async fn manifest(&self, id: &str) -> Result<Manifest> {
        let object = format!("snapshots/{id}");
        let sealed = self.place.get(&object).await?;
        let sealed = sealed.with_context(|| {
            format!("there is no backup {id} at {}; `qgx backup list` names them", self.shown())
        })?;
        let manifest: Manifest = serde_json::from_slice(&self.seal.open(&object, &sealed)?)
            .with_context(|| format!("the manifest of backup {id} cannot be read"))?;
        // What it calls itself becomes a folder's name, and that of what is deleted.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        if manifest.id != id || !id.bytes().all(plain) || id.contains("..") {
            bail!("the manifest of backup {id} is another's: {:?}", manifest.id);
        }
        if manifest.format > FORMAT {
            bail!(
                "backup {id} was written by a newer version of qgx ({}): use that version",
                manifest.version
            );
        }
        Ok(manifest)
    }

    /// The newest backup.
    ///
    /// # Errors
    /// As the place.
    pub async fn newest(&self) -> Result<Option<Manifest>> {
        match self.ids().await?.last() {
            Some(id) => Ok(Some(self.manifest(id).await?)),
            None => Ok(None),
        }
    }

    /// Removes a backup; its chunks stay until they are pruned.
    ///
    /// # Errors
    /// As the place.
    pub async fn delete_manifest(&self, id: &str) -> Result<()> {
        self.place.delete(&format!("snapshots/{id}")).await
    }

    /// Keeps other writers out: one that prunes would remove the chunks of one that is still at it.
    ///
    /// # Errors
    /// Where another one is at work.
    pub async fn lock(&self) -> Result<Lock> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).context("the system gives no random bytes")?;
        let name = format!("locks/{}", hex(&random));
        self.refuse_others(&name).await?;
        let text = Bytes::from(format!("process {}\n", std::process::id()));
        self.place.put(&name, text.clone()).await?;
        // Both of two who came at once see each other now, and both leave: better than both staying.
        if let Err(error) = self.refuse_others(&name).await {
            self.place.delete(&name).await?;
            return Err(error);
        }
        let (place, beating) = (Arc::clone(&self.place), name.clone());
        let beat = telemetry::spawn("backup-lock", async move {
            loop {
                tokio::time::sleep(BEAT).await;
                if let Err(error) = place.put(&beating, text.clone()).await {
                    tracing::warn!(%error, "the lock of the backups could not be renewed");
                }
            }
        });
        Ok(Lock { place: Arc::clone(&self.place), name, beat })
    }

    async fn refuse_others(&self, own: &str) -> Result<()> {
        for other in self.place.list("locks/").await?.iter().filter(|other| other.name != own) {
            let silent = SystemTime::now().duration_since(other.written_at).unwrap_or_default();
            if silent > DEAD_AFTER {
                self.place.delete(&other.name).await?;
                continue;
            }
            bail!(
                "another backup or prune is at work at {}; where it was killed, try again in {} minutes",
                self.shown(),
                (DEAD_AFTER - silent).as_secs() / 60 + 1
            );
        }
        Ok(())
    }
}

/// A lock held. Dropped without [`Lock::release`], it counts for some minutes more.
pub struct Lock {
    place: Arc<dyn Place>,
    name: String,
    beat: JoinHandle<()>,
}

impl Lock {
    /// Lets others in.
    ///
    /// # Errors
    /// As the place.
    pub async fn release(self) -> Result<()> {
        self.beat.abort();
        self.place.delete(&self.name).await
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.beat.abort();
    }
}

/// Takes a fraction of a second of a processor.
async fn derived(key: Key, derivation: Derivation) -> Result<Seal> {
    telemetry::spawn_blocking_named("backup-key", move || Seal::with(&key, &derivation)).await?
}

fn chunk_object(name: &str) -> String {
    format!("chunks/{}/{name}", name.get(..2).unwrap_or("00"))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
