//! What was written, acknowledged, read and forgotten, and what of it must not be.
//!
//! The checker believes acknowledgements: whoever took an item and was up ever since must have it until its time is over,
//! and readers must be given what somebody wrote, never an older version after a newer one that could be had, and
//! nothing whose time was over a sweep ago.

use std::collections::{BTreeMap, HashMap};

use dht_core::Overlay;

use crate::{
    clock::nanos,
    network::{Content, Mark, seconds_of},
    outcome::ViolationKind,
    store::Stores,
    world::{Taken, World},
};

/// Nanoseconds by which a store may forget early: it keeps its books to the second.
const SLACK: u64 = 2_000_000_000;

/// What is published under one query.
pub(crate) struct Story<O: Overlay> {
    pub(crate) query: O::Query,
    pub(crate) content: Content,
    /// Its number among what is of this kind.
    pub(crate) number: u32,
    pub(crate) publisher: u32,
    /// The latest version that was written; 0 for none.
    pub(crate) version: u32,
    /// When it was.
    written: u64,
    /// Whether anybody but the publisher ever took it.
    pub(crate) placed: bool,
    /// Whether attackers aim at it at some time.
    pub(crate) attacked: bool,
    /// The latest version of which the announcement ended, and when; to the publisher's best knowledge it is placed.
    pub(crate) announced: (u32, u64),
    /// The highest version that anybody but the publisher took, and when the first did.
    newest: (u32, u64),
    /// Who acknowledged whose item.
    holds: BTreeMap<(u32, u32), Hold>,
    /// When the last lease of each writer's version ends.
    ends: BTreeMap<(u32, u32), u64>,
}

#[derive(Clone, Copy, Debug)]
struct Hold {
    version: u32,
    at: u64,
    until: u64,
}

impl<O: Overlay> Story<O> {
    /// Whether it ought to be found: somebody took it, or its publisher has done what it could.
    pub(crate) fn is_out(&self) -> bool {
        self.placed || self.announced.0 > 0
    }
}

pub(crate) struct History<O: Overlay> {
    pub(crate) stories: Vec<Story<O>>,
    index: HashMap<O::Query, u32>,
    /// The latest version that a reader saw of a key.
    seen: BTreeMap<(u32, u32), u32>,
    /// When each node was stopped.
    stops: BTreeMap<u32, Vec<u64>>,
    /// Sync interval of stores that outlive a process.
    durable: Option<u64>,
    sweep: u64,
    /// Holders of a version beyond which it can be had: one of many may be mute, most of a neighbourhood is not.
    many: usize,
    /// Whether clocks are right; where some are not, nobody can say whose answer a reader was given too late.
    pub(crate) clocks_right: bool,
}

impl<O: Overlay> History<O> {
    pub(crate) fn new(stores: &Stores, sweep_seconds: f64, k: usize) -> Self {
        Self {
            stories: Vec::new(),
            index: HashMap::new(),
            seen: BTreeMap::new(),
            stops: BTreeMap::new(),
            durable: stores.durable.then(|| nanos(seconds_of(stores.sync_interval))),
            sweep: nanos(seconds_of(sweep_seconds)),
            many: k / 2,
            clocks_right: true,
        }
    }

    /// One more thing to publish; its number.
    pub(crate) fn open(&mut self, query: O::Query, content: Content, number: u32, publisher: u32) -> u32 {
        let key = self.stories.len() as u32;
        self.index.insert(query.clone(), key);
        self.stories.push(Story {
            query,
            content,
            number,
            publisher,
            version: 0,
            written: 0,
            placed: false,
            attacked: false,
            announced: (0, 0),
            newest: (0, 0),
            holds: BTreeMap::new(),
            ends: BTreeMap::new(),
        });
        key
    }

    /// A publisher wrote a version.
    pub(crate) fn wrote(&mut self, now: u64, key: u32, version: u32) {
        let story = &mut self.stories[key as usize];
        (story.version, story.written) = (version, now);
    }

    /// A holder acknowledged an item.
    pub(crate) fn taken(&mut self, now: u64, taken: &Taken<O>, mark: Mark) {
        let Some(key) = self.index.get(&taken.query) else { return };
        let story = &mut self.stories[*key as usize];
        if taken.holder != story.publisher {
            story.placed = true;
            if mark.version > story.newest.0 {
                story.newest = (mark.version, now);
            }
        }
        let until = now.saturating_add(nanos(taken.lifetime));
        let hold = Hold { version: mark.version, at: now, until };
        story.holds.insert((taken.holder, mark.writer), hold);
        let end = story.ends.entry((mark.writer, mark.version)).or_default();
        *end = until.max(*end);
    }

