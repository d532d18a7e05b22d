//! A configuration as text: read once, with the line of each field.
//!
//! TOML and JSON are both turned into one tree of JSON values, so that a job means the same in
//! either; a date that TOML knows as such becomes its text. Beside the tree stands an index from
//! each field's path (`jobs[2].trigger.minute`) to its line, so that a rule that is found broken
//! long after reading can still be told with the place.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problem;
use crate::mistake::{explain, join};

/// A parsed text.
#[derive(Debug)]
pub(crate) struct Document {
    name: String,
    root: Value,
    fields: Fields,
}

/// Each field that was typed, by path, with its line. JSON's reader does not tell lines.
type Fields = BTreeMap<String, Option<usize>>;

impl Document {
    /// Parses `text`; `name` is what messages call it.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Problem> {
        if is_json(name, text) {
            let root = serde_json::from_str(text).map_err(|error| {
                let place = format!("{name}:{}", error.line());
                Problem::new(place, plain_json_message(&error))
            })?;
            return Ok(Self::of_value(name, root));
        }
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            // Only the message: the error's own text shows the line, which may hold a password.
            Problem::new(
                format!("{name}:{}", Lines::of(text).line_of(at)),
                error.message().replace('\n', ", "),
            )
        })?;
        let mut reader = TomlReader {
            name,
            lines: Lines::of(text),
            fields: Fields::new(),
        };
        let root = reader.table("", table.get_ref())?;
        Ok(Self {
            name: name.to_owned(),
            root,
            fields: reader.fields,
        })
    }

    /// A document that was a value from the beginning, without any lines.
    pub(crate) fn of_value(name: &str, root: Value) -> Self {
        let mut fields = Fields::new();
        json_fields("", &root, &mut fields);
        Self {
            name: name.to_owned(),
            root,
            fields,
        }
    }

    /// What the document holds.
    pub(crate) const fn root(&self) -> &Value {
        &self.root
    }

    /// Reads the whole document as a `T`.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        self.read_part("", &self.root)
    }

    /// Reads `part`, which stands at `path`, as a `T`.
    pub(crate) fn read_part<T: DeserializeOwned>(
        &self,
        path: &str,
        part: &Value,
    ) -> Result<T, Problem> {
        serde_path_to_error::deserialize(part).map_err(|error| {
            let inner = error.path().to_string();
            let mut field = join(path, if inner == "." { "" } else { &inner });
            let (mut message, unknown_key) = explain(&error.into_inner().to_string());
            // Some readers stop at the table that holds an unknown key, some at the key. And some
            // know their fields themselves, and put the one in front of what they say.
            let said = message
                .split_once(": ")
                .map(|(key, rest)| (key.to_owned(), rest.to_owned()));
            if let Some(key) = unknown_key {
                field = self.typed_field(&field, &key).unwrap_or(field);
            } else if let Some((key, rest)) = said
                && let Some(inner) = self.typed_field(&field, &key)
            {
                (field, message) = (inner, rest);
            }
            self.problem(&field, message)
        })
    }

    /// The field `key` of what stands at `path`, if it was typed.
    fn typed_field(&self, path: &str, key: &str) -> Option<String> {
        let field = join(path, key);
        self.fields.contains_key(&field).then_some(field)
    }

    /// A problem with the field at `path`, which need not have been typed: the place is that of
    /// the nearest part around it that was.
    pub(crate) fn problem(&self, path: &str, message: impl Into<String>) -> Problem {
        let mut at = path;
        let line = loop {
            if let Some(line) = self.fields.get(at) {
                break *line;
            }
            match at.rfind(['.', '[']) {
                Some(end) => at = &at[..end],
                None => break None,
            }
        };
        let place = match line {
            Some(line) => format!("{}:{line}", self.name),
            None => self.name.clone(),
        };
        Problem {
            place,
            field: path.to_owned(),
            message: message.into(),
        }
    }
}

/// A file says by its name what it is. Other texts say it by their first characters: a list of
/// lists is no list of jobs, so `[[` begins TOML.
fn is_json(name: &str, text: &str) -> bool {
    match Path::new(name).extension().and_then(|ext| ext.to_str()) {
        Some("json") => return true,
        Some("toml") => return false,
        _ => {}
    }
    let text = text.trim_start();
    match text.strip_prefix('[') {
        Some(rest) => rest.trim_start().starts_with(['{', ']']),
        None => text.starts_with('{'),
    }
}

fn plain_json_message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(message) => format!("{message} (column {})", error.column()),
        None => text,
    }
}

/// Where the lines of a text begin: a file of many thousand jobs asks for that with each field.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line of the byte at this place, from 1.
    fn line_of(&self, at: usize) -> usize {
        1 + self.0.partition_point(|end| *end < at)
    }
}

