use super::*;

const ONE: &str = "one";
const TWO: &str = "two";

fn put(cf: &'static str, key: &str, value: &str) -> KvOp {
    KvOp::Put { cf, key: key.into(), value: value.into() }
}

fn keys(entries: Vec<KvEntry>) -> Vec<String> {
    entries.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
}

fn open(path: &Path) -> Arc<dyn Kv> {
    RocksDb.open(path, &[ONE, TWO]).unwrap()
}

#[test]
fn batches_apply_in_order_and_ranges_end_before_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let kv = open(dir.path());
    let range = |from: &str, to: &str| KvOp::DeleteRange { cf: ONE, from: from.into(), to: to.into() };
    kv.write(
        vec![
            put(ONE, "a", "1"),
            put(ONE, "b", "1"),
            put(ONE, "c", "1"),
            put(TWO, "b", "2"),
            range("a", "c"),
            range("z", "a"),
            put(ONE, "a", "3"),
            KvOp::Delete { cf: ONE, key: "x".into() },
        ],
        false,
    )
    .unwrap();
    assert_eq!(keys(kv.scan(ONE, b"", None, 10).unwrap()), ["a", "c"]);
    assert_eq!(kv.get(ONE, b"a").unwrap(), Some(b"3".to_vec()));
    assert_eq!(kv.get(ONE, b"b").unwrap(), None);
    assert_eq!(kv.get(TWO, b"b").unwrap(), Some(b"2".to_vec()));
    assert_eq!(kv.last(ONE).unwrap(), Some((b"c".to_vec(), b"1".to_vec())));
}

#[test]
fn scans_respect_their_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let kv = open(dir.path());
    kv.write(["a", "b", "c", "d"].map(|key| put(ONE, key, "")).into(), true).unwrap();
    assert_eq!(keys(kv.scan(ONE, b"b", Some(b"d"), 10).unwrap()), ["b", "c"]);
    assert_eq!(keys(kv.scan(ONE, b"b", None, 2).unwrap()), ["b", "c"]);
    assert_eq!(keys(kv.scan(ONE, b"d", Some(b"b"), 2).unwrap()), Vec::<String>::new());
    assert_eq!(kv.last(TWO).unwrap(), None);
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let kv = open(dir.path());
    kv.write(vec![put(ONE, "a", "1")], false).unwrap();
    kv.sync_wal().unwrap();
    kv.write(vec![put(ONE, "b", "1")], true).unwrap();
    drop(kv);
    assert_eq!(keys(open(dir.path()).scan(ONE, b"", None, 10).unwrap()), ["a", "b"]);
}

#[test]
fn a_store_is_open_once_and_unknown_families_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let kv = open(dir.path());
    assert!(RocksDb.open(dir.path(), &[ONE, TWO]).is_err());
    assert_eq!(kv.get("three", b"a").unwrap_err().kind(), io::ErrorKind::NotFound);
}
