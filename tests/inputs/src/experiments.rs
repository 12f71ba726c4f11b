//! Experiment files, journals, and whole stores as text.

use crate::generated::{event, report, some};
use crate::words::{float, number, small, text, time};
use arbitrary::{Result, Unstructured};
use prost::Message as _;
use toprung_engine::experiment::directing::Checked;
use toprung_engine::experiment::{Machine, Spec, snapshot, view};
use toprung_engine::{load, retrace};
use toprung_proto::v1::{self, journal_record::Input};
use toprung_store::Store;

/// Experiment files of each searcher.
const FILES: [&str; 7] = [
    "entrypoint: python train.py\nhyperparameters:\n  rate: {type: log, minval: -4, maxval: -1}\n  n: {type: int, minval: 1, maxval: 9, count: 3}\nsearcher: {name: async_halving, metric: loss, max_trials: 9, num_rungs: 3, divisor: 3, max_length: {epochs: 9}}\nmax_restarts: 1\n",
    "name: a\nentrypoint: [python, train.py, '{rate}']\nhyperparameters: {rate: {type: double, minval: 0, maxval: 1}}\nsearcher: {name: adaptive_asha, metric: loss, max_trials: 9, max_length: {batches: 81}, mode: aggressive, max_concurrent_trials: 2}\n",
    "entrypoint: a\nhyperparameters: {x: {type: categorical, vals: [1, a, null, on, {y: 2}]}, g: {h: {type: const, val: 1}}}\nsearcher: {name: grid, metric: loss, max_length: 3, smaller_is_better: false}\n",
    "entrypoint: a\nhyperparameters: {x: 1}\nsearcher: {name: single, metric: loss, max_time: 4, time_metric: frames}\nrecords_per_epoch: 100\n",
    "entrypoint: a\nhyperparameters: {x: {type: int, minval: -3, maxval: 3}}\nsearcher: {name: random, metric: loss, max_trials: 5, max_length: {epochs: 2}}\nresources: {slots_per_trial: 2, max_slots: 4, weight: 2, priority: 7}\ncheckpoint_policy: all\n",
    "entrypoint: {external: {lease: 9}}\nhyperparameters: {x: {type: int, minval: -3, maxval: 3}}\nsearcher: {name: async_halving, metric: loss, max_trials: 5, num_rungs: 2, divisor: 2, time_metric: steps, max_time: 4}\nmax_restarts: 1\n",
    "entrypoint: a\nhyperparameters: {x: {type: int, minval: -3, maxval: 3}, y: {type: double, minval: 0, maxval: 1, condition: {x: 1}}}\nsearcher: {name: custom, metric: loss, max_length: {epochs: 4}, max_concurrent_trials: 2}\nmax_restarts: 1\n",
];

pub(crate) fn files() -> Vec<Vec<u8>> {
    FILES.iter().map(|file| file.as_bytes().to_vec()).collect()
}

/// An experiment of agents before its first record: one of [`FILES`], a small search.
pub(crate) fn experiment(u: &mut Unstructured<'_>) -> Result<(v1::ExperimentCreated, Machine)> {
    let file = u.choose(&FILES[..5])?;
    Ok(created(file))
}

fn created(file: &str) -> (v1::ExperimentCreated, Machine) {
    let config = toprung_config::parse(file).unwrap_or_else(|problems| panic!("{problems}")).config;
    let config_json = config.complete().to_string();
    let created = v1::ExperimentCreated { id: 1, config_json, seed: 7, ..Default::default() };
    let machine = Machine::new(Spec::new(&created, 0).unwrap()).unwrap();
    (created, machine)
}

/// Bytes as an experiment file; what follows `\n---\n` is a template, and what follows that, `--set` lines.
pub fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.splitn(3, "\n---\n");
    let (file, template) = (parts.next().unwrap_or_default(), parts.next());
    let sets: Vec<String> = parts.next().unwrap_or_default().lines().map(str::to_owned).collect();
    let parsed = match toprung_config::merged(file, template, &sets) {
        Ok(merged) => toprung_config::parse(&merged),
        Err(problems) => Err(problems),
    };
    match parsed {
        Ok(parsed) => {
            let config = parsed.config;
            // What is accepted can be written down, read again and planned.
            let complete = config.complete().to_string();
            let again = toprung_config::parse(&complete);
            match again {
                Ok(again) => assert_eq!(again.config, config, "{complete}"),
                Err(problems) => panic!("{problems}"),
            }
            drop(config.masked().to_string());
        }
        Err(problems) => {
            assert!(problems.has_errors(), "refused without a reason");
            drop(problems.to_string());
        }
    }
}

