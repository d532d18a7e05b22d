//! Secrets in args: `{ "secret": "name" }` stands for a text that only nodes know.
//!
//! Wherever it stands in a job's args, an object with just the key `secret` is put in the place of the
//! secret of that name, on the node, just before the handler is called. What is stored, shown and
//! logged is the reference. What the handler tells in turn (its output, its errors, its notes) goes
//! out with the secrets that it was given masked: a service may answer with the token that it got.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

/// How the variables begin that hold a secret.
pub(crate) const VARIABLE_PREFIX: &str = "CARILLON_SECRET_";

/// The one key of a reference.
const KEY: &str = "secret";

/// How long a secret's name may be, in bytes.
const MAX_NAME: usize = 100;

/// How long a secret must be, in bytes: a shorter one could not be told from other text, and masked.
const MIN_LENGTH: usize = 4;

/// How large a secret may be, in bytes.
const MAX_LENGTH: usize = 64 * 1024;

/// What stands where a secret stood.
const MASK: &str = "***";

/// Stands for a secret where args are checked before a run: a text, and one that is a URL, too.
const PLACEHOLDER: &str = "http://secret.invalid/";

/// Where a node finds secrets: first in the environment, then in a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    directory: Option<PathBuf>,
}

impl Secrets {
    /// Those of the environment alone: `CARILLON_SECRET_API_TOKEN` holds `api-token`, and `api_token`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Besides, those of a directory with a file for each, of the secret's name: as Docker and Kubernetes
    /// mount them. Files are read anew for each run.
    #[must_use]
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: Some(directory.into()),
        }
    }

    /// The args with the secrets that they refer to, and these secrets.
    ///
    /// # Errors
    ///
    /// A secret that there is none of, or that cannot be one.
    pub(crate) async fn resolve(&self, args: &Value) -> Result<(Value, Hidden), String> {
        if !refers(args) {
            return Ok((args.clone(), Hidden::default()));
        }
        let (secrets, args) = (self.clone(), args.clone());
        // A mounted directory may be slow.
        let resolved = tokio::task::spawn_blocking(move || {
            let mut found = Vec::new();
            let mut args = args;
            put_in_place("args", &mut args, &mut |place, name| {
                let secret = secrets
                    .find(name)
                    .map_err(|why| format!("{place}: {why}"))?;
                found.push(secret.clone());
                Ok(secret)
            })?;
            Ok((args, Hidden::new(&found)))
        });
        resolved
            .await
            .unwrap_or_else(|_| Err("secrets cannot be read".to_owned()))
    }

    fn find(&self, name: &str) -> Result<String, String> {
        check_name(name)?;
        let variable = variable(name);
        let found = std::env::var_os(&variable).filter(|value| !value.is_empty());
        let (place, secret) = match (found, &self.directory) {
            (Some(value), _) => {
                let text = value.into_string();
                let text = text.map_err(|_| format!("{variable} is no text"))?;
                (variable, text)
            }
            (None, Some(directory)) => {
                let path = directory.join(name);
                let text = read(&path).map_err(|why| {
                    format!("there is no secret {name:?}: {variable} is not set, and {why}")
                })?;
                (path.display().to_string(), text)
            }
            (None, None) => {
                return Err(format!(
                    "there is no secret {name:?}: {variable} is not set, and [secrets] names no directory"
                ));
            }
        };
        if secret.len() < MIN_LENGTH {
            return Err(format!(
                "{place} holds no secret: one of fewer than {MIN_LENGTH} bytes could not be kept out \
                 of sight"
            ));
        }
        Ok(secret)
    }
}

/// A file's content without the line end that editors leave.
fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let file = std::fs::File::open(path).map_err(|error| format!("{shown}: {error}"))?;
    let mut text = String::new();
    let length = file
        .take(MAX_LENGTH as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("{shown}: {error}"))?;
    if length > MAX_LENGTH {
        return Err(format!("{shown} is larger than {MAX_LENGTH} bytes"));
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    Ok(text.to_owned())
}

/// The variable that holds a secret of this name.
fn variable(name: &str) -> String {
    let name = name.to_ascii_uppercase().replace(['-', '.'], "_");
    format!("{VARIABLE_PREFIX}{name}")
}

fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let is_name = !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.starts_with('.')
        && name.chars().all(is_plain);
    if is_name {
        return Ok(());
    }
    Err(format!(
        "{name:?} is no name of a secret: 1 to {MAX_NAME} letters, digits and _ - . of ASCII, without \
         a point in front"
    ))
}

/// The name that this refers to, if it is a reference.
fn reference(value: &Value) -> Option<&str> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.get(KEY)?.as_str()
}

