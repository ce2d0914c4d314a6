//! The dataset itself: what Meta calls it, which also shows whether an access token opens it.

use rastro_core::dataset::DatasetId;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::client::{GraphApi, read_bounded, unanswered};
use crate::lenient;
use crate::outcome::{self, Failure, GraphError};

/// The longest name kept, in characters.
const LONGEST_NAME: usize = 200;

impl GraphApi {
    /// What Meta calls the dataset, asked with this token. Fails as Meta refuses it, or when there is no
    /// answer.
    ///
    /// A token that was made by hand in the dataset's settings may be for sending only: then this is refused
    /// for want of a permission, and says nothing against the token ([`Failure::is_about_the_token`]).
    pub async fn dataset_name(
        &self,
        dataset: DatasetId,
        access_token: &SecretString,
    ) -> Result<String, Failure> {
        let asking = self
            .client
            .get(format!("{}/{dataset}?fields=id,name", self.base))
            // Not into the URL, which ends up in the logs of everything on the way.
            .bearer_auth(access_token.expose_secret())
            .send();
        let mut response = asking.await.map_err(|error| unanswered(&error))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let body = read_bounded(response).await.map_err(|error| unanswered(&error))?;
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        let field = |name: &str| json.as_ref()?.get(name).filter(|value| !value.is_null());
        if let Some(error) = field("error") {
            return Err(outcome::classify(status, &headers, GraphError::read(error)));
        }
        let is_this = field("id").and_then(lenient::text) == Some(dataset.to_string());
        match (200..300).contains(&status) && is_this {
            true => {
                let name = field("name").and_then(lenient::text).unwrap_or_default();
                Ok(lenient::plain(&name, LONGEST_NAME))
            }
            false => Err(outcome::unreadable(status, &headers)),
        }
    }
}

impl Failure {
    /// Whether Meta does not accept the token at all: no retry and no permission would mend that.
    pub fn is_about_the_token(&self) -> bool {
        let code = self.error.as_ref().and_then(|error| error.code);
        matches!(code, Some(102 | 104 | 190))
    }
}
