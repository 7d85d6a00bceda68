//! Every advertised API at every version is answered in a form that the schema of that version can decode.

mod harness;

use harness::TestBroker;
use harness::client::Client;
use harness::samples::{TOPIC, samples};
use highwater_protocol::APIS;
use highwater_protocol::messages::create_topics_request::CreatableTopic;
use highwater_protocol::messages::{CreateTopicsRequest, TopicName};
use highwater_types::TopicId;

pub async fn create_sample_topic(client: &mut Client) -> TopicId {
    let topic =
        CreatableTopic::default().with_name(TopicName(TOPIC.into())).with_num_partitions(1).with_replication_factor(1);
    let response = client.call(7, &CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(1000)).await;
    assert_eq!(response.topics[0].error_code, 0, "{response:?}");
    TopicId(response.topics[0].topic_id)
}

#[tokio::test]
async fn every_api_answers_at_every_version() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    let topic_id = create_sample_topic(&mut client).await;
    let samples = samples(topic_id);
    let expected: usize = APIS.iter().map(|api| (api.max - api.served_min + 1) as usize).sum();
    assert_eq!(samples.len(), expected, "a sample for every API and version");
    for sample in samples {
        client.send_raw(&sample.frame).await;
        let Some(frame) = client.receive_raw().await else {
            panic!("{} version {} closed the connection", sample.api, sample.version);
        };
        if let Err(error) = (sample.check)(sample.version, frame) {
            panic!("{} version {}: {error}", sample.api, sample.version);
        }
    }
    assert!(broker.metric("kafka_network_requestmetrics_requests_total") >= expected as f64);
    broker.gateway.shutdown().await;
}
