//! What stands between the attribute's parentheses.

use proc_macro2::Span;
use serde_json::{Map, Number, Value};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Error, Expr, ExprLit, ExprUnary, Ident, Lit, LitStr, Result, Token, UnOp, parenthesized,
};

/// One `key = value`, or `key(inner = value, ..)`.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Ident,
    pub(crate) value: Value,
    /// Where the value stands.
    pub(crate) at: Span,
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key: Ident = input.parse()?;
        if input.peek(syn::token::Paren) {
            let inner;
            let parentheses = parenthesized!(inner in input);
            let entries = entries(&inner)?;
            let value = object(&entries);
            let at = parentheses.span.join();
            return Ok(Self { key, value, at });
        }
        if !input.peek(Token![=]) {
            let message = format!("say what `{key}` is: `{key} = ..`");
            return Err(Error::new(key.span(), message));
        }
        input.parse::<Token![=]>()?;
        let value: Expr = input.parse()?;
        let at = value.span();
        let value = json(&value)?;
        Ok(Self { key, value, at })
    }
}

/// Entries up to the end, each at most once.
pub(crate) fn entries(input: ParseStream<'_>) -> Result<Vec<Entry>> {
    let entries: Vec<Entry> = Punctuated::<Entry, Token![,]>::parse_terminated(input)?
        .into_iter()
        .collect();
    for (index, entry) in entries.iter().enumerate() {
        if entries[..index].iter().any(|other| other.key == entry.key) {
            let message = format!("`{}` is given twice", entry.key);
            return Err(Error::new(entry.key.span(), message));
        }
    }
    Ok(entries)
}

pub(crate) fn object<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Value {
    let fields = entries
        .into_iter()
        .map(|entry| (entry.key.to_string(), entry.value.clone()));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// How the schedule begins: the trigger's kind, or the whole trigger as text.
#[derive(Debug)]
pub(crate) enum When {
    Kind(Ident),
    Text(LitStr),
}

/// All of `#[scheduled(..)]`.
#[derive(Debug)]
pub(crate) struct Scheduled {
    pub(crate) when: When,
    pub(crate) entries: Vec<Entry>,
}

impl Parse for Scheduled {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        const WHEN: &str = "say first when it runs: `interval`, `cron`, `date` or \
                            `calendar_interval`, or a text such as \"every 30s\" or \"30 8 * * mon-fri\"";
        if input.is_empty() {
            return Err(Error::new(Span::call_site(), WHEN));
        }
        let when = if input.peek(LitStr) {
            When::Text(input.parse()?)
        } else {
            let kind: Ident = input
                .parse()
                .map_err(|error| Error::new(error.span(), WHEN))?;
            if input.peek(Token![=]) || input.peek(syn::token::Paren) {
                return Err(Error::new(kind.span(), WHEN));
            }
            When::Kind(kind)
        };
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        let entries = entries(input)?;
        Ok(Self { when, entries })
    }
}

/// All of `#[task(..)]`.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) name: Option<LitStr>,
}

impl Parse for Task {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = if input.is_empty() {
            None
        } else if input.peek(LitStr) {
            Some(input.parse()?)
        } else {
            let key: Ident = input.parse()?;
            if key != "name" {
                let message = format!("`{key}` is nothing that a task has: only `name = \"..\"`");
                return Err(Error::new(key.span(), message));
            }
            input.parse::<Token![=]>()?;
            Some(input.parse()?)
        };
        if !input.is_empty() {
            return Err(input.error("nothing follows a task's name"));
        }
        Ok(Self { name })
    }
}

/// A literal, or a list of them, as JSON.
fn json(value: &Expr) -> Result<Value> {
    const KNOWN: &str = "give a literal: a text, a number, true, false, or a list of these in [..]; \
                         an object is written `key(inner = value)`";
    let unknown = || Error::new(value.span(), KNOWN);
    match value {
        Expr::Lit(ExprLit { lit, .. }) => match lit {
            Lit::Str(text) => Ok(Value::String(text.value())),
            Lit::Bool(bool) => Ok(Value::Bool(bool.value)),
            Lit::Int(int) => {
                let number = int.base10_parse::<i64>().map(Number::from);
                Ok(Value::Number(number?))
            }
            Lit::Float(float) => {
                let number = Number::from_f64(float.base10_parse()?);
                number.map(Value::Number).ok_or_else(unknown)
            }
            _ => Err(unknown()),
        },
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_),
            expr,
            ..
        }) => match json(expr)? {
            Value::Number(number) => {
                let negative = match number.as_i64() {
                    Some(int) => Some(Number::from(-int)),
                    None => number.as_f64().and_then(|float| Number::from_f64(-float)),
                };
                negative.map(Value::Number).ok_or_else(unknown)
            }
            _ => Err(unknown()),
        },
        Expr::Array(list) => {
            let items: Result<Vec<_>> = list.elems.iter().map(json).collect();
            Ok(Value::Array(items?))
        }
        _ => Err(unknown()),
    }
}