/// Whether there is any reference.
fn refers(value: &Value) -> bool {
    match value {
        Value::Object(fields) => reference(value).is_some() || fields.values().any(refers),
        Value::Array(items) => items.iter().any(refers),
        _ => false,
    }
}

/// Puts something in the place of each reference; `place` says where `value` stands.
fn put_in_place(
    place: &str,
    value: &mut Value,
    put: &mut impl FnMut(&str, &str) -> Result<String, String>,
) -> Result<(), String> {
    if let Some(name) = reference(value) {
        *value = Value::String(put(place, name)?);
        return Ok(());
    }
    match value {
        Value::Object(fields) => fields
            .iter_mut()
            .try_for_each(|(key, value)| put_in_place(&format!("{place}.{key}"), value, put)),
        Value::Array(items) => items
            .iter_mut()
            .enumerate()
            .try_for_each(|(at, value)| put_in_place(&format!("{place}[{at}]"), value, put)),
        _ => Ok(()),
    }
}

/// The args as they can be checked before a run: with a text in the place of each secret.
///
/// # Errors
///
/// The place of a reference whose name cannot be one, and why.
pub(crate) fn with_placeholders(args: &Value) -> Result<Value, (String, String)> {
    let mut args = args.clone();
    let mut wrong = None;
    let checked = put_in_place("", &mut args, &mut |place, name| {
        check_name(name).inspect_err(|_| {
            wrong = Some(place.trim_start_matches('.').to_owned());
        })?;
        Ok(PLACEHOLDER.to_owned())
    });
    match checked {
        Ok(()) => Ok(args),
        Err(why) => Err((format!("{}.{KEY}", wrong.unwrap_or_default()), why)),
    }
}

/// Secrets that a handler was given, and that are masked in whatever it tells.
#[derive(Clone, Default)]
pub(crate) struct Hidden(Arc<[String]>);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hidden({})", self.0.len())
    }
}

impl Hidden {
    fn new(secrets: &[String]) -> Self {
        let mut forms: Vec<String> = secrets.iter().flat_map(|secret| forms(secret)).collect();
        // The longest first: one may be part of another.
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        Self(forms.into())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A text without the secrets, and without what is left of them where it was cut off.
    pub(crate) fn mask(&self, text: String) -> String {
        let mut text = text;
        for secret in self.0.iter() {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), MASK);
            }
        }
        for secret in self.0.iter() {
            let (ends, begins) = (rest_at_end(&text, secret), rest_at_beginning(&text, secret));
            if let Some(at) = ends {
                text.replace_range(at.., MASK);
            }
            if let Some(at) = begins.filter(|at| *at <= text.len()) {
                text.replace_range(..at, MASK);
            }
        }
        text
    }

    /// The same of all texts in a value, keys included.
    pub(crate) fn mask_value(&self, value: Value) -> Value {
        if self.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.mask(text)),
            Value::Array(items) => items
                .into_iter()
                .map(|item| self.mask_value(item))
                .collect(),
            Value::Object(fields) => {
                let masked = |(key, value)| (self.mask(key), self.mask_value(value));
                Value::Object(fields.into_iter().map(masked).collect())
            }
            other => other,
        }
    }
}

/// Where the beginning of a secret stands that a text ends with, cut off.
fn rest_at_end(text: &str, secret: &str) -> Option<usize> {
    let longest = (secret.len() - 1).min(text.len());
    (MIN_LENGTH..=longest).rev().find_map(|length| {
        let begins = secret.as_bytes().get(..length)?;
        let at = text.len() - length;
        (text.is_char_boundary(at) && text.as_bytes().ends_with(begins)).then_some(at)
    })
}

/// Up to where the end of a secret stands that a text begins with, cut off.
fn rest_at_beginning(text: &str, secret: &str) -> Option<usize> {
    let longest = (secret.len() - 1).min(text.len());
    (MIN_LENGTH..=longest).rev().find_map(|length| {
        let ends = secret.as_bytes().get(secret.len() - length..)?;
        (text.is_char_boundary(length) && text.as_bytes().starts_with(ends)).then_some(length)
    })
}

