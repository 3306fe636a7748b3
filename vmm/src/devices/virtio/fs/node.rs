//! Node ids: which layer and inode a number that the guest gives means.

use hull_layer::{Ino, Layer};

use super::abi::ROOT_ID;

/// Above the bits of an inode number (32 of them are in use).
const LAYER_SHIFT: u32 = 40;

/// What a node id means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    /// The directory that has the layers' roots.
    Top,
    /// An inode of a layer; it may not exist.
    Inode { layer: usize, ino: Ino },
}

impl Node {
    pub(super) fn from_id(id: u64) -> Option<Self> {
        if id == ROOT_ID {
            return Some(Self::Top);
        }
        let layer = usize::try_from(id >> LAYER_SHIFT).ok()?.checked_sub(1)?;
        let ino = Ino::new(id & ((1 << LAYER_SHIFT) - 1))?;
        Some(Self::Inode { layer, ino })
    }

    pub(super) fn id(self) -> u64 {
        match self {
            Self::Top => ROOT_ID,
            Self::Inode { layer, ino } => (layer as u64 + 1) << LAYER_SHIFT | ino.get(),
        }
    }

    /// The root of a layer.
    pub(super) fn layer_root(layer: usize) -> Self {
        Self::Inode {
            layer,
            ino: Layer::ROOT,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_are_what_they_mean(id: u64) {
            if let Some(node) = Node::from_id(id) {
                prop_assert_eq!(node.id(), id);
            }
        }

        #[test]
        fn every_inode_of_every_layer_has_an_id(layer in 0_usize..1000, ino in 1..=u32::MAX) {
            let ino = Ino::new(u64::from(ino)).unwrap();
            let node = Node::Inode { layer, ino };
            prop_assert_eq!(Node::from_id(node.id()), Some(node));
        }
    }

    #[test]
    fn ids_that_mean_nothing_are_refused() {
        for id in [0, 2, (1 << 40) - 1, 1 << 40, 1 << 40 | 1 << 32] {
            assert_eq!(Node::from_id(id), None, "{id:#x}");
        }
    }
}
