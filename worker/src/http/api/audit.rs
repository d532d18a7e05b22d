//! Who changed what.

use axum::Json;
use axum::extract::State;
use scheduler_core::Store;
use scheduler_core::audit::AuditQuery;

use super::asked::{Asked, Params};
use super::problem::Problem;
use crate::http::app::App;
use crate::wire::{DeedView, DeedsPage};

/// How many deeds a page has, and how many it may have.
const PAGE: (usize, usize) = (100, 1000);

/// What a list of deeds may be asked for.
pub(super) const LISTED: [&str; 4] = ["by", "object", "limit", "before"];

pub(super) async fn list<S: Store>(
    State(app): State<App<S>>,
    asked: Asked,
) -> Result<Json<DeedsPage>, Problem> {
    let params = Params::read(asked, &LISTED)?;
    let text = |name| Ok::<_, Problem>(params.text(name)?.map(str::to_owned));
    let query = AuditQuery {
        by: text("by")?,
        object: text("object")?,
        limit: params.number("limit", PAGE)?,
        before: text("before")?.map(checked_place).transpose()?,
    };
    let page = app.store().audited(&query).await?;
    Ok(Json(DeedsPage {
        items: page.entries.into_iter().map(DeedView::from).collect(),
        next: page.older,
    }))
}

/// Where an earlier page ended: one number, or two with a dash between.
fn checked_place(text: String) -> Result<String, Problem> {
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    let is_place = match text.split_once('-') {
        None => is_number(&text),
        Some((ms, number)) => is_number(ms) && is_number(number),
    };
    if is_place {
        return Ok(text);
    }
    Err(Problem::field(
        "before",
        "is not what an earlier page gave as next",
    ))
}
