//! The example tool: it is there so that a new user sees the whole way work.

use std::sync::LazyLock;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use unicode_normalization::UnicodeNormalization as _;

use super::{
    context::{CallError, Context},
    tool::{TaskSupport, Tool, ToolAnnotations, ToolDefinition, ToolResult},
};

/// Names the best person whose name starts with something.
#[derive(Debug, Clone, Copy, Default)]
pub struct BestPersonLookerUpper;

/// A person and what they are known for, to be read after “known for”.
type Person = (&'static str, &'static str);

/// People of computing and mathematics, one for each letter.
const PEOPLE: [Person; 26] = [
    (
        "Ada Lovelace",
        "the first published program for a general-purpose machine",
    ),
    (
        "Blaise Pascal",
        "an early mechanical calculator and the beginnings of probability",
    ),
    ("Claude Shannon", "information theory"),
    (
        "Dennis Ritchie",
        "the C language and, with Ken Thompson, Unix",
    ),
    (
        "Edsger Dijkstra",
        "structured programming and the shortest path",
    ),
    ("Frances Allen", "optimizing compilers"),
    ("Grace Hopper", "the first compilers and the road to COBOL"),
    ("Hedy Lamarr", "frequency hopping, which radio still uses"),
    (
        "Isaac Newton",
        "the calculus, found independently of Leibniz",
    ),
    (
        "John von Neumann",
        "the stored-program architecture and much of modern mathematics",
    ),
    (
        "Katherine Johnson",
        "the orbital mechanics of the first crewed American space flights",
    ),
    (
        "Leonhard Euler",
        "graph theory and half of today's notation",
    ),
    (
        "Muhammad ibn Musa al-Khwarizmi",
        "algebra, and for giving algorithms their name",
    ),
    ("Niklaus Wirth", "Pascal, Modula-2 and Oberon"),
    ("Omar Khayyam", "solving cubic equations by geometry"),
    (
        "Pierre de Fermat",
        "number theory and a margin that was too narrow",
    ),
    (
        "Qin Jiushao",
        "a general method for the Chinese remainder theorem",
    ),
    ("Rózsa Péter", "the theory of recursive functions"),
    ("Srinivasa Ramanujan", "infinite series and partitions"),
    ("Thomas Bayes", "the theorem on conditional probability"),
    ("Ulugh Beg", "tables of sines of unmatched accuracy"),
    ("Vladimir Kotelnikov", "the sampling theorem"),
    ("William Rowan Hamilton", "quaternions and a new mechanics"),
    ("Xu Guangqi", "bringing Euclid's Elements into Chinese"),
    (
        "Yutaka Taniyama",
        "the conjecture that led to Fermat's last theorem",
    ),
    ("Zu Chongzhi", "the fraction 355/113 for pi"),
];

#[async_trait]
impl Tool for BestPersonLookerUpper {
    fn definition(&self) -> ToolDefinition {
        ToolDefinition {
            name: "best_person_looker_upper".into(),
            title: Some("Best Person Looker-upper".into()),
            description: "Tells who the best person is whose name starts with the given text."
                .into(),
            input_schema: json!({
                "type": "object",
                "properties": {
                    "startsWith": {
                        "type": "string",
                        "description": "What the name starts with; upper and lower case are alike"
                    }
                },
                "required": ["startsWith"],
                "additionalProperties": false
            }),
            output_schema: Some(json!({
                "type": "object",
                "properties": {
                    "name": { "type": ["string", "null"] },
                    "knownFor": { "type": ["string", "null"] }
                },
                "required": ["name", "knownFor"],
                "additionalProperties": false
            })),
            annotations: ToolAnnotations {
                read_only_hint: true,
                destructive_hint: false,
                idempotent_hint: true,
                open_world_hint: false,
            },
            task: TaskSupport::Never,
        }
    }

    async fn call(
        &self,
        arguments: Map<String, Value>,
        _: &Context,
    ) -> Result<ToolResult, CallError> {
        let starts_with = arguments.get("startsWith");
        let starts_with = starts_with.and_then(Value::as_str).unwrap_or_default();
        Ok(match find(starts_with) {
            Some((name, known_for)) => ToolResult::text(format!(
                "The best person whose name starts with “{starts_with}” is {name}, known for \
                 {known_for}."
            ))
            .with_structured(json!({ "name": name, "knownFor": known_for })),
            None => ToolResult::text(format!(
                "There is no best person whose name starts with “{starts_with}”."
            ))
            .with_structured(json!({ "name": null, "knownFor": null })),
        })
    }
}

/// The names, folded once.
static FOLDED: LazyLock<[String; 26]> = LazyLock::new(|| PEOPLE.map(|(name, _)| folded(name)));

fn find(starts_with: &str) -> Option<&'static Person> {
    let wanted = folded(starts_with);
    let place = FOLDED.iter().position(|name| name.starts_with(&wanted))?;
    PEOPLE.get(place)
}

/// The same for every way to write the same letters: “é” is one character or two, and has no case.
fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfc().flat_map(char::to_lowercase).nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_for_each_letter_and_in_order() {
        for (letter, person) in ('a'..='z').zip(&PEOPLE) {
            assert_eq!(find(&letter.to_string()), Some(person));
        }
    }

    #[test]
    fn case_and_composition_do_not_matter() {
        let peter = "Rózsa Péter";
        for starts_with in ["R", "rÓ", "Ro\u{301}zsa", "RO\u{301}ZSA PE\u{301}"] {
            assert_eq!(find(starts_with).unwrap().0, peter, "{starts_with:?}");
        }
        assert_eq!(find("Ro"), None);
        assert_eq!(find("🦀"), None);
    }
}
