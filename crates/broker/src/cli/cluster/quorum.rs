//! `highwater cluster quorum`.

use clap::Args;
use highwater_env::clock;
use serde_json::{Value, json};

use crate::cli::client::{Quorum, QuorumReplica};
use crate::cli::output::{Column, Mood, Row, facts, or_dash, table};
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater cluster quorum
  highwater cluster quorum --json | jq .leader";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct QuorumArgs {
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: QuorumArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    if !client.describes_quorum() {
        let failure = Failure::new(format!("{} does not serve DescribeQuorum", client.address()));
        return Err(failure.hint("`curl http://NODE:9094/metrics | grep kafka_controller` shows the active controller"));
    }
    let quorum = client.quorum().await?;
    let now = clock::wall_ms().0;
    args.client.print(|| quorum_json(&quorum), || text(&quorum, now))
}

fn text(quorum: &Quorum, now: i64) -> String {
    let head = facts([
        ("leader", or_dash(quorum.leader)),
        ("epoch", quorum.epoch.to_string()),
        ("high watermark", quorum.high_watermark.to_string()),
    ]);
    let columns = [
        Column::Number("NODE"),
        Column::Text("ROLE"),
        Column::Number("LOG END"),
        Column::Number("BEHIND"),
        Column::Text("CAUGHT UP"),
    ];
    let row = |one: &QuorumReplica, role: &str| {
        let role = if quorum.leader == Some(one.id) { "leader" } else { role };
        let known = one.log_end >= 0;
        let behind = (quorum.high_watermark - one.log_end).max(0);
        let caught_up = one.last_caught_up_ms.map(|ms| format!("{} ms ago", (now - ms).max(0)));
        let cells = vec![
            one.id.to_string(),
            role.to_owned(),
            or_dash(known.then_some(one.log_end)),
            or_dash(known.then_some(behind)),
            or_dash(caught_up),
        ];
        Row::new(cells, if known { Mood::Fine } else { Mood::Attention })
    };
    let voters = quorum.voters.iter().map(|one| row(one, "voter"));
    let rows = voters.chain(quorum.observers.iter().map(|one| row(one, "observer")));
    format!("{head}\n\n{}", table(&columns, rows))
}

fn quorum_json(quorum: &Quorum) -> Value {
    let replica = |one: &QuorumReplica| json!({"node": one.id, "log_end": (one.log_end >= 0).then_some(one.log_end), "last_caught_up": one.last_caught_up_ms});
    json!({
        "leader": quorum.leader,
        "epoch": quorum.epoch,
        "high_watermark": quorum.high_watermark,
        "voters": quorum.voters.iter().map(replica).collect::<Vec<_>>(),
        "observers": quorum.observers.iter().map(replica).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::plain;

    #[test]
    fn a_voter_that_is_not_heard_of_has_dashes() {
        let replica = |id, log_end, last_caught_up_ms| QuorumReplica {
            id,
            log_end,
            last_caught_up_ms,
            last_heard_ms: None,
            directory: None,
            endpoint: None,
        };
        let quorum = Quorum {
            leader: Some(2),
            epoch: 7,
            high_watermark: 100,
            voters: vec![replica(1, 90, Some(950)), replica(2, 101, Some(1000)), replica(3, -1, None)],
            observers: vec![replica(4, 100, None)],
        };
        let expected = "\
leader          2
epoch           7
high watermark  100

NODE  ROLE      LOG END  BEHIND  CAUGHT UP
   1  voter          90      10  50 ms ago
   2  leader        101       0  0 ms ago
   3  voter           -       -  -
   4  observer      100       0  -";
        assert_eq!(plain(&text(&quorum, 1000)), expected);
    }
}
