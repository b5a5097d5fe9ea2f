//! Serial numbers of zones from before this compiler was made.
//!
//! A compiler that begins cannot know whether a zone differs from what another
//! one served. Its caller does, from what was recorded, and sets it right.

use std::sync::Arc;

use super::Compiler;
use crate::object::ObjectKey;
use crate::zone::ZoneHead;

impl Compiler {
    /// Gives a zone that is served the serial number which it had elsewhere,
    /// as if nothing in it differed. Takes effect at the next compilation.
    pub fn set_serial(&mut self, zone: &ObjectKey, serial: u32) {
        let Some(served) = self.zones.get(zone) else {
            return;
        };
        if served.serial == Some(serial) {
            return;
        }
        let apex = Arc::clone(&served.apex);
        self.zones.set_serial((*apex).clone(), serial);
        self.dirty.numbered.insert(zone.clone());
    }

    /// Gives a zone that is served a serial number beyond that of a head with
    /// which it was served elsewhere, and beyond its own: something in it may
    /// differ. Takes effect at the next compilation.
    pub fn exceed_serial(&mut self, zone: &ObjectKey, head: &watershed_snapshot::ZoneHead) {
        let Some((_, serial)) = ZoneHead::read(head) else {
            return;
        };
        let Some(served) = self.zones.get_mut(zone) else {
            return;
        };
        served.touched = true;
        let highest = served.serial.unwrap_or(0).max(serial);
        let apex = Arc::clone(&served.apex);
        self.zones.set_serial((*apex).clone(), highest);
        self.dirty.numbered.insert(zone.clone());
    }
}
