//! Which links there can be.

use super::{Invalid, require, share};
use crate::link::{Latency, Links};

/// Bad times of one access line in one run: each is drawn, whether anything is sent meanwhile or not.
const BAD_TIMES: f64 = 1e5;

/// Whether messages can travel so, for so many seconds.
pub(super) fn validate(field: &str, links: &Links, length: f64) -> Result<(), Invalid> {
    let times =
        |name: &str, x: f64| require((0.0..=1e6).contains(&x), &format!("{field}.{name}"), "from 0 to 1e6");
    share(&format!("{field}.loss"), links.loss)?;
    share(&format!("{field}.duplicate"), links.duplicate)?;
    require((0.0..=5.0).contains(&links.jitter), &format!("{field}.jitter"), "from 0 to 5")?;
    match links.latency {
        Latency::Constant { ms } => times("latency.ms", ms)?,
        Latency::Lognormal { median_ms, sigma } => {
            times("latency.median_ms", median_ms)?;
            require((0.0..=5.0).contains(&sigma), &format!("{field}.latency.sigma"), "from 0 to 5")?;
        }
        Latency::Regions => {}
    }
    if let Some(burst) = links.burst {
        let field = format!("{field}.burst");
        share(&format!("{field}.loss"), burst.loss)?;
        let right = |x: f64| x > 0.0 && x <= 1e9;
        require(right(burst.every) && right(burst.lasts), &field, "times above 0, up to 1e9 seconds")?;
        let few = length / (burst.every + burst.lasts) <= BAD_TIMES;
        require(few, &field, "at most 100,000 bad times in one run")?;
    }
    if let Some(reorder) = links.reorder {
        share(&format!("{field}.reorder.share"), reorder.share)?;
        times("reorder.by", reorder.by)?;
    }
    let bandwidth = links.bandwidth.is_none_or(|rate| rate >= 1.0);
    require(bandwidth, &format!("{field}.bandwidth"), "at least 1 byte per second")
}