    /// A publisher's announcement of a version ended, whatever came of it. Later ones may have ended before it, or still be on
    /// their way.
    pub(crate) fn announced(&mut self, now: u64, key: u32, version: u32) {
        let story = &mut self.stories[key as usize];
        if version > story.announced.0 {
            story.announced = (version, now);
        }
    }

    /// Whether a reader that began at a time was told what the publisher itself had announced by then.
    pub(crate) fn has_told(&self, world: &World<O>, (key, started): (u32, u64), items: &[O::Item]) -> bool {
        let story = &self.stories[key as usize];
        let (version, at) = story.announced;
        let least = if story.content == Content::Value && at < started { version } else { 0 };
        items
            .iter()
            .filter_map(|item| world.network().mark(item))
            .any(|mark| mark.writer == story.publisher && mark.version >= least)
    }

    pub(crate) fn stopped(&mut self, now: u64, node: u32) {
        self.stops.entry(node).or_default().push(now);
    }

    /// Whether the process, or the disc, that acknowledged a hold is still the one that runs.
    fn stands(&self, holder: u32, hold: &Hold) -> bool {
        let stops = self.stops.get(&holder).map_or(&[][..], Vec::as_slice);
        let Some(stop) = stops.get(stops.partition_point(|at| *at < hold.at)) else { return true };
        match self.durable {
            None => false,
            Some(0) => true,
            Some(interval) => hold.at < stop / interval * interval,
        }
    }

