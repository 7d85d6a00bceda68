//! Takes out of an output what differs from run to run: addresses, ids, times, directories, widths of columns.

use std::path::PathBuf;

use anyhow::Result;
use regex::Regex;

/// What identifies the nodes of one cluster, in the order of their ids.
pub struct Nodes {
    /// The host that they all listen on.
    pub host: String,
    /// `(client port, controller port)`.
    pub ports: Vec<(u16, u16)>,
    /// Log directories.
    pub data: Vec<PathBuf>,
}

impl Nodes {
    /// `host:port,...` for clients.
    pub fn bootstrap(&self) -> String {
        let address = |(client, _): &(u16, u16)| format!("{}:{client}", self.host);
        self.ports.iter().map(address).collect::<Vec<_>>().join(",")
    }
}

/// Normalises the outputs of one cluster.
pub struct Normaliser {
    nodes: Nodes,
    general: Vec<(Regex, &'static str)>,
}

impl Normaliser {
    pub fn new(nodes: Nodes) -> Result<Self> {
        let general = [
            (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
            (r"\b(T|t)opicId:? ?[A-Za-z0-9_-]{22}", "TopicId: <id>"),
            (r#"(directoryId"?: ?"?|"topicId":"|Cluster ID: |ClusterId: +)[A-Za-z0-9_-]{22}"#, "$1<id>"),
            // Times in milliseconds: 13 digits. Dates.
            (r"\b1[6-9]\d{11}\b", "<ms>"),
            (r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,:]\d+)?Z?", "<date>"),
            (r"[ \t]+", " "),
            (r"NODE\d \(\d\)", "NODE (n)"),
            // Where a client on this machine connects from.
            (r"/127\.\d+\.\d+\.\d+", "/HOST"),
            // Formatters that end no line, stack traces, stdout meeting stderr.
            (r#"\}\{"key""#, "}\n{\"key\""),
            (r"(?m)^ ?at [\w.$/<>]+\(.*\)$", ""),
        ];
        let general =
            general.into_iter().map(|(find, put)| Ok((Regex::new(find)?, put))).collect::<Result<Vec<_>>>()?;
        Ok(Self { nodes, general })
    }

    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// The lines of `output` without what differs from run to run, and without what matches `hidden`.
    pub fn lines(&self, output: &str, hidden: &[Regex]) -> Vec<String> {
        let mut text = output.replace('\r', "");
        for (index, (client, controller)) in self.nodes.ports.iter().enumerate() {
            let node = index + 1;
            text = text.replace(&format!("{}:{client}", self.nodes.host), &format!("NODE{node}"));
            text = text.replace(&format!("{}:{controller}", self.nodes.host), &format!("CONTROLLER{node}"));
            text = text.replace(&self.nodes.data[index].display().to_string(), &format!("<data {node}>"));
            text = text.replace(&client.to_string(), &format!("PORT{node}"));
            text = text.replace(&controller.to_string(), &format!("CPORT{node}"));
        }
        text = text.replace(&self.nodes.host, "HOST");
        for (find, put) in &self.general {
            text = find.replace_all(&text, *put).into_owned();
        }
        for regex in hidden {
            text = regex.replace_all(&text, "<...>").into_owned();
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_ids_and_times_go() {
        let nodes = Nodes {
            host: "127.1.2.3".to_owned(),
            ports: vec![(40001, 40002), (40003, 40004)],
            data: vec!["/tmp/a".into(), "/tmp/b".into()],
        };
        let normaliser = Normaliser::new(nodes).unwrap();
        let text = "ID   HOST       PORT\n1    127.1.2.3  40001\n127.1.2.3:40004 at 1790000000123 in /tmp/b/t-0\n\n\
                    Topic: t\tTopicId: abcdefghijklmnopqrstuv\tx: 12\n";
        let lines = normaliser.lines(text, &[Regex::new(r"x: \d+").unwrap()]);
        let expected =
            ["ID HOST PORT", "1 HOST PORT1", "CONTROLLER2 at <ms> in <data 2>/t-0", "Topic: t TopicId: <id> <...>"];
        assert_eq!(lines, expected);
    }
}