/// Journals as they lie: records behind each other, each with its length before it.
pub(crate) fn journals() -> Vec<Vec<u8>> {
    let build = |(index, file): (usize, &&str)| {
        let (created, mut machine) = created(file);
        let mut bytes = vec![index as u8];
        let inputs = [
            Input::Created(created),
            Input::Capacity(v1::CapacityChanged { trials: 3, agents: 2 }),
            Input::Allocated(v1::AttemptAllocated {
                trial: 1,
                attempt: 1,
                agent: "one".into(),
                slots: vec![0],
            }),
            Input::Pause(v1::PauseRequested {}),
            Input::Resume(v1::ResumeRequested {}),
            Input::Lost(v1::AttemptLost { trial: 1, attempt: 1, reason: "gone".into() }),
        ];
        for step in inputs.into_iter().filter_map(|input| machine.step(input, 5)) {
            bytes.extend(step.record.encode_length_delimited_to_vec());
        }
        bytes
    };
    FILES.iter().enumerate().map(build).collect()
}

/// Journal records: decoded from bytes as they are, then generated ones, folded into an experiment.
pub fn journal(bytes: &[u8]) {
    let Some((first, mut rest)) = bytes.split_first() else { return };
    let (_, mut machine) = created(FILES[usize::from(*first) % FILES.len()]);
    while let Ok(record) = v1::JournalRecord::decode_length_delimited(&mut rest) {
        if machine.replay(record).is_err() {
            break;
        }
    }
    look(&machine);
    // The same experiment through inputs that have the right form.
    let mut u = Unstructured::new(bytes);
    let Ok(file) = u.choose(&FILES) else { return };
    let (_, mut machine) = created(file);
    let mut twin = machine.clone();
    while !u.is_empty() {
        let decided = u.ratio(1, 4).and_then(|decides| decides.then(|| decision(&mut u)).transpose());
        let input = match decided {
            Ok(Some(request)) => match machine.check_decision(&request) {
                Ok(Checked::New(directed)) => Ok(Input::Directed(directed)),
                _ => continue,
            },
            Ok(None) => input(&mut u),
            Err(_) => break,
        };
        let (Ok(input), Ok(now_ms)) = (input, time(&mut u)) else { break };
        if let Some(step) = machine.step(input, now_ms) {
            let bytes = step.record.encode_to_vec();
            twin.replay(v1::JournalRecord::decode(bytes.as_slice()).unwrap()).unwrap();
        }
    }
    assert_eq!(snapshot::encode(&machine).unwrap(), snapshot::encode(&twin).unwrap());
    look(&machine);
}

fn input(u: &mut Unstructured<'_>) -> Result<Input> {
    Ok(match u.int_in_range(0..=26)? {
        25..=26 => Input::Directed(directed(u)?),
        15..=18 => Input::Asked(v1::TrialAsked { client: client(u)?, lane: small(u)? }),
        19..=23 => Input::Told(told(u)?),
        24 => Input::Silent(v1::AskerSilent { client: client(u)?, lane: small(u)?, reason: text(u)? }),
        14 => {
            Input::Preempted(v1::AttemptPreempted { trial: small(u)?, attempt: small(u)?, reason: text(u)? })
        }
        0 => Input::Created(v1::ExperimentCreated::default()),
        1 => Input::Capacity(v1::CapacityChanged { trials: small(u)?, agents: small(u)? }),
        2..=4 => Input::Allocated(v1::AttemptAllocated {
            trial: small(u)?,
            attempt: small(u)?,
            agent: text(u)?,
            slots: some(u, small)?,
        }),
        5 => Input::Lost(v1::AttemptLost { trial: small(u)?, attempt: small(u)?, reason: text(u)? }),
        6 => Input::Pause(v1::PauseRequested {}),
        7 => Input::Resume(v1::ResumeRequested {}),
        8 if u.ratio(1, 8)? => Input::Kill(v1::KillRequested { reason: text(u)? }),
        9 => Input::Retry(v1::RetryDue { trial: small(u)?, attempt: small(u)? }),
        10 if u.ratio(1, 8)? => Input::Failed(v1::ExperimentFailed { reason: text(u)? }),
        _ => Input::AgentEvents(v1::AgentEvents {
            agent: text(u)?,
            instance: text(u)?,
            sequence: number(u)?,
            events: some(u, event)?,
        }),
    })
}

/// Mostly one of few, so that programs meet themselves again.
fn client(u: &mut Unstructured<'_>) -> Result<String> {
    if u.ratio(7, 8)? { Ok((*u.choose(&["a", "b"])?).to_owned()) } else { text(u) }
}

/// What a program wants, at 1 to 4 trials mostly.
fn wish(u: &mut Unstructured<'_>) -> Result<v1::Wish> {
    use v1::wish::Kind;
    let hparams =
        ["", "{\"x\": 2}", "{\"x\": 1, \"y\": 0.5}", "{\"x\": 1}", "{\"x\": 9}", "[", "{\"x\": {}}"];
    let kind = match u.int_in_range(0..=9)? {
        0..=3 => {
            let hparams_json = if u.ratio(7, 8)? { (*u.choose(&hparams)?).to_owned() } else { text(u)? };
            let clone_from = if u.ratio(1, 3)? { small(u)? } else { 0 };
            Some(Kind::Create(v1::WishedTrial { hparams_json, length: number(u)?, clone_from }))
        }
        4..=5 => Some(Kind::Train(v1::WishedLength { trial: small(u)?, length: number(u)? })),
        6 => Some(Kind::Pause(small(u)?)),
        7 => Some(Kind::Stop(small(u)?)),
        8 if u.ratio(1, 4)? => Some(Kind::Finish(u.arbitrary()?)),
        _ => None,
    };
    Ok(v1::Wish { kind, reason: if u.ratio(1, 4)? { text(u)? } else { String::new() } })
}

