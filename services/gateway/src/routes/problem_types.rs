//! The pages that the `type` of a problem leads to.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};
use shop_proto::status::Reason;

use super::{documents::Document, revalidate};
use crate::{
    extract::{IfNoneMatch, NoQuery, UrlPath},
    openapi::problems,
    problem::Problem,
    problem_types::{self, ProblemType},
};

problems! {
    ListProblemTypesProblems: ANY, [],
    GetProblemTypeProblems: ANY, [NotFound],
}

/// A page of words and nothing else.
const CONTENT: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");

/// List the kinds of problems
///
/// A page for people; with `Accept: application/json` a list.
#[utoipa::path(get, path = "/problems", operation_id = "list_problem_types", tag = "documents", security(()),
    responses((status = 200, description = "All of them.",
        content((String = "text/html", example = "<!DOCTYPE html>..."), (Vec<ProblemType> = "application/json"))),
        ListProblemTypesProblems))]
pub(crate) async fn list(_: NoQuery, headers: HeaderMap, held: IfNoneMatch) -> Response {
    if wants_json(&headers) {
        let all: Vec<_> = Reason::ALL.iter().copied().map(ProblemType::from).collect();
        return by_accept(revalidate(Json(all).into_response()));
    }
    by_accept(as_page(problem_types::index(), &held))
}

/// Say what a kind of problem means, and what helps
///
/// A page for people; with `Accept: application/json` the same for programs.
#[utoipa::path(get, path = "/problems/{problem}", operation_id = "get_problem_type", tag = "documents", security(()),
    params(("problem" = String, Path, description = "The code in kebab-case, as in a problem's `type`.",
        example = "out-of-stock")),
    responses((status = 200, description = "What it means.",
        content((String = "text/html", example = "<!DOCTYPE html>..."), (ProblemType = "application/json"))),
        GetProblemTypeProblems))]
pub(crate) async fn get(
    UrlPath(name): UrlPath<String>,
    _: NoQuery,
    headers: HeaderMap,
    held: IfNoneMatch,
) -> Result<Response, Problem> {
    let reason = problem_types::named(&name);
    let reason = reason.ok_or_else(|| Problem::new(Reason::NotFound, "There is no problem of this name."))?;
    Ok(by_accept(if wants_json(&headers) {
        revalidate(Json(ProblemType::from(reason)).into_response())
    } else {
        as_page(problem_types::page(reason), &held)
    }))
}

fn as_page(html: String, held: &IfNoneMatch) -> Response {
    let page = Document::new(html.into(), HeaderValue::from_static("text/html; charset=utf-8"));
    let mut response = page.answer(held);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, CONTENT);
    response
}

/// People's browsers ask for pages, and name JSON at most among everything else.
fn wants_json(headers: &HeaderMap) -> bool {
    let accepted: Vec<_> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let names = |media: &str| accepted.iter().any(|value| value.contains(media));
    names("application/json") && !names("text/html")
}

fn by_accept(mut response: Response) -> Response {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
    response
}
