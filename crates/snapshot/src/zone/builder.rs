//! Zones from data at hand.

use std::sync::Arc;

use super::{Zone, ZoneError};
use crate::name::OwnerName;
use crate::policy_version::Binding;
use crate::rrset::RrSet;

/// A zone being filled. Data that would make an answer ambiguous is refused.
#[derive(Debug)]
pub struct ZoneBuilder(Zone);

impl ZoneBuilder {
    pub(super) fn new(zone: Zone) -> Self {
        Self(zone)
    }

    /// Adds static data at a name.
    ///
    /// # Errors
    /// When the data cannot be there; the zone is unchanged then.
    pub fn insert(&mut self, name: &OwnerName, rrset: RrSet) -> Result<&mut Self, ZoneError> {
        self.0.insert(name, rrset)?;
        Ok(self)
    }

    /// Serves a policy at a name. Names may share a binding.
    ///
    /// # Errors
    /// When the data cannot be there; the zone is unchanged then.
    pub fn bind(
        &mut self,
        name: &OwnerName,
        binding: impl Into<Arc<Binding>>,
    ) -> Result<&mut Self, ZoneError> {
        self.0.bind(name, binding.into())?;
        Ok(self)
    }

    /// Completes the zone.
    pub fn build(self) -> Zone {
        self.0
    }
}
