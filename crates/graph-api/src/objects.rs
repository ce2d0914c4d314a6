//! What people make in an ad account: custom conversions and audiences. Source: Meta, "Custom Conversions",
//! "Custom Audiences" and "Lookalike Audiences".

use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::client::GraphApi;
use crate::insights::{AdAccount, answer, is_cursor, is_id, misread};
use crate::lenient;
use crate::outcome::Failure;

/// Meta's advice for these listings.
const ROWS_OF_A_PAGE: u32 = 20;

/// Which kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountEdge {
    CustomConversions,
    CustomAudiences,
}

impl AccountEdge {
    fn path(self) -> &'static str {
        match self {
            AccountEdge::CustomConversions => "customconversions",
            AccountEdge::CustomAudiences => "customaudiences",
        }
    }

    fn fields(self) -> &'static str {
        match self {
            AccountEdge::CustomConversions => {
                "id,name,description,rule,custom_event_type,pixel,first_fired_time,last_fired_time,is_archived"
            }
            AccountEdge::CustomAudiences => {
                "id,name,description,subtype,rule,retention_days,lookalike_spec,approximate_count_lower_bound"
            }
        }
    }
}

/// An object as Meta tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountObject {
    /// Digits.
    pub id: String,
    pub fields: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ObjectsPage {
    pub objects: Vec<AccountObject>,
    /// Where the next page begins. `None`: this was the last.
    pub after: Option<String>,
}

impl GraphApi {
    /// A page of the objects of one kind.
    ///
    /// # Errors
    /// Why there was none. An object without an id is one: without it, it could be made a second time.
    pub async fn account_objects(
        &self,
        account: &AdAccount,
        edge: AccountEdge,
        after: Option<&str>,
        access_token: &SecretString,
    ) -> Result<ObjectsPage, Failure> {
        let mut url = format!(
            "{}/{account}/{}?fields={}&limit={ROWS_OF_A_PAGE}",
            self.base(),
            edge.path(),
            edge.fields()
        );
        if let Some(after) = after {
            url.push_str(&format!("&after={after}"));
        }
        let (json, _) = answer(self.client().get(url), access_token).await?;
        let rows = json["data"]
            .as_array()
            .ok_or_else(|| misread("which objects there are"))?;
        let object = |row: &Value| {
            Some(AccountObject {
                id: lenient::text(&row["id"]).filter(|id| is_id(id))?,
                fields: row.as_object()?.clone(),
            })
        };
        let objects: Option<Vec<AccountObject>> = rows.iter().map(object).collect();
        let paging = &json["paging"];
        let after = match paging["next"].is_string() {
            true => {
                let cursor = paging["cursors"]["after"].as_str();
                let cursor = cursor.filter(|cursor| !cursor.is_empty() && cursor.bytes().all(is_cursor));
                Some(cursor.ok_or_else(|| misread("the next page"))?.to_owned())
            }
            false => None,
        };
        Ok(ObjectsPage {
            objects: objects.ok_or_else(|| misread("the id of an object"))?,
            after,
        })
    }

    /// Makes an object; returns its id.
    ///
    /// # Errors
    /// Why it is not known to be there. Unless Meta refused it, it may be there all the same.
    pub async fn create_object(
        &self,
        account: &AdAccount,
        edge: AccountEdge,
        parameters: &Value,
        access_token: &SecretString,
    ) -> Result<String, Failure> {
        let url = format!("{}/{account}/{}", self.base(), edge.path());
        let (json, _) = answer(self.client().post(url).json(parameters), access_token).await?;
        lenient::text(&json["id"])
            .filter(|id| is_id(id))
            .ok_or_else(|| misread("the id of what it made"))
    }

    /// Changes an object.
    ///
    /// # Errors
    /// Why it is not known to be changed.
    pub async fn update_object(
        &self,
        id: &str,
        parameters: &Value,
        access_token: &SecretString,
    ) -> Result<(), Failure> {
        let url = format!("{}/{id}", self.base());
        let (json, _) = answer(self.client().post(url).json(parameters), access_token).await?;
        is_done(&json)
            .then_some(())
            .ok_or_else(|| misread("that it was done"))
    }

    /// Deletes an object for good.
    ///
    /// # Errors
    /// Why it is not known to be gone.
    pub async fn delete_object(&self, id: &str, access_token: &SecretString) -> Result<(), Failure> {
        let url = format!("{}/{id}", self.base());
        let (json, _) = answer(self.client().delete(url), access_token).await?;
        is_done(&json)
            .then_some(())
            .ok_or_else(|| misread("that it was done"))
    }
}

fn is_done(json: &Value) -> bool {
    json["success"] != false
}
