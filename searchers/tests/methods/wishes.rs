//! What a program may want, sense or nonsense, of every number something.

use toprung_searchers::{Directed, Space, TrialId, Wish};

/// What `choice` picks, up to three wishes. `trials`: so many have begun or are to begin; some that do not exist are named, too.
pub(crate) fn some(choice: u32, trials: u32, space: &Space) -> Directed {
    let one = |which: u32| wish(choice.wrapping_mul(0x9E37_79B9 ^ which) >> 3, trials, space);
    Directed {
        wishes: (1..=choice / 16 % 4).map(one).collect(),
        progress: [None, Some(f64::NAN), Some(-1.0), Some(0.4), Some(7.0)][choice as usize / 16 % 5],
    }
}

fn wish(choice: u32, trials: u32, space: &Space) -> Wish {
    let trial = |choice: u32| TrialId(choice % (trials + 3));
    let why = ["", "because"][choice as usize % 2].into();
    match choice % 32 {
        0..=9 => Wish::Create {
            hparams: space.grid_point(u64::from(choice / 32 % 6)).filter(|_| choice.is_multiple_of(3)),
            train_to: u64::from(choice / 64 % 50),
            clone_from: choice.is_multiple_of(5).then(|| trial(choice / 128)),
            why,
        },
        10..=19 => {
            let length = if choice.is_multiple_of(7) { u64::MAX } else { u64::from(choice / 32 % 50) };
            Wish::Train { trial: trial(choice / 64), length, why }
        }
        20..=25 => Wish::Pause { trial: trial(choice / 32), why },
        26..=30 => Wish::Stop { trial: trial(choice / 32), why },
        _ if (choice / 32).is_multiple_of(8) => Wish::Finish { why },
        _ => Wish::Stop { trial: TrialId(u32::MAX), why },
    }
}