fn json_fields(path: &str, value: &Value, fields: &mut Fields) {
    let mut add = |field: String, value| {
        json_fields(&field, value, fields);
        fields.insert(field, None);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, v)| add(join(path, key), v)),
        Value::Array(list) => {
            let elements = list.iter().enumerate();
            elements.for_each(|(index, v)| add(format!("{path}[{index}]"), v));
        }
        _ => {}
    }
}

struct TomlReader<'a> {
    name: &'a str,
    lines: Lines,
    fields: Fields,
}

impl TomlReader<'_> {
    fn table(&mut self, path: &str, table: &DeTable<'_>) -> Result<Value, Problem> {
        let mut map = Map::new();
        for (key, value) in table {
            let field = join(path, key.get_ref());
            let line = self.lines.line_of(key.span().start);
            self.fields.insert(field.clone(), Some(line));
            map.insert(key.get_ref().to_string(), self.value(&field, value)?);
        }
        Ok(Value::Object(map))
    }

    fn value(&mut self, path: &str, value: &Spanned<DeValue<'_>>) -> Result<Value, Problem> {
        let out_of_range = |what: &str, text: &str| Problem {
            place: format!("{}:{}", self.name, self.lines.line_of(value.span().start)),
            field: path.to_owned(),
            message: format!("{text} is no {what} that a computer can hold"),
        };
        Ok(match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .map(Value::from)
                .map_err(|_| out_of_range("whole number", integer.as_str()))?,
            DeValue::Float(float) => float
                .as_str()
                .parse()
                .ok()
                .and_then(Number::from_f64)
                .map(Value::Number)
                .ok_or_else(|| out_of_range("finite number", float.as_str()))?,
            DeValue::Boolean(boolean) => Value::Bool(*boolean),
            DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
            DeValue::Array(array) => {
                let mut list = Vec::with_capacity(array.len());
                for (index, item) in array.iter().enumerate() {
                    let element = format!("{path}[{index}]");
                    let line = self.lines.line_of(item.span().start);
                    self.fields.insert(element.clone(), Some(line));
                    list.push(self.value(&element, item)?);
                }
                Value::Array(list)
            }
            DeValue::Table(table) => self.table(path, table)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
a = 1
[b]
c = [1, 2]
d.e = 2026-12-24T18:00:00+01:00

[[f]]
g = { h = 0x10, i = -1.5 }

[[f]]
\"j k\" = true
";

    #[test]
    fn each_field_knows_its_line() {
        let document = Document::parse("x.toml", TEXT).unwrap();
        let place = |path: &str| document.problem(path, "").place;
        assert_eq!(place("a"), "x.toml:1");
        assert_eq!(place("b.c[1]"), "x.toml:3");
        assert_eq!(place("b.d.e"), "x.toml:4");
        assert_eq!(place("f[0].g.h"), "x.toml:7");
        assert_eq!(place("f[1].j k"), "x.toml:10");
        // What was not typed has the place of what holds it.
        assert_eq!(place("f[1].id"), "x.toml:9");
        assert_eq!(place("f[0].g.z"), "x.toml:7");
        assert_eq!(place("z"), "x.toml");
    }

    #[test]
    fn toml_reads_as_the_json_that_it_means() {
        let document = Document::parse("x.toml", TEXT).unwrap();
        let expected = serde_json::json!({
            "a": 1,
            "b": { "c": [1, 2], "d": { "e": "2026-12-24T18:00:00+01:00" } },
            "f": [{ "g": { "h": 16, "i": -1.5 } }, { "j k": true }],
        });
        assert_eq!(*document.root(), expected);
    }

    #[test]
    fn syntax_errors_tell_the_line_and_not_its_content() {
        let error = Document::parse("x.toml", "a = 1\nurl = \"redis://:secret@h\nb = 2\n");
        let text = error.unwrap_err().to_string();
        assert!(text.starts_with("x.toml:2: "), "{text}");
        assert!(!text.contains("secret"), "{text}");
        let error = Document::parse("x.json", "{\n\"a\": }").unwrap_err();
        assert_eq!(error.to_string(), "x.json:2: expected value (column 6)");
        let error = Document::parse("x", "a = inf").unwrap_err();
        assert_eq!(
            error.to_string(),
            "x:1: a: inf is no finite number that a computer can hold"
        );
    }

    #[test]
    fn a_nameless_text_is_known_by_its_beginning() {
        assert!(is_json("-", " {\"a\": 1}"));
        assert!(is_json("-", "[ {\"a\": 1}]"));
        assert!(is_json("-", "[]"));
        assert!(!is_json("-", "[[jobs]]\n"));
        assert!(!is_json("-", "[store]\n"));
        assert!(!is_json("a.toml", "{"));
    }
}
