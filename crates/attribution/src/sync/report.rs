//! A plan, or what became of it, for whoever reads it at a terminal.

use std::fmt;

use super::compare::{Action, Difference, Item};

/// Every item with what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    account: String,
    applied: bool,
    /// `None`: it was only planned. `Err`: why it is not known to be done.
    pub items: Vec<(Item, Option<Result<(), String>>)>,
}

impl Report {
    pub(crate) fn planned(account: String, items: Vec<Item>) -> Self {
        Report {
            account,
            applied: false,
            items: items.into_iter().map(|item| (item, None)).collect(),
        }
    }

    pub(crate) fn applied(account: String) -> Self {
        Report {
            account,
            applied: true,
            items: Vec::new(),
        }
    }

    pub(crate) fn note(&mut self, item: Item, done: Result<(), String>) {
        self.items.push((item, Some(done)));
    }

    /// Whether the plan has anything to do.
    pub fn is_empty(&self) -> bool {
        self.items.iter().all(|(item, _)| !changes(&item.action))
    }

    /// Items that are not as declared although they were to be, or that a person must look at.
    pub fn unsettled(&self) -> usize {
        let is_unsettled = |(item, done): &&(Item, Option<Result<(), String>>)| {
            matches!(done, Some(Err(_)))
                || matches!(item.action, Action::Differs { .. } | Action::Ambiguous { .. })
        };
        self.items.iter().filter(is_unsettled).count()
    }
}

fn changes(action: &Action) -> bool {
    matches!(
        action,
        Action::Create | Action::Change { .. } | Action::Replace { .. } | Action::Delete { .. }
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = if self.applied { "applied to" } else { "plan for" };
        writeln!(f, "{title} {}", self.account)?;
        for (item, done) in &self.items {
            let word = match &item.action {
                Action::InPlace { .. } => "in place",
                Action::Create => "create",
                Action::Change { .. } => "change",
                Action::Differs { .. } => "differs",
                Action::Replace { .. } => "replace",
                Action::Ambiguous { .. } => "ambiguous",
                Action::Undeclared { .. } => "undeclared",
                Action::Delete { .. } => "delete",
            };
            let failed = matches!(done, Some(Err(_)));
            let word = if failed { "FAILED" } else { word };
            write!(f, "  {word:<11}{:<18} {}", item.kind.as_str(), item.name)?;
            details(f, &item.action)?;
            if let Some(Err(why)) = done {
                write!(f, "\n      {why}")?;
            }
            writeln!(f)?;
        }
        let to_do = self
            .items
            .iter()
            .filter(|(item, _)| changes(&item.action))
            .count();
        let failed = self
            .items
            .iter()
            .filter(|(_, done)| matches!(done, Some(Err(_))))
            .count();
        match (self.applied, to_do) {
            (_, 0) => write!(f, "nothing to do"),
            (false, to_do) => write!(f, "{to_do} to do; nothing was changed: --apply does it"),
            (true, to_do) => write!(f, "{} of {to_do} done", to_do - failed),
        }
    }
}

fn details(f: &mut fmt::Formatter<'_>, action: &Action) -> fmt::Result {
    match action {
        Action::Create | Action::InPlace { note: None } => Ok(()),
        Action::InPlace { note: Some(note) } => write!(f, ": {note}"),
        Action::Change { differences, .. } => written(f, differences),
        Action::Differs { id, differences } => {
            written(f, differences)?;
            write!(
                f,
                "\n      Meta does not let that be changed. {id} stays as it is; --replace renames it and makes another one"
            )
        }
        Action::Replace { id, differences } => {
            written(f, differences)?;
            write!(f, "\n      {id} is renamed, and another one made")
        }
        Action::Ambiguous { ids } => {
            write!(f, ": {} could be meant: rename all but one", ids.join(" and "))
        }
        Action::Undeclared { id } => {
            write!(
                f,
                ": {id} is declared no more, and stays; --delete deletes audiences, a custom conversion is archived by hand"
            )
        }
        Action::Delete { id } => write!(f, ": {id} is declared no more"),
    }
}

fn written(f: &mut fmt::Formatter<'_>, differences: &[Difference]) -> fmt::Result {
    for difference in differences {
        write!(
            f,
            "\n      {}: is {}, declared {}",
            difference.field, difference.there, difference.declared
        )?;
    }
    Ok(())
}
