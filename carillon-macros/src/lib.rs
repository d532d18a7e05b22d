//! The attributes of Carillon. Use them through the crate `carillon`, which documents them.
//!
//! All that can be known about a job when it is compiled is checked then, by the very code that reads
//! jobs at run time: the trigger's kind and fields, cron texts, zones, policies, names. What is wrong
//! is told at the word that is wrong.

mod check;
mod entry;
mod expand;

use proc_macro::TokenStream;

/// Declares a function as a job: a task, and when it runs.
#[proc_macro_attribute]
pub fn scheduled(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand::scheduled(attribute.into(), &item.into()).into()
}

/// Declares a function as a task.
#[proc_macro_attribute]
pub fn task(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand::task(attribute.into(), &item.into()).into()
}
