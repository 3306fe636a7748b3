//! Where the bytes of a sparse file belong.

use super::TarError;

/// A stretch of a file that has bytes in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// How the stored bytes of a file and holes follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Map {
    /// In reverse, so that the next one is the last.
    regions: Vec<Region>,
    size: u64,
    position: u64,
}

/// What comes next in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Data(u64),
    Hole(u64),
    End,
}

impl Map {
    /// A file without holes.
    pub(super) fn dense(size: u64) -> Map {
        Map {
            regions: vec![Region {
                offset: 0,
                length: size,
            }],
            size,
            position: 0,
        }
    }

    /// A sparse file of `size` bytes, `stored` of them in the archive.
    pub(super) fn sparse(regions: Vec<Region>, size: u64, stored: u64) -> Result<Map, TarError> {
        let (mut end, mut sum) = (0u64, 0u64);
        for region in &regions {
            if region.offset < end {
                return Err(TarError::Sparse);
            }
            let next = region.offset.checked_add(region.length);
            end = next.filter(|&next| next <= size).ok_or(TarError::Sparse)?;
            // Cannot overflow: the regions do not overlap.
            sum += region.length;
        }
        if sum != stored {
            return Err(TarError::Sparse);
        }
        let mut regions = regions;
        regions.reverse();
        Ok(Map {
            regions,
            size,
            position: 0,
        })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn next(&mut self) -> Next {
        while self.regions.last().is_some_and(|region| region.length == 0) {
            self.regions.pop();
        }
        match self.regions.last() {
            Some(region) if region.offset == self.position => Next::Data(region.length),
            Some(region) => Next::Hole(region.offset - self.position),
            None if self.position < self.size => Next::Hole(self.size - self.position),
            None => Next::End,
        }
    }

    /// Goes past `length` bytes of what [`Map::next`] said, and not more.
    pub(super) fn advance(&mut self, length: u64) {
        if let Some(region) = self.regions.last_mut()
            && region.offset == self.position
        {
            region.offset += length;
            region.length = region.length.saturating_sub(length);
        }
        self.position += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(mut map: Map) -> Vec<Next> {
        let mut steps = Vec::new();
        loop {
            let next = map.next();
            match next {
                Next::Data(length) | Next::Hole(length) => map.advance(length),
                Next::End => return steps,
            }
            steps.push(next);
        }
    }

    fn map(regions: &[(u64, u64)], size: u64, stored: u64) -> Result<Map, TarError> {
        let region = |&(offset, length): &(u64, u64)| Region { offset, length };
        Map::sparse(regions.iter().map(region).collect(), size, stored)
    }

    #[test]
    fn data_and_holes_take_turns() {
        use Next::{Data, Hole};
        assert_eq!(walk(Map::dense(5)), [Data(5)]);
        assert_eq!(walk(Map::dense(0)), []);
        assert_eq!(walk(map(&[], 9, 0).unwrap()), [Hole(9)]);
        let mixed = map(&[(2, 3), (8, 1), (10, 0)], 10, 4).unwrap();
        assert_eq!(walk(mixed), [Hole(2), Data(3), Hole(3), Data(1), Hole(1)]);
        let touching = map(&[(0, 2), (2, 2)], 4, 4).unwrap();
        assert_eq!(walk(touching), [Data(2), Data(2)]);
    }

    #[test]
    fn maps_that_cannot_be_are_refused() {
        for (regions, size, stored) in [
            (&[(0, 2), (1, 2)][..], 9, 4),
            (&[(4, 2), (0, 2)], 9, 4),
            (&[(0, 10)], 9, 10),
            (&[(u64::MAX, 2)], 9, 2),
            (&[(0, 2)], 9, 3),
            (&[(0, 2)], 9, 1),
        ] {
            assert!(map(regions, size, stored).is_err(), "{regions:?}");
        }
    }
}
