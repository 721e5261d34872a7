//! What is due besides messages and alarms, as a number in the world's queue.
//!
//! What a node's process is to do, or is to end by, names the process too, by the node's life: it may be another one by then.

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cue {
    /// A node joins for the first time.
    Join(u32),
    /// A node begins its own refreshes.
    Refresh(u32),
    /// A node's host looks whether it can be dialled.
    DialBack(u32, u32),
    /// A node comes back, unless it did since its last life ended.
    Up(u32, u32),
    /// A node goes, unless it did.
    Down(u32, u32),
    /// Something is published for the first time.
    Publish(u32),
    Update,
    Read,
    Lookup,
    Sample,
    /// A phase begins.
    Phase(u32),
    FaultBegins(u32),
    FaultEnds(u32),
    /// The attackers of an eclipse ask their victim.
    Pester(u32),
    /// A node's process dies, and is back soon.
    Restart(u32),
    /// A spammer announces itself under the keys of its fault.
    Flood(u32, u32),
}

/// Lives that a cue tells apart; nobody lives so often before one that is due.
pub(super) const LIVES: u32 = 1 << 24;

impl Cue {
    pub(super) fn write(self) -> u64 {
        let (kind, number, second) = match self {
            Self::Join(n) => (0u64, n, 0),
            Self::Refresh(n) => (2, n, 0),
            Self::DialBack(n, life) => (1, n, life),
            Self::Up(n, life) => (3, n, life),
            Self::Down(n, life) => (4, n, life),
            Self::Publish(n) => (5, n, 0),
            Self::Update => (6, 0, 0),
            Self::Read => (7, 0, 0),
            Self::Lookup => (8, 0, 0),
            Self::Sample => (9, 0, 0),
            Self::Phase(n) => (10, n, 0),
            Self::FaultBegins(n) => (11, n, 0),
            Self::FaultEnds(n) => (12, n, 0),
            Self::Pester(n) => (13, n, 0),
            Self::Restart(n) => (14, n, 0),
            Self::Flood(n, fault) => (15, n, fault),
        };
        u64::from(second % LIVES) << 40 | kind << 32 | u64::from(number)
    }

    pub(super) fn read(cue: u64) -> Self {
        let (n, second) = (cue as u32, (cue >> 40) as u32);
        match cue >> 32 & 0xff {
            0 => Self::Join(n),
            2 => Self::Refresh(n),
            3 => Self::Up(n, second),
            1 => Self::DialBack(n, second),
            4 => Self::Down(n, second),
            5 => Self::Publish(n),
            6 => Self::Update,
            7 => Self::Read,
            8 => Self::Lookup,
            9 => Self::Sample,
            10 => Self::Phase(n),
            11 => Self::FaultBegins(n),
            12 => Self::FaultEnds(n),
            13 => Self::Pester(n),
            14 => Self::Restart(n),
            _ => Self::Flood(n, second),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cues_are_read_as_they_were_written() {
        for cue in [
            Cue::Join(7),
            Cue::Refresh(7),
            Cue::DialBack(7, 0),
            Cue::Up(7, 1),
            Cue::Down(u32::MAX, LIVES - 1),
            Cue::Publish(u32::MAX),
            Cue::Update,
            Cue::Read,
            Cue::Lookup,
            Cue::Sample,
            Cue::Phase(1),
            Cue::FaultBegins(2),
            Cue::FaultEnds(3),
            Cue::Pester(4),
            Cue::Restart(5),
            Cue::Flood(6, 999),
        ] {
            assert_eq!(Cue::read(cue.write()), cue);
        }
    }
}
