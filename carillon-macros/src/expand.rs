//! What a declared function becomes: itself, and its entry in the list of what is declared.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, PathArguments, Result, Type, parse2};

use crate::check;
use crate::entry::{Scheduled, Task};

pub(crate) fn scheduled(attribute: TokenStream, item: &TokenStream) -> TokenStream {
    with_item(item, |function| {
        let scheduled: Scheduled = parse2(attribute)?;
        let name = function.sig.ident.to_string();
        let job = check::job(&scheduled, &name, function.sig.ident.span())?;
        if !job.has_args
            && let Some((parameter, of)) = wanted_args(function)
        {
            let message = format!(
                "`{name}` takes `Args<{of}>`, and the job has no args: add `args(field = value, ..)`"
            );
            return Err(Error::new(parameter.span(), message));
        }
        let json = &job.json;
        Ok(declaration(function, &job.task, &quote!(Some(#json))))
    })
}

pub(crate) fn task(attribute: TokenStream, item: &TokenStream) -> TokenStream {
    with_item(item, |function| {
        let task: Task = parse2(attribute)?;
        let name = match &task.name {
            Some(name) => name.value(),
            None => function.sig.ident.to_string(),
        };
        if let Err(error) = scheduler_core::TaskName::new(&name) {
            let at = task
                .name
                .map_or(function.sig.ident.span(), |name| name.span());
            return Err(Error::new(at, error));
        }
        Ok(declaration(function, &name, &quote!(None)))
    })
}

/// The item, and what `expand` makes of it, or an error: the function stays whatever is wrong, so
/// that only that is told.
fn with_item(
    item: &TokenStream,
    expand: impl FnOnce(&ItemFn) -> Result<TokenStream>,
) -> TokenStream {
    let expanded = parse2::<ItemFn>(item.clone())
        .map_err(|error| Error::new(error.span(), "only a function can handle runs"))
        .and_then(|function| {
            check_signature(&function)?;
            expand(&function)
        });
    let expanded = expanded.unwrap_or_else(|error| error.to_compile_error());
    quote! {
        #item
        #expanded
    }
}

fn check_signature(function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        let message = "a handler is a function of its own: what it shares comes as `State<T>`";
        return Err(Error::new(receiver.span(), message));
    }
    if let Some(generic) = signature.generics.params.first() {
        let message = "a handler has no generic parameters: its name stands for one function";
        return Err(Error::new(generic.span(), message));
    }
    if let Some(token) = &signature.unsafety {
        return Err(Error::new(token.span(), "a handler must be safe to call"));
    }
    Ok(())
}

fn parameters(function: &ItemFn) -> impl Iterator<Item = &Type> {
    function.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(parameter) => Some(&*parameter.ty),
        FnArg::Receiver(_) => None,
    })
}

/// The parameter `Args<T>`, and its `T`, unless a `T` can do without args.
fn wanted_args(function: &ItemFn) -> Option<(&Type, String)> {
    let parameter = parameters(function).find(|parameter| match parameter {
        Type::Path(path) => path.path.segments.last().is_some_and(|s| s.ident == "Args"),
        _ => false,
    })?;
    let Type::Path(path) = parameter else {
        return None;
    };
    let PathArguments::AngleBracketed(of) = &path.path.segments.last()?.arguments else {
        return None;
    };
    let of = of.args.to_token_stream().to_string();
    let can_do_without = of == "()" || of.starts_with("Option") || of.ends_with("Value");
    (!can_do_without).then_some((parameter, of))
}

fn declaration(function: &ItemFn, task: &str, job: &TokenStream) -> TokenStream {
    let name = &function.sig.ident;
    let conditions = function.attrs.iter().filter(|a| a.path().is_ident("cfg"));
    let checks = checks(function);
    let register = if function.sig.asyncness.is_some() {
        quote_spanned!(name.span()=> tasks.register(#task, #name))
    } else {
        quote_spanned!(name.span()=> tasks.register_blocking(#task, #name))
    };
    quote! {
        #(#conditions)*
        const _: () = {
            #checks
            ::carillon::__private::inventory::submit! {
                ::carillon::__private::Declared::new(
                    #task,
                    |tasks| #register,
                    #job,
                    ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)),
                )
            }
        };
    }
}

/// Lines that do nothing, each of which fails to compile for one reason only, at the word that is
/// the reason. Nobody calls them, and what lints say of them is nothing that the user wrote: hence
/// the `allow`s.
fn checks(function: &ItemFn) -> TokenStream {
    let name = &function.sig.ident;
    let types: Vec<_> = parameters(function).collect();
    let of_parameters = types.iter().map(|parameter| {
        quote_spanned!(parameter.span()=> ::carillon::__private::is_parameter::<#parameter>();)
    });
    let values: Vec<_> = (0..types.len()).map(|n| format_ident!("p{n}")).collect();
    let of_future = function.sig.asyncness.map(|_| {
        quote_spanned! {name.span()=>
            #[allow(dead_code, clippy::all)]
            fn future_is_send(#(#values: #types),*) {
                ::carillon::__private::is_send(#name(#(#values),*));
            }
        }
    });
    quote! {
        #[allow(dead_code)]
        fn parameters_are_extractors() {
            #(#of_parameters)*
        }
        #of_future
    }
}