/// A decision, as a program may send it.
pub(crate) fn decision(u: &mut Unstructured<'_>) -> Result<v1::DecideRequest> {
    Ok(v1::DecideRequest {
        experiment: 1,
        request_id: if u.ratio(1, 8)? { text(u)? } else { u.int_in_range(0..=999_u16)?.to_string() },
        after: if u.ratio(1, 8)? { Some(number(u)?) } else { None },
        seen: if u.ratio(1, 8)? { number(u)? } else { 0 },
        wishes: some(u, wish)?,
        state: if u.ratio(1, 4)? { Some(text(u)?) } else { None },
        progress: if u.ratio(1, 8)? { Some(float(u)?) } else { None },
        client: if u.ratio(1, 8)? { text(u)? } else { String::new() },
    })
}

/// A decision of a journal that something else than the engine has written.
fn directed(u: &mut Unstructured<'_>) -> Result<v1::SearchDirected> {
    let v1::DecideRequest { request_id, seen, wishes, state, progress, client, .. } = decision(u)?;
    Ok(v1::SearchDirected { request_id, seen, wishes, state, progress, client, ignored: Vec::new() })
}

fn told(u: &mut Unstructured<'_>) -> Result<v1::TrialTold> {
    let saved = u.ratio(1, 3)?;
    let checkpoint =
        if saved { Some(v1::ToldCheckpoint { label: text(u)?, length: number(u)? }) } else { None };
    Ok(v1::TrialTold {
        trial: small(u)?,
        attempt: small(u)?,
        client: client(u)?,
        reports: some(u, report)?,
        checkpoint,
        outcome: if u.ratio(1, 4)? { u.int_in_range(0..=5)? } else { 0 },
        message: text(u)?,
    })
}

/// Everything that can be asked of an experiment; a snapshot comes back as the same state.
pub(crate) fn look(machine: &Machine) {
    drop(view::experiment(machine, i64::MAX));
    drop(view::trials_by_id(machine, 0, 100));
    drop(view::trials_best_first(machine, 100));
    drop(view::rungs(machine));
    let told = v1::TrialTold { trial: 1, attempt: 1, client: "a".into(), ..Default::default() };
    drop((machine.heard(0, true), machine.heard(u64::MAX, false)));
    drop((machine.why_nothing(), machine.has_work(), machine.refuse(&told), machine.verdict(&told, 0)));
    drop((machine.reconcile(), machine.held(), machine.repeat_decisions("one"), machine.repeat_stops("one")));
    let bytes = snapshot::encode(machine).unwrap();
    let again = snapshot::decode(machine.spec.clone(), &bytes).unwrap();
    assert_eq!(snapshot::encode(&again).unwrap(), bytes);
}

/// The text of a store with one experiment.
pub(crate) fn exports() -> Vec<Vec<u8>> {
    let (created, mut machine) = created(FILES[0]);
    let mut u = Unstructured::new(&[7; 4000]);
    let mut inputs =
        vec![Input::Created(created), Input::Capacity(v1::CapacityChanged { trials: 2, agents: 1 })];
    inputs.push(Input::Allocated(v1::AttemptAllocated {
        trial: 1,
        attempt: 1,
        agent: "one".into(),
        slots: vec![0],
    }));
    inputs.extend((0..9).filter_map(|_| input(&mut u).ok()));
    let store = Store::in_memory().unwrap();
    for step in inputs.into_iter().filter_map(|input| machine.step(input, 5)) {
        let mut batch = toprung_store::Batch::default();
        batch.journal.push((1, step.record));
        batch.puts = step.puts;
        let (sender, receiver) = std::sync::mpsc::channel();
        store.submit(batch, move |result| drop(sender.send(result))).unwrap();
        receiver.recv().unwrap().unwrap();
    }
    let mut text = Vec::new();
    toprung_store::export(&store, &mut text).unwrap();
    vec![text]
}

/// The text of a store: read in, checked, and each experiment decided again.
pub fn export(bytes: &[u8]) {
    let store = Store::in_memory().unwrap();
    let imported = toprung_store::import(&store, &mut &*bytes);
    let checked = toprung_store::check(&store).unwrap();
    for id in checked.experiments.into_keys() {
        let (folded, retraced) = (load::machine(&store, id), retrace::retrace(&store, id));
        if let (Ok(machine), Ok(_), Ok(_)) = (folded, retraced, &imported) {
            look(&machine);
        }
    }
}

/// A file, with something in it that does not belong there.
pub(crate) fn file(u: &mut Unstructured<'_>) -> Result<String> {
    let mut file = (*u.choose(&FILES)?).to_owned();
    if u.ratio(1, 2)? {
        let at = u.int_in_range(0..=file.len())?;
        file.insert_str(at, &text(u)?);
    }
    Ok(file)
}
