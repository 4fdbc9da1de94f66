//! Protocol versions and what each allows: the only place where versions are compared.

/// A revision of the session-based protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LegacyVersion {
    /// 2024-11-05, over Streamable HTTP: 2025-03-26 without what that one added.
    V2024_11_05,
    /// 2025-03-26.
    V2025_03_26,
    /// 2025-06-18.
    V2025_06_18,
    /// 2025-11-25.
    V2025_11_25,
}

impl LegacyVersion {
    /// All of them, oldest first.
    pub const ALL: [Self; 4] = [
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
    ];

    /// What a client is offered that asks for a version we do not know.
    pub const NEWEST: Self = Self::V2025_11_25;

    /// As it is spelled on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
        }
    }

    /// The version of that spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == text)
    }

    /// Whether several messages may come in one body.
    pub fn has_batches(self) -> bool {
        self == Self::V2025_03_26
    }

    /// Whether a stream begins with an empty event, so that the client can come back even if
    /// nothing else arrived (SEP-1699). Older clients choke on it.
    pub fn has_priming_events(self) -> bool {
        self >= Self::V2025_11_25
    }
}

/// The stateless revision's spelling.
pub const MODERN: &str = "2026-07-28";

/// Whether a version of that spelling belongs to the stateless era: everything from 2026-07-28 on.
/// Versions are dates, so the order of their spellings is that of time.
pub fn is_modern(version: &str) -> bool {
    let is_date = version.len() == MODERN.len()
        && version
            .bytes()
            .zip(MODERN.bytes())
            .all(|(byte, like)| byte == like || (byte.is_ascii_digit() && like.is_ascii_digit()));
    is_date && version >= MODERN
}

/// What a client speaks: a revision with sessions, or the one without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Era {
    /// Sessions; 2024-11-05 to 2025-11-25.
    Legacy(LegacyVersion),
    /// 2026-07-28: every request stands alone.
    Modern,
}

impl Era {
    /// All of them, oldest first.
    pub const ALL: [Self; 5] = [
        Self::Legacy(LegacyVersion::V2024_11_05),
        Self::Legacy(LegacyVersion::V2025_03_26),
        Self::Legacy(LegacyVersion::V2025_06_18),
        Self::Legacy(LegacyVersion::V2025_11_25),
        Self::Modern,
    ];

    fn is_at_least(self, version: LegacyVersion) -> bool {
        match self {
            Self::Legacy(spoken) => spoken >= version,
            Self::Modern => true,
        }
    }

    /// Whether tools carry annotations.
    pub fn has_tool_annotations(self) -> bool {
        self.is_at_least(LegacyVersion::V2025_03_26)
    }

    /// Whether there is audio content.
    pub fn has_audio(self) -> bool {
        self.is_at_least(LegacyVersion::V2025_03_26)
    }

    /// Whether completion is a capability of its own.
    pub fn has_completions(self) -> bool {
        self.is_at_least(LegacyVersion::V2025_03_26)
    }

    /// Whether things have a title beside their name.
    pub fn has_titles(self) -> bool {
        self.is_at_least(LegacyVersion::V2025_06_18)
    }

    /// Whether content may be a link to a resource.
    pub fn has_resource_links(self) -> bool {
        self.is_at_least(LegacyVersion::V2025_06_18)
    }

    /// Whether tools declare an output schema and answer in its shape.
    pub fn has_structured_content(self) -> bool {
        self.is_at_least(LegacyVersion::V2025_06_18)
    }

    /// Whether structured content may be anything but an object.
    pub fn has_any_structured_content(self) -> bool {
        self == Self::Modern
    }

    /// Whether progress comes with words.
    pub fn has_progress_messages(self) -> bool {
        self.is_at_least(LegacyVersion::V2025_03_26)
    }

    /// Whether people can be asked during a call.
    pub fn has_elicitation(self) -> bool {
        self.is_at_least(LegacyVersion::V2025_06_18)
    }

    /// Whether elicitation has modes, and visits to pages.
    pub fn has_elicitation_modes(self) -> bool {
        self.is_at_least(LegacyVersion::V2025_11_25)
    }

    /// Whether a visit to a page has a name of its own.
    pub fn has_elicitation_ids(self) -> bool {
        self == Self::Legacy(LegacyVersion::V2025_11_25)
    }

    /// The error code for a resource that is not there.
    pub fn resource_not_found(self) -> i32 {
        match self {
            Self::Legacy(_) => -32002,
            Self::Modern => -32602,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stateless_era_begins_with_a_date() {
        for modern in ["2026-07-28", "2026-07-29", "2027-01-01"] {
            assert!(is_modern(modern), "{modern}");
        }
        for other in [
            "2025-11-25",
            "2026-07-27",
            "v999.0.0",
            "x",
            "",
            "2026-07-28x",
            "2026/07/28",
        ] {
            assert!(!is_modern(other), "{other}");
        }
    }
}
