//! Write-read cycles: transactions each of which read what the next one wrote (Adya's G1c). Strongly connected components, by Tarjan.

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use crate::anomaly::Anomaly;
use crate::event::TransactionId;
use crate::facts::{Facts, TransactionFacts};

pub fn check(facts: &Facts<'_>, found: &mut Vec<Anomaly>) {
    let committed = |id: &TransactionId| facts.transactions.get(id).is_some_and(TransactionFacts::is_committed);
    let mut graph: DiGraphMap<TransactionId, ()> = DiGraphMap::new();
    for (_, _, poll) in &facts.polls {
        let Some(reader) = poll.transaction.filter(committed) else { continue };
        for record in &poll.records {
            let send = facts.partitions.get(&record.key).and_then(|partition| partition.sends.get(&record.value));
            if let Some(writer) = send.and_then(|send| send.transaction).filter(|id| *id != reader && committed(id)) {
                graph.add_edge(writer, reader, ());
            }
        }
    }
    for mut transactions in tarjan_scc(&graph) {
        if transactions.len() > 1 {
            transactions.sort();
            found.push(Anomaly::Cycle { transactions });
        }
    }
}
