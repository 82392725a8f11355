//! Statements whose text depends on what they are about.

use std::fmt::Write as _;

use sqlx::{Any, AssertSqlSafe, Encode, Type, any::AnyArguments, query::Query, query_with};

/// A statement that is put together. sqlx's own builder writes `?` for values of
/// [`Any`](sqlx::Any), which PostgreSQL does not know.
#[derive(Default)]
pub(crate) struct Statement {
    text: String,
    arguments: AnyArguments,
    values: usize,
}

impl Statement {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }

    /// Appends text, which never contains a value.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text += text;
        self
    }

    /// Appends a value.
    pub(crate) fn bind<'v, T: Encode<'v, Any> + Type<Any>>(&mut self, value: T) -> &mut Self {
        use sqlx::Arguments as _;
        self.values += 1;
        // Text in memory does not fail, nor does a value of a type that `Any` knows.
        let _ = write!(self.text, "${}", self.values);
        let _ = self.arguments.add(value);
        self
    }

    /// Appends rows of values: `(…), (…)`.
    pub(crate) fn rows<R>(&mut self, rows: &[R], mut row: impl FnMut(&mut Row<'_>, &R)) -> &mut Self {
        for (number, one) in rows.iter().enumerate() {
            self.text += if number == 0 { "(" } else { ", (" };
            row(&mut Row { statement: self, is_first: true }, one);
            self.text.push(')');
        }
        self
    }

    /// Ready to be executed. It is not kept prepared, because another one has another text.
    pub(crate) fn query(self) -> Query<'static, Any, AnyArguments> {
        query_with(AssertSqlSafe(self.text), self.arguments).persistent(false)
    }
}

/// One row of values.
pub(crate) struct Row<'a> {
    statement: &'a mut Statement,
    is_first: bool,
}

impl Row<'_> {
    /// Appends a value.
    pub(crate) fn bind<'v, T: Encode<'v, Any> + Type<Any>>(&mut self, value: T) -> &mut Self {
        if !std::mem::replace(&mut self.is_first, false) {
            self.statement.text += ", ";
        }
        self.statement.bind(value);
        self
    }
}
