//! What is offered right now. It can be replaced while requests run: each keeps what it began with.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::{
    changes::{Change, Changes},
    registry::Features,
};
use crate::{
    access::DescribeTools,
    model::{offered_tool::OfferedTool, scope::ScopeSet},
};

/// The features of the moment, shared by all requests.
#[derive(Debug)]
pub struct Offered {
    features: ArcSwap<Features>,
    changes: Changes,
}

impl Offered {
    /// Offers `features`; `changes` tells clients when others take their place.
    pub fn new(features: Features, changes: Changes) -> Self {
        Self {
            features: ArcSwap::from_pointee(features),
            changes,
        }
    }

    /// What is offered now. It is what it was for as long as it is held.
    pub fn now(&self) -> Guard<Arc<Features>> {
        self.features.load()
    }

    /// Offers something else, whole, and tells clients which lists are not what they were.
    pub fn replace(&self, features: Features) {
        let new = Arc::new(features);
        let old = self.features.swap(Arc::clone(&new));
        for (list, change) in [
            (
                Features::tools_described as fn(&Features) -> _,
                Change::Tools,
            ),
            (Features::prompts_described, Change::Prompts),
            (Features::resources_described, Change::Resources),
        ] {
            if list(&old) != list(&new) {
                self.changes.tell(change);
            }
        }
    }

    /// What tells clients of changes.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }
}

impl DescribeTools for Offered {
    fn opened_by(&self, granted: &ScopeSet) -> Vec<OfferedTool> {
        self.now().tools_in_words(granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mcp::feature::BestPersonLookerUpper, model::scope::ScopeCatalogue};

    fn features(tools: usize) -> Features {
        let mut features = Features::new(Arc::new(ScopeCatalogue::built_in()));
        for _ in 0..tools {
            features.add_tool(Arc::new(BestPersonLookerUpper)).unwrap();
        }
        features
    }

    #[test]
    fn clients_are_told_of_the_lists_that_are_not_what_they_were() {
        let offered = Offered::new(features(0), Changes::default());
        let mut told = offered.changes().listen();
        let before = offered.now();
        offered.replace(features(1));
        assert!(before.has_no_tools(), "who had begun keeps what there was");
        assert!(!offered.now().has_no_tools());
        offered.replace(features(1));
        assert_eq!(told.try_recv().ok(), Some(Change::Tools));
        assert!(told.try_recv().is_err(), "nothing else has changed");
    }
}
