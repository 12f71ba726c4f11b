//! The top level of the file and its small sections.

use super::surroundings::{CHECKPOINT_STORAGE, ENVIRONMENT, RESOURCES};
use super::{
    Field, LARGEST, Section, Shape, at_least, cluster, field, idle, not_yet, removed, required, small,
};

const TRIAL_CLASS: &str =
    "it belongs to Trial classes; a script decides by itself when it validates and saves";

/// The whole file.
pub(crate) const EXPERIMENT: Section = Section {
    title: "the experiment",
    doc: "One YAML file describes a search.",
    groups: &[NAMES, WORK, SECTIONS, RULES, OLD],
    strangers: &[
        ("metric", "it belongs under `searcher`"),
        ("smaller_is_better", "it belongs under `searcher`"),
        ("max_trials", "it belongs under `searcher`"),
        ("max_length", "it belongs under `searcher`"),
        ("slots_per_trial", "it belongs under `resources`"),
        ("max_slots", "it belongs under `resources`"),
        ("priority", "it belongs under `resources`"),
        ("requirements", "it belongs under `environment`"),
        ("experiment_seed", "it belongs under `reproducibility`"),
        ("hyperparameter", "did you mean `hyperparameters`?"),
        ("hparams", "did you mean `hyperparameters`?"),
    ],
};

const NAMES: &[Field] = &[
    field("name", Shape::Text, "", "the experiment's name; a readable one is made up if there is none"),
    field("description", Shape::Text, "\"\"", "what the experiment is about"),
    field(
        "labels",
        Shape::Either(&[Shape::List(&Shape::Text), Shape::MapOf(&Shape::Anything)]),
        "[]",
        "words to find the experiment by; of a map the keys count",
    ),
    field("project", Shape::Text, "", "the project it belongs to; needs `workspace`"),
    field("workspace", Shape::Text, "", "the workspace of the project; needs `project`"),
];

const WORK: &[Field] = &[
    required(
        "entrypoint",
        Shape::Named("entrypoint"),
        "the command of a trial: a line for the shell, or a list of arguments; `{learning_rate}` stands for a hyperparameter; `external`: programs outside ask for trials",
    ),
    field("hyperparameters", Shape::Named("hyperparameters"), "{}", "what is searched, and constants"),
    required(
        "searcher",
        Shape::Named("searcher"),
        "the method that decides which trials exist and how long they train",
    ),
    field(
        "constraints",
        Shape::List(&Shape::Text),
        "[]",
        "relations that the hyperparameters of every trial satisfy, such as `hidden1 >= hidden2`",
    ),
];

/// `entrypoint` as a map.
pub(crate) const EXTERNAL_ENTRYPOINT: Section = Section {
    title: "`entrypoint`",
    doc: "Who runs the trials, if no agent does.",
    groups: &[&[Field {
        name: "external",
        shape: Shape::Section(&EXTERNAL),
        default: "{}",
        doc: "programs outside ask for trials and tell what came of them (`toprung ask`, `toprung tell`, `toprung.Search`)",
        status: super::Status::Required,
    }]],
    strangers: &[("command", "a command stands directly under `entrypoint`")],
};

/// `entrypoint.external`.
pub(crate) const EXTERNAL: Section = Section {
    title: "`entrypoint.external`",
    doc: "How programs outside run the trials.",
    groups: &[&[field(
        "lease",
        Shape::Int { min: 1, max: 604_800 },
        "600",
        "seconds of silence after which a trial is taken from its program and handed to another",
    )]],
    strangers: &[],
};

const SECTIONS: &[Field] = &[
    field("resources", Shape::Section(&RESOURCES), "{}", "what a trial needs to run"),
    field("environment", Shape::Section(&ENVIRONMENT), "{}", "what a trial finds when it runs"),
    field(
        "checkpoint_storage",
        Shape::Section(&CHECKPOINT_STORAGE),
        "{}",
        "where checkpoints are kept, and how many",
    ),
    field(
        "metrics",
        Shape::Section(&METRICS),
        "{}",
        "how the metrics of a script that does not use the SDK are found",
    ),
    field(
        "data",
        Shape::MapOf(&Shape::Anything),
        "{}",
        "any map, handed to the trial as JSON; what is under `data.secrets` is masked in every answer",
    ),
];

const RULES: &[Field] = &[
    idle(
        "checkpoint_policy",
        Shape::Choice(&["best", "all", "none"]),
        "\"best\"",
        "after which validations a Trial class saves a checkpoint",
        TRIAL_CLASS,
    ),
    idle(
        "min_validation_period",
        Shape::Length { least: 0 },
        "{\"batches\": 0}",
        "how often a trial validates at least",
        TRIAL_CLASS,
    ),
    idle(
        "min_checkpoint_period",
        Shape::Length { least: 0 },
        "{\"batches\": 0}",
        "how often a trial saves a checkpoint at least",
        TRIAL_CLASS,
    ),
    idle(
        "scheduling_unit",
        at_least(1),
        "100",
        "how many batches a trial runs between two reports",
        TRIAL_CLASS,
    ),
    field(
        "records_per_epoch",
        at_least(0),
        "0",
        "how many records an epoch has; needed to compare epochs with batches",
    ),
    idle(
        "perform_initial_validation",
        Shape::Flag,
        "false",
        "whether a trial validates before it trains",
        TRIAL_CLASS,
    ),
    field(
        "max_restarts",
        small(0),
        "5",
        "how often a trial that failed by its own fault is tried again from its last checkpoint",
    ),
    field(
        "reproducibility",
        Shape::Section(&REPRODUCIBILITY),
        "{}",
        "what makes a second run of the experiment draw the same hyperparameters",
    ),
    field("profiling", Shape::Section(&PROFILING), "{}", "what is measured while a trial runs"),
    cluster(
        "bind_mounts",
        Shape::List(&Shape::Section(&BIND_MOUNT)),
        "[]",
        "directories of the machine in the container",
    ),
    field(
        "log_policies",
        Shape::List(&Shape::Section(&LOG_POLICY)),
        "[{\"name\": \"CUDA OOM\", \"pattern\": \".*CUDA out of memory.*\"}, \
          {\"name\": \"ECC Error\", \"pattern\": \".*uncorrectable ECC error encountered.*\", \
          \"action\": \"exclude_node\"}]",
        "what a line in a trial's log means; the defaults stay unless their name is used",
    ),
    field("retention_policy", Shape::Section(&RETENTION), "{}", "how long logs are kept"),
    field(
        "preemption_timeout",
        small(1),
        "3600",
        "the seconds from the signal that asks a trial to save and leave, to the kill",
    ),
    field("debug", Shape::Flag, "false", "whether a trial's own machinery logs more"),
];

