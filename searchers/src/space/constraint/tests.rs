//! The language of constraints.

use super::*;
use crate::space::Domain;
use proptest::prelude::*;

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn assignment() -> Assignment {
    let net = Value::Map(BTreeMap::from([
        ("width".to_owned(), Value::Int(64)),
        ("drop".to_owned(), Value::Double(0.5)),
    ]));
    BTreeMap::from([
        ("a".to_owned(), Value::Int(3)),
        ("b".to_owned(), Value::Double(3.0)),
        ("big".to_owned(), Value::Int(i64::MAX)),
        ("kind".to_owned(), text("sgd")),
        ("bias".to_owned(), Value::Bool(true)),
        ("layer-1".to_owned(), Value::Int(9)),
        ("net".to_owned(), net),
    ])
}

fn dimensions() -> BTreeMap<String, Dimension> {
    let int = || Dimension::always(Domain::Int { min: 0, max: 100, log: false, count: None });
    let choice = |values| Dimension::always(Domain::Categorical(values));
    let inner = BTreeMap::from([("width".to_owned(), int()), ("drop".to_owned(), int())]);
    BTreeMap::from([
        ("a".to_owned(), int()),
        ("b".to_owned(), int()),
        ("big".to_owned(), int()),
        ("kind".to_owned(), choice(vec![text("sgd"), text("adam")])),
        ("bias".to_owned(), choice(vec![Value::Bool(true), Value::Bool(false)])),
        ("mixed".to_owned(), choice(vec![Value::Int(1), text("auto")])),
        ("layer-1".to_owned(), int()),
        ("net".to_owned(), Dimension::always(Domain::Group(inner))),
    ])
}

fn holds(constraint: &str) -> bool {
    let parsed = Constraint::parse(constraint).unwrap_or_else(|mistake| panic!("{constraint}: {mistake:?}"));
    if let Err(mistake) = parsed.check(&dimensions()) {
        panic!("{constraint}: {mistake:?}");
    }
    parsed.holds(&assignment())
}

#[test]
fn relations_hold_or_do_not() {
    for constraint in [
        "a == 3",
        "a == b",
        "a >= b and b >= a",
        "a < net.width",
        "1 < a < 4",
        "1 < a <= 3 < net.width",
        "a + 2 * b == 9",
        "(a + 2) * b == 15",
        "a - 1 - 1 == 1",
        "12 / a / 2 == 2",
        "a / 2 == 1.5",
        "-a < -2",
        "a - -1 == 4",
        "net.drop * 2 == 1",
        "kind == 'sgd'",
        "kind != \"adam\"",
        "kind in ['adam', \"sgd\"]",
        "a not in [1, 2]",
        "not kind == 'adam'",
        "not (a > 5 or b > 5)",
        "a > 5 or b > 2 and a == 3",
        "bias",
        "not bias or a > 1",
        "bias == true",
        "`layer-1` == 9",
        "`net`.width == 64",
        "net.`width` == 6.4e1",
        "big > 9223372036854775806",
        "big + 1 > 9223372036854000000",
        "a == .3e1",
        "1_000 > a",
        "mixed == 'auto'",
    ] {
        assert!(holds(constraint), "{constraint}");
    }
    for constraint in [
        "a < 3",
        "1 < a < 3",
        "a == 3 and kind == 'adam'",
        "a in [1, 2]",
        "not bias",
        "a > 5 and b > 2 or a == 4",
        "big <= 9223372036854775806",
        "a / 0 < 1",
        "0 / 0 * a == 0",
    ] {
        assert!(!holds(constraint), "{constraint}");
    }
}

#[test]
fn what_names_an_inactive_hyperparameter_holds() {
    for constraint in ["mixed == 1", "a > 5 and mixed == 1", "not mixed in [1]"] {
        assert!(holds(constraint), "{constraint}");
    }
    let mut without = assignment();
    without.remove("net");
    let constraint = Constraint::parse("a > net.width").unwrap();
    assert!(!constraint.holds(&assignment()) && constraint.holds(&without));
}

/// What is wrong, the part that is pointed at, and the help.
fn mistake(constraint: &str) -> (String, String, String) {
    let mistake = match Constraint::parse(constraint) {
        Err(mistake) => mistake,
        Ok(parsed) => parsed.check(&dimensions()).expect_err(constraint),
    };
    let part = constraint[mistake.at..mistake.at + mistake.len].to_owned();
    let known = mistake.unknown.map_or_else(String::new, |(word, _)| word);
    (mistake.message, part, mistake.help + &known)
}

