//! Attempts that fail: real processes that run out of memory, crash, or print what a log policy looks for.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::Bench;
use toprung_proto::v1::{self, ExitCause, LogPolicy, LogPolicyAction, attempt_event::Kind};

async fn exit_of(script: &str) -> v1::Exit {
    let mut bench = Bench::start().await;
    let order = bench.python(script);
    bench.begin(order).await;
    bench.exit().await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn python_without_memory_is_out_of_memory() {
    let script = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\nx = bytearray(4 << 30)\n";
    let exit = exit_of(script).await;
    assert_eq!(exit.cause(), ExitCause::OutOfMemory, "{exit:?}");
    assert!(
        exit.message.starts_with("out of memory on the node: MemoryError; use a smaller batch"),
        "{exit:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_ran_out_and_was_handled_is_not_the_cause_of_a_later_error() {
    let script = "
import resource, sys, traceback
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    x = bytearray(4 << 30)
except MemoryError:
    traceback.print_exc()
    print('torch.OutOfMemoryError: CUDA out of memory; a smaller batch', file=sys.stderr)
raise ValueError('no data')
";
    let exit = exit_of(script).await;
    assert_eq!(
        (exit.cause(), exit.message.as_str()),
        (ExitCause::Failed, "exit code 1: ValueError: no data")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_a_device_is_told_apart() {
    let script = "
class OutOfMemoryError(RuntimeError):
    pass
OutOfMemoryError.__module__ = 'torch'
raise OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1.00 GiB')
";
    let exit = exit_of(script).await;
    assert_eq!(exit.cause(), ExitCause::DeviceOutOfMemory, "{exit:?}");
    let expected =
        "out of GPU memory: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB";
    assert!(exit.message.starts_with(expected) && exit.message.contains("slots_per_trial"), "{exit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_are_named_by_their_signal() {
    let exit = exit_of("import os\nos.abort()\n").await;
    assert_eq!((exit.cause(), exit.signal), (ExitCause::Signal, 6));
    assert!(exit.message.starts_with("killed by signal 6 (SIGABRT): a native library gave up"), "{exit:?}");
    let exit = exit_of("import ctypes\nctypes.string_at(0)\n").await;
    assert_eq!((exit.cause(), exit.signal), (ExitCause::Signal, 11));
    assert!(exit.message.contains("PYTHONFAULTHANDLER=1"), "{exit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_that_the_system_did_not_count_is_a_signal() {
    let mut bench = Bench::start().await;
    let order = bench.shell("python3 -c 'import os; os.kill(os.getpid(), 9)'; exit $?");
    bench.begin(order).await;
    let exit = bench.exit().await.0;
    assert_eq!(exit.cause(), ExitCause::Signal, "{exit:?}");
    assert!(exit.message.contains("SIGKILL") && exit.message.contains("counted no kill"), "{exit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_policy_is_told_once_before_the_exit() {
    let mut bench = Bench::start().await;
    let mut order = bench.shell("for i in 1 2 3; do echo CUDA error: uncorrectable ECC error; done; exit 3");
    let (name, pattern) = ("ECC Error".to_owned(), ".*uncorrectable ECC error.*".to_owned());
    let action = LogPolicyAction::ExcludeNode.into();
    order.run.as_mut().unwrap().log_policies = vec![LogPolicy { name, pattern, action }];
    bench.begin(order).await;
    let mut matched = Vec::new();
    loop {
        match bench.event().await {
            Kind::PolicyMatched(found) => matched.push(found),
            Kind::Exit(exit) => {
                assert_eq!(exit.cause(), ExitCause::Failed);
                break;
            }
            _ => {}
        }
    }
    assert_eq!(matched.len(), 1, "{matched:?}");
    assert_eq!((matched[0].name.as_str(), matched[0].action()), ("ECC Error", LogPolicyAction::ExcludeNode));
    assert_eq!(matched[0].line, "CUDA error: uncorrectable ECC error");
}
