//! `resources`, `environment` and `checkpoint_storage`.

use super::{Field, POSITIVE, Section, Shape, at_least, cluster, field, idle, removed, small};

const NOT_LIMITED: &str = "a trial's use of the machine is not limited yet";

pub(crate) const RESOURCES: Section = Section {
    title: "`resources`",
    doc: "What a trial needs to run. A slot is one GPU, or on a machine without GPUs a share of its cores.",
    groups: &[&[
        field(
            "slots_per_trial",
            small(0),
            "1",
            "how many slots a trial holds; 0: no GPU is needed, and it counts as one CPU slot",
        ),
        field("max_slots", small(0), "", "how many slots the experiment may hold at once"),
        field(
            "priority",
            Shape::Int { min: 1, max: 99 },
            "42",
            "who comes first: the lower number; it also takes the slots of trials with a higher one, which save and go on later",
        ),
        field("weight", POSITIVE, "1", "the share of the slots among experiments of one priority"),
        field("resource_pool", Shape::Text, "", "the pool of machines to run on"),
        field(
            "is_single_node",
            Shape::Flag,
            "",
            "whether all slots of a trial are on one machine; here they always are",
        ),
        idle("cpus", POSITIVE, "", "how many cores a trial may use", NOT_LIMITED),
        idle(
            "memory",
            Shape::Either(&[at_least(1), Shape::Text]),
            "",
            "how much memory a trial may use, such as `8GiB`",
            NOT_LIMITED,
        ),
        cluster(
            "shm_size",
            Shape::Either(&[at_least(1), Shape::Text]),
            "",
            "the size of `/dev/shm` in the container, such as `4GiB`",
        ),
        cluster(
            "devices",
            Shape::List(&Shape::Section(&DEVICE)),
            "[]",
            "devices of the machine in the container",
        ),
        removed("agent_label", "it is ignored: use `resource_pool`"),
        removed("native_parallel", "it is ignored"),
    ]],
    strangers: &[
        ("slots", "did you mean `slots_per_trial`?"),
        ("gpus", "did you mean `slots_per_trial`?"),
        ("max_concurrent_trials", "it belongs under `searcher`"),
    ],
};

pub(crate) const DEVICE: Section = Section {
    title: "a device",
    doc: "A device of the machine that is seen in the container.",
    groups: &[&[
        super::required("host_path", Shape::Text, "an absolute path on the machine"),
        super::required("container_path", Shape::Text, "a path in the container"),
        field("mode", Shape::Text, "\"mrw\"", "what is allowed: letters of `mrw`"),
    ]],
    strangers: &[],
};

const WORDS: Shape = Shape::Either(&[Shape::Text, Shape::List(&Shape::Text)]);

pub(crate) const ENVIRONMENT: Section = Section {
    title: "`environment`",
    doc: "What a trial finds when it runs.",
    groups: &[ENVIRONMENT_HERE, ENVIRONMENT_CLUSTER],
    strangers: &[
        ("variables", "did you mean `environment_variables`?"),
        ("env", "did you mean `environment_variables`?"),
    ],
};

const ENVIRONMENT_HERE: &[Field] = &[
    field(
        "environment_variables",
        Shape::Either(&[Shape::List(&Shape::Text), Shape::Section(&BY_DEVICE_LISTS)]),
        "[]",
        "a list of `NAME=value`, or one for each kind of slot",
    ),
    field(
        "requirements",
        WORDS,
        "[]",
        "the Python packages of the trial: a requirements file, or a list of its lines",
    ),
    field(
        "python",
        Shape::Text,
        "",
        "the Python to run it with: a version such as `3.12`, or the path of an interpreter",
    ),
    field(
        "setup",
        Shape::Text,
        "",
        "a shell script that is run once for each environment, before its first trial",
    ),
];

const ENVIRONMENT_CLUSTER: &[Field] = &[
    cluster(
        "image",
        Shape::Either(&[Shape::Text, Shape::Section(&BY_DEVICE)]),
        "",
        "the image of the container, or one for each kind of slot",
    ),
    cluster("pod_spec", Shape::MapOf(&Shape::Anything), "", "what is merged into the pod"),
    cluster(
        "proxy_ports",
        Shape::List(&Shape::MapOf(&Shape::Anything)),
        "[]",
        "ports that can be reached from outside",
    ),
    cluster("ports", Shape::MapOf(&Shape::Anything), "{}", "ports that are opened, by name"),
    cluster("force_pull_image", Shape::Flag, "false", "whether the image is fetched even if it is there"),
    cluster(
        "registry_auth",
        Shape::MapOf(&Shape::Anything),
        "",
        "the account at the image registry; masked in every answer",
    ),
    cluster(
        "add_capabilities",
        Shape::List(&Shape::Text),
        "[]",
        "Linux capabilities that the container gains",
    ),
    cluster(
        "drop_capabilities",
        Shape::List(&Shape::Text),
        "[]",
        "Linux capabilities that the container loses",
    ),
    removed("slurm", "it is ignored: there is no Slurm launcher"),
    removed("pbs", "it is ignored: there is no PBS launcher"),
];

