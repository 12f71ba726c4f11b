//! What an attempt finds when it starts: its model, its packages.

use super::support::{Bench, attempt, names};
use toprung_proto::v1::{self, ExitCause};

#[tokio::test(flavor = "multi_thread")]
async fn requirements_that_cannot_be_installed_say_why() {
    let mut bench = Bench::start().await;
    let mut order = bench.python("print('never')");
    order.run.as_mut().unwrap().requirements = vec!["/nonexistent/pkg".to_owned()];
    bench.begin(order.clone()).await;
    let (exit, ..) = bench.exit().await;
    assert_eq!(exit.cause(), ExitCause::Environment);
    assert!(exit.message.contains("/nonexistent/pkg"), "{exit:?}");
    let lines = bench.log.len();
    order.attempt = Some(v1::AttemptId { attempt: 2, ..attempt() });
    bench.begin(order).await;
    let (again, ..) = bench.exit().await;
    assert_eq!(again.message, exit.message);
    assert!(!bench.log[lines..].iter().any(|line| line.contains("creating")), "not built again");
}

const SETUP: &str = "echo setting up; echo mark=$TOPRUNG_PROCESS_OF; which python";

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_set_up_once() {
    let mut bench = Bench::start().await;
    for number in 1..=2 {
        let mut order = bench.python("import sys; print('prefix', sys.prefix)");
        order.attempt = Some(v1::AttemptId { attempt: number, ..attempt() });
        order.run.as_mut().unwrap().setup = SETUP.to_owned();
        bench.begin(order).await;
        let (exit, ..) = bench.exit().await;
        assert_eq!(exit.cause(), ExitCause::Success, "{exit:?}");
    }
    bench.until(|bench| bench.log.iter().filter(|line| line.starts_with("prefix ")).count() == 2).await;
    let times = |bench: &Bench| bench.log.iter().filter(|line| *line == "setting up").count();
    assert_eq!(times(&bench), 1);
    let prefix = bench.log.iter().find_map(|line| line.strip_prefix("prefix ")).unwrap();
    assert!(prefix.contains("/environments/"), "{prefix}");
    // By this an agent that died in between is told whose the process was.
    let [instance] = names(&bench.path("groups")).try_into().unwrap();
    assert!(bench.log.contains(&format!("mark={instance}/environment")), "{:?}", bench.log);
    // A build that was cut off lacks its marker; it is removed and built again.
    let prefix = std::path::PathBuf::from(prefix);
    std::fs::rename(prefix.join(".complete"), prefix.join("junk")).unwrap();
    let mut order = bench.python("print('third')");
    order.attempt = Some(v1::AttemptId { attempt: 3, ..attempt() });
    order.run.as_mut().unwrap().setup = SETUP.to_owned();
    bench.begin(order).await;
    bench.line("third").await;
    assert_eq!(times(&bench), 2);
    assert!(prefix.join(".complete").is_file() && !prefix.join("junk").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_with_another_hash_is_refused() {
    let mut bench = Bench::start().await;
    let mut order = bench.python("");
    order.model_sha256 = "0".repeat(64);
    bench.begin(order).await;
    let (exit, ..) = bench.exit().await;
    assert_eq!(exit.cause(), ExitCause::Environment);
    assert!(exit.message.contains("no such model"), "{exit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_package_can_be_imported() {
    let mut bench = Bench::start().await;
    let order = bench.python("import toprung; print('imported', toprung.__name__)");
    bench.begin(order).await;
    bench.line("imported toprung").await;
}
