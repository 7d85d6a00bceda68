//! Who this controller is: its directory id, the directories it agreed to form a quorum with, its cluster.
//!
//! The database decides; `meta.properties` beside it is Kafka's file, for people and tools, and a second witness: a
//! directory that has the file but an empty database lost its votes and must not be taken for a new one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_env::lock::Mutex;
use highwater_env::{Env, Fs, Kv, KvOp, rng, run_blocking};
use highwater_rpc::pb::quorum as pb;
use highwater_types::{BrokerId, DirectoryId};
use prost::Message;
use rand::RngCore as _;

use super::RAFT_META;
use crate::QuorumError;
use crate::wire::{damaged, decode_stored};

const DIRECTORY_ID: &[u8] = b"directory_id";
const AGREED: &[u8] = b"agreed";
const JOINED: &[u8] = b"joined";
const CLUSTER_ID: &[u8] = b"cluster_id";
const META_PROPERTIES: &str = "meta.properties";

/// The metadata directory of each voter, as the voters agreed when the quorum was formed.
pub(crate) type AgreedDirectories = BTreeMap<BrokerId, DirectoryId>;

/// The persistent identity of one controller.
pub(crate) struct Identity {
    kv: Arc<dyn Kv>,
    fs: Fs,
    meta_properties: PathBuf,
    node_id: BrokerId,
    directory_id: DirectoryId,
    known: Mutex<Known>,
}

#[derive(Clone, Default)]
struct Known {
    agreed: Option<AgreedDirectories>,
    joined: bool,
    cluster_id: Option<String>,
}

impl Identity {
    /// Reads the identity in `kv`, or makes one in a directory that is empty.
    ///
    /// # Errors
    /// [`QuorumError::EmptiedDirectory`] when `meta.properties` says that there was a database and there is none any more;
    /// [`QuorumError::WrongNode`] when the directory is another node's.
    pub(crate) async fn open(
        env: &Env,
        kv: Arc<dyn Kv>,
        metadata_dir: &Path,
        node_id: BrokerId,
    ) -> Result<Self, QuorumError> {
        let meta_properties = metadata_dir.join(META_PROPERTIES);
        let file = read_properties(&env.fs, &meta_properties)?;
        if let Some(owner) = file.get("node.id")
            && *owner != node_id.to_string()
        {
            return Err(QuorumError::WrongNode {
                directory: metadata_dir.to_path_buf(),
                owner: owner.clone(),
                node_id,
            });
        }
        let directory_id = match kv.get(RAFT_META, DIRECTORY_ID)? {
            Some(bytes) => directory_id_from(&bytes)?,
            None => {
                if let Some(lost) = file.get("directory.id") {
                    return Err(QuorumError::EmptiedDirectory {
                        directory: metadata_dir.to_path_buf(),
                        lost: lost.clone(),
                    });
                }
                let bits = u128::from(rng::get().next_u64()) << 64 | u128::from(rng::get().next_u64());
                let fresh = DirectoryId::from_random(bits);
                let put = put(DIRECTORY_ID, fresh.to_bytes().to_vec());
                let kv = kv.clone();
                run_blocking(move || kv.write(vec![put], true)).await?;
                fresh
            }
        };
        let known = Known {
            agreed: kv.get(RAFT_META, AGREED)?.map(|bytes| agreed_from(&bytes)).transpose()?,
            joined: kv.get(RAFT_META, JOINED)?.is_some(),
            cluster_id: kv.get(RAFT_META, CLUSTER_ID)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        };
        let identity =
            Self { kv, fs: env.fs.clone(), meta_properties, node_id, directory_id, known: Mutex::new(known) };
        identity.write_properties().await?;
        Ok(identity)
    }

    /// The id of this controller's metadata directory.
    pub(crate) fn directory_id(&self) -> DirectoryId {
        self.directory_id
    }

    /// The directories of all voters, if this controller agreed to form a quorum with them.
    pub(crate) fn agreed(&self) -> Option<AgreedDirectories> {
        self.known.lock().agreed.clone()
    }

