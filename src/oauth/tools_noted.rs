//! Which tools this process has seen each grant use: what is known is not written again, so that
//! calls write nothing but the first of each tool.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{PoisonError, RwLock},
};

use crate::{model::grant::GrantId, store::MAX_TOOLS};

/// Grants that are remembered. With more, some are forgotten and written once more.
const MAX_GRANTS: usize = 50_000;

/// What has been seen.
#[derive(Debug, Default)]
pub(super) struct ToolsNoted(RwLock<HashMap<GrantId, BTreeSet<Box<str>>>>);

impl ToolsNoted {
    /// Whether that has not been seen before. Of several callers at once, one is told yes.
    pub(super) fn is_news(&self, grant: GrantId, tool: &str) -> bool {
        let is_known = {
            let seen = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let tools = seen.get(&grant);
            tools.is_some_and(|tools| tools.contains(tool) || tools.len() >= MAX_TOOLS)
        };
        if is_known {
            return false;
        }
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_GRANTS && !seen.contains_key(&grant) {
            seen.clear();
        }
        seen.entry(grant).or_default().insert(tool.into())
    }

    /// It has to be noted once more.
    pub(super) fn forget(&self, grant: GrantId, tool: &str) {
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(tools) = seen.get_mut(&grant) {
            tools.remove(tool);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_news_once_and_there_is_an_end_to_news() {
        let noted = ToolsNoted::default();
        let (one, other) = (GrantId::mint(), GrantId::mint());
        assert!(noted.is_news(one, "read"));
        assert!(!noted.is_news(one, "read"));
        assert!(noted.is_news(other, "read"));
        noted.forget(one, "read");
        assert!(noted.is_news(one, "read"));
        let told = (0..1000).filter(|number| noted.is_news(one, &number.to_string()));
        assert_eq!(told.count(), MAX_TOOLS - 1);
        for _ in 0..2 * MAX_GRANTS {
            noted.is_news(GrantId::mint(), "read");
        }
        assert!(noted.0.read().unwrap().len() <= MAX_GRANTS);
    }
}
