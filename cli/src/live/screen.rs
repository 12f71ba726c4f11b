//! The live screen: a view of the experiment drawn into a buffer. Pure; sizes from 20×6 up.
//!
//! What does not fit is left out from the bottom of this list: header, trials, slots, best, footer, the active
//! trials, the rungs, the curve, the last events.

use super::{curve, ladder};
use crate::output::{experiment, format};
use crate::waiting;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget};
use toprung_proto::v1;
use v1::{ExperimentState as State, TrialState};

/// How many events are kept for the screen.
pub(crate) const EVENTS: usize = 3;

/// Everything the screen shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Screen {
    /// The last view of the server.
    pub view: v1::WatchExperimentResponse,
    /// The last events, oldest first.
    pub events: Vec<String>,
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// What Ctrl-C does, or what is going on because of it.
    pub footer: String,
    /// Colours may be used.
    pub colour: bool,
}

impl Screen {
    /// Draws everything into the whole of `buffer`'s area `area`.
    pub(crate) fn draw(&self, area: Rect, buffer: &mut Buffer) {
        let heights = self.heights(area);
        let [head, middle, active, events, foot] = Layout::vertical(heights).areas(area);
        Paragraph::new(self.head(area.width)).render(head, buffer);
        self.draw_middle(middle, buffer);
        Paragraph::new(self.active(active)).render(active, buffer);
        Paragraph::new(self.event_lines(events)).render(events, buffer);
        let footer = format::cut(&self.footer, usize::from(area.width));
        Paragraph::new(Line::from(footer).dim()).render(foot, buffer);
    }

    /// Rows of head, middle, active trials, events and footer.
    fn heights(&self, area: Rect) -> [Constraint; 5] {
        let head = 5.min(area.height.saturating_sub(1));
        let mut left = area.height.saturating_sub(head + 1);
        let active = (self.view.active.len() as u16 + 1).clamp(2, left.max(2)).min(left);
        let reached = self.view.rungs.iter().filter(|rung| rung.trials > 0).count();
        let all = self.view.rungs.len();
        let rungs = if all + 1 > usize::from(left.saturating_sub(active)) { reached } else { all };
        let rungs = rungs.max(if self.view.best_curve.is_empty() { 0 } else { 5 });
        // The rungs take what the active trials leave, and up to two thirds even if those need more.
        let middle = (rungs as u16 + 1).min(left.saturating_sub(active).max(left * 2 / 3));
        let middle = if rungs == 0 || middle < 3 { 0 } else { middle };
        left -= middle;
        let active = active.min(left);
        left -= active;
        let events = (self.events.len() as u16).min(left);
        [head, middle, active, events, 1].map(Constraint::Length)
    }

    fn paint(&self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn head(&self, width: u16) -> Vec<Line<'static>> {
        let nothing = v1::Experiment::default();
        let shown = self.view.experiment.as_ref().unwrap_or(&nothing);
        let mut lines = vec![self.title(shown), self.trials_line(shown), self.slots_line(shown, width)];
        lines.extend(self.best_lines(shown));
        lines
    }

