//! Forms as they stand in a page, read as a browser reads them.

/// A form with what it would send if nothing were typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Form {
    pub(crate) method: String,
    pub(crate) action: String,
    /// Fields with their values, in order.
    pub(crate) fields: Vec<(String, String)>,
    /// What may be chosen in a field.
    pub(crate) options: Vec<(String, String)>,
    /// Buttons that have a name, with their value: the one that is pressed is sent too.
    pub(crate) buttons: Vec<(String, String)>,
}

struct Tag<'p> {
    name: &'p str,
    attributes: Vec<(&'p str, String)>,
    /// From behind it to the next tag.
    text: &'p str,
}

impl Tag<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let found = self.attributes.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| value.clone())
    }
}

pub(crate) fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

/// The tags of a page. Ours quote each value and escape each `<`.
fn tags(page: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let mut quoted = false;
        let end = rest.find(|c| {
            quoted ^= c == '"';
            c == '>' && !quoted
        });
        let Some(end) = end else { break };
        let (inside, behind) = (&rest[..end], &rest[end + 1..]);
        let name_end = inside.find(char::is_whitespace).unwrap_or(inside.len());
        let (name, mut more) = inside.split_at(name_end);
        let mut attributes = Vec::new();
        while let Some(begin) = more.find(|c: char| !c.is_whitespace()) {
            more = &more[begin..];
            let stop = more
                .find(|c: char| c == '=' || c.is_whitespace())
                .unwrap_or(more.len());
            let attribute = &more[..stop];
            more = &more[stop..];
            let value = match more.strip_prefix("=\"") {
                Some(quoted) => {
                    let close = quoted.find('"').unwrap();
                    more = &quoted[close + 1..];
                    unescape(&quoted[..close])
                }
                None => String::new(),
            };
            attributes.push((attribute, value));
        }
        let text = &behind[..behind.find('<').unwrap_or(behind.len())];
        tags.push(Tag {
            name,
            attributes,
            text,
        });
        rest = behind;
    }
    tags
}

/// What a page says, without its marks.
pub(crate) fn text(page: &str) -> String {
    let parts: Vec<String> = { page.split('<') }
        .filter_map(|part| part.split_once('>'))
        .map(|(_, text)| unescape(text).replace('\u{a0}', " "))
        .collect();
    let words: Vec<&str> = parts.iter().flat_map(|part| part.split_whitespace()).collect();
    words.join(" ")
}

/// The forms of a page.
pub(crate) fn forms(page: &str) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let mut open: Option<Form> = None;
    let mut select: Option<String> = None;
    let mut is_first = false;
    for tag in tags(page) {
        if tag.name == "form" {
            assert!(open.is_none(), "a form within a form");
            open = Some(Form {
                method: tag.get("method").unwrap_or("get".to_owned()),
                action: tag.get("action").unwrap_or_default(),
                ..Form::default()
            });
        }
        let Some(form) = &mut open else { continue };
        match (tag.name, tag.get("name")) {
            ("/form", _) => forms.extend(open.take()),
            ("input", Some(name)) => form.fields.push((name, tag.get("value").unwrap_or_default())),
            // A browser leaves out the first end of a line.
            ("textarea", Some(name)) => form
                .fields
                .push((name, unescape(tag.text.trim_start_matches('\n')))),
            ("button", Some(name)) => form.buttons.push((name, tag.get("value").unwrap_or_default())),
            ("select", name) => (select, is_first) = (name, true),
            ("/select", _) => select = None,
            ("option", _) => {
                if let Some(name) = &select {
                    let value = tag.get("value").unwrap_or_default();
                    form.options.push((name.clone(), value.clone()));
                    match tag.get("selected") {
                        // Without one that is selected the first is sent.
                        None if is_first => form.fields.push((name.clone(), value)),
                        None => {}
                        Some(_) => {
                            form.fields.retain(|(other, _)| other != name);
                            form.fields.push((name.clone(), value));
                        }
                    }
                    is_first = false;
                }
            }
            _ => {}
        }
    }
    assert!(open.is_none(), "a form without an end");
    forms
}

#[test]
fn forms_are_read_as_a_browser_reads_them() {
    let page = r#"<form class="a" method="post" action="/x?a=1&amp;b=2"><input type="hidden" name="token" value="&quot;t&gt;">
        <select name="s"><option value=""></option><option value="2" selected>zwei</option></select><select name="f"><option
        value="one">1</option></select><input name="free" required><textarea name="t">
a
b</textarea><button>go</button><button name="ordem" value="parar">p</button></form><form method="get" action="/"></form>"#;
    let found = forms(page);
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        found[0],
        Form {
            method: "post".into(),
            action: "/x?a=1&b=2".into(),
            fields: vec![
                field("token", "\"t>"),
                field("s", "2"),
                field("f", "one"),
                field("free", ""),
                field("t", "a\nb"),
            ],
            options: vec![field("s", ""), field("s", "2"), field("f", "one")],
            buttons: vec![field("ordem", "parar")],
        }
    );
    assert_eq!(found.len(), 2);
}
