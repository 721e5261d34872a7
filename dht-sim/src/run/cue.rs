//! What is due besides messages and alarms, as a number in the world's queue.

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cue {
    /// A node joins for the first time.
    Join(u32),
    /// A node that did not manage to join tries again.
    Rejoin(u32),
    /// A node begins its own refreshes.
    Refresh(u32),
    /// A node's host looks whether it can be dialled.
    DialBack(u32),
    /// A node comes back.
    Up(u32),
    /// A node goes.
    Down(u32),
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
    /// A spammer announces itself.
    Flood(u32),
}

impl Cue {
    pub(super) fn write(self) -> u64 {
        let (kind, number) = match self {
            Self::Join(n) => (0u64, n),
            Self::Rejoin(n) => (1, n),
            Self::Refresh(n) => (2, n),
            Self::DialBack(n) => (16, n),
            Self::Up(n) => (3, n),
            Self::Down(n) => (4, n),
            Self::Publish(n) => (5, n),
            Self::Update => (6, 0),
            Self::Read => (7, 0),
            Self::Lookup => (8, 0),
            Self::Sample => (9, 0),
            Self::Phase(n) => (10, n),
            Self::FaultBegins(n) => (11, n),
            Self::FaultEnds(n) => (12, n),
            Self::Pester(n) => (13, n),
            Self::Restart(n) => (14, n),
            Self::Flood(n) => (15, n),
        };
        kind << 32 | u64::from(number)
    }

    pub(super) fn read(cue: u64) -> Self {
        let n = cue as u32;
        match cue >> 32 {
            0 => Self::Join(n),
            1 => Self::Rejoin(n),
            2 => Self::Refresh(n),
            3 => Self::Up(n),
            16 => Self::DialBack(n),
            4 => Self::Down(n),
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
            _ => Self::Flood(n),
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
            Cue::Rejoin(7),
            Cue::Refresh(7),
            Cue::DialBack(7),
            Cue::Up(7),
            Cue::Down(7),
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
            Cue::Flood(6),
        ] {
            assert_eq!(Cue::read(cue.write()), cue);
        }
    }
}
