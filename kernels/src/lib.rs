//! Reductions on CUDA, with a CPU twin of the same contract.
