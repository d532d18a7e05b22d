//! Collects what is wrong, so that all of it is told at once.

use std::str::FromStr;

use scheduler_core::NameError;

use super::document::Document;
use super::error::Problem;

/// A check of one document. A field that breaks a rule goes on with its default.
pub(super) struct Check<'a> {
    document: &'a Document,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    pub(super) const fn new(document: &'a Document) -> Self {
        Self {
            document,
            problems: Vec::new(),
        }
    }

    /// The checked value, or the default and a problem.
    pub(super) fn or<T>(&mut self, checked: Result<T, Problem>, default: T) -> T {
        checked.unwrap_or_else(|problem| {
            self.problems.push(problem);
            default
        })
    }

    /// The field of the document breaks a rule.
    pub(super) fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.problems.push(self.document.problem(field, message));
    }

    /// What the flag says breaks a rule.
    pub(super) fn refuse_flag(&mut self, flag: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(flag, message));
    }

    /// A name from its flag, or from its field; none where there is none, or a wrong one.
    pub(super) fn name<T: FromStr<Err = NameError>>(
        &mut self,
        (flag, flagged): (&str, &Option<String>),
        (field, typed): (&str, &Option<String>),
    ) -> Option<T> {
        let text = flagged.as_ref().or(typed.as_ref())?;
        match text.parse() {
            Ok(name) => Some(name),
            Err(error) if flagged.is_some() => {
                self.refuse_flag(flag, error.to_string());
                None
            }
            Err(error) => {
                self.refuse(field, error.to_string());
                None
            }
        }
    }
}
