//! `/u/{token}`: where unsubscribe links in mail lead (RFC 8058). Open to everybody: whoever has the
//! link may use it. Answers are pages for people.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};
use posthouse_core::{
    Error,
    suppressions::unsubscribe::{self, Subscription},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{extract::PathText, problem::ApiResult, state::ApiState};

/// Nothing but the form may do anything, and it leads back here.
const POLICY: &str =
    "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show_unsubscribe, confirm_unsubscribe))
}

/// Show an unsubscribe page
///
/// The page that a link in mail leads to: it has a button. Looking at it changes nothing, as mail
/// programs and virus scanners follow links.
#[utoipa::path(get, path = "/u/{token}", tag = "suppressions", security(()),
    params(("token" = String, Path, description = "From the header field List-Unsubscribe")),
    responses((status = 200, description = "A page with a button", body = String,
        content_type = "text/html"), (status = 404, description = "The link is not one of ours",
        body = String, content_type = "text/html")))]
async fn show_unsubscribe(
    State(state): State<ApiState>,
    PathText(token): PathText,
) -> ApiResult<Response> {
    let subscription = match unsubscribe::subscription(&state.platform, &token) {
        Err(Error::NotFound(_)) => return Ok(unknown()),
        other => other?,
    };
    let text = format!(
        "<p>Do you want to stop {}?</p>\n<form method=\"post\">\n\
         <input type=\"hidden\" name=\"List-Unsubscribe\" value=\"One-Click\">\n\
         <button type=\"submit\">Unsubscribe</button>\n</form>",
        what(&subscription)
    );
    Ok(page(StatusCode::OK, "Unsubscribe", &text))
}

/// Unsubscribe
///
/// What the button of the page and the one-click unsubscription of mail programs (RFC 8058) do: the
/// recipient of the message gets an entry in the suppression list, with the topic of the message if
/// it has one. The body is not looked at. A second time changes nothing.
#[utoipa::path(post, path = "/u/{token}", tag = "suppressions", security(()),
    params(("token" = String, Path, description = "From the header field List-Unsubscribe")),
    responses((status = 200, description = "A page that says so", body = String,
        content_type = "text/html"), (status = 404, description = "The link is not one of ours",
        body = String, content_type = "text/html")))]
async fn confirm_unsubscribe(
    State(state): State<ApiState>,
    PathText(token): PathText,
) -> ApiResult<Response> {
    let subscription = match unsubscribe::unsubscribe(&state.platform, &token).await {
        Err(Error::NotFound(_)) => return Ok(unknown()),
        other => other?,
    };
    let text = format!("<p>You have stopped {}.</p>", what(&subscription));
    Ok(page(StatusCode::OK, "Unsubscribed", &text))
}

fn what(subscription: &Subscription) -> String {
    let about = match &subscription.topic {
        Some(topic) => format!(" about “{}”", escape(topic)),
        None => String::new(),
    };
    format!("messages{about} from this sender to <b>{}</b>", escape(&subscription.recipient))
}

fn unknown() -> Response {
    let text = "<p>This link is not one of ours, or it is not complete.</p>";
    page(StatusCode::NOT_FOUND, "No such link", text)
}

fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n</head>\n\
         <body>\n<h1>{title}</h1>\n{text}\n</body>\n</html>\n"
    );
    (status, [(header::CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response()
}

/// Text that stands in a page.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_no_markup() {
        let recipient = "\"<script>'&\"@example.net".to_owned();
        let text = what(&Subscription { recipient, topic: None });
        assert!(text.contains("<b>&quot;&lt;script&gt;&#39;&amp;&quot;@example.net</b>"), "{text}");
    }
}
