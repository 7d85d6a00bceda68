//! Pipelining, ordering and endings, over an in-memory pipe with a scripted handler.

use std::sync::Mutex;

use bytes::BufMut;
use futures::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::oneshot;

use super::*;
use crate::reply_queue::MAX_IN_FLIGHT;

/// Answers each frame by its first byte: `n` at once, `p` parked, `x` exclusive, `0` nothing, `!` close.
#[derive(Default)]
struct Script {
    started: Mutex<Vec<Bytes>>,
    waiting: Mutex<Vec<(Bytes, oneshot::Sender<()>)>>,
}

impl Script {
    fn started(&self) -> Vec<String> {
        self.started.lock().unwrap().iter().map(|frame| String::from_utf8(frame.to_vec()).unwrap()).collect()
    }

    fn release(&self, name: &str) {
        let mut waiting = self.waiting.lock().unwrap();
        let index = waiting.iter().position(|(frame, _)| frame == name).expect("released request is waiting");
        waiting.remove(index).1.send(()).unwrap();
    }
}

impl FrameHandler for Script {
    fn handle(&self, frame: Bytes, _: &Arc<ConnectionInfo>) -> Handled {
        self.started.lock().unwrap().push(frame.clone());
        let reply = Reply::Send(vec![frame.clone(), Bytes::from_static(b";")], None);
        let (sender, receiver) = oneshot::channel();
        let later = receiver.map(|_| reply).boxed();
        match frame.first() {
            Some(b'n') => Handled::Now(Reply::Send(vec![frame, Bytes::from_static(b";")], None)),
            Some(b'0') => Handled::Now(Reply::Nothing),
            Some(b'!') => Handled::Now(Reply::Close("said so".to_owned())),
            Some(b'x') => {
                self.waiting.lock().unwrap().push((frame, sender));
                Handled::Exclusive(later)
            }
            _ => {
                self.waiting.lock().unwrap().push((frame, sender));
                Handled::Parked(later)
            }
        }
    }
}

struct Harness {
    client: DuplexStream,
    script: Arc<Script>,
    stage: watch::Sender<Stage>,
    end: tokio::task::JoinHandle<End>,
}

impl Harness {
    fn start() -> Self {
        Self::with_idle(Duration::ZERO)
    }

    fn with_idle(max_idle: Duration) -> Self {
        let (client, server) = tokio::io::duplex(1 << 20);
        let (reader, writer) = tokio::io::split(server);
        let script = Arc::new(Script::default());
        let (stage, stages) = watch::channel(Stage::Serving);
        let info = Arc::new(ConnectionInfo::new("PLAINTEXT".into(), "127.0.0.1:1".parse().unwrap()));
        let connection = Connection::new(info, reader, writer, Arc::clone(&script), 1000);
        let end = tokio::spawn(connection.run(max_idle, stages));
        Self { client, script, stage, end }
    }

    async fn send(&mut self, frames: &[&str]) {
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.put_i32(i32::try_from(frame.len()).unwrap());
            bytes.put_slice(frame.as_bytes());
        }
        self.client.write_all(&bytes).await.unwrap();
        settle().await;
    }

    async fn expect(&mut self, text: &str) {
        let mut got = vec![0; text.len()];
        self.client.read_exact(&mut got).await.unwrap();
        assert_eq!(String::from_utf8(got).unwrap(), text);
    }

    fn expect_silence(&mut self) {
        let mut byte = [0];
        assert!(self.client.read(&mut byte).now_or_never().is_none(), "unexpected reply");
    }
}

async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn replies_keep_request_order_while_a_later_one_is_ready_first() {
    let mut h = Harness::start();
    h.send(&["p1", "p2", "n3"]).await;
    assert_eq!(h.script.started(), ["p1", "p2", "n3"]);
    h.script.release("p2");
    settle().await;
    h.expect_silence();
    h.script.release("p1");
    h.expect("p1;p2;n3;").await;
}

#[tokio::test]
async fn an_exclusive_request_holds_back_the_next_one() {
    let mut h = Harness::start();
    h.send(&["x1", "n2"]).await;
    assert_eq!(h.script.started(), ["x1"]);
    h.script.release("x1");
    h.expect("x1;n2;").await;
    assert_eq!(h.script.started(), ["x1", "n2"]);
}

