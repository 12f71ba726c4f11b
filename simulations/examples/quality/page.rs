//! The page: everything in words and tables, as Markdown.

use crate::contestants::Contestant;
use crate::play::Played;
use crate::tasks::Ground;
use crate::{caution, losses, namesakes, standings};
use std::fmt::Write as _;

/// What the page is about.
pub struct Scene<'a> {
    /// The tasks.
    pub grounds: &'a [Ground],
    /// The searchers.
    pub contestants: &'a [Contestant],
    /// Their runs.
    pub played: &'a Played,
}

impl Scene<'_> {
    /// A searcher's name.
    pub fn label(&self, searcher: usize) -> &'static str {
        self.contestants[searcher].label
    }

    /// The place of a searcher, if it takes part.
    pub fn searcher(&self, label: &str) -> Option<usize> {
        self.contestants.iter().position(|contestant| contestant.label == label)
    }

    /// The place of a task.
    pub fn task(&self, name: &str) -> Option<usize> {
        self.grounds.iter().position(|ground| ground.task.name() == name)
    }

    /// The places of the recorded tasks, or of those that were made.
    pub fn recorded(&self, recorded: bool) -> Vec<usize> {
        (0..self.grounds.len()).filter(|&task| self.grounds[task].recorded == recorded).collect()
    }

    /// The budget of a task in its time.
    pub fn budget(&self, task: usize) -> f64 {
        toprung_simulations::Protocol::default().budget(&*self.grounds[task].task)
    }
}

/// The whole page. The same runs give the same text.
pub fn page(scene: &Scene<'_>) -> String {
    [head(scene), short(scene), ranks(scene), duels(scene), beside(scene), cautious(scene), lost(scene)]
        .into_iter()
        .chain([medians(scene), limits(scene), setup(scene)])
        .collect()
}

fn head(scene: &Scene<'_>) -> String {
    let seeds = scene.played.seeds;
    let few = if seeds < 30 {
        format!("\n**A look, not a result: only {seeds} seeds of the 30 of the protocol.**\n")
    } else {
        String::new()
    };
    format!(
        "# How good the searchers are\n\nMade by one command; do not edit.\n\n```\ncargo run --release -p toprung-simulations \
         --example quality -- --seeds {seeds} --out docs/searcher-quality.md\n```\n{few}\nEvery searcher plays by the protocol of \
         the benchmark tables (their README): 8 workers with one trial each, a budget T of four trainings in full for each \
         worker (32 in all), divisor 3, minimum length 1 and maximum R, seeds 0 to {}. A trial's incumbent is the best value \
         reported so far by any trial at any length. Regret is normalised: 0 is the best of the task, 1 a median configuration \
         trained in full. The searchers are the types that the engine runs. Regrets do not depend on the machine or on its \
         load; the same command gives the same page.\n\n",
        seeds.saturating_sub(1)
    )
}

fn short(scene: &Scene<'_>) -> String {
    let taken = scene.label(losses::taken(scene));
    let why = if taken == "auto" {
        "It chooses method and model by itself, and is what the guide advises."
    } else {
        "It has the best mean rank over all tasks at T."
    };
    let picture =
        if taken == "auto" { "![Mean rank of auto as the budget grows](pictures/auto.svg)\n\n" } else { "" };
    format!(
        "## In short\n\n{taken} among {} searchers and baselines on {} recorded and {} made tasks. {why}\n\n{}\n{picture}",
        scene.contestants.len(),
        scene.recorded(true).len(),
        scene.recorded(false).len(),
        losses::goal(scene)
    )
}

fn ranks(scene: &Scene<'_>) -> String {
    let mut text = String::from(
        "## Mean ranks\n\nPer task and seed the searchers are ranked by regret, ties share the mean of their places, and ranks are \
         averaged over tasks and seeds; ± is the standard error over seeds. 1 would be the best. A rank depends on who else takes \
         part: several variants of one method close together push the others apart (and where modes of `adaptive_asha` come to the \
         rungs of plain ASHA, they share its rank).\n\n![Mean rank of the halving searchers as the budget \
         grows](pictures/halving.svg)\n\n",
    );
    for (words, recorded) in [("Recorded tasks", true), ("Made tasks", false)] {
        let _ = write!(text, "### {words}\n\n{}\n", standings::rank_table(scene, &scene.recorded(recorded)));
    }
    text
}

fn duels(scene: &Scene<'_>) -> String {
    let mut text = String::from(
        "## Paired tests\n\nThe best by mean rank against each other searcher, over pairs of the same task and seed: in how many it is \
         better / equal / worse, and the p value of Wilcoxon's signed-rank test, corrected by Holm for all tests of its column. The \
         test was chosen after the best was known, so a p value near 0.05 says little. Pairs on one task are not independent: they \
         share its table.\n\n",
    );
    for (words, recorded) in [("Recorded tasks", true), ("Made tasks", false)] {
        let _ = write!(text, "### {words}\n\n{}\n", standings::test_tables(scene, &scene.recorded(recorded)));
    }
    text
}

