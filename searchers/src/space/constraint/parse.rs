//! The sentences of a constraint, by recursive descent. What binds least comes first: `or`, `and`, `not`, relations, sums,
//! products, signs.

use super::token::{Token, Word, tokens};
use super::{Comparison, Expression, Kind, Mistake, Operator};

/// How deep parentheses and signs may be nested.
const MAX_DEPTH: u32 = 50;

pub(super) fn parse(text: &str) -> Result<Expression, Mistake> {
    let mut parser = Parser { text, tokens: tokens(text)?, next: 0, depth: 0 };
    if matches!(parser.peek().word, Word::End) {
        return Err(Mistake::new(0, text.len(), "is empty", "write a relation such as `a >= b`"));
    }
    let expression = parser.or()?;
    let rest = parser.peek();
    if rest.word == Word::End {
        return Ok(expression);
    }
    let help = match &rest.word {
        Word::Sign(")") => "no `(` belongs to it",
        Word::Sign("in" | "not") => {
            "only a plain value can be looked for in a list: put the rest in parentheses"
        }
        _ => "join relations with `and` or `or`",
    };
    Err(parser.unexpected("the end", help))
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
    depth: u32,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        // The last token is `End`, which is never passed.
        &self.tokens[self.next]
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek().word, Word::Sign(word) if word == sign);
        self.next += usize::from(found);
        found
    }

    /// The first of these signs that comes next.
    fn take_one<T: Copy>(&mut self, signs: &[(&str, T)]) -> Option<T> {
        signs.iter().find(|(sign, _)| self.take(sign)).map(|(_, meaning)| *meaning)
    }

    fn unexpected(&self, expected: &str, help: &str) -> Mistake {
        let token = self.peek();
        let found = match &self.text[token.at..token.at + token.len] {
            "" => "nothing".to_owned(),
            word => format!("`{word}`"),
        };
        Mistake::new(token.at, token.len, format!("found {found}, expected {expected}"), help)
    }

    fn expect(&mut self, sign: &str, help: &str) -> Result<(), Mistake> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"), help)) }
    }

    /// From the beginning of one part to the end of what was read last.
    fn spanned(&self, at: usize, kind: Kind) -> Expression {
        let last = self.next.checked_sub(1).map_or(at, |last| self.tokens[last].at + self.tokens[last].len);
        Expression { at, len: last.saturating_sub(at), kind }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Mistake>) -> Result<T, Mistake> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let token = self.peek();
            let message = format!("is nested more than {MAX_DEPTH} deep");
            return Err(Mistake::new(token.at, token.len, message, "write several constraints"));
        }
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn or(&mut self) -> Result<Expression, Mistake> {
        let mut left = self.and()?;
        while self.take("or") {
            let right = self.and()?;
            left = self.spanned(left.at, Kind::Or(Box::new(left), Box::new(right)));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, Mistake> {
        let mut left = self.not()?;
        while self.take("and") {
            let right = self.not()?;
            left = self.spanned(left.at, Kind::And(Box::new(left), Box::new(right)));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expression, Mistake> {
        let at = self.peek().at;
        if self.take("not") {
            let inner = self.deeper(Self::not)?;
            return Ok(self.spanned(at, Kind::Not(Box::new(inner))));
        }
        self.relation()
    }

    fn relation(&mut self) -> Result<Expression, Mistake> {
        let first = self.sum()?;
        let negated = matches!(self.peek().word, Word::Sign("not"))
            && matches!(self.tokens.get(self.next + 1).map(|token| &token.word), Some(Word::Sign("in")));
        self.next += usize::from(negated);
        if self.take("in") {
            let list = self.list()?;
            return Ok(self.spanned(first.at, Kind::In(Box::new(first), list, negated)));
        }
        let mut rest = Vec::new();
        while let Some(comparison) = self.take_one(&[
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("==", Comparison::Equal),
            ("!=", Comparison::Unequal),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ]) {
            rest.push((comparison, self.sum()?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(self.spanned(first.at, Kind::Compared(Box::new(first), rest)))
    }

    fn list(&mut self) -> Result<Vec<Expression>, Mistake> {
        self.expect("[", "a list looks like `[1, 2]` or `[\"a\", \"b\"]`")?;
        let mut elements = vec![self.sum()?];
        while self.take(",") {
            elements.push(self.sum()?);
        }
        self.expect("]", "elements have commas between them")?;
        Ok(elements)
    }

    fn sum(&mut self) -> Result<Expression, Mistake> {
        let mut left = self.product()?;
        while let Some(operator) = self.take_one(&[("+", Operator::Add), ("-", Operator::Subtract)]) {
            let right = self.product()?;
            left = self.spanned(left.at, Kind::Arithmetic(operator, Box::new(left), Box::new(right)));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Expression, Mistake> {
        let mut left = self.signed()?;
        while let Some(operator) = self.take_one(&[("*", Operator::Multiply), ("/", Operator::Divide)]) {
            let right = self.signed()?;
            left = self.spanned(left.at, Kind::Arithmetic(operator, Box::new(left), Box::new(right)));
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Expression, Mistake> {
        let at = self.peek().at;
        if self.take("-") {
            let inner = self.deeper(Self::signed)?;
            return Ok(self.spanned(at, Kind::Negative(Box::new(inner))));
        }
        self.atom()
    }

    fn atom(&mut self) -> Result<Expression, Mistake> {
        let token = self.peek().clone();
        let kind = match token.word {
            Word::Value(value) => Kind::Literal(value),
            Word::Name(path) => Kind::Name(path),
            Word::Sign("(") => {
                self.next += 1;
                let inner = self.deeper(Self::or)?;
                self.expect(")", "a parenthesis is not closed")?;
                return Ok(self.spanned(token.at, inner.kind));
            }
            Word::Sign(_) | Word::End => {
                return Err(self.unexpected("a hyperparameter, a number or a text", ""));
            }
        };
        self.next += 1;
        Ok(self.spanned(token.at, kind))
    }
}
