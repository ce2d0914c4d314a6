//! What a page answers, before the frame is around it, or why there is none.

use actix_web::http::StatusCode;
use maud::Markup;
use rastro_store::StoreError;

/// The answer to a request.
pub enum Reply {
    Page(Content),
    /// After something was changed, or for somebody who has to sign in.
    Redirect(String),
    /// The same, with a session that begins or ends.
    WithSession(String, Option<String>),
    /// To be kept, not to be looked at.
    File(Download),
}

/// What a page says.
pub struct Content {
    pub title: String,
    pub body: Markup,
    pub live: bool,
    pub status: StatusCode,
}

/// A file.
pub struct Download {
    /// ASCII, without quotes.
    pub name: String,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn page(title: impl Into<String>, body: Markup) -> Result<Reply, Failed> {
        Ok(Reply::Page(Content {
            title: title.into(),
            body,
            live: false,
            status: StatusCode::OK,
        }))
    }

    /// One that keeps itself fresh.
    pub fn live(title: impl Into<String>, body: Markup) -> Result<Reply, Failed> {
        Ok(Reply::Page(Content {
            title: title.into(),
            body,
            live: true,
            status: StatusCode::OK,
        }))
    }

    /// A form that was not right, shown again.
    pub fn wrong(title: impl Into<String>, body: Markup) -> Result<Reply, Failed> {
        Ok(Reply::Page(Content {
            title: title.into(),
            body,
            live: false,
            status: StatusCode::UNPROCESSABLE_ENTITY,
        }))
    }
}

/// Why there is no page.
#[derive(Debug)]
pub enum Failed {
    NotFound,
    Forbidden(&'static str, &'static str),
    TooManyTries,
    /// A field of a form or address, in both languages.
    Invalid(String),
    Store(StoreError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Failed::Store(error)
    }
}
