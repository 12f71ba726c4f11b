//! Readable names for experiments that were given none.

const QUALITIES: [&str; 32] = [
    "amber", "bold", "brisk", "calm", "clear", "crisp", "deep", "eager", "early", "fair", "fine", "gentle",
    "glad", "green", "keen", "kind", "light", "lively", "lucid", "mellow", "merry", "neat", "nimble",
    "plain", "proud", "quick", "quiet", "rapid", "ready", "sharp", "steady", "sunny",
];
const THINGS: [&str; 32] = [
    "alder", "badger", "beech", "birch", "brook", "cedar", "cliff", "comet", "coral", "crane", "delta",
    "dune", "falcon", "fern", "finch", "fjord", "grove", "harbor", "heron", "lark", "maple", "meadow",
    "moss", "otter", "pine", "raven", "reef", "ridge", "river", "robin", "summit", "willow",
];

/// A name from an experiment's seed and number.
pub fn made_up(seed: u32, id: u64) -> String {
    let quality = QUALITIES[seed as usize % QUALITIES.len()];
    let thing = THINGS[(seed as usize / QUALITIES.len()) % THINGS.len()];
    format!("{quality}-{thing}-{id}")
}
