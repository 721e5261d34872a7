//! Expectations in words, as tables and reports show them.

use std::fmt;

use super::{Check, Measure};

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, of) = match self {
            Self::Success { of } => ("success", Some(of)),
            Self::Attacked { of } => ("attacked", Some(of)),
            Self::Requests { of } => ("requests", Some(of)),
            Self::Hops { of } => ("hops", Some(of)),
            Self::Latency { of } => ("latency", Some(of)),
            Self::LatencyP99 { of } => ("latency_p99", Some(of)),
            Self::Count { of } => ("count", Some(of)),
            Self::Recall => ("recall", None),
            Self::Fresh => ("fresh", None),
            Self::RecordsAlive => ("records_alive", None),
            Self::RecordsAliveAlways => ("records_alive_always", None),
            Self::Holders => ("holders", None),
            Self::TableFill => ("table_fill", None),
            Self::SmallestTable => ("smallest_table", None),
            Self::StaleEntries => ("stale_entries", None),
            Self::Misplaced => ("misplaced", None),
            Self::MisplacedAlways => ("misplaced_always", None),
            Self::Unruly => ("unruly", None),
            Self::HonestContacts => ("honest_contacts", None),
            Self::Misdirected => ("misdirected", None),
            Self::Timeouts => ("timeouts", None),
            Self::Late => ("late", None),
            Self::MessageRate => ("message_rate", None),
            Self::Violations => ("violations", None),
        };
        f.write_str(name)?;
        of.map_or(Ok(()), |of| write!(f, " of {}", of.name()))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.measure)?;
        if let Some(phase) = &self.phase {
            write!(f, " in `{phase}`")?;
        }
        if let Some(other) = &self.relative_to {
            write!(f, " against `{other}`")?;
        }
        if let Some(least) = self.at_least {
            write!(f, " >= {least}")?;
        }
        if let Some(most) = self.at_most {
            write!(f, " <= {most}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::OpKind;

    #[test]
    fn an_expectation_is_a_short_sentence() {
        let check = Check {
            relative_to: Some("calm".into()),
            at_most: Some(1.3),
            ..Check::of(Measure::Latency { of: OpKind::Get }).in_phase("storm")
        };
        assert_eq!(check.to_string(), "latency of get in `storm` against `calm` <= 1.3");
        assert_eq!(Check { at_least: Some(1.0), ..Check::of(Measure::Recall) }.to_string(), "recall >= 1");
    }
}
