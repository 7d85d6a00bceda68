use std::io::IoSlice;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::*;

#[test]
fn addresses_split_at_the_last_colon() {
    for (text, host, port) in
        [("a:1", "a", 1), (":9092", "", 9092), ("[::1]:0", "::1", 0), ("127.0.0.1:65535", "127.0.0.1", 65535)]
    {
        assert_eq!(split_address(text).unwrap(), (host, port), "{text}");
    }
    for text in ["", "a", "a:", "a:65536", "a:b"] {
        assert!(split_address(text).is_err(), "{text}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_connection_carries_vectored_writes_both_ways() {
    let listener = Net::Tcp.bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = tokio::spawn(async move {
        let (mut reader, mut writer) = Net::Tcp.connect(&address).await.unwrap().into_split();
        assert!(writer.is_write_vectored());
        let slices = [IoSlice::new(b"he"), IoSlice::new(b"llo")];
        assert_eq!(writer.write_vectored(&slices).await.unwrap(), 5);
        writer.shutdown().await.unwrap();
        let mut answer = String::new();
        reader.read_to_string(&mut answer).await.unwrap();
        answer
    });
    let (mut conn, peer) = listener.accept().await.unwrap();
    assert_eq!(conn.peer_addr().unwrap(), peer);
    let mut question = String::new();
    conn.read_to_string(&mut question).await.unwrap();
    assert_eq!(question, "hello");
    conn.write_all(b"world").await.unwrap();
    drop(conn);
    assert_eq!(client.await.unwrap(), "world");
}

#[tokio::test(flavor = "current_thread")]
async fn errors_name_the_address() {
    let taken = Net::Tcp.bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = Net::Tcp.bind(&address).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address), "{error}");
    drop(taken);
    let error = Net::Tcp.connect(&address).await.unwrap_err();
    assert!(error.to_string().contains(&address), "{error}");
    assert!(Net::Tcp.bind("no-port").await.is_err());
}

#[tokio::test(flavor = "current_thread")]
async fn an_empty_host_listens_everywhere() {
    let listener = Net::Tcp.bind(":0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    Net::Tcp.connect(&format!("127.0.0.1:{port}")).await.unwrap();
}

#[cfg(not(feature = "sim"))]
#[test]
#[expect(clippy::disallowed_types, reason = "names the type it compares with")]
fn a_connection_is_as_large_as_a_tcp_stream() {
    assert_eq!(size_of::<Conn>(), size_of::<tokio::net::TcpStream>());
}
