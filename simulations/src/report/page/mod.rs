//! The HTML page: everything in one file, no script, nothing fetched.
//!
//! Plots stand in the page as SVG; styles turn them and the page dark where the reader's surroundings are.

mod matrix;
mod rows;
mod sections;

use super::plot;
use crate::judge::Comparison;
use std::fmt::Write as _;

/// The whole page.
pub(super) fn html(comparison: &Comparison) -> String {
    let mut page = String::with_capacity(1 << 20);
    page += "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n";
    page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n";
    let title = escape(&title(comparison));
    let styles = [include_str!("style.css"), &plot::look::styles()].concat();
    let _ = write!(
        page,
        "<title>{title}</title>\n<style>\n{styles}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    page += &sections::contents(comparison);
    page += &sections::conclusion(comparison);
    page += &sections::standings(comparison);
    page += &sections::over_all(comparison);
    page += &matrix::section(comparison);
    page += &sections::work(comparison);
    for task in &comparison.tasks {
        page += &sections::task(comparison, task);
    }
    page += &sections::how_to_read(comparison);
    page += &sections::origin(comparison);
    page += "</body>\n</html>\n";
    page
}

fn title(comparison: &Comparison) -> String {
    let (searchers, tasks) = (comparison.setup.searchers.len(), comparison.setup.tasks.len());
    let s = |count| if count == 1 { "" } else { "s" };
    format!("{searchers} searcher{} on {tasks} task{}", s(searchers), s(tasks))
}

/// Text as it may stand in HTML and XML, also in an attribute. Control characters, which XML forbids, become spaces.
pub(in crate::report) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            '\n' | '\t' => escaped.push(letter),
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
pub(in crate::report) mod tests {
    use super::*;
    use crate::judge::samples;

    /// Every element is closed in its turn, every attribute quoted, every `&` a reference. (No parser of XML is at hand;
    /// the page and the plots are written so that this much is enough.)
    pub(in crate::report) fn assert_well_formed(text: &str) {
        let mut open: Vec<&str> = Vec::new();
        let mut rest = text.strip_prefix("<!DOCTYPE html>").unwrap_or(text);
        while let Some(start) = rest.find('<') {
            assert_references(&rest[..start]);
            let end = start + rest[start..].find('>').expect("a tag is closed");
            let tag = &rest[start + 1..end];
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name), "closed in turn");
            } else {
                let name = tag.split([' ', '/', '\n']).next().unwrap();
                assert_eq!(tag.matches('"').count() % 2, 0, "quoted: {tag}");
                assert_references(tag);
                if !tag.ends_with('/') {
                    open.push(name);
                }
            }
            rest = &rest[end + 1..];
            if open.last() == Some(&"style") {
                rest = &rest[rest.find("</style>").expect("styles end")..];
            }
        }
        assert!(open.is_empty(), "left open: {open:?}");
    }

    fn assert_references(text: &str) {
        for (at, _) in text.match_indices('&') {
            let known =
                ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"].iter().any(|name| text[at..].starts_with(name));
            assert!(known, "{}", &text[at..text.len().min(at + 20)]);
        }
    }

    fn page() -> (Comparison, String) {
        let (mut setup, mut runs) = samples::comparison_input(3, 12, 5);
        setup.command = "toprung simulate --note '<script>alert(1)</script>'".into();
        runs.retain(|run| !(run.searcher == setup.searchers[4].label && run.task == setup.tasks[2].name));
        let comparison = Comparison::new(setup, &runs).unwrap();
        let html = html(&comparison);
        (comparison, html)
    }

    #[test]
    fn nothing_outside_the_page_is_referred_to() {
        let (_, html) = page();
        let without_names = html.replace("http://www.w3.org/2000/svg", "");
        for outside in
            ["http:", "https:", "//", "<script", "<link", "<img", "<iframe", "@import", "url(", " src="]
        {
            let found = without_names.find(outside).map(|at| &without_names[at.saturating_sub(40)..at + 20]);
            assert_eq!(found, None, "{outside}");
        }
        for target in html.match_indices("href=\"").map(|(at, _)| &html[at + 6..]) {
            assert!(target.starts_with('#'), "{}", &target[..20]);
            let id = &target[1..target.find('"').unwrap()];
            assert!(html.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }

    #[test]
    fn the_page_is_well_formed_and_names_all() {
        let (comparison, html) = page();
        assert_well_formed(&html);
        for searcher in &comparison.setup.searchers {
            assert!(html.matches(&escape(&searcher.label)).count() > 10, "{}", searcher.label);
        }
        for task in &comparison.setup.tasks {
            assert!(
                html.contains(&format!("<h2 id=\"task-{}\">", task.name.strip_prefix("task_").unwrap())),
                "{}",
                task.name
            );
        }
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(!html.contains("NaN"), "what was not measured is a dash");
    }

    #[test]
    fn a_lone_run_makes_a_page() {
        let (setup, runs) = samples::comparison_input(1, 1, 1);
        let html = html(&Comparison::new(setup, &runs).unwrap());
        assert_well_formed(&html);
        assert!(!html.contains("NaN") && !html.contains("inf"), "what was not measured is a dash");
        assert!(!html.contains("Paired tests"));
    }

    #[test]
    #[should_panic(expected = "closed in turn")]
    fn the_check_of_form_can_fail() {
        assert_well_formed("<p><b>x</p></b>");
    }
}
