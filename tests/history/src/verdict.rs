//! What is to be said of a history.

use std::fmt;

use crate::anomaly::Anomaly;
use crate::checks;
use crate::event::Event;
use crate::facts::Facts;

/// The least that a history must hold to say anything.
#[derive(Debug, Clone, Copy)]
pub struct Coverage {
    /// Acknowledged sends.
    pub acknowledged: usize,
}

/// What is to be said of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Enough was done, every planned fault was there, and nothing is wrong.
    Valid,
    Invalid(Vec<Anomaly>),
    /// Nothing is wrong, but too little was done to say more; or this is no history.
    Unknown(String),
}

impl Verdict {
    /// Valid, or what is wrong.
    ///
    /// # Errors
    /// Every verdict but [`Verdict::Valid`].
    pub fn into_result(self) -> anyhow::Result<()> {
        if self == Self::Valid { Ok(()) } else { Err(anyhow::anyhow!("{self}")) }
    }
}

/// Anomalies that a message names; a broken cluster can show thousands.
const NAMED: usize = 5;

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid => write!(f, "valid"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
            Self::Invalid(anomalies) => {
                write!(f, "{} anomalies", anomalies.len())?;
                anomalies.iter().take(NAMED).try_for_each(|anomaly| write!(f, "; {anomaly}"))
            }
        }
    }
}

/// Checks a whole history.
pub fn check(events: &[Event], least: Coverage) -> Verdict {
    let facts = match Facts::of(events) {
        Ok(facts) => facts,
        Err(error) => return Verdict::Unknown(format!("not a history: {error:#}")),
    };
    let anomalies = checks::all(&facts);
    if !anomalies.is_empty() {
        return Verdict::Invalid(anomalies);
    }
    if let Some(fault) = facts.missing_faults.first() {
        return Verdict::Unknown(format!("coverage: the fault {fault:?} was not seen to be there"));
    }
    if !facts.has_final_read {
        return Verdict::Unknown("coverage: no final read".to_owned());
    }
    if facts.acknowledged < least.acknowledged {
        let (found, wanted) = (facts.acknowledged, least.acknowledged);
        return Verdict::Unknown(format!("coverage: {found} sends were acknowledged, {wanted} are wanted"));
    }
    Verdict::Valid
}
