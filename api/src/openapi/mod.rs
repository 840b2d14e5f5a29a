//! The OpenAPI 3.1 document: made from the handlers, completed here, committed as
//! `openapi/posthouse.json`.

mod complete;
mod problems;

use utoipa::openapi::{
    ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Server, Tag,
    security::{Http, HttpAuthScheme, HttpBuilder, SecurityScheme},
    tag::TagBuilder,
};

const DESCRIPTION: &str = include_str!("description.md");

const TAGS: &[(&str, &str)] = &[
    ("messages", "Sending, and what became of it."),
    ("events", "The event log: everything that happened, in order."),
    ("webhooks", "Events, sent to your server."),
    ("queue", "The outgoing queue."),
    ("reports", "Reports between mail servers, for administrators."),
    ("suppressions", "Recipients that are not written to, and unsubscribing."),
    ("templates", "Stored templates of messages, in versions."),
    ("mail", "Mailboxes and the mail in them."),
    ("sandbox", "Outgoing mail that never leaves the server: for development and tests."),
    ("domains", "Domains that are served here."),
    ("accounts", "Accounts and their addresses, for administrators."),
    ("auth", "Access tokens for people who log in, and the keys that sign them."),
    ("account", "The caller's own account: passwords, sessions and logins."),
    ("api-keys", "Keys of applications."),
    ("meta", "About the server itself."),
];

/// The document.
pub fn openapi() -> OpenApi {
    let mut document = OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Posthouse")
                .version("1")
                .description(Some(DESCRIPTION.trim()))
                .contact(Some(ContactBuilder::new().name(Some("Posthouse")).build()))
                .license(Some(
                    LicenseBuilder::new()
                        .name("Apache-2.0 OR MIT")
                        .identifier(Some("Apache-2.0 OR MIT"))
                        .build(),
                ))
                .build(),
        )
        .servers(Some([Server::new("/")]))
        .tags(Some(TAGS.iter().map(|(name, description)| tag(name, description))))
        .build();
    document.merge(crate::all_described().into_openapi());
    let components = document.components.get_or_insert_default();
    for (name, scheme) in schemes() {
        components.add_security_scheme(name, scheme);
    }
    complete::complete(&mut document);
    crate::v1::describe_webhooks(&mut document);
    document
}

/// The document as it is committed and served.
pub fn openapi_json() -> String {
    // A plain document of ours always serialises.
    let mut text = openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

fn tag(name: &str, description: &str) -> Tag {
    TagBuilder::new().name(name).description(Some(description)).build()
}

fn schemes() -> [(&'static str, SecurityScheme); 2] {
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("phk_…")
        .description(Some(
            "An API key, or an access token of `POST /v1/auth/token`. The scopes it needs stand at \
             each operation.",
        ))
        .build();
    let mut password = Http::new(HttpAuthScheme::Basic);
    password.description = Some(
        "Address and password of an account: has all scopes of the account. Or an app password, with \
         its own. For small tools."
            .to_owned(),
    );
    [("api_key", SecurityScheme::Http(key)), ("password", SecurityScheme::Http(password))]
}

#[cfg(test)]
mod tests;
