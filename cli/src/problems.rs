//! Mistakes in an experiment file, from the local parser or from the server, drawn alike under their lines.

use toprung_config::{Problem, Problems, Severity};
use toprung_proto::v1::ConfigProblem;

/// What a server found, as the local parser would have said it.
pub(crate) fn from_wire(found: &[ConfigProblem]) -> Problems {
    Problems(found.iter().map(problem).collect())
}

fn problem(found: &ConfigProblem) -> Problem {
    Problem {
        line: found.line,
        column: found.column,
        offset: found.offset as usize,
        len: found.span as usize,
        path: found.path.clone(),
        message: found.message.clone(),
        help: (!found.help.is_empty()).then(|| found.help.clone()),
        severity: if found.warning { Severity::Warning } else { Severity::Error },
    }
}

/// "searcher.max_trials: must be at least 1 (and 2 more)"
pub(crate) fn summary(problems: &[ConfigProblem]) -> String {
    let errors: Vec<_> = problems.iter().filter(|problem| !problem.warning).collect();
    let sentence = |problem: &ConfigProblem| match problem.path.as_str() {
        "" => problem.message.clone(),
        path => format!("{path}: {}", problem.message),
    };
    match errors.as_slice() {
        [] => "no details".to_owned(),
        [one] => sentence(one),
        [first, rest @ ..] => format!("{} (and {} more)", sentence(first), rest.len()),
    }
}

/// All problems, each under its line, as text for a terminal; `colour`: may be used.
pub(crate) fn draw(problems: &Problems, file: &str, source: &str, colour: bool) -> String {
    let theme =
        if colour { miette::GraphicalTheme::unicode() } else { miette::GraphicalTheme::unicode_nocolor() };
    let handler = miette::GraphicalReportHandler::new_themed(theme);
    let mut drawn = String::new();
    // Writing into a string cannot fail; should it ever, the plain lines are still said.
    match handler.render_report(&mut drawn, &problems.report(file, source)) {
        Ok(()) => drawn,
        Err(_) => problems.lines(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> ConfigProblem {
        ConfigProblem {
            line: 2,
            column: 15,
            offset: 24,
            span: 1,
            path: "searcher.max_trials".into(),
            message: "must be at least 1".into(),
            help: "give a whole number".into(),
            warning: false,
        }
    }

    #[test]
    fn the_line_is_shown_with_the_advice() {
        let problems = from_wire(&[found()]);
        let drawn = draw(&problems, "search.yaml", "searcher:\n  max_trials: 0\n", false);
        for expected in [
            "searcher.max_trials: must be at least 1",
            "search.yaml:2",
            "max_trials: 0",
            "give a whole number",
        ] {
            assert!(drawn.contains(expected), "{expected} is missing in {drawn}");
        }
        assert!(!drawn.contains('\u{1b}'), "{drawn}");
    }

    #[test]
    fn an_offset_behind_the_end_is_harmless() {
        let far = ConfigProblem { offset: 9_999, span: 50, ..found() };
        assert!(draw(&from_wire(&[far]), "f", "a: 1\n", false).contains("must be at least 1"));
    }

    #[test]
    fn the_summary_counts_the_rest() {
        let warning = ConfigProblem { warning: true, ..found() };
        let text = summary(&[found(), warning, found()]);
        assert_eq!(text, "searcher.max_trials: must be at least 1 (and 1 more)");
    }
}
