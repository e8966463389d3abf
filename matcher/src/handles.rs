//! The handles of one class: each comes once, and was met or not.

use wugan_protocol::{reason::Reason, run::Bitmap};

/// Two bits for each of an owner's records of one class.
pub struct Handles {
    seen: Bitmap,
    met: Bitmap,
}

impl Handles {
    /// Handles 0 to `count` - 1, none of them seen yet.
    pub fn new(count: u64) -> Handles {
        Handles { seen: Bitmap::new(count), met: Bitmap::new(count) }
    }

    /// Takes a record's handle.
    ///
    /// # Errors
    /// [`Reason::BadHandles`] for a handle out of range or taken before.
    #[inline]
    pub fn take(&mut self, handle: u32, met: bool) -> Result<(), Reason> {
        if self.seen.set(handle, true) != Some(true) {
            return Err(Reason::BadHandles);
        }
        self.met.set(handle, met);
        Ok(())
    }

    /// Which were met, once every handle was taken. As many as there are handles, each in range and none twice, are
    /// all of them; so `None` means that the class's files hold fewer records than they were counted to.
    pub fn finish(self) -> Option<Bitmap> {
        self.seen.full().then_some(self.met)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_permutation_is_taken() {
        let mut handles = Handles::new(5);
        for handle in [3, 0, 4, 1, 2] {
            handles.take(handle, handle % 2 == 1).unwrap();
        }
        assert_eq!(handles.finish().unwrap().bytes(), [0b01010]);
        assert!(Handles::new(0).finish().unwrap().bytes().is_empty());
    }

    #[test]
    fn repeated_out_of_range_and_lacking_handles() {
        let mut handles = Handles::new(3);
        handles.take(2, true).unwrap();
        assert_eq!(handles.take(2, false), Err(Reason::BadHandles));
        assert_eq!(handles.take(3, false), Err(Reason::BadHandles));
        assert_eq!(handles.take(u32::MAX, false), Err(Reason::BadHandles));
        assert!(handles.finish().is_none());
    }
}