#[tokio::test]
async fn an_exclusive_request_behind_a_parked_one_resolves() {
    let mut h = Harness::start();
    h.send(&["p1", "x2", "n3"]).await;
    assert_eq!(h.script.started(), ["p1", "x2"]);
    h.script.release("x2");
    h.script.release("p1");
    h.expect("p1;x2;n3;").await;
}

#[tokio::test]
async fn requests_in_flight_are_bounded() {
    let mut h = Harness::start();
    let names: Vec<String> = (0..MAX_IN_FLIGHT + 10).map(|index| format!("p{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    h.send(&names).await;
    for _ in 0..10 {
        settle().await;
    }
    assert_eq!(h.script.started().len(), MAX_IN_FLIGHT);
    h.script.release("p0");
    h.expect("p0;").await;
    settle().await;
    assert_eq!(h.script.started().len(), MAX_IN_FLIGHT + 1);
}

#[tokio::test]
async fn requests_without_a_reply_take_no_slot() {
    let mut h = Harness::start();
    h.send(&["0a", "0b", "n1"]).await;
    h.expect("n1;").await;
    h.expect_silence();
}

#[tokio::test]
async fn a_refusal_closes_after_the_replies_before_it() {
    let mut h = Harness::start();
    h.send(&["n1", "!", "n2"]).await;
    h.expect("n1;").await;
    assert_eq!(h.client.read(&mut [0]).await.unwrap(), 0);
    let end = h.end.await.unwrap();
    assert!(matches!(&end, End::Refused(reason) if reason == "said so"));
    assert!(end.is_fault());
}

#[tokio::test]
async fn an_oversized_frame_closes_the_connection() {
    let mut h = Harness::start();
    h.client.write_all(&5000i32.to_be_bytes()).await.unwrap();
    let end = h.end.await.unwrap();
    assert!(matches!(end, End::Frame(FrameError::TooLarge { length: 5000, limit: 1000 })));
    assert!(end.is_fault());
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_connection_though_replies_wait() {
    let mut h = Harness::start();
    h.send(&["p1"]).await;
    drop(h.client);
    assert!(matches!(h.end.await.unwrap(), End::ClosedByClient));
}

#[tokio::test]
async fn shutdown_ends_the_connection() {
    let mut h = Harness::start();
    h.send(&["p1"]).await;
    h.stage.send(Stage::Stopped).unwrap();
    assert!(matches!(h.end.await.unwrap(), End::ShuttingDown));
}

#[tokio::test]
async fn a_node_that_leaves_answers_until_the_client_has_moved_on() {
    let mut h = Harness::start();
    h.stage.send(Stage::Leaving).unwrap();
    for _ in 0..5 {
        tokio::time::sleep(MOVED_ON / 3).await;
        h.send(&["n1"]).await;
        h.expect("n1;").await;
    }
    assert!(matches!(h.end.await.unwrap(), End::ShuttingDown));
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_an_active_one_is_not() {
    let max_idle = Duration::from_millis(500);
    let mut h = Harness::with_idle(max_idle);
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        h.send(&["n1"]).await;
        h.expect("n1;").await;
    }
    let before = tokio::time::Instant::now();
    assert!(matches!(h.end.await.unwrap(), End::Idle));
    assert!(before.elapsed() >= max_idle / 2);
}

#[test]
fn librdkafka_is_known_by_its_name_also_under_another_one() {
    let is_librdkafka = |software, version| {
        let info = ConnectionInfo::new("PLAINTEXT".into(), "127.0.0.1:1".parse().unwrap());
        info.is_used_by(software, version);
        info.is_librdkafka()
    };
    assert!(is_librdkafka("librdkafka", "2.12.1"));
    assert!(is_librdkafka("kcat", "1.7.1-librdkafka-2.0.2"));
    assert!(is_librdkafka("confluent-kafka-python", "2.16.1-rdkafka-2.16.0"));
    assert!(!is_librdkafka("apache-kafka-java", "4.3.1"));
}
