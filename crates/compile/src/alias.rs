//! Aliases: names that give the answers of others. They are resolved when the
//! zone is built and cost nothing at query time; the TTL is the target's.

use std::collections::HashMap;

use watershed_snapshot::OwnerName;

use crate::draft::{Alias, AliasTo, Draft, type_name};
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::previous::{Claimant, Content};
use crate::verdict::{Problem, Reason};

/// What is at the names of a zone, for aliases to point at.
struct Index<'d> {
    data: HashMap<(&'d OwnerName, u16), &'d Content>,
    records: HashMap<&'d ObjectKey, &'d Content>,
    aliases: HashMap<(&'d OwnerName, u16), &'d Alias>,
}

impl<'d> Index<'d> {
    fn new(draft: &'d Draft<'_>) -> Self {
        let (mut data, mut records) = (HashMap::new(), HashMap::new());
        for (claimant, placed) in &draft.placed {
            for record_type in placed.content.types() {
                data.insert((&placed.owner, record_type), &placed.content);
            }
            if let Claimant::Object(ObjectRef {
                kind: Kind::PolicyRecord,
                key,
            }) = claimant
            {
                records.insert(key, &placed.content);
            }
        }
        let aliases = draft.aliases.iter();
        Self {
            data,
            records,
            aliases: aliases.map(|a| ((&a.owner, a.record_type), a)).collect(),
        }
    }

    /// Follows an alias to data, through other aliases.
    fn resolve(&self, alias: &Alias) -> Result<Content, Problem> {
        let problem = |message| Problem::new(Reason::RecordNotFound, alias.field.clone(), message);
        let kind = alias.record_type;
        let mut target = &alias.target;
        // A way that is longer than there are aliases goes in circles.
        for _ in 0..=self.aliases.len() {
            let name = match target {
                AliasTo::Record(key) => {
                    let content = self.records.get(key).and_then(|c| c.of_type(kind));
                    return content.ok_or_else(|| {
                        problem(format!(
                            "PolicyRecord {key} serves nothing of type {} in this zone",
                            type_name(kind)
                        ))
                    });
                }
                AliasTo::Name(name) => name,
            };
            if let Some(content) = self.data.get(&(name, kind)).and_then(|c| c.of_type(kind)) {
                return Ok(content);
            }
            let Some(next) = self.aliases.get(&(name, kind)) else {
                let what = type_name(kind);
                return Err(problem(format!(
                    "there is nothing of type {what} at {name}"
                )));
            };
            target = &next.target;
        }
        Err(problem("leads back to itself".to_owned()))
    }
}

/// Resolves every alias of a zone; the results are in the order of the
/// aliases.
pub(crate) fn resolve(draft: &Draft<'_>) -> Vec<Result<Content, Problem>> {
    let index = Index::new(draft);
    let aliases = draft.aliases.iter();
    aliases.map(|alias| index.resolve(alias)).collect()
}