/// A text for each kind of slot.
pub(crate) const BY_DEVICE: Section = Section {
    title: "a map by kind of slot",
    doc: "A value for each kind of slot; `gpu` is an older name of `cuda`.",
    groups: &[&[
        field("cpu", Shape::Text, "", "for CPU slots"),
        field("cuda", Shape::Text, "", "for NVIDIA GPUs"),
        field("gpu", Shape::Text, "", "the same as `cuda`"),
        field("rocm", Shape::Text, "", "for AMD GPUs"),
    ]],
    strangers: &[],
};

/// A list of texts for each kind of slot.
pub(crate) const BY_DEVICE_LISTS: Section = Section {
    title: "a map by kind of slot",
    doc: "A list for each kind of slot; `gpu` is an older name of `cuda`.",
    groups: &[&[
        field("cpu", Shape::List(&Shape::Text), "[]", "for CPU slots"),
        field("cuda", Shape::List(&Shape::Text), "[]", "for NVIDIA GPUs"),
        field("gpu", Shape::List(&Shape::Text), "[]", "the same as `cuda`"),
        field("rocm", Shape::List(&Shape::Text), "[]", "for AMD GPUs"),
    ]],
    strangers: &[],
};

/// The names of storage types.
pub(crate) const STORAGE_TYPES: &[&str] = &["shared_fs", "directory", "s3", "gcs", "azure"];

pub(crate) const CHECKPOINT_STORAGE: Section = Section {
    title: "`checkpoint_storage`",
    doc: "Where checkpoints are kept, and how many. What is not among the best or latest is deleted when the experiment ends.",
    groups: &[STORAGE_PLACE, STORAGE_KEPT],
    strangers: &[],
};

const STORAGE_PLACE: &[Field] = &[
    field(
        "type",
        Shape::Choice(STORAGE_TYPES),
        "",
        "the kind of storage; a directory beside the store if there is none. With the object stores `s3`, `gcs` and `azure` every agent reads what any agent has saved",
    ),
    field("host_path", Shape::Text, "", "with `shared_fs`: an absolute path that every machine sees"),
    field("storage_path", Shape::Text, "", "with `shared_fs`: a directory below `host_path`"),
    field("container_path", Shape::Text, "", "with `directory`: an absolute path"),
    idle(
        "propagation",
        Shape::Text,
        "",
        "with `shared_fs`: how mounts below it are seen in a container",
        "there is no container",
    ),
    removed("checkpoint_path", "it is ignored: use `storage_path`"),
    removed("tensorboard_path", "it is ignored: metrics are kept in the store"),
    field("bucket", Shape::Text, "", "with `s3` and `gcs`: the bucket"),
    field("prefix", Shape::Text, "", "with `s3` and `gcs`: what every name begins with"),
    field(
        "endpoint_url",
        Shape::Text,
        "",
        "with `s3`: another server than Amazon's, such as `http://minio:9000`",
    ),
    field(
        "access_key",
        Shape::Text,
        "",
        "with `s3`: the account, with `secret_key`; better in the agents' environment (`AWS_ACCESS_KEY_ID`); masked in every answer",
    ),
    field(
        "secret_key",
        Shape::Text,
        "",
        "with `s3`: its secret; better in the agents' environment (`AWS_SECRET_ACCESS_KEY`); masked in every answer",
    ),
    field("container", Shape::Text, "", "with `azure`: the container"),
    field(
        "connection_string",
        Shape::Text,
        "",
        "with `azure`: the account and its secret; better in the agents' environment; masked in every answer",
    ),
    field(
        "account_url",
        Shape::Text,
        "",
        "with `azure`: the account, such as `https://NAME.blob.core.windows.net`",
    ),
    field(
        "credential",
        Shape::Text,
        "",
        "with `azure`: the account's key or a shared access signature; better in the agents' environment (`AZURE_STORAGE_ACCOUNT_KEY`); masked in every answer",
    ),
];

const STORAGE_KEPT: &[Field] = &[
    field("save_experiment_best", small(0), "0", "how many of the experiment's best checkpoints are kept"),
    field("save_trial_best", small(0), "1", "how many of each trial's best checkpoints are kept"),
    field("save_trial_latest", small(0), "1", "how many of each trial's latest checkpoints are kept"),
    field(
        "max_size",
        Shape::Either(&[at_least(1), Shape::Text]),
        "",
        "how many bytes all checkpoints of the experiment may take, such as `20 GiB`; when they take more, what nothing keeps is removed at once, and if that is not enough the experiment pauses",
    ),
];
