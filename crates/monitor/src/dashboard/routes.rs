//! Every address of the dashboard, who may use it, and nothing else decides that: the server asks this table,
//! and so do the tests of every route with every role.

use crate::dashboard::visitor::Role;

/// Who may use a route. The order is that of what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Without having signed in.
    Anyone,
    /// Whoever signed in; of one dataset, only about that.
    Viewer,
    /// With an admin key.
    Operator,
}

impl Access {
    pub fn allows(self, role: Option<Role>) -> bool {
        match self {
            Access::Anyone => true,
            Access::Viewer => role.is_some(),
            Access::Operator => role == Some(Role::Operator),
        }
    }
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Login,
    SignIn,
    SignOut,
    Overview,
    DeadLetters,
    Replay,
    Event,
    Revenue,
    RevenueFile,
    Breaker,
    OrderBreaker,
    Quality,
    AskQuality,
    Alerts,
    Alert,
    Snooze,
    Acknowledge,
    Silence,
    EndSilence,
    TestMessage,
    Method,
    Runbook,
    Datasets,
    NewDataset,
    CreateDataset,
    Dataset,
    EnterToken,
    SetOrigins,
    SetTestCode,
    SetLeadValue,
    SendTestEvent,
    CreateKey,
    RevokeKey,
}

/// One of them. `{}` in the path stands for one segment.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub access: Access,
    pub action: Action,
}

const fn get(path: &'static str, access: Access, action: Action) -> Route {
    Route {
        method: "GET",
        path,
        access,
        action,
    }
}

const fn post(path: &'static str, access: Access, action: Action) -> Route {
    Route {
        method: "POST",
        path,
        access,
        action,
    }
}

pub const ROUTES: [Route; 33] = [
    get("/entrar", Access::Anyone, Action::Login),
    post("/entrar", Access::Anyone, Action::SignIn),
    post("/sair", Access::Viewer, Action::SignOut),
    get("/", Access::Viewer, Action::Overview),
    get("/parados", Access::Viewer, Action::DeadLetters),
    post("/parados/reenviar", Access::Operator, Action::Replay),
    get("/evento", Access::Viewer, Action::Event),
    get("/receita", Access::Viewer, Action::Revenue),
    get("/receita/campanhas.csv", Access::Viewer, Action::RevenueFile),
    get("/disjuntor/{}", Access::Viewer, Action::Breaker),
    post("/disjuntor/{}", Access::Operator, Action::OrderBreaker),
    get("/qualidade", Access::Viewer, Action::Quality),
    post("/qualidade/{}/perguntar", Access::Operator, Action::AskQuality),
    get("/alertas", Access::Viewer, Action::Alerts),
    get("/alertas/{}", Access::Viewer, Action::Alert),
    post("/alertas/{}/adiar", Access::Operator, Action::Snooze),
    post("/alertas/{}/ciente", Access::Operator, Action::Acknowledge),
    post("/silencios", Access::Operator, Action::Silence),
    post("/silencios/{}/fim", Access::Operator, Action::EndSilence),
    post("/canais/{}/teste", Access::Operator, Action::TestMessage),
    get("/metodo", Access::Viewer, Action::Method),
    get("/runbook", Access::Anyone, Action::Runbook),
    get("/conjuntos", Access::Viewer, Action::Datasets),
    get("/conjuntos/novo", Access::Operator, Action::NewDataset),
    post("/conjuntos/novo", Access::Operator, Action::CreateDataset),
    get("/conjuntos/{}", Access::Viewer, Action::Dataset),
    post("/conjuntos/{}/token", Access::Operator, Action::EnterToken),
    post("/conjuntos/{}/origens", Access::Operator, Action::SetOrigins),
    post("/conjuntos/{}/codigo", Access::Operator, Action::SetTestCode),
    post(
        "/conjuntos/{}/valor-do-lead",
        Access::Operator,
        Action::SetLeadValue,
    ),
    post("/conjuntos/{}/teste", Access::Operator, Action::SendTestEvent),
    post("/conjuntos/{}/chaves", Access::Operator, Action::CreateKey),
    post(
        "/conjuntos/{}/chaves/{}/revogar",
        Access::Operator,
        Action::RevokeKey,
    ),
];

/// Where an address leads.
#[derive(Clone, Debug)]
pub enum Found {
    Route(Route, Vec<String>),
    /// The path exists, under another method.
    OtherMethod(&'static str),
    Nothing,
}

/// A fixed path wins over one with a place in it.
pub fn find(method: &str, path: &str) -> Found {
    // What answers a GET answers a HEAD.
    let method = if method == "HEAD" { "GET" } else { method };
    let mut others = None;
    let mut routes: Vec<(&Route, Vec<String>)> = ROUTES
        .iter()
        .filter_map(|route| Some((route, segments(route.path, path)?)))
        .collect();
    routes.sort_by_key(|(_, places)| places.len());
    let fixed = routes.first().map_or(0, |(_, places)| places.len());
    for (route, places) in routes.into_iter().filter(|(_, places)| places.len() == fixed) {
        if route.method == method {
            return Found::Route(*route, places);
        }
        others = Some(route.method);
    }
    others.map_or(Found::Nothing, Found::OtherMethod)
}

/// What stands at the places of a pattern; `None`: the path is another.
fn segments(pattern: &str, path: &str) -> Option<Vec<String>> {
    let path = if path.len() > 1 {
        path.trim_end_matches('/')
    } else {
        path
    };
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    let mut places = Vec::new();
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return Some(places),
            (Some("{}"), Some(segment)) if !segment.is_empty() => {
                places.push(
                    percent_encoding::percent_decode_str(segment)
                        .decode_utf8()
                        .ok()?
                        .into_owned(),
                );
            }
            (Some(expected), Some(segment)) if expected == segment => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(method: &str, path: &str) -> Option<(Action, Vec<String>)> {
        match find(method, path) {
            Found::Route(route, places) => Some((route.action, places)),
            _ => None,
        }
    }

    #[test]
    fn an_address_leads_to_its_action_and_a_fixed_path_wins() {
        assert_eq!(action("GET", "/"), Some((Action::Overview, vec![])));
        assert_eq!(
            action("GET", "/conjuntos/novo"),
            Some((Action::NewDataset, vec![]))
        );
        assert_eq!(
            action("GET", "/conjuntos/123/"),
            Some((Action::Dataset, vec!["123".into()]))
        );
        assert_eq!(action("HEAD", "/alertas"), Some((Action::Alerts, vec![])));
        assert!(matches!(find("DELETE", "/alertas"), Found::OtherMethod("GET")));
        assert!(matches!(
            find("GET", "/parados/reenviar"),
            Found::OtherMethod("POST")
        ));
        assert!(matches!(find("GET", "/nada"), Found::Nothing));
        assert!(matches!(find("GET", "/alertas//adiar"), Found::Nothing));
    }

    #[test]
    fn what_changes_something_is_a_post_and_for_operators() {
        for route in ROUTES {
            let free = matches!(route.action, Action::SignIn | Action::SignOut);
            if route.method == "POST" && !free {
                assert_eq!(route.access, Access::Operator, "{}", route.path);
            }
        }
    }
}
