//! How lookups behave: the numbers, their defaults, and what makes them contradict each other.

use std::time::Duration;

use dht_core::InvalidConfig;

/// No lookup has more requests in flight.
const MAX_ALPHA: usize = 1 << 16;

/// How lookups behave. Every field changes behaviour; [`Config::validate`] names the one that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How many closest peers a lookup confirms and a store places its item on.
    pub k: usize,
    /// Requests of one lookup that may be in flight at once, those that are overdue not counted. At most 65,536.
    pub alpha: usize,
    /// Requests in flight while answers still lead closer: those would mostly ask peers that the next answer makes
    /// irrelevant. The window opens from here to `alpha` as answers converge. At most `alpha`.
    pub approach: usize,
    /// How many of the closest peers must have answered for the window to be fully open; once as many have answered, however
    /// far, those who failed are not asked again. At most `k`.
    pub beta: usize,
    /// After this a request has failed; an answer that comes earlier counts, however overdue.
    pub request_timeout: Duration,
    /// Below this no request is overdue, however quick the network was so far.
    pub min_timeout: Duration,
    /// Whether requests that take longer than usual free their place so that another peer is asked, and do not hold up the
    /// end for long; otherwise only `request_timeout` does.
    pub hedge: bool,
    /// After this a query ends with what it has, unless its options say otherwise.
    pub query_timeout: Duration,
    /// How often a request is tried again: stores and lone requests after a retryable failure, requests of a lookup
    /// only after a failure of our own or when too few others answer. Where nobody at all answers, and no other query hears
    /// of anybody either, a few are asked now and then until the query's time is over, unless this is 0: our own line may
    /// be down.
    pub retries: u32,
    /// Before the first retry.
    pub backoff_initial: Duration,
    /// Longest wait before a retry.
    pub backoff_max: Duration,
    /// Every retry waits this many times longer than the one before; at least 1.
    pub backoff_factor: f64,
    /// Random share by which a wait is made longer or shorter, `0.0..=1.0`.
    pub backoff_jitter: f64,
    /// Queries that may run at once.
    pub max_queries: usize,
    /// Lone requests that may run at once.
    pub max_lone: usize,
    /// Entries of one answer that are looked at, the closest ones.
    pub max_closer: usize,
    /// Peers that one query remembers, and so the most it ever asks; the closest ones stay. At least `2 * k`.
    pub max_candidates: usize,
    /// Items (distinct slots) that one fetch keeps.
    pub max_items: usize,
    /// Bytes of items that one fetch keeps.
    pub max_bytes: usize,
    /// Paths that share no peer (S/Kademlia); 1 is the plain lookup. At most `alpha`.
    pub disjoint_paths: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            k: 20,
            alpha: 10,
            approach: 2,
            beta: 3,
            request_timeout: Duration::from_secs(10),
            min_timeout: Duration::from_millis(100),
            hedge: true,
            query_timeout: Duration::from_secs(60),
            retries: 3,
            backoff_initial: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            backoff_factor: 2.0,
            backoff_jitter: 0.2,
            max_queries: 1024,
            max_lone: 1024,
            max_closer: 40,
            max_candidates: 400,
            max_items: 1024,
            max_bytes: 4 << 20,
            disjoint_paths: 1,
        }
    }
}

impl Config {
    /// Whether the values make sense together.
    ///
    /// # Errors
    /// Names the first field that does not.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        macro_rules! need {
            ($field:ident, $ok:expr, $rule:literal) => {
                InvalidConfig::require($ok, stringify!($field), &self.$field, $rule)?
            };
        }
        need!(k, self.k >= 1, "at least 1");
        need!(alpha, (1..=MAX_ALPHA).contains(&self.alpha), "1 to 65536");
        need!(approach, (1..=self.alpha).contains(&self.approach), "1 to alpha");
        need!(beta, (1..=self.k).contains(&self.beta), "1 to k");
        need!(request_timeout, !self.request_timeout.is_zero(), "above zero");
        need!(
            min_timeout,
            !self.min_timeout.is_zero() && self.min_timeout <= self.request_timeout,
            "above zero, at most request_timeout"
        );
        need!(query_timeout, !self.query_timeout.is_zero(), "above zero");
        need!(retries, self.retries <= 100, "at most 100");
        need!(backoff_initial, self.backoff_initial <= self.backoff_max, "at most backoff_max");
        need!(backoff_factor, self.backoff_factor.is_finite() && self.backoff_factor >= 1.0, "at least 1");
        need!(backoff_jitter, (0.0..=1.0).contains(&self.backoff_jitter), "0 to 1");
        need!(max_queries, self.max_queries >= 1, "at least 1");
        need!(max_lone, self.max_lone >= 1, "at least 1");
        need!(max_closer, self.max_closer >= 1, "at least 1");
        need!(max_candidates, self.max_candidates / 2 >= self.k, "at least twice k");
        need!(max_items, self.max_items >= 1, "at least 1");
        need!(max_bytes, self.max_bytes >= 1, "at least 1");
        need!(disjoint_paths, (1..=self.alpha).contains(&self.disjoint_paths), "1 to alpha");
        Ok(())
    }
}