    fn title(&self, shown: &v1::Experiment) -> Line<'static> {
        let state = format::experiment_state(shown.state);
        let shade = match shown.state() {
            State::Active => Color::Green,
            State::Error | State::Killed | State::Killing => Color::Red,
            State::Pausing | State::Paused => Color::Yellow,
            _ => Color::Cyan,
        };
        let passed = format::between(shown.created_unix_ms, shown.ended_unix_ms, self.now_ms);
        let left = match self.view.expected_seconds_left {
            0 => String::new(),
            seconds => format!(" · about {} left", format::coarse_ms(seconds * 1000)),
        };
        let rest = format!(" · {} · {}{left}", shown.searcher, format::duration_ms(passed));
        Line::from(vec![
            Span::styled(format::printable(&shown.name), Style::new().add_modifier(Modifier::BOLD)),
            Span::from(format!("  experiment {} · ", shown.id)),
            Span::styled(state, self.paint(shade)),
            Span::from(rest),
        ])
    }

    fn trials_line(&self, shown: &v1::Experiment) -> Line<'static> {
        let trials = shown.trials.unwrap_or_default();
        Line::from(vec![
            Span::from("trials  ").dim(),
            Span::from(format!("{}: {}", trials.total, experiment::counts(&trials))),
        ])
    }

    fn slots_line(&self, shown: &v1::Experiment, width: u16) -> Line<'static> {
        let (used, total) = (u64::from(shown.slots_in_use), u64::from(self.view.slots_total));
        let cells = usize::from(width / 4).min(20);
        let full = if total == 0 { 0 } else { (used as usize * cells).div_ceil(total as usize).min(cells) };
        let words = if total == 0 { " no agent yet".to_owned() } else { format!(" {used} of {total}") };
        let rest = match waiting::line(&self.view) {
            Some(line) => Span::styled(format!(" · {line}"), self.paint(Color::Yellow)),
            None => {
                let spent = format::spent(shown.total_length, shown.full_length, &shown.time_metric);
                Span::from(format!(" · trained {spent}")).dim()
            }
        };
        Line::from(vec![
            Span::from("slots   ").dim(),
            Span::styled("█".repeat(full), self.paint(Color::Cyan)),
            Span::from("░".repeat(cells - full)).dim(),
            Span::from(words),
            rest,
        ])
    }

    fn best_lines(&self, shown: &v1::Experiment) -> Vec<Line<'static>> {
        let label = Span::from("best    ").dim();
        let Some(best) = &shown.best else {
            let none = Span::from("no validation yet").dim();
            return vec![Line::from(vec![label, none]), Line::default()];
        };
        let value = format!("{} {}", shown.metric, format::metric(best.metric));
        let place = format!(" at {} {} · trial {}", best.length, shown.time_metric, best.trial);
        let hparams = format::printable(&format::hyperparameters(&best.hparams_json));
        vec![
            Line::from(vec![
                label,
                Span::styled(value, self.paint(Color::Green).add_modifier(Modifier::BOLD)),
                Span::from(place),
            ]),
            Line::from(format!("        {hparams}")).dim(),
        ]
    }

    /// The rungs, and the curve of the best trial beside them where there is room.
    fn draw_middle(&self, area: Rect, buffer: &mut Buffer) {
        if area.height == 0 {
            return;
        }
        let with_curve = area.width >= 70 && self.view.best_curve.len() > 1;
        let widths = if with_curve && !self.view.rungs.is_empty() {
            [Constraint::Percentage(60), Constraint::Percentage(40)]
        } else if with_curve {
            [Constraint::Length(0), Constraint::Fill(1)]
        } else {
            [Constraint::Fill(1), Constraint::Length(0)]
        };
        let [left, right] = Layout::horizontal(widths).areas(area);
        if left.width > 0 && !self.view.rungs.is_empty() {
            Paragraph::new(self.rung_lines(left)).render(left, buffer);
        }
        if right.width > 0 {
            let [title, chart] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(right);
            Paragraph::new(Line::from(self.curve_title(title.width)).dim()).render(title, buffer);
            curve::draw(&self.view.best_curve, chart, buffer, self.paint(Color::Green));
        }
    }

    fn curve_title(&self, width: u16) -> String {
        let Some(shown) = &self.view.experiment else { return String::new() };
        let trial = shown.best.as_ref().map_or(0, |best| best.trial);
        format::cut(&format!("trial {trial}: {}", shown.metric), usize::from(width))
    }

    fn rung_lines(&self, area: Rect) -> Vec<Line<'static>> {
        let unit = self.view.experiment.as_ref().map_or("", |shown| shown.time_metric.as_str());
        let mut lines = vec![Line::from(format!("rungs ({unit}): trials → promoted")).dim()];
        let room = usize::from(area.height);
        let mut rungs = self.view.rungs.clone();
        if rungs.len() >= room {
            // Rungs that nobody has reached can wait.
            rungs.retain(|rung| rung.trials > 0);
        }
        lines.extend(ladder::lines(&rungs, area.width, self.colour));
        if lines.len() > room && room > 1 {
            let hidden = lines.len() - room + 1;
            lines.truncate(room - 1);
            lines.push(Line::from(format!("… {hidden} more")).dim());
        }
        lines
    }

    fn active(&self, area: Rect) -> Vec<Line<'static>> {
        let room = usize::from(area.height);
        if room < 2 {
            return vec![];
        }
        let mut lines = vec![Line::from("trial  state     length      metric    why").dim()];
        if self.view.active.is_empty() {
            lines.push(Line::from("  none at work").dim());
        }
        let mut ordered: Vec<&v1::Trial> = self.view.active.iter().collect();
        ordered.sort_by_key(|trial| (trial.state() == TrialState::Pending, trial.id));
        let fitting = if ordered.len() < room { ordered.len() } else { room.saturating_sub(2) };
        let hidden = ordered.len() - fitting;
        lines.extend(ordered.iter().take(fitting).map(|trial| self.trial_line(trial, area.width)));
        if hidden > 0 {
            lines.push(Line::from(format!("       … {hidden} more")).dim());
        }
        lines
    }

    fn trial_line(&self, trial: &v1::Trial, width: u16) -> Line<'static> {
        let shade = match trial.state() {
            TrialState::Running => Color::Green,
            TrialState::Starting => Color::Cyan,
            TrialState::Stopping => Color::Yellow,
            _ => Color::Gray,
        };
        let state = format::trial_state(trial.state);
        let length = format!("{}/{}", trial.length, trial.train_until);
        let metric = format::optional_metric(trial.latest_metric);
        let taken = 7 + 10 + 12 + 10;
        let why = format::cut(&format::printable(&trial.reason), usize::from(width).saturating_sub(taken));
        Line::from(vec![
            Span::from(format!("{:>5}  ", trial.id)),
            Span::styled(format!("{state:<9} "), self.paint(shade)),
            Span::from(format!("{length:<11} {metric:<9} ")),
            Span::from(why).dim(),
        ])
    }

    fn event_lines(&self, area: Rect) -> Vec<Line<'static>> {
        let skipped = self.events.len().saturating_sub(usize::from(area.height));
        let width = usize::from(area.width);
        let shown = self.events.iter().skip(skipped);
        shown.map(|event| Line::from(format::cut(&format!("· {event}"), width)).dim()).collect()
    }
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