fn beside(scene: &Scene<'_>) -> String {
    format!(
        "## Beside their namesakes\n\nMedians of the normalised regret at T over seeds, with the quartiles of ours. The figures of \
         others are those of the README of the tables (30 seeds, the same protocol; the versions are given there: Optuna 5, Syne \
         Tune 0.13), not measured here. Syne Tune puts its rungs at 1, 3, 9, 27 and R, as `min_length: 1` does (the names with \
         `-1`). Its Hyperband is asynchronous, so two of ours stand beside it: the synchronous one of the paper, and the \
         brackets of `adaptive_asha`.\n\n{}\n",
        namesakes::table(scene)
    )
}

fn cautious(scene: &Scene<'_>) -> String {
    let mut text = String::from(
        "## The price of caution\n\n`adaptive_asha` runs several brackets, of which some cut later. Where early ranks can be trusted, \
         the later ones are wasted: that is the price. Here is each mode against plain ASHA by the same rule, with the \
         same rungs. *rank*: mean rank minus that of plain ASHA, negative where the mode is better. *time*: how many times as \
         long the mode takes to the best value that plain ASHA has at T/2, in the median over pairs. (`aggressive` has one bracket: \
         here it is plain ASHA but for its limit on trials at once.)\n\n",
    );
    for (words, recorded) in [("Recorded tasks", true), ("Made tasks", false)] {
        let _ = write!(text, "### {words}\n\n{}\n", caution::table(scene, &scene.recorded(recorded)));
    }
    let _ = write!(
        text,
        "### By task\n\n{}\nMedian regret minus that of plain ASHA, at T/4 / T: negative where caution pays.\n\n{}\n![Mean rank \
         of the modes](pictures/adaptive.svg)\n\n",
        caution::summary(scene),
        caution::by_task(scene)
    );
    text
}

fn lost(scene: &Scene<'_>) -> String {
    let taken = scene.label(losses::taken(scene));
    format!(
        "## Losses\n\n### Where {taken} is not the best\n\nBy the median regret, among all searchers:\n\n{}\n### Behind random \
         search\n\nIn the median at T, on these tasks:\n\n{}\n### Behind one epoch for all, and the best in full\n\nIn the median at \
         T, on these tasks:\n\n{}\n",
        losses::of_the_taken(scene),
        losses::to_baseline(scene, "random"),
        losses::to_baseline(scene, "one-epoch")
    )
}

fn medians(scene: &Scene<'_>) -> String {
    let mut text = String::from(
        "## Each task\n\nMedians of the normalised regret over seeds. The least of a column is bold.\n\n![Mean rank of those that \
         model](pictures/model-based.svg)\n\n",
    );
    for (task, ground) in scene.grounds.iter().enumerate() {
        let (name, table) = (ground.task.name(), standings::median_table(scene, task));
        let _ = write!(text, "### {name}\n\n{}.\n\n{table}\n", ground.words);
    }
    text
}

fn limits(_: &Scene<'_>) -> String {
    "## What these figures do not show\n\n\
     * **Tables have few rows.** A continuous configuration is answered by its nearest recorded row, so a model that \
     refines a good point gets the same row again, and a search that happens on the best row has regret 0. Models that \
     search finely gain less here than in a real search, and late differences are between a few rows.\n\
     * **The budget is small**: 32 trainings in full. What a method does with a thousand is not shown.\n\
     * **Nothing takes time but training.** Starting, saving and resuming are free here, which favours methods that pause \
     (promotion, synchronous halving). `toprung simulate` charges for them.\n\
     * **The best value reported counts, at any length.** On noisy tasks that rewards many reports, and regrets below 0 are \
     luck of noise; on all tasks it favours methods that see many configurations.\n\
     * **`pbt` is left out.** Its trials copy weights and train on with other hyperparameters. A recorded curve belongs to one \
     configuration from the start, so what a copy would have reached is not in any table.\n\
     * **`grid` and `single` are left out**: they do not search.\n\
     * **The full grid of `final_hpolib_naval` is left out**: it has no curves, so nothing can be cut.\n\
     * **Made tasks are smooth**: power laws around one optimum and Hartmann functions. They suit models, and they are ours.\n\
     * **Settings are those of the protocol** (divisor 3), not the defaults of a file (divisor 4). What `auto` does in rungs (its \
     divisor, who places how many of its trials) was chosen on the tasks of this page and six other made ones, with seeds 1000 \
     to 1059 and, of the recorded ones, those of this page; when it skips a rung, and how cautious TPE is below the greatest length, on the recorded tasks, on some of the seeds \
     of this page. So tasks that nobody has seen may rank them lower.\n\
     * **Ties are many** on easy tasks, where half of the searchers reach 0 by T: look at 25 % and 50 % too.\n\n"
        .to_owned()
}

fn setup(scene: &Scene<'_>) -> String {
    let mut text = String::from("## Who took part\n\n| searcher | settings |\n|---|---|\n");
    for contestant in scene.contestants {
        let _ = writeln!(text, "| {} | {} |", contestant.label, contestant.settings);
    }
    text += "\nR is the length of a training in full, d the divisor. `all` is `simulations/examples/quality/contestants.rs`: a new \
             searcher is added there.\n";
    text
}