    /// Nodes that run, acknowledged what stands under a key and are not its publisher.
    pub(crate) fn holders<'a>(
        &'a self,
        world: &'a World<O>,
        key: u32,
    ) -> impl Iterator<Item = (u32, u32)> + 'a {
        self.holds(world, key).map(|(holder, _, version)| (holder, version))
    }

    /// The same with whose item it is, between the two.
    fn holds<'a>(&'a self, world: &'a World<O>, key: u32) -> impl Iterator<Item = (u32, u32, u32)> + 'a {
        let story = &self.stories[key as usize];
        let now = world.now();
        story
            .holds
            .iter()
            .filter(move |((holder, _), hold)| {
                *holder != story.publisher
                    && (hold.until > now || !world.has_right_date(*holder))
                    && world.is_up(*holder)
                    && self.stands(*holder, hold)
            })
            .map(|((holder, writer), hold)| (*holder, *writer, hold.version))
    }

    /// How many of these have it, by what their stores say.
    pub(crate) fn held(&self, world: &World<O>, key: u32) -> u64 {
        let query = &self.stories[key as usize].query;
        let has = |(holder, writer, version): &(u32, u32, u32)| {
            let held = world.held(*holder, query);
            let mut marks = held.iter().filter_map(|item| world.network().mark(item));
            marks.any(|mark| mark.writer == *writer && mark.version >= *version)
        };
        self.holds(world, key).filter(has).count() as u64
    }

    /// A reader that began at `started` was given these. Whether it got what had been placed last by then; `None` where that
    /// cannot be said.
    pub(crate) fn read(
        &mut self,
        world: &mut World<O>,
        (reader, started): (u32, u64),
        key: u32,
        items: &[O::Item],
    ) -> Option<bool> {
        let mut newest = 0;
        for item in items {
            let mark = world.network().mark(item);
            if mark.is_some_and(|mark| world.is_false(mark.writer)) {
                // True by the rules of the network and of no use: measured, not forbidden.
                continue;
            }
            let story = &self.stories[key as usize];
            let known = mark.filter(|mark| {
                mark.writer == story.publisher && mark.version <= story.version && story.version > 0
            });
            let Some(mark) = known else {
                world.violate(Some(reader), ViolationKind::Invented, || format!("key {key}: {mark:?}"));
                continue;
            };
            newest = newest.max(mark.version);
            let end = story.ends.get(&(mark.writer, mark.version)).copied().unwrap_or(u64::MAX);
            let late = started.saturating_sub(end);
            if late > self.sweep && self.clocks_right && !self.is_owned(world, (key, started), mark) {
                world.violate(Some(reader), ViolationKind::Expired, || {
                    format!("key {key}: {mark:?}, {} s after its end", late / 1_000_000_000)
                });
            }
        }
        let before = self.seen.get(&(reader, key)).copied().unwrap_or(0);
        // Whoever sits around a key decides what readers see of it: that too is measured.
        if newest > 0 && newest < before && !self.stories[key as usize].attacked {
            let dark = |node| world.was_dark(node, started);
            let could = |(holder, version): (u32, u32)| {
                let cut = world.is_cut(reader, holder) || world.is_cut(holder, reader);
                version >= before && !cut && !dark(holder) && !world.is_hampered(holder)
            };
            let hears = !dark(reader) && !world.is_hampered(reader) && !world.was_rough(started);
            if hears && self.holders(world, key).filter(|hold| could(*hold)).count() > self.many {
                world.violate(Some(reader), ViolationKind::Regressed, || {
                    format!("key {key}: version {newest} after {before}")
                });
            }
        }
        let seen = self.seen.entry((reader, key)).or_default();
        *seen = newest.max(*seen);
        let (placed, at) = self.stories[key as usize].newest;
        (newest > 0 && at < started).then_some(newest >= placed)
    }

    /// Whether the publisher may have given a version out itself since then: it keeps its own for ever, the latest.
    fn is_owned(&self, world: &World<O>, (key, since): (u32, u64), mark: Mark) -> bool {
        let story = &self.stories[key as usize];
        let left = self.stops.get(&story.publisher).is_some_and(|stops| stops.last() >= Some(&since));
        let had = story.written >= since || story.version == mark.version;
        left || had && world.is_up(story.publisher)
    }

    /// Whoever acknowledged must have what it acknowledged until its time is over, and must not have it a sweep later, unless
    /// its clock was ever wrong; a store that fails or is full has acknowledged nothing meanwhile. What is wrong is told once.
    pub(crate) fn verify(&mut self, world: &mut World<O>) {
        let now = world.now();
        let mut missing = Vec::new();
        for (key, story) in self.stories.iter().enumerate() {
            for ((holder, writer), hold) in &story.holds {
                let over = hold.until.saturating_add(self.sweep).saturating_add(SLACK) < now;
                let due = hold.until > now.saturating_add(SLACK);
                // Where a clock is wrong, only the store can tell.
                if over && (world.has_right_date(*holder) || !world.is_up(*holder)) {
                    missing.push((key, (*holder, *writer)));
                }
                let tells =
                    world.is_up(*holder) && world.has_right_date(*holder) && self.stands(*holder, hold);
                if !tells || !over && !due {
                    continue;
                }
                let marks = world.held(*holder, &story.query);
                let mut marks = marks.iter().filter_map(|item| world.network().mark(item));
                if over {
                    // A publisher keeps its own.
                    let kept = |mark: Mark| mark.writer == *writer && mark.version <= hold.version;
                    if holder != writer && marks.any(kept) {
                        let late = (now - hold.until) / 1_000_000_000;
                        world.violate(Some(*holder), ViolationKind::Expired, || {
                            format!("key {key}: version {} of {writer}, {late} s after its end", hold.version)
                        });
                    }
                    continue;
                }
                let has = marks.any(|mark| mark.writer == *writer && mark.version >= hold.version);
                if !has && world.is_crowded(*holder, &story.query) {
                    // It gave way, and is owed no more.
                    missing.push((key, (*holder, *writer)));
                } else if !has {
                    missing.push((key, (*holder, *writer)));
                    world.violate(Some(*holder), ViolationKind::Lost, || {
                        format!("key {key}: version {} of {writer}", hold.version)
                    });
                }
            }
        }
        for (key, hold) in missing {
            self.stories[key].holds.remove(&hold);
        }
    }

    /// Forgets holds whose holder lost them; with those that [`History::verify`] forgets, a long run does not grow.
    pub(crate) fn tidy(&mut self) {
        let mut stories = std::mem::take(&mut self.stories);
        for story in &mut stories {
            story.holds.retain(|(holder, _), hold| self.stands(*holder, hold));
        }
        self.stories = stories;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        network::{Compact, CompactNetwork, Network},
        world::Settings,
    };

    #[test]
    fn a_reader_is_owed_what_was_announced_and_not_what_is_on_its_way() {
        let network = CompactNetwork::default();
        let world = World::<Compact>::new(Arc::new(network.clone()), Settings::default());
        let mut history = History::new(&Stores::default(), 600.0, 20);
        let key = history.open(network.query(Content::Value, 0), Content::Value, 0, 7);
        let told = |history: &History<Compact>, started, version| {
            let item = network.item(Content::Value, 0, 7, version, dht_core::Now::default());
            history.has_told(&world, (key, started), &[item])
        };
        // The third version is on its way when the announcements of the second and then the first end.
        history.stories[key as usize].version = 3;
        history.announced(10, key, 2);
        history.announced(20, key, 1);
        assert!(told(&history, 30, 2) && !told(&history, 30, 1));
        assert!(told(&history, 15, 2) && !told(&history, 15, 1));
        history.announced(40, key, 3);
        assert!(told(&history, 40, 2), "it began before that ended");
        assert!(!told(&history, 41, 2));
    }
}
