//! What Meta's refusals mean for whoever reads them: by code, never by text, which Meta translates.

use rastro_graph_api::Failure;

use super::declared::Kind;

/// What can be done, and then what Meta said.
pub(crate) fn of(failure: &Failure, kind: Kind) -> String {
    let error = failure.error.as_ref();
    let codes = (
        error.and_then(|error| error.code),
        error.and_then(|error| error.error_subcode),
    );
    let advice = match codes {
        (Some(200), Some(1_870_034 | 1_870_090)) => {
            "Meta's terms of Custom Audiences were not accepted for this ad account: open Audiences in Ads Manager once, accept \
             them, and run this again"
        }
        (Some(102 | 104 | 190), _) => {
            "Meta does not accept sync.access_token: make a new one for the system user"
        }
        (Some(3 | 10 | 200..=299), _) => {
            "sync.access_token lacks ads_management, or its system user no role in this ad account: add it in Business settings"
        }
        (Some(100), Some(33)) => "there is no such ad account or object, or sync.access_token may not see it",
        (Some(100), Some(1_760_002)) => {
            "another custom conversion of the ad account has this very rule: rename that one to this name, and it is taken"
        }
        (Some(100), Some(1_760_020)) => {
            "Meta takes no rule without a condition on the page's address: is sync.domain right?"
        }
        (Some(100), Some(1_713_232)) => "Meta has flagged the seed audience: see it in Ads Manager",
        (Some(2_654), _) => {
            "the ad account has a lookalike of the same seed, country and size: rename that one to this name, and it is taken"
        }
        (Some(100), _) if kind == Kind::Lookalike => {
            "a lookalike takes a seed audience of 100 people or more of its country, which fills with the events: run this again \
             when there are"
        }
        _ => return failure.message.clone(),
    };
    format!("{advice} ({})", failure.message)
}
