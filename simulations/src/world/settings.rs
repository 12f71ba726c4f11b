//! What the simulated cluster is like, and when a search in it ends.

use crate::error::Error;

/// When trials report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reports {
    /// At every length.
    #[default]
    EveryLength,
    /// Only at the lengths they were told to train to.
    AtTargets,
}

/// What ends a search, if the searcher does not end it before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Virtual time in seconds; infinite: no limit. What ends after it does not count.
    pub time: f64,
    /// Length trained by all trials together; `u64::MAX`: no limit.
    pub length: u64,
    /// Cost of that length; infinite: no limit.
    pub cost: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: f64::INFINITY, length: u64::MAX, cost: f64::INFINITY }
    }
}

/// The simulated cluster. Times are in virtual seconds: the task's cost of a unit of length is taken as its seconds.
///
/// [`World::calm`] has no faults and no overheads; set what you want different.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct World {
    /// How many slots there are; a trial takes one. 1 to 16 777 216.
    pub slots: u32,
    /// How many slots a node has; the last node may have fewer. At least 1.
    pub slots_per_node: u32,
    /// What each attempt takes before it trains.
    pub start_time: f64,
    /// What an attempt that goes on from a checkpoint takes beside.
    pub resume_time: f64,
    /// What saving a checkpoint takes; the trial does not train meanwhile, and keeps its slot.
    pub checkpoint_time: f64,
    /// A checkpoint is saved at each multiple of this length; 0: only when a trial pauses.
    pub checkpoint_every: u32,
    /// Whether trials save checkpoints at all. If not, none can pause and resume, and an attempt that is lost begins again.
    pub saves: bool,
    /// How uneven attempts are: each is slower by a factor whose logarithm is normal with this deviation and mean 0.
    pub straggler: f64,
    /// The mean time after which an attempt fails (exponential); infinite: never.
    pub crash_every: f64,
    /// So many failures of a trial are retried, from its last checkpoint.
    pub max_restarts: u32,
    /// The mean time after which an attempt is preempted (exponential); infinite: never. Not charged as a failure.
    pub preempt_every: f64,
    /// How long the slot of a preempted attempt is taken away.
    pub preempted_for: f64,
    /// Whether a trial that is preempted may save a checkpoint of its last whole length before it goes.
    pub preempted_saves: bool,
    /// The mean time between two losses of a node (exponential, counted while it is there); infinite: never.
    pub node_loss_every: f64,
    /// How long a lost node is away.
    pub node_lost_for: f64,
    /// When trials report.
    pub reports: Reports,
    /// When a search ends.
    pub limits: Limits,
}

impl World {
    /// A cluster of so many slots in which nothing takes time but training, and nothing fails.
    pub fn calm(slots: u32) -> Self {
        Self {
            slots,
            slots_per_node: 8,
            start_time: 0.0,
            resume_time: 0.0,
            checkpoint_time: 0.0,
            checkpoint_every: 0,
            saves: true,
            straggler: 0.0,
            crash_every: f64::INFINITY,
            max_restarts: 3,
            preempt_every: f64::INFINITY,
            preempted_for: 0.0,
            preempted_saves: false,
            node_loss_every: f64::INFINITY,
            node_lost_for: 0.0,
            reports: Reports::EveryLength,
            limits: Limits::default(),
        }
    }

    /// Checks every setting; the first one out of range is the error.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |setting, found: String, allowed| Err(Error::Setting { setting, found, allowed });
        if !(1..=1 << 24).contains(&self.slots) {
            return wrong("slots", self.slots.to_string(), "1 to 16777216");
        }
        if self.slots_per_node == 0 {
            return wrong("slots_per_node", "0".to_owned(), "at least 1");
        }
        for (setting, time) in [
            ("start_time", self.start_time),
            ("resume_time", self.resume_time),
            ("checkpoint_time", self.checkpoint_time),
            ("straggler", self.straggler),
            ("preempted_for", self.preempted_for),
            ("node_lost_for", self.node_lost_for),
        ] {
            if !time.is_finite() || time < 0.0 {
                return wrong(setting, time.to_string(), "a finite number, at least 0");
            }
        }
        let means = [
            ("crash_every", self.crash_every),
            ("preempt_every", self.preempt_every),
            ("node_loss_every", self.node_loss_every),
            ("limits.time", self.limits.time),
            ("limits.cost", self.limits.cost),
        ];
        for (setting, mean) in means {
            if mean.is_nan() || mean <= 0.0 {
                return wrong(setting, mean.to_string(), "greater than 0, infinite for never");
            }
        }
        // What is not charged can be lost again and again.
        let lost_for_ever = self.preempt_every.is_finite() || self.node_loss_every.is_finite();
        if lost_for_ever && !self.limits.time.is_finite() {
            return wrong(
                "limits.time",
                "infinite".to_owned(),
                "finite when preempt_every or node_loss_every is",
            );
        }
        Ok(())
    }
}
