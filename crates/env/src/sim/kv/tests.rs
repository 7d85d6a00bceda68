use super::*;

const A: &str = "a";
const PATH: &str = "/data/metadata";

fn put(key: &str, value: &str) -> KvOp {
    KvOp::Put { cf: A, key: key.into(), value: value.into() }
}

fn open(host: &SimKv) -> Arc<dyn Kv> {
    host.open(Path::new(PATH), &[A]).unwrap()
}

fn keys(store: &dyn Kv) -> String {
    let entries = store.scan(A, b"", None, usize::MAX).unwrap();
    entries.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
}

#[test]
fn reads_follow_writes() {
    let store = open(&SimKv::new());
    store.write(vec![put("a", "1"), put("b", "2"), put("c", "3"), put("d", "4")], false).unwrap();
    assert_eq!(store.get(A, b"b").unwrap().unwrap(), b"2");
    assert_eq!(store.get(A, b"x").unwrap(), None);
    assert_eq!(store.last(A).unwrap().unwrap().0, b"d");
    assert_eq!(store.scan(A, b"b", Some(b"d"), 9).unwrap().len(), 2);
    assert_eq!(store.scan(A, b"b", None, 1).unwrap(), [(b"b".to_vec(), b"2".to_vec())]);
    assert!(store.scan(A, b"d", Some(b"b"), 9).unwrap().is_empty());
    let range = KvOp::DeleteRange { cf: A, from: b"b".to_vec(), to: b"d".to_vec() };
    store.write(vec![range, KvOp::Delete { cf: A, key: b"d".to_vec() }], false).unwrap();
    assert_eq!(keys(&*store), "a");
    assert!(store.get("missing", b"a").is_err());
    assert!(store.write(vec![put("z", "1"), KvOp::Delete { cf: "missing", key: vec![] }], true).is_err());
    assert_eq!(keys(&*store), "a", "a refused batch changes nothing");
}

#[test]
fn a_crash_forgets_what_was_not_synced() {
    let host = SimKv::new();
    let store = open(&host);
    store.write(vec![put("a", "")], false).unwrap();
    store.write(vec![put("b", "")], true).unwrap();
    store.write(vec![put("c", "")], false).unwrap();
    assert_eq!(host.unsynced_batches(), 1);
    host.crash(CrashMode::Drop, 0);
    assert!(store.get(A, b"a").is_err(), "an open store does not outlive the crash");
    let store = open(&host);
    assert_eq!(keys(&*store), "ab");
    store.write(vec![put("c", "")], false).unwrap();
    store.sync_wal().unwrap();
    store.write(vec![put("d", "")], false).unwrap();
    host.crash(CrashMode::Drop, 0);
    assert_eq!(keys(&*open(&host)), "abc");
}

#[test]
fn a_torn_crash_keeps_a_prefix_of_the_batches() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let host = SimKv::new();
        let store = open(&host);
        store.write(vec![put("a", "")], true).unwrap();
        store.write(vec![put("b", "")], false).unwrap();
        store.write(vec![put("c", ""), put("d", "")], false).unwrap();
        host.crash(CrashMode::Torn, seed);
        seen.insert(keys(&*open(&host)));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["a", "ab", "abcd"]);
}

#[test]
fn faults_and_wiping() {
    let host = SimKv::new();
    let store = open(&host);
    host.fail_writes(true);
    assert!(store.write(vec![put("a", "")], true).is_err());
    assert!(store.sync_wal().is_err());
    host.fail_writes(false);
    store.write(vec![put("a", "")], true).unwrap();
    host.wipe(Path::new("/data"));
    assert_eq!(keys(&*open(&host)), "");
}