/// How a secret may look in what others say: as it is, in JSON, in Rust's quotes; of a URL its parts.
fn forms(secret: &str) -> Vec<String> {
    let quoted = |text: String| text[1..text.len() - 1].to_owned();
    let mut forms = vec![
        secret.to_owned(),
        quoted(Value::from(secret).to_string()),
        quoted(format!("{secret:?}")),
    ];
    // Lines are logged one by one.
    forms.extend(secret.lines().map(str::to_owned));
    #[cfg(feature = "task-http")]
    if let Ok(url) = reqwest::Url::parse(secret)
        && url.has_host()
    {
        forms.push(url.to_string());
        forms.push(url.path().to_owned());
        forms.extend(url.query().map(str::to_owned));
        forms.extend(url.password().map(str::to_owned));
    }
    forms.retain(|form| form.len() >= MIN_LENGTH);
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hidden(secrets: &[&str]) -> Hidden {
        Hidden::new(&secrets.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    fn masked(secrets: &[&str], text: &str) -> String {
        hidden(secrets).mask(text.to_owned())
    }

    #[tokio::test]
    async fn a_reference_is_put_in_the_place_of_the_secret_wherever_it_stands() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("api-token"), "t0ps3cret\n").unwrap();
        let secrets = Secrets::in_directory(directory.path());
        let args = json!({"url": "http://h/", "list": [1, {"secret": "api-token"}],
            "no": {"secret": "api-token", "more": 1}, "neither": {"secret": 1}});
        let (resolved, hidden) = secrets.resolve(&args).await.unwrap();
        assert_eq!(
            resolved,
            json!({"url": "http://h/", "list": [1, "t0ps3cret"],
                "no": {"secret": "api-token", "more": 1}, "neither": {"secret": 1}})
        );
        assert_eq!(format!("{hidden:?}"), "Hidden(1)");
        let (same, none) = secrets.resolve(&json!({"a": 1})).await.unwrap();
        assert!(none.is_empty() && same == json!({"a": 1}));
    }

    #[tokio::test]
    async fn a_secret_that_is_not_there_is_told_with_where_it_was_looked_for() {
        let told = async |secrets: Secrets, name: &str| {
            let args = json!({"headers": {"Authorization": {"secret": name}}});
            secrets.resolve(&args).await.unwrap_err()
        };
        assert_eq!(
            told(Secrets::new(), "no-such.one").await,
            "args.headers.Authorization: there is no secret \"no-such.one\": \
             CARILLON_SECRET_NO_SUCH_ONE is not set, and [secrets] names no directory"
        );
        let directory = tempfile::tempdir().unwrap();
        let secrets = Secrets::in_directory(directory.path());
        let why = told(secrets.clone(), "none").await;
        assert!(why.contains("none: No such file"), "{why}");
        std::fs::write(directory.path().join("pin"), "123\n").unwrap();
        let why = told(secrets.clone(), "pin").await;
        assert!(
            why.contains("fewer than 4 bytes") && !why.contains("123"),
            "{why}"
        );
        for name in ["../etc/passwd", "", ".hidden", "a b"] {
            let why = told(secrets.clone(), name).await;
            assert!(why.contains("is no name of a secret"), "{why}");
        }
    }

    #[test]
    fn args_are_checked_with_a_text_in_the_place_of_secrets() {
        let args = json!({"url": {"secret": "hook"}, "list": [{"secret": "x"}]});
        let checked = with_placeholders(&args).unwrap();
        assert_eq!(checked["url"], PLACEHOLDER);
        let wrong = with_placeholders(&json!({"a": [{"secret": "b/c"}]})).unwrap_err();
        assert_eq!(wrong.0, "a[0].secret");
    }

    #[test]
    fn what_was_given_is_masked_in_what_is_told() {
        assert_eq!(
            masked(&["t0ps3cret"], "a t0ps3cret, t0ps3cret"),
            "a ***, ***"
        );
        assert_eq!(masked(&["abcdef", "abcdefghij"], "abcdefghij"), "***");
        assert_eq!(
            masked(&["a\"b\\c d"], r#"{"x":"a\"b\\c d"}"#),
            r#"{"x":"***"}"#
        );
        // Cut off at either end.
        assert_eq!(
            masked(&["t0ps3cret"], "the token is t0ps3"),
            "the token is ***"
        );
        assert_eq!(masked(&["t0ps3cret"], "cret: refused"), "***: refused");
        assert_eq!(masked(&["t0ps3cret"], "top"), "top");
        let both = json!({"a": ["x t0ps3cret"], "t0ps3cret": 1});
        assert_eq!(
            hidden(&["t0ps3cret"]).mask_value(both),
            json!({"a": ["x ***"], "***": 1})
        );
        assert_eq!(masked(&["line one\nline two"], "line two"), "***");
    }

    #[cfg(feature = "task-http")]
    #[test]
    fn of_a_url_its_path_is_masked_too() {
        let told = masked(
            &["https://hooks.example/services/T0/B0/xyz?k=v"],
            "POST https://hooks.example/services/T0/B0/xyz: 404",
        );
        assert_eq!(told, "POST https://hooks.example***: 404");
    }
}