    /// Whether this controller came to a quorum that others had formed.
    pub(crate) fn has_joined(&self) -> bool {
        self.known.lock().joined
    }

    /// Decides that this controller forms no quorum, but joins one. Durable on return, and never taken back.
    pub(crate) async fn join(&self) -> io::Result<()> {
        let (kv, put) = (self.kv.clone(), put(JOINED, Vec::new()));
        run_blocking(move || kv.write(vec![put], true)).await?;
        self.known.lock().joined = true;
        Ok(())
    }

    /// The cluster, once it has an id.
    pub(crate) fn cluster_id(&self) -> Option<String> {
        self.known.lock().cluster_id.clone()
    }

    /// Agrees to form a quorum with these directories. Durable on return, and never taken back.
    pub(crate) async fn agree(&self, directories: AgreedDirectories) -> io::Result<()> {
        let message = pb::GreetResponse {
            agreed: directories
                .iter()
                .map(|(node, directory)| pb::KnownDirectory {
                    node: node.0 as u64,
                    directory: directory.to_bytes().to_vec().into(),
                })
                .collect(),
            ..Default::default()
        };
        let (kv, put) = (self.kv.clone(), put(AGREED, message.encode_to_vec()));
        run_blocking(move || kv.write(vec![put], true)).await?;
        self.known.lock().agreed = Some(directories);
        Ok(())
    }

    /// Remembers the cluster's id. Nothing to do if it is known.
    pub(crate) async fn set_cluster_id(&self, cluster_id: &str) -> io::Result<()> {
        if self.known.lock().cluster_id.as_deref() == Some(cluster_id) {
            return Ok(());
        }
        let (kv, put) = (self.kv.clone(), put(CLUSTER_ID, cluster_id.as_bytes().to_vec()));
        run_blocking(move || kv.write(vec![put], true)).await?;
        self.known.lock().cluster_id = Some(cluster_id.to_owned());
        self.write_properties().await
    }

    async fn write_properties(&self) -> io::Result<()> {
        let mut text = format!("version=1\nnode.id={}\ndirectory.id={}\n", self.node_id, self.directory_id);
        if let Some(cluster_id) = self.cluster_id() {
            text.push_str(&format!("cluster.id={cluster_id}\n"));
        }
        let (fs, path) = (self.fs.clone(), self.meta_properties.clone());
        run_blocking(move || match fs.read(&path) {
            Ok(present) if present == text.as_bytes() => Ok(()),
            _ => fs.write_atomic(&path, text.as_bytes()),
        })
        .await
    }
}

fn put(key: &[u8], value: Vec<u8>) -> KvOp {
    KvOp::Put { cf: RAFT_META, key: key.to_vec(), value }
}

fn directory_id_from(bytes: &[u8]) -> io::Result<DirectoryId> {
    let bytes = bytes.try_into().map_err(|error| damaged("the directory id", &error))?;
    Ok(DirectoryId::from_bytes(bytes))
}

fn agreed_from(bytes: &[u8]) -> io::Result<AgreedDirectories> {
    let message = decode_stored::<pb::GreetResponse>(bytes, "the agreed quorum")?;
    agreed_from_pb(&message.agreed).map_err(|error| damaged("the agreed quorum", &error))
}

/// The directories in a message; empty when there are none.
pub(crate) fn agreed_from_pb(known: &[pb::KnownDirectory]) -> Result<AgreedDirectories, String> {
    known
        .iter()
        .map(|entry| {
            let node = i32::try_from(entry.node).map_err(|_| format!("node id {} is too large", entry.node))?;
            let bytes = entry.directory.as_ref().try_into().map_err(|_| "a directory id has 16 bytes".to_owned())?;
            Ok((BrokerId(node), DirectoryId::from_bytes(bytes)))
        })
        .collect()
}

fn read_properties(fs: &Fs, path: &Path) -> io::Result<BTreeMap<String, String>> {
    if !fs.exists(path)? {
        return Ok(BTreeMap::new());
    }
    let bytes = fs.read(path)?;
    let lines = String::from_utf8_lossy(&bytes).into_owned();
    let pairs = lines.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect())
}