const OLD: &[Field] = &[
    removed("data_layer", "it is ignored: the script reads its data itself"),
    removed("internal", "it is ignored"),
    removed("security", "it is ignored: encryption is set up with the server"),
    removed("tensorboard_storage", "it is ignored: metrics are kept in the store"),
    removed("optimizations", "it is ignored: they are the script's own matter"),
    removed("source", "it is ignored"),
    removed("template", "it is ignored: give the template with `--template`"),
    removed("batches_per_step", "it is ignored; lengths are counted in batches"),
    removed("integrations", "it is ignored"),
    removed("slurm", "it is ignored: there is no Slurm launcher"),
    removed("pbs", "it is ignored: there is no PBS launcher"),
];

pub(crate) const REPRODUCIBILITY: Section = Section {
    title: "`reproducibility`",
    doc: "What makes a second run of the experiment draw the same hyperparameters.",
    groups: &[&[field(
        "experiment_seed",
        Shape::Int { min: 0, max: 2_147_483_647 },
        "",
        "the seed of all draws; drawn and stored if there is none",
    )]],
    strangers: &[],
};

const NO_PROFILER: &str = "nothing is profiled yet";

pub(crate) const PROFILING: Section = Section {
    title: "`profiling`",
    doc: "What is measured while a trial runs. Kept, without effect in this version.",
    groups: &[&[
        field("enabled", Shape::Flag, "false", "whether anything is measured"),
        field("begin_on_batch", at_least(0), "0", "the first batch that is measured"),
        field("end_after_batch", at_least(0), "", "the last batch that is measured"),
        field("sync_timings", Shape::Flag, "true", "whether a timing waits for the GPU"),
        idle("system_metrics", Shape::Anything, "", "an option of older releases", NO_PROFILER),
    ]],
    strangers: &[],
};

pub(crate) const BIND_MOUNT: Section = Section {
    title: "a bind mount",
    doc: "A directory of the machine that is seen in the container.",
    groups: &[&[
        required("host_path", Shape::Text, "an absolute path on the machine"),
        required("container_path", Shape::Text, "a path in the container"),
        field("read_only", Shape::Flag, "false", "whether the trial may only read it"),
        field(
            "propagation",
            Shape::Choice(&["rprivate", "private", "rshared", "shared", "rslave", "slave"]),
            "\"rprivate\"",
            "how mounts below it are seen",
        ),
    ]],
    strangers: &[],
};

pub(crate) const LOG_POLICY: Section = Section {
    title: "a log policy",
    doc: "What a line in a trial's log means. Without a pattern, a default policy of this name is switched off.",
    groups: &[&[
        field(
            "name",
            Shape::Text,
            "",
            "what the policy is called; shown beside the trial when a line matched",
        ),
        field("pattern", Shape::Text, "", "a regular expression that a line must match"),
        field(
            "action",
            Shape::Named("log_action"),
            "",
            "what happens: `cancel_retries` lets a failed trial end at once, `exclude_node` does not run it on that machine again while another one is there",
        ),
    ]],
    strangers: &[],
};

pub(crate) const LOG_ACTION: Section = Section {
    title: "a log action",
    doc: "The longer way to write an action.",
    groups: &[&[required("type", Shape::Choice(&["cancel_retries", "exclude_node"]), "the action")]],
    strangers: &[],
};

pub(crate) const RETENTION: Section = Section {
    title: "`retention_policy`",
    doc: "How long logs are kept.",
    groups: &[&[field(
        "log_retention_days",
        Shape::Int { min: -1, max: 32_767 },
        "-1",
        "how many days logs are kept after the end; -1: for ever",
    )]],
    strangers: &[],
};

pub(crate) const METRICS: Section = Section {
    title: "`metrics`",
    doc: "How the metrics of a script that does not use the SDK are found.",
    groups: &[&[
        field(
            "stdout",
            Shape::Either(&[Shape::Text, Shape::Flag]),
            "true",
            "whether printed `name=value` pairs are metrics, or a regular expression with the groups `name` and `value` that finds them",
        ),
        not_yet(
            "tensorboard",
            "the directory of TensorBoard files to read metrics from",
            "print the metrics, or use `file`",
        ),
        field("file", Shape::Text, "", "a file that the script appends JSON objects to, one in a line"),
    ]],
    strangers: &[],
};

const _: () = assert!(LARGEST < 1 << 53, "a double must hold every count");
