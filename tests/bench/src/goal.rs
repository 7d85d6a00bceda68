//! Goals and whether they are reached.

/// Which way a figure improves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    Lower,
    Higher,
}

impl Better {
    /// How many times better ours is than Kafka's. Infinite if ours costs nothing.
    pub fn ratio(self, ours: f64, kafka: f64) -> f64 {
        match self {
            Self::Lower => kafka / ours,
            Self::Higher => ours / kafka,
        }
    }
}

/// What a figure must reach, and what it should.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// So many times better than Kafka in the same run.
    Ratio { must: f64, stretch: f64 },
    /// A bound for our own figure: an upper one if lower is better, a lower one otherwise.
    Value { must: f64, stretch: f64 },
}

/// How far a figure got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Missed,
    Must,
    Stretch,
}

impl Verdict {
    /// As the table says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missed => "no",
            Self::Must => "must",
            Self::Stretch => "stretch",
        }
    }
}

impl Goal {
    /// Whether our figure reaches the goal; none if that takes a figure of Kafka's that is not there.
    pub fn judge(self, better: Better, ours: f64, kafka: Option<f64>) -> Option<Verdict> {
        let reached = |bound: f64| match self {
            Self::Ratio { .. } => kafka.map(|kafka| better.ratio(ours, kafka) >= bound),
            Self::Value { .. } => Some(match better {
                Better::Lower => ours <= bound,
                Better::Higher => ours >= bound,
            }),
        };
        let (must, stretch) = self.bounds();
        Some(match (reached(must)?, reached(stretch)?) {
            (false, _) => Verdict::Missed,
            (true, false) => Verdict::Must,
            (true, true) => Verdict::Stretch,
        })
    }

    /// Must and stretch as the table shows them, e.g. `4x` or `500`.
    pub fn words(self) -> [String; 2] {
        let (must, stretch) = self.bounds();
        match self {
            Self::Ratio { .. } => [must, stretch].map(|bound| format!("{bound}x")),
            Self::Value { .. } => [must, stretch].map(|bound| format!("{bound}")),
        }
    }

    fn bounds(self) -> (f64, f64) {
        match self {
            Self::Ratio { must, stretch } | Self::Value { must, stretch } => (must, stretch),
        }
    }

    /// Whether the stretch asks for at least as much as the must.
    #[cfg(test)]
    pub fn stretch_is_harder(self, better: Better) -> bool {
        let (must, stretch) = self.bounds();
        match (self, better) {
            (Self::Value { .. }, Better::Lower) => stretch <= must,
            _ => stretch >= must,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Goal = Goal::Ratio { must: 4.0, stretch: 6.0 };

    #[test]
    fn a_ratio_says_how_many_times_better() {
        assert_eq!(Better::Lower.ratio(2.0, 8.0), 4.0);
        assert_eq!(Better::Higher.ratio(300.0, 200.0), 1.5);
        assert!(Better::Lower.ratio(0.0, 1.0).is_infinite());
    }

    #[test]
    fn bounds_are_reached_when_met_exactly() {
        let judge = |ours| COST.judge(Better::Lower, ours, Some(12.0));
        assert_eq!(judge(3.01), Some(Verdict::Missed));
        assert_eq!(judge(3.0), Some(Verdict::Must));
        assert_eq!(judge(2.0), Some(Verdict::Stretch));
        assert_eq!(judge(0.0), Some(Verdict::Stretch));
    }

    #[test]
    fn a_ratio_without_kafka_is_not_judged_and_a_value_is() {
        assert_eq!(COST.judge(Better::Lower, 1.0, None), None);
        let gap = Goal::Value { must: 100.0, stretch: 30.0 };
        assert_eq!(gap.judge(Better::Lower, 70.0, None), Some(Verdict::Must));
        let complete = Goal::Value { must: 50_000.0, stretch: 100_000.0 };
        assert_eq!(complete.judge(Better::Higher, 49_999.0, None), Some(Verdict::Missed));
    }
}