#[test]
fn mistakes_say_where_and_what() {
    for (constraint, part, message, help) in [
        ("", "", "is empty", "write a relation"),
        ("a >=", "", "found nothing, expected a hyperparameter", ""),
        ("a = 3", "=", "`=` is no part", "write `==`"),
        ("a > 1 && b > 1", "&&", "`&&` is no part", "write `and`"),
        ("a > 1 b", "b", "found `b`, expected the end", "join relations"),
        ("(a > 1", "", "found nothing, expected `)`", "not closed"),
        ("a > 1)", ")", "expected the end", "no `(` belongs to it"),
        ("a ** 2 > 1", "**", "no part", "a product"),
        ("a ≥ 2", "≥", "no part", "write `>=`"),
        ("a > 1e", "1e", "`1e` is no finite number", "look like"),
        ("kind == 'sgd", "'sgd", "the text is not closed", "end it with '"),
        ("net. > 1", ".", "a name is missing after the dot", "group.name"),
        ("a + 1", "a + 1", "is a number, expected a relation", "compare it"),
        ("a > 1 and b", "b", "is a number, but `and` is for relations", ""),
        ("kind > 3", "kind", "is a text, but an order is for numbers", ""),
        ("kind == 3", "3", "is a number, which is never a text", "same kind"),
        ("kind == 'sgdd'", "'sgdd'", "`kind` is never \"sgdd\"", "sgdd"),
        ("kind in ['sgd', 'x']", "'x'", "`kind` is never \"x\"", "x"),
        ("net > 1", "net", "`net` is a group", "`net.drop`"),
        ("net.widht > 1", "net.widht", "there is no hyperparameter `net.widht`", "net.widht"),
        ("a.b > 1", "a.b", "there is no hyperparameter `a.b`", "a.b"),
        ("-kind < 1", "kind", "is a text, but `-` is for numbers", ""),
        ("a in 3", "3", "found `3`, expected `[`", "a list looks like"),
    ] {
        let (found, at, told) = mistake(constraint);
        assert!(found.contains(message), "{constraint}: {found}");
        assert_eq!(at, part, "{constraint}: {found}");
        assert!(told.contains(help), "{constraint}: {told}");
    }
    assert!(mistake(&format!("a > {}", "1 + ".repeat(300))).0.contains("at most 1000"));
    assert!(mistake(&format!("{}a > 1{}", "(".repeat(60), ")".repeat(60))).0.contains("more than 50 deep"));
}

#[test]
fn a_constraint_is_kept_as_its_text() {
    let constraint = Constraint::parse(" a >=  b ").unwrap();
    let kept = postcard::to_stdvec(&constraint).unwrap();
    assert_eq!(postcard::from_bytes::<Constraint>(&kept).unwrap(), constraint);
    assert_eq!(serde_json::to_string(&constraint).unwrap(), "\" a >=  b \"");
    assert!(serde_json::from_str::<Constraint>("\"a >=\"").is_err());
}

/// Sentences of the language, most of them right.
fn sentence() -> impl Strategy<Value = String> {
    let number =
        prop_oneof!["[0-9]{1,3}", Just("a".to_owned()), Just("net.width".to_owned()), Just("b".to_owned())];
    let sum = number.prop_recursive(3, 12, 2, |inner| {
        (inner.clone(), prop::sample::select(vec!["+", "-", "*", "/"]), inner)
            .prop_map(|(left, sign, right)| format!("({left} {sign} {right})"))
    });
    let relation = (sum.clone(), prop::sample::select(vec!["<", "<=", ">", ">=", "==", "!="]), sum)
        .prop_map(|(left, sign, right)| format!("{left} {sign} {right}"));
    relation.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(vec!["and", "or"]), inner.clone())
                .prop_map(|(left, word, right)| format!("({left} {word} {right})")),
            inner.prop_map(|inner| format!("not ({inner})")),
        ]
    })
}

proptest! {
    #[test]
    fn right_sentences_are_read_and_not_turns_them_around(sentence in sentence()) {
        let read = Constraint::parse(&sentence);
        prop_assert!(read.is_ok() || sentence.len() > MAX_LENGTH - 10, "{sentence}: {read:?}");
        if let (Ok(read), Ok(not)) = (read, Constraint::parse(&format!("not ({sentence})"))) {
            prop_assert_eq!(read.check(&dimensions()), Ok(()));
            prop_assert_eq!(read.holds(&assignment()), !not.holds(&assignment()));
        }
    }

    #[test]
    fn no_text_panics_and_mistakes_lie_inside(text in "[abktn.<>=!&|+*/()\\[\\], '\"`0-9e≥-]{0,40}|\\PC{0,20}") {
        match Constraint::parse(&text) {
            Ok(constraint) => {
                constraint.holds(&assignment());
                if let Err(mistake) = constraint.check(&dimensions()) {
                    prop_assert!(text.get(mistake.at..mistake.at + mistake.len).is_some(), "{mistake:?}");
                }
            }
            Err(mistake) => prop_assert!(text.get(mistake.at..mistake.at + mistake.len).is_some(), "{mistake:?}"),
        }
    }
}
